"""Samples that live on the device, and the batches made of them there.

The images stay uint8, so that a whole dataset fits on a GPU; a batch is taken out, normalised and
transformed where it is. No worker processes, and nothing crosses to the device but, once an epoch,
the order of the samples and the transformation drawn for each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cnn_invariance.measures.engine.inputs import check_members
from cnn_invariance.transformations import AffineSet, TransformationSet, transform_each

if TYPE_CHECKING:
    from cnn_invariance.datasets import Dataset


@dataclass(frozen=True)
class Samples:
    """N samples on a device, and the statistics that normalise them."""

    images: Tensor  # (N, C, H, W) uint8
    labels: Tensor  # (N,) int64
    mean: Tensor  # (C, 1, 1) float32
    std: Tensor  # (C, 1, 1) float32

    def __len__(self) -> int:
        """N."""
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        """Where the samples are."""
        return self.images.device

    def normalised(self, taken: Tensor | slice) -> Tensor:
        """(B, C, H, W) float32: ``Dataset.normalise``, with the statistics already on the device.

        (Sent with each batch, they would make the processor wait for the GPU at each step.)
        """
        return self.images[taken].to(torch.float32).div_(255).sub_(self.mean).div_(self.std)


def load(data: "Dataset", split: str, count: int | None, device: torch.device) -> Samples:
    """A split on the device: all of it, or a fixed stratified subset where it has more samples."""
    chosen = data.indices(split)
    if count is not None and len(chosen) > count:
        chosen = data.subset(split, count, seed=0)
    mean, std = (
        torch.tensor(value, dtype=torch.float32, device=device)[:, None, None] for value in (data.mean, data.std)
    )
    images, labels = torch.from_numpy(data.images[chosen]), torch.from_numpy(data.labels[chosen])
    return Samples(images.to(device), labels.to(device), mean, std)


class Augmentation:
    """One transformation for each sample, drawn uniformly from a set."""

    def __init__(self, transformations: TransformationSet, device: torch.device) -> None:
        """Matrices of an affine set are kept on the device; other sets are called by member."""
        self._size = len(transformations)
        self._callables = () if isinstance(transformations, AffineSet) else transformations
        self._matrices = (
            torch.as_tensor(transformations.matrices).to(device, _float64(device))
            if isinstance(transformations, AffineSet)
            else None
        )

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """(count,) members, on the CPU."""
        return torch.randint(self._size, (count,), generator=generator)

    def prepare(self, members: Tensor) -> Tensor:
        """What `apply` takes of the members: matrices (N, 2, 3) on the device, or the members."""
        if self._matrices is None:
            return members
        return self._matrices[members.to(self._matrices.device)]

    def check(self, samples: Samples) -> None:
        """Try a user's own functions on a few samples (InputError for one that fails, or changes their shape)."""
        if self._callables:
            check_members(self._callables, samples.normalised(slice(0, 4)))

    @property
    def on_device(self) -> bool:
        """Whether applying it is work of the device alone: so for affine sets; a user's functions may do anything."""
        return self._matrices is not None

    def apply(self, images: Tensor, prepared: Tensor) -> Tensor:
        """(B, C, H, W) images, each under its own transformation."""
        if self._matrices is not None:
            return transform_each(images, prepared)
        moved = torch.empty_like(images)
        for member in prepared.unique().tolist():
            chosen = (prepared == member).nonzero().flatten().to(images.device)
            moved[chosen] = self._callables[member](images[chosen])
        return moved


def _float64(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64  # Apple's GPUs know no float64


def batches(
    samples: Samples,
    size: int,
    *,
    order: Tensor | None = None,
    augmentation: Augmentation | None = None,
    members: Tensor | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of images (B, C, H, W), float32, channels last, and labels (B,).

    order:   (n,) the samples that are taken, in order; all, as they are stored, if None
    members: (n,) the member of the augmentation for the first taken sample, the second, ...

    Every sample of the order is taken once. The last batch may be smaller; a last single sample joins the batch
    before it, because one sample alone has no variance to normalise a batch by.
    """
    order = None if order is None else order.to(samples.device)
    prepared = None
    if augmentation is not None and members is not None:
        prepared = augmentation.prepare(members)
    for start, end in bounds(len(samples) if order is None else len(order), size):
        taken = slice(start, end) if order is None else order[start:end]
        yield batch(samples, taken, augmentation, None if prepared is None else prepared[start:end])


def batch(
    samples: Samples, taken: Tensor | slice, augmentation: Augmentation | None, prepared: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Images (B, C, H, W), float32, channels last, and labels (B,) of the samples taken.

    prepared: what `Augmentation.prepare` made of their members; without it the images stay as they are
    """
    images = samples.normalised(taken)
    if augmentation is not None and prepared is not None:
        images = augmentation.apply(images, prepared)
    return images.contiguous(memory_format=torch.channels_last), samples.labels[taken]


def bounds(count: int, size: int) -> list[tuple[int, int]]:
    """Where batches start and end.

    >>> bounds(10, 4), bounds(9, 4), bounds(1, 4), bounds(0, 4)
    ([(0, 4), (4, 8), (8, 10)], [(0, 4), (4, 9)], [(0, 1)], [])
    """
    starts = list(range(0, count, size))
    if len(starts) > 1 and size > 1 and count % size == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], count], strict=True)) if starts else []

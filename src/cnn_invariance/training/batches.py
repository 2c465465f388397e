"""Samples that live on the device, and the batches made of them there.

The images stay uint8, so that a whole dataset fits on a GPU. Batches are selected, normalised and
transformed on the device. There are no worker processes, and the only transfers to the device are, once
per epoch, the order of the samples and the transformation drawn for each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cnn_invariance.transformations import AffineSet, TransformationSet, check_members, transform_each

if TYPE_CHECKING:
    from cnn_invariance.datasets import Dataset


@dataclass(frozen=True)
class DeviceSamples:
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
        """The device on which the samples are."""
        return self.images.device

    def normalised(self, taken: Tensor | slice) -> Tensor:
        """(B, C, H, W) float32: ``Dataset.normalise``, with the statistics already on the device.

        Sending the statistics with each batch would make the processor wait for the GPU at each step.
        """
        return self.images[taken].to(torch.float32).div_(255).sub_(self.mean).div_(self.std)


def load(data: "Dataset", splits: Sequence[str], count: int | None, device: torch.device) -> DeviceSamples:
    """Splits on the device; of one split, a fixed stratified subset of ``count`` samples if it has more."""
    chosen = np.concatenate([data.indices(split) for split in splits])
    if count is not None and len(chosen) > count:
        (split,) = splits
        chosen = data.subset(split, count, seed=0)
    mean, std = (
        torch.tensor(value, dtype=torch.float32, device=device)[:, None, None] for value in (data.mean, data.std)
    )
    images, labels = torch.from_numpy(data.images[chosen]), torch.from_numpy(data.labels[chosen])
    return DeviceSamples(images.to(device), labels.to(device), mean, std)


class Augmentation:
    """One transformation for each sample, drawn uniformly from a set."""

    def __init__(self, transformations: TransformationSet, device: torch.device) -> None:
        """Keep the matrices of an affine set on the device; the functions of other sets are called one by one."""
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
        """The argument of `apply` for these members: matrices (N, 2, 3) on the device; the members for other sets."""
        if self._matrices is None:
            return members
        return self._matrices[members.to(self._matrices.device)]

    def check(self, samples: DeviceSamples) -> None:
        """Try the functions of a set on a few samples (errors: as `check_members`); an affine set needs no trial."""
        if self._callables:
            check_members(self._callables, samples.normalised(slice(0, 4)))

    @property
    def on_device(self) -> bool:
        """Whether `apply` runs on the device alone. True for affine sets; a user's functions may do anything."""
        return self._matrices is not None

    def apply(self, images: Tensor, prepared: Tensor) -> Tensor:
        """Images (B, C, H, W), each under the transformation that was prepared for it."""
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
    samples: DeviceSamples,
    size: int,
    *,
    order: Tensor | None = None,
    augmentation: Augmentation | None = None,
    members: Tensor | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of images (B, C, H, W), float32, channels last, and labels (B,).

    order:   (n,) the samples to use, in order; all samples in the order of storage if None
    members: (n,) the member of the augmentation for the first sample of the order, the second, ...

    Every sample of the order is used once. The last batch may be smaller.
    """
    order = None if order is None else order.to(samples.device)
    prepared = None
    if augmentation is not None and members is not None:
        prepared = augmentation.prepare(members)
    for start in range(0, len(samples) if order is None else len(order), size):
        part = slice(start, start + size)
        taken = part if order is None else order[part]
        yield batch(samples, taken, augmentation, None if prepared is None else prepared[part])


def batch(
    samples: DeviceSamples, taken: Tensor | slice, augmentation: Augmentation | None, prepared: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Images (B, C, H, W), float32, channels last, and labels (B,) of the samples taken.

    prepared: the result of `Augmentation.prepare` for their members; if None, the images are not transformed
    """
    images = samples.normalised(taken)
    if augmentation is not None and prepared is not None:
        images = augmentation.apply(images, prepared)
    return images.contiguous(memory_format=torch.channels_last), samples.labels[taken]

"""A dataset in memory: images, labels, fixed splits, and a fingerprint of them all."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cnn_invariance.datasets.splits import Indices, round_robin
from cnn_invariance.errors import InputError, unknown_name

if TYPE_CHECKING:
    from torch import Tensor

Images = NDArray[np.uint8]

SPLITS = ("train", "validation", "test")
BLOCK = 4096  # images looked at together for the statistics: bounds the memory they take


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Images with labels, three disjoint splits, and the SHA-256 of all of it.

    images: uint8 (N, C, H, W). labels: int64 (N,), from 0 to K - 1.
    splits: "train", "validation" and "test", each int64 indices into the images, rising.
    classes: K names. fingerprint: see ``fingerprint_of``; it does not depend on the name.

    Errors: InputError if the parts do not fit together.
    """

    name: str
    images: Images
    labels: Indices
    splits: Mapping[str, Indices]
    classes: tuple[str, ...]
    fingerprint: str

    @classmethod
    def create(
        cls,
        name: str,
        images: Images,
        labels: Sequence[int] | NDArray[np.integer],
        splits: Mapping[str, Indices],
        classes: Sequence[str],
    ) -> "Dataset":
        """The dataset of these parts, with its fingerprint."""
        numbers = np.asarray(labels, dtype=np.int64)
        fingerprint = fingerprint_of(images, numbers, splits, classes)
        return cls(name, images, numbers, splits, tuple(classes), fingerprint)

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            received = f"{self.images.dtype} {self.images.shape}"
            raise InputError(f"{self.name}: expected uint8 images (N, C, H, W); received {received}")
        if self.labels.shape != (len(self.images),):
            raise InputError(
                f"{self.name}: expected a label for each of the {len(self.images)} images; "
                f"received labels of shape {self.labels.shape}"
            )
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise InputError(
                f"{self.name}: labels must lie in 0 .. {len(self.classes) - 1}, one for each class; "
                f"received {self.labels.min()} .. {self.labels.max()}"
            )
        self._check_splits()

    def _check_splits(self) -> None:
        if set(self.splits) != set(SPLITS):
            raise InputError(
                f"{self.name}: expected the splits {', '.join(SPLITS)}; received {', '.join(self.splits) or 'none'}"
            )
        together = np.concatenate([self.splits[name] for name in SPLITS])
        if len(together) and not 0 <= together.min() <= together.max() < len(self.images):
            raise InputError(f"{self.name}: a split has indices outside 0 .. {len(self.images) - 1}")
        if len(np.unique(together)) != len(together):
            raise InputError(f"{self.name}: some image is in more than one split, or twice in one")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(self.splits[name])}" for name in SPLITS)
        return f"<Dataset {self.name} {self.fingerprint[:10]}: {self.input_shape}, {sizes}>"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def indices(self, split: str) -> Indices:
        """The indices of a split into ``images``, rising.

        Errors: InputError for another name than train, validation, test.
        """
        if split not in self.splits:
            raise unknown_name("split", split, self.splits)
        return self.splits[split]

    def split(self, name: str) -> tuple[Images, Indices]:
        """The images (n, C, H, W) and labels (n,) of a split, copied.

        Errors: InputError for another name than train, validation, test.
        """
        chosen = self.indices(name)
        return self.images[chosen], self.labels[chosen]

    def subset(self, split: str, count: int | None, seed: int) -> Indices:
        """``count`` samples of a split (None: all of them), as indices into ``images``.

        Stratified and nested: the order is random by ``seed`` and takes one sample of each class
        in turn, so that any prefix is balanced within one sample while classes last, and a smaller
        subset is a prefix of a larger one. The result is the same on every machine and in every version.

        Errors: InputError for an unknown split, and unless 1 <= count <= the size of the split.
        """
        order = round_robin(self.labels, self.indices(split), seed)
        if count is None:
            return order
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= len(order):
            raise InputError(
                f"count must be a whole number from 1 to {len(order)}, the size of {self.name}'s "
                f"{split} split, or None for all of it; received {count!r}"
            )
        return order[:count]

    def adapted(self, input_shape: tuple[int, int, int]) -> "Dataset":
        """The dataset with its images adapted to a network that takes images (C, H, W): see ``datasets.adapt``.

        Labels and splits are kept; the fingerprint is that of the adapted images, and ``normalise`` uses the mean and
        standard deviation of the adapted training split. Images that already have this shape are not copied.

        Errors: InputError for channels other than 1 and 3 that differ.
        """
        import torch

        from cnn_invariance.datasets._adapt import adapt

        if input_shape == self.input_shape:
            return self
        blocks = torch.from_numpy(self.images).split(BLOCK)
        images = torch.cat([adapt(block, input_shape) for block in blocks]).numpy()
        return Dataset.create(self.name, images, self.labels, self.splits, self.classes)

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """(C,): the mean of each channel over the training split, images scaled to [0, 1]."""
        return self._histogram @ np.arange(256) / self._histogram.sum(axis=1) / 255

    @cached_property
    def std(self) -> NDArray[np.float64]:
        """(C,): the standard deviation (1 / n) that goes with ``mean``; 1 in a constant channel."""
        deviations = np.arange(256) / 255 - self.mean[:, None]  # (C, 256)
        variance = (self._histogram * deviations**2).sum(axis=1) / self._histogram.sum(axis=1)
        constant = (self._histogram > 0).sum(axis=1) == 1
        return np.where(constant, 1.0, np.sqrt(variance))

    @cached_property
    def _histogram(self) -> NDArray[np.int64]:
        """(C, 256): the number of pixels of each value. Whole numbers, so that the statistics are exact."""
        train = self.indices("train")
        if not len(train):
            raise InputError(f"{self.name}: the training split is empty; it has no mean")
        counts = np.zeros((self.images.shape[1], 256), dtype=np.int64)
        for start in range(0, len(train), BLOCK):
            block = self.images[train[start : start + BLOCK]]
            for channel in range(block.shape[1]):
                counts[channel] += np.bincount(block[:, channel].ravel(), minlength=256)
        return counts

    def normalise(self, images: "Tensor") -> "Tensor":
        """``(x / 255 - mean) / std`` by channel: uint8 (..., C, H, W) to float32, on its device.

        The memory format is kept.

        Errors: InputError for another dtype or another number of channels.
        """
        import torch  # here, so that the study can list datasets without it

        channels = self.images.shape[1]
        if images.dtype != torch.uint8 or images.ndim < 3 or images.shape[-3] != channels:
            raise InputError(
                f"expected uint8 images (..., {channels}, H, W), as {self.name} has them; "
                f"received {images.dtype} {tuple(images.shape)}"
            )
        mean, std = (
            torch.tensor(value, dtype=torch.float32, device=images.device)[:, None, None]
            for value in (self.mean, self.std)
        )
        return images.to(torch.float32).div_(255).sub_(mean).div_(std)


def fingerprint_of(images: Images, labels: Indices, splits: Mapping[str, Indices], classes: Sequence[str]) -> str:
    """The SHA-256, in hexadecimal, over images, labels, splits and class names.

    It covers names, dtypes, shapes and little-endian values of all parts, and nothing else: no
    file times, paths or compression.
    """
    parts: dict[str, NDArray[np.generic]] = {
        "images": images.astype("u1", copy=False),
        "labels": labels.astype("<i8", copy=False),
        **{name: splits[name].astype("<i8", copy=False) for name in sorted(splits)},
    }
    digest = hashlib.sha256(json.dumps(list(classes)).encode())
    for name, array in parts.items():
        digest.update(f"\n{name} {array.dtype.kind}{array.itemsize} {list(array.shape)}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()

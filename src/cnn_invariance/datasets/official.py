"""MNIST, Fashion-MNIST and CIFAR-10, the official files, read by torchvision.

Images and labels are in the official order, the training images first. The validation split is
5,000 of the official training images, fixed and stratified. CIFAR-10's files are Python pickles;
torchvision compares their checksums with the official ones before it reads them.

Files of MNIST and Fashion-MNIST that are still compressed (``.gz``), in such a folder itself or where torchvision would
have the others, are read, too; so is Fashion-MNIST where Debian's package ``dataset-fashion-mnist`` puts it.
"""

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from cnn_invariance.datasets._dataset import Dataset
from cnn_invariance.datasets.raw_files import VARIABLE, folders, listed
from cnn_invariance.datasets.splits import hold_out
from cnn_invariance.errors import InputError

NAMES = ("cifar10", "fashion_mnist", "mnist")

VALIDATION = 5000

DEBIAN = {"fashion_mnist": Path("/usr/share/datasets/fashion-mnist")}
"""Where Debian's packages put the compressed files of a dataset."""

PACKED = [f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]
LARGEST = 1 << 27
"""Bytes of a file that is unpacked; the largest has 47 million."""


def read(name: str, raw: Path | None) -> Dataset:
    """The dataset from raw files in torchvision's layout (``<folder>/MNIST/raw``) or compressed, else downloaded.

    Errors: InputError if the files cannot be read, or are absent and cannot be downloaded.
    """
    train, test = _open(name, True, raw), _open(name, False, raw)
    images = np.concatenate([_images(train), _images(test)])
    labels = np.concatenate([np.asarray(part.targets, dtype=np.int64) for part in (train, test)])
    official = np.arange(len(images))
    kept, validation = hold_out(labels, official[: len(train)], VALIDATION)
    splits = {"train": kept, "validation": validation, "test": official[len(train) :]}
    # torchvision calls the digits "0 - zero" and so on
    classes = [str(digit) for digit in range(10)] if name == "mnist" else train.classes
    return Dataset.create(name, images, labels, splits, classes)


def _open(name: str, train: bool, raw: Path | None) -> Any:
    """torchvision's dataset, from the first folder that has it, or downloaded to the last."""
    from torchvision import datasets

    kind = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST, "cifar10": datasets.CIFAR10}[name]
    places = folders(raw)
    for place in places:
        try:
            return kind(place, train=train, download=False)
        except (RuntimeError, ValueError, AssertionError, EOFError) as error:
            if "not found" not in str(error):
                raise InputError(
                    f"the raw files of {name} in {place} cannot be read ({error}); replace them"
                ) from error
    if packed := _packed(name, kind.__name__, places):
        return _unpacked(packed, kind, train)
    try:
        return kind(places[-1], train=train, download=True)
    except (RuntimeError, OSError) as error:
        raise InputError(
            f"the raw files of {name} were not found (looked in: {listed(places)}) and cannot be "
            f"downloaded ({error}); put them in a folder in torchvision's layout and name the "
            f"folder in ${VARIABLE}"
        ) from error


def _packed(name: str, folder: str, places: list[Path]) -> Path | None:
    """The first folder that has all files of a dataset, compressed; CIFAR-10 has others."""
    if name == "cifar10":
        return None
    tried = [one for place in places for one in (place / folder / "raw", place)]
    tried += [DEBIAN[name]] if name in DEBIAN else []
    return next((one for one in tried if all((one / file).is_file() for file in PACKED)), None)


def _unpacked(packed: Path, kind: Any, train: bool) -> Any:
    """torchvision's dataset of compressed files, which are unpacked for as long as they are read."""
    with TemporaryDirectory() as temporary:
        raw = Path(temporary) / kind.__name__ / "raw"
        raw.mkdir(parents=True)
        for file in PACKED:
            try:
                with gzip.open(packed / file) as opened:
                    content = opened.read(LARGEST + 1)
            except (OSError, EOFError) as error:
                raise InputError(f"{packed / file} cannot be unpacked ({error}); replace it") from error
            if len(content) > LARGEST:
                raise InputError(f"{packed / file} is larger than any such file when it is unpacked; replace it")
            (raw / Path(file).stem).write_bytes(content)
        try:
            return kind(temporary, train=train, download=False)
        except (RuntimeError, ValueError, AssertionError, EOFError) as error:
            raise InputError(f"the files in {packed} cannot be read ({error}); replace them") from error


def _images(part: Any) -> np.ndarray:
    """uint8 NCHW: (n, 28, 28) tensors gain a channel, (n, 32, 32, 3) arrays are turned."""
    images = np.asarray(part.data)
    return images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))

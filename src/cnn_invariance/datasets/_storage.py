"""Prepared datasets on disk: one ``.npz`` file each, checked against its fingerprint when read."""

import math
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from cnn_invariance.datasets._dataset import SPLITS, Dataset, fingerprint_of
from cnn_invariance.errors import InputError, shortened
from cnn_invariance.storage.files import atomic_write

PARTS: dict[str, tuple[str, int]] = {
    "name": ("str", 0),
    "fingerprint": ("str", 0),
    "classes": ("str", 1),
    "images": ("uint8", 4),
    "labels": ("int64", 1),
    **dict.fromkeys(SPLITS, ("int64", 1)),
}
"""The arrays of a file, each with its type and its number of dimensions."""
ENCRYPTED, CHUNK = 1, 2**20
UNREADABLE = (
    *(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError),
    *(TypeError, AttributeError, IndexError, MemoryError, OverflowError, SyntaxError, struct.error),
)
"""The errors of a file that holds anything."""


def save(dataset: Dataset, path: Path) -> None:
    """Write a dataset to ``path`` (``.npz``). An error leaves no file, or the previous one.

    Errors: InputError if the path does not end in ``.npz``.
    """
    if path.suffix != ".npz":
        raise InputError(f"a prepared dataset is an .npz file; received {path}")
    with atomic_write(path, dataset.images.nbytes + dataset.labels.nbytes) as temporary:
        np.savez(  # uncompressed: written once, read by every cell
            temporary,
            name=np.array(dataset.name),
            fingerprint=np.array(dataset.fingerprint),
            classes=np.array(dataset.classes),
            images=dataset.images,
            labels=dataset.labels,
            train=dataset.splits["train"],
            validation=dataset.splits["validation"],
            test=dataset.splits["test"],
        )


def load(path: Path) -> Dataset:
    """The prepared dataset of a file, its content checked against its fingerprint.

    Errors: InputError if the file is missing or damaged, or if its content does not have its fingerprint.
    """
    if not path.is_file():
        raise InputError(f"no prepared dataset {path}; make it with: cnn-invariance dataset {path.stem}")
    try:
        dataset = _read(path)
    except UNREADABLE as error:
        raise InputError(
            f"{path} is damaged ({type(error).__name__}: {shortened(str(error))}); delete it and prepare it again"
        ) from error
    found = fingerprint_of(dataset.images, dataset.labels, dataset.splits, dataset.classes)
    if found != dataset.fingerprint:
        raise InputError(
            f"{path} does not hold what its fingerprint says: expected {dataset.fingerprint}, "
            f"found {found}; delete it and prepare it again"
        )
    return dataset


def stated_fingerprint(path: Path) -> str | None:
    """The fingerprint that a prepared dataset says it has; no image is read. None if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as file:
            return str(_array(file, "fingerprint"))
    except UNREADABLE:
        return None


def stated_sizes(path: Path) -> dict[str, int] | None:
    """The samples of each split of a prepared dataset; no image is read. None if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as file:
            return {split: len(_array(file, split)) for split in SPLITS}
    except UNREADABLE:
        return None


def _read(path: Path) -> Dataset:
    with zipfile.ZipFile(path) as file:
        arrays = {name: _array(file, name) for name in PARTS}
    return Dataset(
        name=str(arrays["name"]),
        images=arrays["images"],
        labels=arrays["labels"],
        splits={name: arrays[name] for name in SPLITS},
        classes=tuple(str(name) for name in arrays["classes"]),
        fingerprint=str(arrays["fingerprint"]),
    )


def _array(file: zipfile.ZipFile, name: str) -> np.ndarray:
    """An array of the file, of the kind and dimensions that it must have, and of no more bytes than the file holds.

    `save` writes it as it is. One that is compressed or encrypted could unpack to anything, and is refused.
    """
    (dtype, dimensions), member = PARTS[name], file.getinfo(f"{name}.npy")
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & ENCRYPTED:
        raise ValueError(f"{name} is compressed or encrypted")
    if member.file_size > Path(str(file.filename)).stat().st_size:
        raise ValueError(f"{name} has {member.file_size:,} bytes, more than the file")
    with file.open(member) as opened:
        version = np.lib.format.read_magic(opened)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in header:
            raise ValueError(f"{name} has the format {version}")
        shape, fortran, found = header[version](opened)
        size = member.file_size - opened.tell()
        if found.hasobject:
            raise ValueError(f"{name} holds objects, which are never read (allow_pickle=False)")
        if len(shape) != dimensions or not np.issubdtype(found, dtype):
            raise ValueError(f"{name} is {found} of {len(shape)} dimensions; expected {dtype} of {dimensions}")
        if math.prod(shape) * found.itemsize != size:
            raise ValueError(f"{name} has the shape {shape} and {size} bytes")
        content, start = bytearray(size), 0
        while chunk := opened.read(CHUNK):
            content[start : start + len(chunk)] = chunk
            start += len(chunk)
        if start != size:
            raise ValueError(f"{name} ends early")
        array = np.frombuffer(content, dtype=found)
    return array.reshape(shape, order="F" if fortran else "C")

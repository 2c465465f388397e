"""Prepared datasets on disk: one ``.npz`` file each, checked against its fingerprint when read."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from cnn_invariance.datasets._dataset import SPLITS, Dataset, fingerprint_of
from cnn_invariance.errors import InputError
from cnn_invariance.storage.files import atomic_write


def save(dataset: Dataset, path: Path) -> None:
    """Write a dataset to ``path`` (``.npz``). An error leaves no file, or the previous one.

    Errors: InputError if the path does not end in ``.npz``.
    """
    if path.suffix != ".npz":
        raise InputError(f"a prepared dataset is an .npz file; received {path}")
    with atomic_write(path) as temporary:
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
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} is damaged ({type(error).__name__}: {error}); delete it and prepare it again"
        ) from error
    found = fingerprint_of(dataset.images, dataset.labels, dataset.splits, dataset.classes)
    if found != dataset.fingerprint:
        raise InputError(
            f"{path} does not hold what its fingerprint says: expected {dataset.fingerprint}, "
            f"found {found}; delete it and prepare it again"
        )
    return dataset


def _read(path: Path) -> Dataset:
    with path.open("rb") as opened:
        file = np.load(opened, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("not an .npz file")
        return Dataset(
            name=str(file["name"]),
            images=file["images"],
            labels=file["labels"],
            splits={name: file[name] for name in SPLITS},
            classes=tuple(str(name) for name in file["classes"]),
            fingerprint=str(file["fingerprint"]),
        )

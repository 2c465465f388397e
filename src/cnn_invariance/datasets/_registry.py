"""Sources of datasets by name, and their preparation.

A source is one file of this folder with a constant ``NAMES`` and a function ``read(name, raw) -> Dataset``. It
imports large packages (torch, torchvision) only inside functions. Its names are found without running it.
"""

import importlib
import re
from pathlib import Path, PurePath

from cnn_invariance.datasets._dataset import Dataset
from cnn_invariance.datasets._storage import save
from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.plugins import catalog

FOLDER = "folder:"
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def names() -> list[str]:
    """The named sources, sorted. A folder or archive of images needs no name: ``"folder:PATH"``."""
    return sorted(_files())


def name_of(source: str) -> str:
    """The dataset's name: of ``"folder:PATH"`` the last part of PATH without the archive's ending.

    >>> name_of("mnist"), name_of("folder:~/leaves.tar.xz")
    ('mnist', 'leaves')

    Errors: InputError for an unknown source (with the nearest match) or a path without a name.
    """
    if not source.startswith(FOLDER):
        if source not in _files():
            raise unknown_name("dataset", source, [*_files(), "folder:PATH"])
        return source
    last = PurePath(source.removeprefix(FOLDER)).name
    ending = next((e for e in sorted(ARCHIVES, key=len, reverse=True) if last.endswith(e)), "")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", last.removesuffix(ending)).strip("-.")
    if not name:
        raise InputError(f"{source!r} has no name; expected 'folder:PATH' with a named folder or archive")
    return name


def sizes_of(source: str) -> dict[str, int] | None:
    """The samples of each split of a named source; None for one of which only its data tells, such as a folder.

    >>> sizes_of("mnist")["test"]
    10000
    """
    stated = (module.constants.get("SIZES", {}) for module in catalog.folder("datasets"))
    return next((sizes[source] for sizes in stated if source in sizes), None)


def prepare(source: str, path: Path, *, raw: Path | None = None) -> Dataset:
    """Read a source and write it to ``path``, an ``.npz`` file. An error leaves no file, or the previous one.

    source: one of ``names()``, or ``"folder:PATH"``, a folder or tar archive of images by class.
    raw: the folder with the raw files. By default ``$CNN_INVARIANCE_DATA`` if set, then the user's
    cache folder. Files that are in neither are downloaded to the cache (or to ``raw``) if possible.

    Errors: InputError if the source is unknown, or if its raw files are missing or cannot be read.
    """
    name = name_of(source)
    dataset = _read(source, name, raw)
    save(dataset, path)
    return dataset


def _read(source: str, name: str, raw: Path | None) -> Dataset:
    if source.startswith(FOLDER):
        from cnn_invariance.datasets import images

        return images.read_folder(name, source.removeprefix(FOLDER), raw)
    module = importlib.import_module(f"{__package__}.{_files()[source]}")
    return module.read(name, raw)


def _files() -> dict[str, str]:
    """Each named source with the file (of this folder) that reads it."""
    modules = catalog.folder("datasets")
    return {name: module.name for module in modules for name in module.constants.get("NAMES", ())}

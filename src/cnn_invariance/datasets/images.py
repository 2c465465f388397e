"""Images by class, in a folder or a tar archive, and the named archive ``cifar10_jpeg``.

Two layouts: ``train/<class>/...`` and ``test/<class>/...``, where a tenth of the training images is
held out for validation; or ``<class>/...`` alone, parted 70 : 10 : 20 into train, validation and
test. Both splits are fixed and stratified. Folders that enclose all others are ignored, as are hidden
files and files outside the class folders; every other file must be an image. Images are in the order
of their paths, and an archive gives the same dataset as the folder that it was made from.
"""

from pathlib import Path

import numpy as np

from cnn_invariance.datasets._dataset import Dataset
from cnn_invariance.datasets._decode import decode
from cnn_invariance.datasets._tree import Tree, read_tree
from cnn_invariance.datasets.raw_files import VARIABLE, folders, given, listed
from cnn_invariance.datasets.splits import Indices, hold_out
from cnn_invariance.errors import InputError
from cnn_invariance.storage.paths import expanded

NAMES = ("cifar10_jpeg",)

PARTS = ("train", "test")
TEST_SHARE, VALIDATION_SHARE = 0.2, 0.1


def read(name: str, raw: Path | None) -> Dataset:
    """The dataset of the archive ``<name>.tar.xz`` in the folder of raw files.

    Errors: InputError if the archive is not found (it cannot be downloaded) or cannot be read.
    """
    places = [place / f"{name}.tar.xz" for place in folders(raw)]
    for place in places:
        if place.is_file():
            return _dataset(name, place)
    raise InputError(
        f"{name} is the archive {name}.tar.xz, which is not downloadable (looked for: "
        f"{listed(places)}); name its folder in ${VARIABLE}"
    )


def read_folder(name: str, path: str, raw: Path | None) -> Dataset:
    """The dataset of a user's folder or archive.

    A relative path is searched for in ``raw``, or else ``$CNN_INVARIANCE_DATA``, and then in the
    current folder.

    Errors: InputError if the path is not found, or has neither of the two layouts.
    """
    places = [place / expanded(path) for place in (*given(raw), Path.cwd())]
    for place in places:
        if place.exists():
            return _dataset(name, place)
    raise InputError(f"no folder or archive {path} (looked for: {listed(list(dict.fromkeys(places)))})")


def _dataset(name: str, path: Path) -> Dataset:
    tree = _unwrapped(read_tree(path))
    classes = _classes(tree, path)
    level = 1 if _parted(tree) else 0
    inside = (parts for parts in tree.files if len(parts) > level + 1)
    files = sorted(inside, key=lambda parts: (parts[0] == "test", parts))
    images = decode([(f"{path}: {'/'.join(parts)}", tree.files[parts]) for parts in files])
    labels = np.array([classes.index(parts[level]) for parts in files], dtype=np.int64)
    tests = np.array([parts[0] == "test" for parts in files]) if level else None
    return Dataset.create(name, images, labels, _splits(labels, tests), classes)


def _splits(labels: Indices, tests: np.ndarray | None) -> dict[str, Indices]:
    everything = np.arange(len(labels))
    if tests is None:
        train, test = hold_out(labels, everything, round(TEST_SHARE * len(labels)))
        held = round(VALIDATION_SHARE * len(labels))
    else:
        train, test = everything[~tests], everything[tests]
        held = round(VALIDATION_SHARE * len(train))
    train, validation = hold_out(labels, train, held)
    return {"train": train, "validation": validation, "test": test}


def _unwrapped(tree: Tree) -> Tree:
    """The tree without the folders that enclose all classes, and without files outside the class folders."""
    while True:
        tree = Tree({parts: file for parts, file in tree.files.items() if len(parts) > 1}, tree.folders)
        tops = {parts[0] for parts in (*tree.files, *tree.folders)}
        inner = {parts[1] for parts in tree.folders if len(parts) > 1}
        if len(tops) != 1 or tops <= set(PARTS) or not inner:
            return tree
        tree = Tree(
            {parts[1:]: file for parts, file in tree.files.items()},
            {parts[1:] for parts in tree.folders if len(parts) > 1},
        )


def _parted(tree: Tree) -> bool:
    """Whether the layout has the folders ``train`` and ``test``."""
    return any(parts[0] in PARTS for parts in tree.files)


def _classes(tree: Tree, path: Path) -> list[str]:
    """The classes, sorted, each with enough images in each part."""
    if not tree.files:
        raise InputError(f"{path} holds no images by class; expected <class>/<image>, or train/<class>/<image>")
    if not _parted(tree):
        return _checked(tree, path, (), 3, "a train, a validation and a test image")
    others = sorted({parts[0] for parts in (*tree.files, *tree.folders)} - set(PARTS))
    if others:
        raise InputError(
            f"{path} holds {others[0]!r} beside train and test; expected these two folders alone, "
            "or one folder for each class"
        )
    train = _checked(tree, path, ("train",), 2, "a train and a validation image")
    test = _checked(tree, path, ("test",), 1, "a test image")
    if train != test:
        odd = sorted(set(train) ^ set(test))[0]
        raise InputError(f"{path}: the class {odd!r} is not in both train and test; both need all classes")
    return train


def _checked(tree: Tree, path: Path, top: tuple[str, ...], least: int, why: str) -> list[str]:
    """The class folders under ``top``, sorted; each must have ``least`` images."""
    level = len(top)
    below = [parts[level] for parts in tree.files if parts[:level] == top and len(parts) > level + 1]
    classes = {parts[level] for parts in tree.folders if parts[:level] == top and len(parts) > level}
    classes.update(below)
    where = "/".join((str(path), *top))
    if len(classes) < 2:
        received = ", ".join(sorted(classes)) or "none"
        raise InputError(f"{where}: expected two classes at least, one folder each; received {received}")
    for name in sorted(classes):
        if (count := below.count(name)) < least:
            raise InputError(f"{where}: the class {name!r} has {count} images; it needs {least} at least, for {why}")
    return sorted(classes)

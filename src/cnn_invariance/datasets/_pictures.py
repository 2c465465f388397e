"""Unlabelled images in a folder of any layout, to inspect a network with. They have no splits."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnn_invariance.datasets._decode import decode_photos
from cnn_invariance.datasets._tree import read_tree
from cnn_invariance.datasets.splits import round_robin
from cnn_invariance.errors import InputError
from cnn_invariance.storage.paths import expanded

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
# Photos and films that Pillow does not read, or not everywhere: they are named where they are left out.
UNREAD = (
    *(".arw", ".avif", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".jp2", ".jxl", ".nef", ".orf", ".psd", ".raw"),
    *(".rw2", ".svg", ".avi", ".mkv", ".mov", ".mp4"),
)


class Pictures(NamedTuple):
    """A choice of the images in a folder."""

    images: NDArray[np.uint8]  # (N, C, H, W)
    groups: NDArray[np.int64]  # (N,): index into `folders`, which is the class if the images are sorted by class
    folders: tuple[str, ...]
    total: int  # the number of images in the folder, chosen or not
    notes: tuple[str, ...] = ()  # what was done to some of them, beyond decoding and resizing
    names: tuple[str, ...] = ()  # of the images, below the folder
    others: str = ""  # photos and films of endings that are not read: "3 .heic, 1 .mov"


def read_pictures(
    path: Path | str, *, count: int | None = None, size: tuple[int, int] | None = None, seed: int = 0
) -> Pictures:
    """``count`` images (None: all) below a folder or in a tar archive, flat or in folders.

    The images are drawn at random by ``seed``, equally many from each folder as long as it has some left, and returned
    in the order of their paths. Files whose ending is not that of an image are left out. ``size`` is the (H, W) to
    which each image is resized. Photos are turned upright; `decode_photos` says what else is done.

    Errors: InputError if the path does not exist or contains no images, and if an image cannot be read or its size
    differs from that of the first.
    """
    path = expanded(path)
    if not path.exists():
        raise InputError(f"no folder or archive {path} (from the folder {Path.cwd()}); check the path")
    tree = read_tree(path)
    files = sorted(parts for parts in tree.files if PurePosixPath(parts[-1]).suffix.lower() in ENDINGS)
    others = _by_ending(parts[-1] for parts in tree.files.keys() - set(files))
    if not files:
        found = f"; it holds {others}" if others else ""
        raise InputError(f"{path} holds no images; expected files that end in {', '.join(ENDINGS)}{found}")
    folders = sorted({"/".join(parts[:-1]) for parts in files})
    groups = np.array([folders.index("/".join(parts[:-1])) for parts in files], dtype=np.int64)
    chosen = np.sort(round_robin(groups, np.arange(len(files)), seed)[:count])
    named = [(f"{path}: {'/'.join(files[k])}", tree.files[files[k]]) for k in chosen]
    images, notes = decode_photos(named, size)
    names = tuple("/".join(files[k]) for k in chosen)
    return Pictures(images, groups[chosen], tuple(folders), len(files), notes, names, others)


def _by_ending(names: Iterable[str]) -> str:
    counts = Counter(PurePosixPath(name).suffix.lower() for name in names)
    return ", ".join(f"{count:,} {ending}" for ending, count in sorted(counts.items()) if ending in UNREAD)

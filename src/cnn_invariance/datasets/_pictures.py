"""Unlabelled images in a folder of any layout, to inspect a network with. They have no splits."""

from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnn_invariance.datasets._decode import decode
from cnn_invariance.datasets._tree import read_tree
from cnn_invariance.datasets.splits import round_robin
from cnn_invariance.errors import InputError
from cnn_invariance.storage.paths import expanded

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


class Pictures(NamedTuple):
    """A choice of the images in a folder."""

    images: NDArray[np.uint8]  # (N, C, H, W)
    groups: NDArray[np.int64]  # (N,): index into `folders`, which is the class if the images are sorted by class
    folders: tuple[str, ...]
    total: int  # the number of images in the folder, chosen or not


def read_pictures(
    path: Path | str, *, count: int | None = None, size: tuple[int, int] | None = None, seed: int = 0
) -> Pictures:
    """``count`` images (None: all) below a folder or in a tar archive, flat or in folders.

    The images are drawn at random by ``seed``, equally many from each folder as long as it has some left, and returned
    in the order of their paths. Files whose ending is not that of an image are ignored. ``size`` is the (H, W) to which
    each image is resized.

    Errors: InputError if the path does not exist or contains no images, and if an image cannot be read or its size
    differs from that of the first.
    """
    path = expanded(path)
    if not path.exists():
        raise InputError(f"no folder or archive {path} (from the folder {Path.cwd()}); check the path")
    tree = read_tree(path)
    files = sorted(parts for parts in tree.files if PurePosixPath(parts[-1]).suffix.lower() in ENDINGS)
    if not files:
        raise InputError(f"{path} holds no images; expected files that end in {', '.join(ENDINGS)}")
    folders = sorted({"/".join(parts[:-1]) for parts in files})
    groups = np.array([folders.index("/".join(parts[:-1])) for parts in files], dtype=np.int64)
    chosen = np.sort(round_robin(groups, np.arange(len(files)), seed)[:count])
    named = [(f"{path}: {'/'.join(files[k])}", tree.files[files[k]]) for k in chosen]
    return Pictures(decode(named, size), groups[chosen], tuple(folders), len(files))

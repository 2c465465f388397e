"""Images of a folder for a look at a network: any layout, no splits, no labels that mean something."""

from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnn_invariance.datasets._decode import decode
from cnn_invariance.datasets._tree import read_tree
from cnn_invariance.datasets.splits import round_robin
from cnn_invariance.errors import InputError

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


class Pictures(NamedTuple):
    """Some images of a folder."""

    images: NDArray[np.uint8]  # (N, C, H, W)
    groups: NDArray[np.int64]  # (N,): which folder each is from, the class of a folder by class
    folders: tuple[str, ...]
    total: int  # how many images there are


def read_pictures(
    path: Path | str, *, count: int | None = None, size: tuple[int, int] | None = None, seed: int = 0
) -> Pictures:
    """``count`` images (None: all) below a folder or in a tar archive, flat or in folders.

    Of several folders as many from each, as far as they go; drawn at random by ``seed``, in the order of their paths.
    Files with another ending than those of images are passed over. ``size``: (H, W) that each is resized to.

    Errors: InputError for a path that is not there or holds no images, and for one that cannot be read or is of
    another size than the first.
    """
    path = Path(path).expanduser()
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

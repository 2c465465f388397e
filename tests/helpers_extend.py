"""Files that users add: a network, transformations that are not affine, a measure; and files in the package."""

from pathlib import Path
from types import ModuleType

import pytest

from cnn_invariance.plugins import catalog

NETWORK = """
from torch import nn


def build(input_shape, classes, *, width=2):
    return nn.Sequential(nn.Conv2d(input_shape[0], width, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(classes))
"""
BRIGHTNESS = """
def brightness(n=2):
    return [lambda images, k=k: images * (1 + k / 4) for k in range(n)]
"""
SHARE = '''\
"""The share of transformations in the spread."""
from cnn_invariance.measures import Spread, aggregate, quotient

MEASURES = {"ShareT": "share of the transformations: TV / (TV + SV)"}
BETTER = {"ShareT": "lower"}
OPTIONS = {"statistic": ["std", "var"], "aggregate": ["none", "mean"]}


def statistics(request, context):
    return [Spread(axis, request["statistic"]) for axis in ("transformations", "samples")]


def combine(request, context, t, s):
    return aggregate(quotient(t, t + s), request["aggregate"])
'''


def add_to_package(monkeypatch: pytest.MonkeyPatch, package: ModuleType, file: Path) -> None:
    """Let a file be found and imported as if it were in the folder of a package (for the length of a test)."""
    found = catalog.folder(package.__name__.rpartition(".")[2])
    monkeypatch.setattr(catalog, "folder", lambda name: (*found, catalog.read(file)))
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(file.parent)])

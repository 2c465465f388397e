"""Synthetic tables of the form that the plots read, with the layers of the author's networks."""

import numpy as np
import pandas as pd

SIMPLE_CONV = [
    *["Conv2d", "ELU", "Conv2d", "ELU", "MaxPool2d"] * 2,
    *["Conv2d", "ELU", "Flatten", "Linear", "ELU", "Linear", "LogSoftmax"],
]
ALL_CONVOLUTIONAL = [*["Conv2d", "ELU"] * 8, "Conv2d", "GlobalMean", "LogSoftmax"]
VGG16D = [
    *[*["Conv2d", "ELU"] * 2, "MaxPool2d"] * 2,
    *[*["Conv2d", "ELU"] * 3, "MaxPool2d"] * 2,
    *["Flatten", "Dropout", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Linear", "LogSoftmax"],
]
RESNET18 = [
    *["Conv2d", "BatchNorm2d", "ELU"],
    *["Conv2d", "BatchNorm2d", "ELU", "Conv2d", "BatchNorm2d", "Add", "ELU"] * 8,
    *["GlobalMean", "Linear", "LogSoftmax"],
]
DESIGNS = {"SimpleConv": SIMPLE_CONV, "AllConvolutional": ALL_CONVOLUTIONAL, "VGG16D": VGG16D, "ResNet18": RESNET18}


def profile_table(kinds: list[str], *, level: float = 0.6, slope: float = -0.3, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    depth = np.linspace(0, 1, len(kinds))
    value = level + slope * depth + 0.05 * np.sin(7 * depth) + random.normal(0, 0.015, len(kinds))
    frame = pd.DataFrame(
        {
            "layer_index": np.arange(1, len(kinds) + 1, dtype=np.int16),
            "layer": [f"{kind.lower()}{i}" for i, kind in enumerate(kinds, start=1)],
            "kind": kinds,
            "value": value,
            "units": 1000,
            "infinite": 0,
            "dead": 0,
            "nan": 0,
        }
    )
    return frame.astype(dict.fromkeys(("units", "infinite", "dead", "nan"), "Int32"))  # as results are read


def map_table(kinds: list[str], *, level: float = 0.6, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    rows = []
    for index, kind in enumerate(kinds, start=1):
        values = level * random.gamma(9, 1 / 9, size=8 * (1 + index // 5))
        rows += [(index, f"{kind.lower()}{index}", kind, i, v) for i, v in enumerate(values)]
    return pd.DataFrame(rows, columns=["layer_index", "layer", "kind", "map", "value"])

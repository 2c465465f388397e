"""A study whose results are synthetic: as cells would leave them, with values chosen to be recognised."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from cnn_invariance.experiments.framework.claims import Finding
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.measures.requests import KEPT_FOR_MAPS, check
from cnn_invariance.plotting import Canvas
from cnn_invariance.results import Results, write_measure, write_training
from cnn_invariance.results.measures import COUNTS, SCHEMA
from cnn_invariance.study import MeasureSpec, ModelSpec, Study, TrainSpec
from cnn_invariance.workflow import drawing, preparation, stages
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan

SIMPLE_CONV = [
    *["Conv2d", "ELU", "Conv2d", "ELU", "MaxPool2d"] * 2,
    *["Conv2d", "ELU", "Flatten", "Linear", "ELU", "Linear", "LogSoftmax"],
]
ALL_CONVOLUTIONAL = [*["Conv2d", "ELU"] * 8, "Conv2d", "GlobalMean", "LogSoftmax"]
WITHOUT_MAPS = ("Flatten", "Linear", "GlobalMean", "LogSoftmax")
TI_POOLING = ["PathConv" if kind == "Conv2d" else kind for kind in SIMPLE_CONV]
TI_POOLING.insert(TI_POOLING.index("Flatten") + 1, "PathMaxPool")
KINDS = {"SimpleConv": SIMPLE_CONV, "AllConvolutional": ALL_CONVOLUTIONAL, "TIPoolingSimpleConv": TI_POOLING}
ACTIVATIONS = {"elu": "ELU", "relu": "ReLU", "prelu": "PReLU", "tanh": "Tanh", "sigmoid": "Sigmoid"}

PRESET: dict[str, Any] = {
    "name": "synthetic",
    "description": "Not a study: values made up for tests.",
    "datasets": {"mnist5k": {"fingerprint": "0" * 64, "accuracy_floor": 0.5}},
    "models": {
        "SimpleConv": {"arguments": {"width": 8}, "learning_rate": 5e-4, "epochs": 3},
        "AllConvolutional": {"arguments": {"width": 16}, "learning_rate": 1e-3, "epochs": 30},
    },
    "transformation_sets": {
        "rotation": {"parameters": {"n": 25, "angle_deg": 360, "closed": True}},
        "scale": {"parameters": {"n": 2, "low": 0.5, "high": 1.25}},
        "translation": {"parameters": {"n": 1, "distance": 0.15}},
    },
    "seeds": [0, 1, 2, 3, 4],
    "samples": {"count": 200},
    "measures": ["TV", "SV", "NV", "NV[aggregate=mean]", "NVSE[aggregate=mean]", "ND"],
    "experiments": {},
}

Values = Callable[[MeasureSpec, str], np.ndarray]
"""The layer profile of a cell's measure."""


def kinds(model: ModelSpec) -> list[str]:
    """The classes of a network's layers, those of SimpleConv's variants included."""
    changed = {
        "ELU": ACTIVATIONS[str(model.arguments.get("activation", "elu"))],
        "MaxPool2d": "Conv2d" if model.arguments.get("pooling") == "stride" else "MaxPool2d",
    }
    found = [changed.get(kind, kind) for kind in KINDS[model.name]]
    if not model.arguments.get("batch_norm"):
        return found
    last = len(found) - 1 - found[::-1].index("ELU")
    normalised = {"Conv2d": ["BatchNorm2d"], "Linear": ["BatchNorm1d"]}
    return [one for i, kind in enumerate(found) for one in [kind, *(normalised.get(kind, []) if i < last else [])]]


def range_share(cell: MeasureSpec) -> float:
    """The share of the measured range that the network was trained on, by the first range parameter.

    0 for a network trained with another kind of transformations; 1 at most.
    """
    trained = cell.network.augmentation
    if trained is None or trained.name != cell.transformations.name:
        return 0.0
    if trained.name == "combined" or trained == cell.transformations:
        return 1.0
    name, origin = {"rotation": ("angle_deg", 0), "scale": ("low", 1), "translation": ("distance", 0)}[trained.name]
    return min(1.0, (trained.parameters[name] - origin) / (cell.transformations.parameters[name] - origin))


def layer_values(cell: MeasureSpec, measure: str) -> np.ndarray:
    """Falls with depth and, by 0.4 at the full range, with the range trained on."""
    depth = np.linspace(0, 1, len(kinds(cell.network.model)))
    noise = np.random.default_rng(cell.network.seed).normal(0, 0.02, len(depth))
    return 0.9 - 0.2 * depth - 0.4 * range_share(cell) * (0.5 + 0.5 * depth) + noise


def measure_frame(cell: MeasureSpec, values: Values) -> pd.DataFrame:
    rows = []
    random = np.random.default_rng(1)
    for measure in cell.measures:
        for index, (kind, value) in enumerate(
            zip(kinds(cell.network.model), values(cell, measure), strict=True), start=1
        ):
            if check(measure).name.endswith(("SE", "DSES")) and kind in WITHOUT_MAPS:
                continue
            name = {"layer_index": index, "layer": f"{kind.lower()}{index}", "kind": kind, "measure": measure}
            counts = {"units": 100, "infinite": 3 if index == 2 else 0, "dead": 60 if index == 1 else 0, "nan": 0}
            rows.append(name | {"map": None, "value": value} | counts)
            if cell.maps and measure in KEPT_FOR_MAPS:
                spread = value * random.gamma(9, 1 / 9, 8)
                rows += [name | {"map": i, "value": one} for i, one in enumerate(spread)]
    frame = pd.DataFrame(rows, columns=SCHEMA.names)
    return frame.astype({"map": "Int32", **dict.fromkeys(COUNTS, "Int32")})


def accuracies(cell: MeasureSpec) -> list[float]:
    """0.9 under the identity, elsewhere 0.5 for a plain network and 0.8 for an augmented one."""
    shares = [0.5 if cell.network.augmentation is None else 0.8] * cell.transformations.size
    shares[cell.transformations.build().identity] = 0.9
    return shares


def write_results(study: Study, root: Path, values: Values = layer_values) -> Results:
    results = Results(root)
    for cell in {cell for cells in study.cells.values() for cell in cells}:
        if isinstance(cell, TrainSpec):
            record = {
                "accuracies": {"test": {"plain": 0.95, "augmented": 0.85}},
                "samples": {"test": 1000},
                "classes": 10,
            }
            write_training(results.path(cell), cell, record, {})
        else:
            seen = accuracies(cell) if cell.dataset == cell.network.dataset else None
            write_measure(results.path(cell), cell, measure_frame(cell, values), seen, {})
    return results


class Profiles(Results):
    """Results that are never written: any cell has the profiles that ``values`` gives it."""

    def __init__(self, values: Values) -> None:
        super().__init__(Path("nowhere"))
        object.__setattr__(self, "made_up", values)

    def profile(self, spec: MeasureSpec, measure: str) -> pd.DataFrame:
        assert measure in spec.measures
        names = kinds(spec.network.model)
        layers = [f"{kind.lower()}{index}" for index, kind in enumerate(names, start=1)]
        index = range(1, len(names) + 1)
        depth = np.linspace(0, 100, len(names))
        counts = {"units": 100, "infinite": 0, "dead": 0, "nan": 0}
        columns = {"layer_index": index, "layer": layers, "kind": names, "depth": depth}
        return pd.DataFrame({**columns, "value": self.made_up(spec, measure), **counts})

    def numbers(self, spec: MeasureSpec, measure: str) -> dict[str, np.ndarray]:
        return {str(name): column.to_numpy() for name, column in self.profile(spec, measure).items()}


def findings(study: Study, experiment: str, results: Results) -> list[Finding]:
    chosen = study.experiments[experiment]
    return list(chosen.findings(study, results))


def draw(study: Study, experiment: str, results: Results, folder: Path) -> Path:
    """Draw an experiment; returns the folder of all its files."""
    chosen = study.experiments[experiment]
    chosen.draw(study, results, Canvas(folder, folder))
    return folder


def announced(study: Study, experiment: str) -> set[str]:
    """The names of the files that an experiment says it draws."""
    outputs = study.outputs[experiment]
    figures = {f"{figure}.{kind}" for figure in outputs.figures for kind in ("svg", "png", "md", "json")}
    return figures | {f"{table}.{kind}" for table in outputs.tables for kind in ("csv", "md", "tex", "json")}


def drawn_untrained(root: Path, transformation_sets: dict[str, Any], name: str, options: dict[str, Any]) -> Plan:
    """One experiment on an untrained network of 5,000 real digits, all its cells computed, and drawn, in a folder."""
    pin = "431ccb07ecd1af0274b77e08cda92d8c7c33d4feec3c76007dfacee4ea4406aa"
    preset = {
        "name": "tiny",
        "description": "One untrained network.",
        "datasets": {"mnist5k": {"fingerprint": pin, "accuracy_floor": 0}},
        "models": {"SimpleConv": {"arguments": {"width": 3, "dense": 4}, "learning_rate": 1e-3, "epochs": 0}},
        "transformation_sets": transformation_sets,
        "seeds": [0],
        "samples": {"count": 20},
        "measures": ["NV[aggregate=mean]"],
        "experiments": {name: options},
    }
    (root / "tiny.yaml").write_text(yaml.safe_dump(preset), encoding="utf-8")
    folders = Folders(root / "data", root / "models", root / "results", root / "figures")
    made = Plan(Programme.load(root / "tiny.yaml"), folders)
    preparation.prepare(made.study, made.folders, "mnist5k")
    for cell in made.to_compute:
        stages.compute(made.job(cell), made.folders)
    drawing.draw(made, name)
    return made.anew()

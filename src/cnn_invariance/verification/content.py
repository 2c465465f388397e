"""What a result holds, sorted by how equal it must be when the cell is computed again."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnn_invariance.results import MeasureTable, Responses, Result, Results, TrainingRecord
from cnn_invariance.study import Cell
from cnn_invariance.verification.spread import Vector

ROUNDING = 1e-3
"""The least relative spread of a profile: what machines may differ by where seeds do not."""
ALL_SAMPLES = 10_000
"""Taken for the number of samples where a cell measured a whole split."""
IMAGE = 1e-2
"""How far pixels of a normalised image, kept with the precision of float16, may lie apart."""


@dataclass(frozen=True)
class ComparedValues:
    """The values that are compared, on a scale on which differences mean the same everywhere; see `spread`.

    floor: the standard deviation over seeds that is taken at least
    """

    values: Vector
    floor: float


class Content(ABC):
    """The content of the result of one cell; each kind of cell has a class of its own."""

    def __init__(self, held: Any) -> None:
        self.held = held

    @property
    def weights(self) -> str:
        """The SHA-256 of the weights that the result was made from."""
        return str(self.held.weights_sha256)

    @abstractmethod
    def fixed(self) -> dict[str, Any]:
        """What must be equal on any machine, by its name."""

    def image(self) -> Vector | None:
        """The image that is shown, which must be equal on any machine, within `IMAGE`."""
        return None

    @abstractmethod
    def exact(self) -> dict[str, Any]:
        """What must be equal to the last bit on the same kind of machine, by its name."""

    def compared(self) -> dict[str, ComparedValues]:
        """What is compared with the spread over seeds elsewhere, by its name.

        Shares p are compared as arcsin(sqrt(p)), whose spread does not depend on p; profiles as logarithms, so that
        differences are relative. A layer without a positive finite value has no component.
        """
        return {}

    def accuracies(self) -> list[float]:
        """The accuracies that the figure shows."""
        return []

    def profile(self, measure: str) -> list[float]:
        """The layer profile of a measure that the figure shows."""
        return []


class TrainingContent(Content):
    """The record of a training."""

    held: TrainingRecord

    def fixed(self) -> dict[str, Any]:
        """Counts."""
        return {name: self.held.record[name] for name in ("epochs", "samples", "parameters")}

    def exact(self) -> dict[str, Any]:
        """Weights, history and accuracies."""
        record = self.held.record
        history = [{key: value for key, value in epoch.items() if key != "seconds"} for epoch in record["history"]]
        return {"weights": self.weights, "history": history, "accuracies": record["accuracies"]}

    def compared(self) -> dict[str, ComparedValues]:
        """The accuracies."""
        return _accuracies(self.held.record["accuracies"], self.held.record["samples"])

    def accuracies(self) -> list[float]:
        """Those of all splits that are known."""
        splits = self.held.record["accuracies"].values()
        return [value for split in splits for value in split.values() if value is not None]


class MeasureContent(Content):
    """A measure table."""

    held: MeasureTable

    def fixed(self) -> dict[str, Any]:
        """Layers, units and maps."""
        layers = _sorted(self.held)[["layer_index", "layer", "kind", "measure", "map", "units"]]
        return {
            "layers, units and maps": layers.to_csv(index=False),
            "number of transformations": len(self.held.accuracy or []),
        }

    def exact(self) -> dict[str, Any]:
        """Weights, accuracies, and every number of each measure."""
        frame = _sorted(self.held)
        numbers = frame.select_dtypes("number").astype(np.float64)
        by_measure = {str(name): numbers.loc[rows].to_numpy().tobytes() for name, rows in _rows_by_measure(frame)}
        return {"weights": self.weights, "accuracy": self.held.accuracy, **by_measure}

    def compared(self) -> dict[str, ComparedValues]:
        """The accuracies, and the layer profile of each measure."""
        held = self.held
        accuracy = {} if held.accuracy is None else {"accuracy": _share(held.accuracy, held.spec.samples.count)}
        frame = held.frame[held.frame["map"].isna()].sort_values("layer_index")
        profiles = {str(name): _profile(frame.loc[rows, "value"]) for name, rows in _rows_by_measure(frame)}
        return accuracy | {f"profile of {name}": profile for name, profile in profiles.items()}

    def profile(self, measure: str) -> list[float]:
        """The profile of a measure, if the cell has it."""
        return list(self.held.profile(measure)["value"]) if measure in self.held.spec.measures else []


class ResponseContent(Content):
    """Responses of feature maps; seeds do not share them, so that there is no spread to compare with."""

    held: Responses

    def fixed(self) -> dict[str, Any]:
        """Layers and sizes."""
        shapes = self.held.frame[
            ["layer_index", "layer", "kind", "role", "rank", "sample", "member", "height", "width"]
        ]
        return {"layers and sizes": shapes.to_csv(index=False)}

    def image(self) -> Vector | None:
        """The image itself."""
        shown = self.held.frame[self.held.frame["role"] == "input"]["response"]
        return np.concatenate([np.asarray(row, dtype=np.float64) for row in shown])

    def exact(self) -> dict[str, Any]:
        """Weights, the ranked maps, and their responses."""
        response = np.concatenate([np.asarray(row, dtype=np.float32) for row in self.held.frame["response"]])
        ranked = self.held.frame[["map", "value"]].to_numpy(np.float64)
        return {"weights": self.weights, "maps": ranked.tobytes(), "responses": response.tobytes()}


CONTENTS: dict[str, type[Content]] = {"train": TrainingContent, "measure": MeasureContent, "respond": ResponseContent}
"""The class of the content of each kind of cell, by its stage."""


def content_of(results: Results, cell: Cell) -> Content:
    """The content of the result of a cell, checked as `Results` does."""
    held: Result = results.read(cell)
    return CONTENTS[cell.stage](held)


def _accuracies(accuracies: Mapping[str, Any], samples: Mapping[str, int]) -> dict[str, ComparedValues]:
    return {
        f"accuracy, {split}, {kind}": _share([value], samples.get(split))
        for split, kinds in accuracies.items()
        for kind, value in kinds.items()
        if value is not None
    }


def _share(shares: list[float], samples: int | None) -> ComparedValues:
    """The floor is one sample."""
    n = samples or ALL_SAMPLES
    p = np.clip(np.mean(shares), 1 / n, max(1 / n, 1 - 1 / n))
    floor = 1 / (2 * n * np.sqrt(p * (1 - p))) if n > 1 else 1.0
    return ComparedValues(np.arcsin(np.sqrt(np.asarray(shares, dtype=np.float64))), float(floor))


def _profile(values: Any) -> ComparedValues:
    numbers = values.to_numpy(np.float64)
    positive = np.isfinite(numbers) & (numbers > 0)
    return ComparedValues(
        np.log(np.where(positive, numbers, 1.0), where=positive, out=np.full(len(numbers), np.nan)), ROUNDING
    )


def _sorted(held: MeasureTable) -> Any:
    frame = held.frame.sort_values(["measure", "layer_index", "map"], kind="stable")
    return frame.reset_index(drop=True)


def _rows_by_measure(frame: Any) -> Any:
    return frame.groupby("measure", sort=True, observed=True).groups.items()

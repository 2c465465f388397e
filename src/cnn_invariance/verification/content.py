"""What a result holds, sorted by how equal it must be when the cell is computed again.

- `fixed`: equal on any machine, but for rounding where it says so
- `exact`: equal on the same kind of machine
- `statistics`: compared with the spread over seeds everywhere else
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnn_invariance.results import MeasureTable, Responses, Results
from cnn_invariance.study import Cell, MeasureSpec, ResponseSpec, TrainSpec
from cnn_invariance.verification.spread import Vector

ROUNDING = 1e-3
"""The least relative spread of a profile: what machines may differ by where seeds do not."""
ALL_SAMPLES = 10_000
"""Taken for the number of samples where a cell measured a whole split."""
IMAGE = 1e-2
"""How far pixels of a normalised image, kept with the precision of float16, may lie apart."""

Held = dict[str, Any] | MeasureTable | Responses
"""A result as it was read: the record of a training, a measure table, or responses."""


@dataclass(frozen=True)
class Statistic:
    """The values that are compared, on a scale on which differences mean the same everywhere; see `spread`.

    floor: the standard deviation over seeds that is taken at least
    """

    values: Vector
    floor: float


def read(results: Results, cell: Cell) -> Held:
    """The result of a cell, checked as `Results` does."""
    match cell:
        case TrainSpec():
            return results.training(cell)
        case MeasureSpec():
            return results.measure(cell)
        case ResponseSpec():
            return results.responses(cell)


def weights(held: Held) -> str:
    """The SHA-256 of the weights that a result was made from."""
    return str(held["weights_sha256"] if isinstance(held, dict) else held.provenance["weights_sha256"])


def fixed(held: Held) -> dict[str, Any]:
    """What must be equal always, by its name."""
    match held:
        case MeasureTable():
            frame = _sorted(held)
            layers = frame[["layer_index", "layer", "kind", "measure", "map", "units"]]
            return {
                "layers, units and maps": layers.to_csv(index=False),
                "number of transformations": len(held.accuracy or []),
            }
        case Responses():
            shapes = held.frame[["layer_index", "layer", "kind", "role", "member", "height", "width"]]
            return {"layers and sizes": shapes.to_csv(index=False)}
        case _:
            return {name: held[name] for name in ("epochs", "samples", "parameters")}


def image(held: Held) -> Vector | None:
    """The image that a response cell shows, which must be equal always, within `IMAGE`."""
    if not isinstance(held, Responses):
        return None
    shown = held.frame[held.frame["role"] == "input"]["response"]
    return np.concatenate([np.asarray(row, dtype=np.float64) for row in shown])


def exact(held: Held) -> dict[str, Any]:
    """What must be equal to the last bit on the same kind of machine, by its name."""
    match held:
        case MeasureTable():
            frame = _sorted(held)
            numbers = frame.select_dtypes("number").astype(np.float64)
            by_measure = {str(name): numbers.loc[rows].to_numpy().tobytes() for name, rows in _rows_by_measure(frame)}
            return {"weights": weights(held), "accuracy": held.accuracy, **by_measure}
        case Responses():
            response = np.concatenate([np.asarray(row, dtype=np.float32) for row in held.frame["response"]])
            ranked = held.frame[["map", "value"]].to_numpy(np.float64)
            return {"weights": weights(held), "maps": ranked.tobytes(), "responses": response.tobytes()}
        case _:
            history = [{key: value for key, value in epoch.items() if key != "seconds"} for epoch in held["history"]]
            return {"weights": weights(held), "history": history, "accuracies": held["accuracies"]}


def statistics(cell: Cell, held: Held) -> dict[str, Statistic]:
    """What is compared with the spread over seeds, by its name; nothing of responses, which seeds do not share.

    Shares p as arcsin(sqrt(p)), whose spread does not depend on p; profiles as logarithms, so that differences are
    relative. A layer without a positive finite value has no component.
    """
    match held:
        case MeasureTable() if isinstance(cell, MeasureSpec):
            accuracy = {} if held.accuracy is None else {"accuracy": _share(held.accuracy, cell.samples.count)}
            frame = held.frame[held.frame["map"].isna()].sort_values("layer_index")
            profiles = {str(name): _profile(frame.loc[rows, "value"]) for name, rows in _rows_by_measure(frame)}
            return accuracy | {f"profile of {name}": profile for name, profile in profiles.items()}
        case dict():
            return _accuracies(held["accuracies"], held["samples"])
        case _:
            return {}


def _accuracies(accuracies: Mapping[str, Any], samples: Mapping[str, int]) -> dict[str, Statistic]:
    return {
        f"accuracy, {split}, {kind}": _share([value], samples.get(split))
        for split, kinds in accuracies.items()
        for kind, value in kinds.items()
        if value is not None
    }


def _share(shares: list[float], samples: int | None) -> Statistic:
    """The floor is one sample."""
    n = samples or ALL_SAMPLES
    p = np.clip(np.mean(shares), 1 / n, max(1 / n, 1 - 1 / n))
    floor = 1 / (2 * n * np.sqrt(p * (1 - p))) if n > 1 else 1.0
    return Statistic(np.arcsin(np.sqrt(np.asarray(shares, dtype=np.float64))), float(floor))


def _profile(values: Any) -> Statistic:
    numbers = values.to_numpy(np.float64)
    positive = np.isfinite(numbers) & (numbers > 0)
    return Statistic(
        np.log(np.where(positive, numbers, 1.0), where=positive, out=np.full(len(numbers), np.nan)), ROUNDING
    )


def _sorted(held: MeasureTable) -> Any:
    frame = held.frame.sort_values(["measure", "layer_index", "map"], kind="stable")
    return frame.reset_index(drop=True)


def _rows_by_measure(frame: Any) -> Any:
    return frame.groupby("measure", sort=True, observed=True).groups.items()

"""What can be told of a result without computing it again: whether it is complete, plausible and consistent."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn_invariance.results.files import COUNTS, QUANTILES, MeasureTable, read_training
from cnn_invariance.results.store import Results
from cnn_invariance.study.spec import Cell, MeasureSpec, ResponseSpec, TrainSpec

if TYPE_CHECKING:
    import pandas as pd


def _text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _number(value: Any, least: float = 0) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value) and value >= least


def _sha256(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _commit(value: Any) -> bool:
    return value is None or (isinstance(value, str) and re.fullmatch("[0-9a-f]{40}(-dirty)?", value) is not None)


def _moment(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


PROVENANCE: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "package": (_text, "a version"),
    "commit": (_commit, "40 hexadecimal digits, or null"),
    "python": (_text, "a version"),
    "torch": (_text, "a version"),
    "numpy": (_text, "a version"),
    "platform": (_text, "a text"),
    "cpu": (_text, "a text"),
    "started": (_moment, "a time with its zone"),
    "wall_s": (_number, "seconds"),
    "peak_memory_bytes": (lambda value: _number(value, 1), "bytes"),
    "device": (_text, "a text"),
    "threads": (lambda value: _number(value, 1), "a count"),
}
"""What every result records of its making: how it must look, and that in words."""


@dataclass(frozen=True)
class Audit:
    """What was found: ``faults`` make a result wrong; ``notes`` are what a reader should know."""

    faults: list[str]
    notes: list[str]


def audit(results: Results, cells: Iterable[Cell]) -> Audit:
    """Look into every result that is there. A file that `Results.check` refuses is its matter (DamagedResultError)."""
    faults: list[str] = []
    weights: dict[str, list[Cell]] = defaultdict(list)
    trained: dict[TrainSpec, str] = {}
    others: list[tuple[MeasureSpec | ResponseSpec, str]] = []
    for cell in filter(results.has, cells):
        made, held = _read(results, cell)
        faults += [f"{results.path(cell)}: {fault}" for fault in (*_of_provenance(made), *_of_content(cell, held))]
        digest = held.get("weights_sha256") if isinstance(held, dict) else made.get("weights_sha256")
        if not _sha256(digest):
            faults.append(f"{results.path(cell)}: weights_sha256: expected a SHA-256; received {digest!r}")
        elif isinstance(cell, TrainSpec):
            trained[cell] = str(digest)
            weights[str(digest)].append(cell)
        else:
            others.append((cell, str(digest)))
    faults += [
        f"{results.path(second)}: has the very weights of {first.key}, another network"
        for first, *more in weights.values()
        for second in more
    ]
    return Audit(faults, list(_notes(trained, others)))


def _read(results: Results, cell: Cell) -> tuple[Mapping[str, Any], Any]:
    """Where a result was made, and what it holds: the record of a training, a measure table, or responses."""
    match cell:
        case TrainSpec():
            document = read_training(results.path(cell), cell)
            return document["provenance"], document["record"]
        case MeasureSpec():
            table = results.measure(cell)
            return table.provenance, table
        case ResponseSpec():
            responses = results.responses(cell)
            return responses.provenance, responses


def _notes(trained: Mapping[TrainSpec, str], others: Iterable[tuple[Any, str]]) -> Iterator[str]:
    """Cells that were made from other weights than the network's record is of: it was trained anew for them."""
    found: dict[TrainSpec, list[str]] = defaultdict(list)
    for cell, digest in others:
        measured = cell.measured if isinstance(cell, ResponseSpec) else cell
        network = measured.network
        if measured.epoch == network.recipe.epochs and trained.get(network, digest) != digest:
            found[network].append(cell.key)
    for network, keys in found.items():
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        yield f"{network.key} was trained again, with other weights than its record's, for {keys[0]}{more}"


def _of_provenance(made: Mapping[str, Any]) -> Iterator[str]:
    for name, (plausible, expected) in PROVENANCE.items():
        if name not in made:
            yield f"provenance lacks {name}"
        elif not plausible(made[name]):
            yield f"provenance: {name}: expected {expected}; received {made[name]!r}"


def _of_content(cell: Cell, held: Any) -> Iterator[str]:
    match cell:
        case TrainSpec():
            yield from _of_record(cell, held)
        case MeasureSpec():
            yield from _of_measure(cell, held)
        case ResponseSpec():
            yield from _of_responses(cell, held.frame)


def _of_record(cell: TrainSpec, record: Mapping[str, Any]) -> Iterator[str]:
    accuracies = record.get("accuracies")
    splits = accuracies if isinstance(accuracies, dict) else {}
    if splits.keys() != {"train", "validation", "test"}:
        yield f"accuracies: expected those of train, validation and test; received {accuracies!r}"
    for split, kinds in splits.items():
        yield from _shares(f"accuracy, {split}", [value for value in kinds.values() if value is not None])
    history = record.get("history", [])
    if record.get("epochs") != cell.recipe.epochs or len(history) != cell.recipe.epochs:
        yield f"expected {cell.recipe.epochs} epochs; received {record.get('epochs')!r}, with {len(history)} in history"
    if not all(_number(epoch.get("loss"), -np.inf) for epoch in history):
        yield "history: a loss is missing or not finite"
    if not _number(record.get("parameters"), 1):
        yield f"parameters: expected a count; received {record.get('parameters')!r}"


def _of_measure(cell: MeasureSpec, held: MeasureTable) -> Iterator[str]:
    if held.accuracy is not None:
        yield from _shares("accuracy", held.accuracy)
        if len(held.accuracy) != cell.transformations.size:
            yield f"accuracy: expected {cell.transformations.size} values; received {len(held.accuracy)}"
    whole = held.table.filter(held.table["map"].is_null())
    index, layer, measure = (np.array(whole[name].to_pylist()) for name in ("layer_index", "layer", "measure"))
    if set(measure) != set(cell.measures):
        yield f"expected the measures {', '.join(cell.measures)}; received {', '.join(sorted(set(measure)))}"
    layers = set(zip(index, layer, strict=True))
    if sorted(number for number, _ in layers) != list(range(1, len(layers) + 1)):
        yield f"layers: expected a name for each number from 1; received {sorted(layers)}"
    if len(set(zip(index, measure, strict=True))) < len(index):
        yield "a layer has a measure twice"
    units, *counts = (np.array(whole[name].to_pylist(), dtype=float) for name in COUNTS)
    if not ((units >= 1).all() and all((count >= 0).all() for count in counts)):
        yield "counts: expected at least one unit a layer, and no count below 0"
    infinite, _, nan = counts
    if (infinite + nan > units).any():
        yield "counts: expected no more infinite units than there are"
    quantiles = np.array([whole[name].to_numpy() for name in QUANTILES], dtype=float)
    if (quantiles[1:] < quantiles[:-1]).any():
        yield "quantiles: expected each to be at least the one before"


def _of_responses(cell: ResponseSpec, frame: "pd.DataFrame") -> Iterator[str]:
    if set(frame["member"]) != set(cell.members):
        yield f"expected the members {list(cell.members)}; received {sorted(set(frame['member']))}"
    if not set(frame["role"]) <= {"input", "most", "least"}:
        yield f"role: expected input, most or least; received {sorted(set(frame['role']))}"
    if (frame["response"].map(len) != frame["height"].astype(int) * frame["width"]).any():
        yield "a response has not height x width values"


def _shares(name: str, values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if not (_number(value) and value <= 1):
            yield f"{name}: expected a share from 0 to 1; received {value!r}"

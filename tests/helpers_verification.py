"""Results that are changed and sealed again, as one would who wants them to be believed."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from cnn_invariance.results import Results, write_measure, write_responses, write_training
from cnn_invariance.study import Cell, MeasureSpec, ResponseSpec, TrainSpec


def same(held: Any) -> Any:
    """No change."""
    return held


def rewrite(
    results: Results,
    cell: Cell,
    *,
    source: Cell | None = None,
    made: dict[str, Any] | None = None,
    record: Callable[[dict[str, Any]], Any] = same,
    frame: Callable[[pd.DataFrame], Any] = same,
    accuracy: Callable[[list[float] | None], Any] = same,
) -> None:
    """Write the result of a cell again, with its seal: that of ``source`` under its name, changed in place or anew."""
    source = source or cell
    provenance = results.provenance(source) | (made or {})
    if isinstance(source, TrainSpec):
        held = results.training(source)
        write_training(results.path(cell), cell, record(held) or held, provenance)
    elif isinstance(source, MeasureSpec):
        table = results.measure(source)
        rows = table.frame.copy()
        changed = frame(rows)
        write_measure(
            results.path(cell), cell, rows if changed is None else changed, accuracy(table.accuracy), provenance
        )
    elif isinstance(source, ResponseSpec):
        held = results.responses(source)
        rows = held.frame.copy()
        changed = frame(rows)
        write_responses(results.path(cell), cell, rows if changed is None else changed, provenance)

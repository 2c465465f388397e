"""Numbers of drawn lines of profiles, for tables and captions: their means, and what was left out of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from cnn_invariance.statistics.intervals import falls, mean, rank_correlation
from cnn_invariance.statistics.profiles import pairs

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.plotting import Series

Rows = Callable[[str, Mapping[str, Sequence["Series"]]], Iterator[dict[str, object]]]
"""The rows of a table for one dataset, from the label of a measure and the drawn lines by panel. The function's name
ends that of the table, and its docstring is in the caption."""

COUNTS = {"values": "units", "infinite": "infinite", "undefined": "nan", "dead": "dead"}


def summary(line: "Series", better: Literal["lower", "higher"] | None) -> dict[str, object]:
    """A line in numbers: its mean over layers, where it is best, and what was left out.

    ``mean`` and ``best`` are those of the mean over seeds; layers without a finite value are left out of both. Best is
    the lowest or the highest value, as the measure says; of a measure that does not say, there is none. ``best_depth``
    is in per cent. Values (of units, or of feature maps) are counted over all layers and seeds; those left out are
    infinite or undefined, and dead ones are counted as 1.
    """
    found = line.best(better) if better else None
    counts = {name: int(line.count(column).sum()) for name, column in COUNTS.items()}
    return {
        "layers": len(line.middle()),
        "seeds": len(line.profiles),
        "mean": line.mean(),
        "best": None if found is None else float(line.middle()[found]),
        "best_layer": None if found is None else line.profiles[0]["layer"].iloc[found],
        "best_depth": None if found is None else round(float(line.places("depth")[found])),
        **counts,
        "share_left_out": (counts["infinite"] + counts["undefined"]) / counts["values"],
        "share_dead": counts["dead"] / counts["values"],
    }


def counted(profiles: Iterable["pd.DataFrame"]) -> str:
    """How many of the values of some profiles, and what share, are left out of layers' means, and how many are dead."""
    rows = [[int(table[column].sum()) for column in COUNTS.values()] for table in profiles]
    values, infinite, undefined, dead = map(sum, zip(*rows, strict=True))
    out = [
        f"{n:,} {kind} ({percent(n / values)})" for n, kind in ((infinite, "infinite"), (undefined, "undefined")) if n
    ]
    first = (
        f"Left out of the layers' means: {' and '.join(out)} of {values:,} values"
        if out
        else f"None of the {values:,} values is infinite or undefined"
    )
    return f"{first}; {dead:,} are dead (0/0, counted as 1; {percent(dead / values)})."


def percent(share: float) -> str:
    """A share in per cent.

    >>> percent(0.0), percent(0.0004), percent(0.12345), percent(1.0)
    ('0 %', 'below 0.1 %', '12.3 %', '100 %')
    """
    return "below 0.1 %" if 0 < share < 0.001 else f"{100 * share:.3g} %"


def counted_maps(values: ArrayLike) -> str:
    """How many feature maps have no finite value."""
    given = np.asarray(values, dtype=float)
    infinite, undefined = int(np.isinf(given).sum()), int(np.isnan(given).sum())
    if not infinite + undefined:
        return f"None of the {given.size:,} maps is infinite or undefined."
    return f"Of {given.size:,} maps, {infinite:,} are infinite and {undefined:,} undefined (hatched)."


def each_panel(numbers: Callable[[Sequence["Series"]], dict[str, object]]) -> Rows:
    """Rows of a table, one for each panel: numbers of its lines."""

    @wraps(numbers)
    def rows(measure: str, panels: Mapping[str, Sequence["Series"]]) -> Iterator[dict[str, object]]:
        for label, lines in panels.items():
            yield {"transformations": label, "measure": measure, **numbers(lines)}

    return rows


@each_panel
def trend(lines: Sequence["Series"]) -> dict[str, object]:
    """Of the mean over layers: Spearman's rho with the place of the line (-1: lower with every step), and whether it
    falls at every step. Rho also of the last layer. Of all layers: how many fall at every step, and how many are lower
    in the last line than in the first.
    """
    means = [line.mean() for line in lines]
    layers = list(zip(*(line.middle() for line in lines), strict=True))
    return {
        "steps": len(lines) - 1,
        "mean_without": means[0],
        "mean_full": means[-1],
        "rho": rank_correlation(range(len(means)), means),
        "falls_throughout": falls(means),
        "last_without": layers[-1][0],
        "last_full": layers[-1][-1],
        "last_rho": rank_correlation(range(len(means)), layers[-1]),
        "layers": len(layers),
        "layers_falling": sum(falls(values) for values in layers),
        "layers_lower": sum(values[-1] < values[0] for values in layers),
    }


def matrix(measure: str, panels: Mapping[str, Sequence["Series"]]) -> Iterator[dict[str, object]]:
    """Mean over layers (and seeds) of the network of the row, in the panel of the column."""
    for row, line in enumerate(next(iter(panels.values()))):
        means = {name: lines[row].mean() for name, lines in panels.items()}
        yield {"measure": measure, "network": line.label, **means}


@each_panel
def differences(lines: Sequence["Series"]) -> dict[str, object]:
    """The relative difference of two profiles is the mean of |P - Q| over layers, as a share of their mean; here of all
    pairs of seeds.
    """
    found = pairs(list(lines[0].values()))
    return {"pairs": len(found), "mean": mean(found), "largest": max(found)}

"""Grids of values around 1: layers against epochs, networks against what they are measured under."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from cnn_invariance.plotting.style import NORMAL, SMALL, add_colour_bar, below_each_other, new_figure, page_width, style

DIVERGING = "RdBu_r"
"""Blue below 1, red above, white at 1."""
AROUND_ONE = TwoSlopeNorm(1.0, 0.0, 2.0)
"""One range of colours for all figures of quotients, so that a colour is the same value in each; above 2 is as 2."""


class Grid(NamedTuple):
    """Values (rows, columns), NaN where there is none, and what stands beside its rows and below its columns."""

    values: np.ndarray
    rows: Sequence[str]
    columns: Sequence[str]


def grid_figure(
    rows: Mapping[str, Mapping[str, Grid]], *, label: str, xlabel: str, ylabel: str = "", written: bool = False
) -> Figure:
    """Panels of coloured cells on one scale, whose middle is 1.

    rows:    the panels by the titles of rows and columns
    written: whether each cell has its value as text, too

    Errors: ValueError for no panel.
    """
    if not any(rows.values()):
        raise ValueError("a figure of grids needs a panel")
    rows = below_each_other(rows)
    columns = list(dict.fromkeys(title for panels in rows.values() for title in panels))
    tallest = max(len(grid.rows) for panels in rows.values() for grid in panels.values())
    with style():
        figure = new_figure(page_width(), len(rows) * max(0.115 * tallest + 0.75, 1.2) + 0.1)
        axes_of = figure.subplots(len(rows), len(columns), squeeze=False)
        for of_row, (name, panels) in zip(axes_of, rows.items(), strict=True):
            for place, (axes, title) in enumerate(zip(of_row, columns, strict=True)):
                if title not in panels:
                    axes.set_visible(False)
                    continue
                grid = panels[title]
                axes.imshow(
                    mpl.colormaps[DIVERGING](AROUND_ONE(np.ma.masked_invalid(grid.values))),
                    aspect="auto",
                    interpolation="none",
                )
                axes.set_title(f"{name}, {title}" if title else name)
                axes.set_xticks(range(len(grid.columns)), list(grid.columns))
                axes.set_yticks(range(len(grid.rows)), list(grid.rows) if place == 0 else [], fontsize=SMALL)
                axes.tick_params(length=0)
                axes.grid(False)
                for (row, column), value in np.ndenumerate(grid.values) if written else ():
                    dark = abs(value - 1) > 0.6
                    axes.text(
                        column, row, f"{value:.2f}", ha="center", va="center", color="white" if dark else "black",
                        fontsize=SMALL,
                    )  # fmt: skip
            of_row[0].set_ylabel(ylabel)
        figure.supxlabel(xlabel, size=NORMAL)
        colours = ScalarMappable(AROUND_ONE, DIVERGING)
        add_colour_bar(figure, colours, axes_of.flat, label=label, extend="max", aspect=30, pad=0.015)
    return figure

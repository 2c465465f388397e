"""Matrices of correlations: how alike several things order the same items."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from cnn_invariance.plotting.style import SMALL, add_colour_bar, font_size, is_one_column, new_figure, page_width, style

COLOURS = "RdBu"
DARK = 0.6
"""Beyond this correlation, numbers are white on their squares."""


def correlation_figure(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """A square for each pair, with its correlation in hundredths, below the diagonal; panels below each other.

    panels: by their titles, the correlations with the columns ``first``, ``second``, ``rho``, ``low`` and ``high``;
            a number is in italics where its interval holds 0 or is not known

    Errors: ValueError for no panel.
    """
    if not panels:
        raise ValueError("a figure of correlations needs a panel")
    heights = [1.0 + 0.2 * len(_names(table)) for table in panels.values()]
    with style():
        figure = new_figure(page_width(), sum(heights) + 0.2)
        grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
        for axes, (title, table) in zip(grid.flat, panels.items(), strict=True):
            _draw(axes, table)
            axes.set_title(title)
        colours = ScalarMappable(Normalize(-1, 1), COLOURS)
        add_colour_bar(figure, colours, grid.flat, label="rank correlation", shrink=0.5, aspect=30, pad=0.01)
    return figure


def _names(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys([*table["first"], *table["second"]]))


def _draw(axes: Axes, table: pd.DataFrame) -> None:
    names = _names(table)
    colours = mpl.colormaps[COLOURS]
    for row in table.to_dict("records"):
        x, y, rho = names.index(row["first"]), names.index(row["second"]), row["rho"]
        if np.isnan(rho):
            continue
        axes.fill([x, x + 0.96, x + 0.96, x], [y, y, y + 0.96, y + 0.96], color=colours((rho + 1) / 2), lw=0)
        if is_one_column():  # a number of 7 pt is wider than its square
            continue
        sure = row["low"] > 0 or row["high"] < 0
        axes.text(
            x + 0.48, y + 0.5, f"{round(100 * rho)}", ha="center", va="center", fontsize=font_size(SMALL - 1),
            color="white" if abs(rho) > DARK else "black", style="normal" if sure else "italic",
        )  # fmt: skip
    axes.set(xlim=(0, len(names) - 1), ylim=(len(names), 1))
    axes.set_xticks(
        [x + 0.48 for x in range(len(names) - 1)],
        names[:-1],
        rotation=90 if is_one_column() else 35,
        ha="center" if is_one_column() else "right",
        fontsize=font_size(SMALL - 1),
    )
    axes.set_yticks([y + 0.48 for y in range(1, len(names))], names[1:], fontsize=font_size(SMALL - 1))
    axes.tick_params(length=0)
    axes.grid(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)

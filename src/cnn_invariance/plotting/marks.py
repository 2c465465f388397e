"""One value of each row and series as a mark: measures below one another, transformation sets by their looks."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from cnn_invariance.plotting.style import (
    SMALL,
    Look,
    add_legend,
    new_figure,
    outer_labels,
    page_width,
    side_by_side,
    style,
)

LINEAR = 2.0
"""Up to this distance from 0 the axis is linear, beyond it logarithmic."""


def mark_figure(
    panels: Mapping[str, Mapping[str, Mapping[str, float]]], looks: Mapping[str, Look], *, xlabel: str
) -> Figure:
    """A panel for each name, a row for each thing compared, and in it a mark for each series.

    Rows are in order of first appearance, top to bottom; the axis is shared, linear around 0 and logarithmic beyond. A
    row without a finite value says so.

    Errors: ValueError for no panel, and for a panel without rows.
    """
    if not panels or not all(panels.values()):
        raise ValueError("a figure of marks needs a panel, and each panel a row")
    rows = list(dict.fromkeys(row for of_rows in panels.values() for row in of_rows))
    series = list(dict.fromkeys(name for of_rows in panels.values() for row in of_rows.values() for name in row))
    beside = side_by_side(len(panels))
    deep = len(panels) // beside
    with style():
        figure = new_figure(page_width(), deep * (0.2 * len(rows) + 0.6) + 0.3)
        grid = figure.subplots(deep, beside, sharex=True, sharey=True, squeeze=False).flatten()
        for axes, (title, of_rows) in zip(grid, panels.items(), strict=True):
            axes.set_title(title)
            axes.axvline(0, color="#404040", lw=0.8)
            for row, values in of_rows.items():
                place = rows.index(row)
                finite = {name: value for name, value in values.items() if np.isfinite(value)}
                if not finite:
                    axes.text(0, place, " no spread over networks", va="center", fontsize=SMALL, color="#707070")
                for name, value in finite.items():
                    look, offset = looks[name], 0.5 * ((series.index(name) + 0.5) / len(series) - 0.5)
                    colour = look.colour
                    axes.plot([value], [place + offset], ls="", marker=look.marker, mec=colour, mfc=colour, zorder=3)
            for boundary in range(1, len(rows)):
                axes.axhline(boundary - 0.5, color="#E4E4E4", linewidth=0.5)
            axes.set_xlabel(xlabel)
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="x")
            axes.grid(False, axis="y")
        grid[0].set_xscale("symlog", linthresh=LINEAR)
        grid[0].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        grid[0].set_ylim(len(rows) - 0.5, -0.5)
        grid[0].set_yticks(range(len(rows)), rows)
        outer_labels(grid)
        handles = [
            Line2D([], [], ls="", marker=looks[name].marker, mec=looks[name].colour, mfc=looks[name].colour, label=name)
            for name in series
        ]
        add_legend(figure, handles, "outside upper center")
    return figure

"""Spread plots: every value of a group as a point, groups below one another on a common axis."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnn_invariance.plotting.style import BLUE, VERMILLION, new_figure, outer_labels, page_width, side_by_side, style

BAND = "#E5F0F6"
JITTER = 0.28
"""The largest distance of a point from the middle of its row, in heights of a row."""


def spread_figure(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    xlabel: str,
    reference: float | None = None,
    band: str = "",
) -> Figure:
    """A panel for each name, a row for each group: its values as points, the median as a mark, the quartiles as a bar.

    Rows are in order of first appearance, top to bottom; the axis starts at 0 and is shared.

    reference: a value with which the others are to be compared, drawn as a line
    band:      the group with which the others are to be compared: the middle 95 % of its values are shaded through all
               rows of a panel

    Errors: ValueError for no panel, and for a group without values.
    """
    if not panels or not all(len(values) for groups in panels.values() for values in groups.values()):
        raise ValueError("a spread plot needs a panel, and each group at least one value")
    rows = list(dict.fromkeys(name for groups in panels.values() for name in groups))
    beside = side_by_side(len(panels))
    deep = len(panels) // beside
    with style():
        figure = new_figure(page_width(len(panels)), deep * (0.2 * len(rows) + 0.6) + 0.1)
        grid = figure.subplots(deep, beside, sharex=True, sharey=True, squeeze=False).flatten()
        for axes, (title, groups) in zip(grid, panels.items(), strict=True):
            axes.set_title(title)
            draw_spread(axes, groups, rows, band)
            if reference is not None:
                axes.axvline(reference, color="#404040", linewidth=0.8, linestyle=(0, (4, 2)))
            axes.set_xlabel(xlabel)
        grid[0].set_xlim(left=0)
        outer_labels(grid)
    return figure


def draw_spread(axes: Axes, groups: Mapping[str, Sequence[float]], rows: Sequence[str], band: str = "") -> None:
    """Draw the groups of one panel in their rows; the same values always lie in the same places."""
    random = np.random.default_rng(0)
    if band in groups:
        axes.axvspan(*np.quantile(groups[band], [0.025, 0.975]), color=BAND, lw=0, zorder=0)
    for name, values in groups.items():
        place = rows.index(name)
        heights = place + random.uniform(-JITTER, JITTER, len(values))
        axes.plot(values, heights, ls="", marker="o", ms=2.2, mec="none", mfc=BLUE, alpha=0.35)
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        axes.plot([low, high], [place, place], color=VERMILLION, lw=2.0, solid_capstyle="butt", zorder=3)
        axes.plot([middle], [place], marker="o", ms=4.5, mec="white", mfc=VERMILLION, mew=0.7, zorder=4)
    for boundary in range(1, len(rows)):
        axes.axhline(boundary - 0.5, color="#E4E4E4", linewidth=0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.grid(False, axis="y")

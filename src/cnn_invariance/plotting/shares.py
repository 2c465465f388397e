"""Shares of a whole with their intervals: a row for each part, a panel for each whole."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnn_invariance.plotting.style import BLUE, SMALL, new_figure, outer_labels, page_width, side_by_side, style

Share = tuple[float, float, float]
"""A share with the bounds of its interval (NaN: unknown)."""


def share_figure(panels: Mapping[str, Mapping[str, Share]], *, xlabel: str) -> Figure:
    """A bar for each part, from 0 to its share, with its value; a line from bound to bound is its interval.

    Parts are in order of first appearance, top to bottom; all panels have one axis.

    Errors: ValueError for no panel, and for one without parts
    """
    if not panels or not all(panels.values()):
        raise ValueError("a figure of shares needs a panel, and each panel a part")
    rows = list(dict.fromkeys(name for parts in panels.values() for name in parts))
    beside = side_by_side(len(panels))
    deep = len(panels) // beside
    with style():
        figure = new_figure(page_width(), deep * (0.24 * len(rows) + 0.6) + 0.1)
        grid = figure.subplots(deep, beside, sharex=True, sharey=True, squeeze=False).flatten()
        for axes, (title, parts) in zip(grid, panels.items(), strict=True):
            axes.set_title(title)
            draw_shares(axes, parts, rows)
            axes.set_xlabel(xlabel)
        grid[0].set_xlim(0, 1.05)
        outer_labels(grid)
    return figure


def draw_shares(axes: Axes, parts: Mapping[str, Share], rows: Sequence[str]) -> None:
    """Draw the bars of one panel in their rows, each with its value and its interval."""
    for name, (share, low, high) in parts.items():
        place = rows.index(name)
        axes.barh(place, share, height=0.6, color=BLUE, alpha=0.35)
        axes.plot([low, high], [place, place], color=BLUE, lw=1.4, solid_capstyle="butt")
        end = share if math.isnan(high) else max(share, high)
        text = f"{share:.3f}".replace("0.", ".", 1)
        axes.annotate(text, (end, place), (3, 0), textcoords="offset points", va="center", fontsize=SMALL)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")

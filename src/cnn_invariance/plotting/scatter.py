"""Scatter plots: points of several kinds, in panels with one axis of values."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cnn_invariance.plotting.style import add_legend, looks, new_figure, page_width, side_by_side, style


class ScatterPanel(NamedTuple):
    """A panel: its title, the label of its x axis, and points (x, y) by their kind."""

    title: str
    xlabel: str
    points: Mapping[str, Sequence[tuple[float, float]]]


def scatter_figure(panels: Sequence[ScatterPanel], *, ylabel: str, columns: int) -> Figure:
    """Panels in rows of so many columns, each row with one vertical axis; a kind has one look in all of them.

    Errors: ValueError for no panel.
    """
    if not panels:
        raise ValueError("a scatter plot needs a panel")
    kinds = list(dict.fromkeys(kind for panel in panels for kind in panel.points))
    look = dict(zip(kinds, looks(len(kinds)), strict=True))
    columns = side_by_side(columns)
    deep = -(-len(panels) // columns)
    with style():
        figure = new_figure(page_width(), 1.9 * deep + 0.3)
        grid = figure.subplots(deep, columns, sharey="row", squeeze=False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            for kind, points in panel.points.items():
                x, y = zip(*points, strict=True) if points else ((), ())
                axes.plot(x, y, ls="", marker=look[kind].marker, mec="none", mfc=look[kind].colour, alpha=0.55)
            axes.set_title(panel.title)
            axes.set_xlabel(panel.xlabel)
            axes.grid(True, axis="both")
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for row in grid:
            row[0].set_ylabel(ylabel)
        handles = [
            Line2D([], [], ls="", marker=one.marker, mec="none", mfc=one.colour, label=kind)
            for kind, one in look.items()
        ]
        add_legend(figure, handles, "outside upper center")
    return figure

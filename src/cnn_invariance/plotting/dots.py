"""Dot plots: one row for each thing compared, values with their intervals on a common axis."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cnn_invariance.plotting.style import Look, add_legend, below_each_other, new_figure, page_width, style


@dataclass(frozen=True)
class Dot:
    """Two values of one series in one row, joined by a line: hollow ``before``, filled ``after``.

    A value is (value, low, high): the point and its interval.
    """

    row: str
    series: str
    look: Look
    before: tuple[float, float, float]
    after: tuple[float, float, float]


def dot_figure(rows: Mapping[str, Mapping[str, Sequence[Dot]]], *, xlabel: str, before: str, after: str) -> Figure:
    """Rows of dot plots; the panels of a row share its axes: that of what is compared, and that of values.

    rows:           by name, such as that of a dataset, and of each its panels by their titles
    xlabel:         of every panel's axis
    before, after:  what the hollow and the filled dots are, for the legend

    Errors: ValueError for no panel, and for a panel without dots.
    """
    if not rows or not all(panels and all(panels.values()) for panels in rows.values()):
        raise ValueError("a dot plot needs a panel, and each panel at least one dot")
    everything = [dot for panels in rows.values() for dots in panels.values() for dot in dots]
    series = _order(dot.series for dot in everything)
    shown = below_each_other(rows)
    compared = [_order(dot.row for dots in panels.values() for dot in dots) for panels in shown.values()]
    heights = [0.16 * len(names) * len(series) + 0.08 * len(names) + 0.55 for names in compared]
    with style():
        columns = max(map(len, shown.values()))
        figure = new_figure(page_width(columns), sum(heights) + 0.4)
        grid = figure.subplots(
            len(shown), columns, sharex="row", sharey="row", squeeze=False, gridspec_kw={"height_ratios": heights}
        )
        for of_row, (name, panels), names in zip(grid, shown.items(), compared, strict=True):
            for axes, (title, dots) in zip(of_row, panels.items(), strict=False):
                _draw(axes, dots, names, series)
                axes.set_title(title)
                axes.set_xlabel(xlabel)
            of_row[0].set_xlim(_span(dot for dots in panels.values() for dot in dots))
            of_row[0].set_ylabel(name)
            for axes in of_row[len(panels) :]:
                axes.set_visible(False)
        _legend(figure, everything, before, after)
    return figure


def _span(dots: Iterable[Dot]) -> tuple[float, float]:
    """The ends of an axis that holds all values with their intervals."""
    values = [value for dot in dots for value in (*dot.before, *dot.after) if math.isfinite(value)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = 0.05 * max(high - low, 0.02)
    return low - margin, high + margin


def _order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _draw(axes: Axes, dots: Sequence[Dot], rows: list[str], series: list[str]) -> None:
    step = 0.7 / len(series)
    for dot in dots:
        place = rows.index(dot.row) + step * (series.index(dot.series) - (len(series) - 1) / 2)
        colour = dot.look.colour
        axes.plot([dot.before[0], dot.after[0]], [place, place], color=colour, lw=0.8, alpha=0.6)
        for (value, low, high), face in ((dot.before, "white"), (dot.after, colour)):
            axes.plot([low, high], [place, place], color=colour, lw=2.2, alpha=0.35)
            axes.plot([value], [place], marker=dot.look.marker, mec=colour, mfc=face, zorder=3)
    for boundary in range(1, len(rows)):
        axes.axhline(boundary - 0.5, color="#E4E4E4", linewidth=0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.grid(axis="x")
    axes.grid(False, axis="y")


def _legend(figure: Figure, dots: Sequence[Dot], before: str, after: str) -> None:
    looks = {dot.series: dot.look for dot in dots}
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, lw=0.8, label=name)
        for name, look in looks.items()
        if len(looks) > 1
    ]
    for label, face in ((before, "white"), (after, "#404040")):
        handles.append(Line2D([], [], ls="", marker="o", mec="#404040", mfc=face, label=label))
    add_legend(figure, handles, "outside upper center")

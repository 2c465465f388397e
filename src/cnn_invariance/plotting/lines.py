"""Lines of a number against another: convergence over samples, values against a range, one thin line for each seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from cnn_invariance.plotting.style import (
    NORMAL,
    SMALL,
    Look,
    add_legend,
    below_each_other,
    font_size,
    new_figure,
    outer_labels,
    page_width,
    style,
)

DIGIT = 0.64
"""The width of a digit of DejaVu Sans, in sizes of its font."""


@dataclass(frozen=True)
class Curve:
    """One line: its label, where its points lie (points,), their values (seeds, points), and its look."""

    label: str
    places: Sequence[float]
    values: np.ndarray
    look: Look


@dataclass(frozen=True)
class Level:
    """A value or a place with a thin line through all panels, and what the legend says of it."""

    value: float
    label: str


def curve_grid(
    rows: Mapping[str, Mapping[str, Sequence[Curve]]],
    *,
    xlabel: str,
    ylabel: str,
    log_x: bool = False,
    level: Level | None = None,
    place: Level | None = None,
) -> Figure:
    """A grid of panels: the means over seeds with points, and a thin line for each seed.

    rows:  the lines of each panel, by the titles of rows and columns
    log_x: whether places are on a logarithmic axis, with a tick at each
    level: a value that values are compared with; ``place`` likewise, of places

    Errors: ValueError without a panel or a line.
    """
    if not rows or not all(curves for panels in rows.values() for curves in panels.values()):
        raise ValueError("a figure of lines needs a panel, and each panel at least one line")
    rows = below_each_other(rows)
    columns = list(dict.fromkeys(title for panels in rows.values() for title in panels))
    drawn = [curve for panels in rows.values() for curves in panels.values() for curve in curves]
    with style():
        figure = new_figure(page_width(len(columns)), 1.55 * len(rows) + 0.7)
        grid = figure.subplots(len(rows), len(columns), sharex="col", sharey=True, squeeze=False)
        for of_row, (name, panels) in zip(grid, rows.items(), strict=True):
            for axes, title in zip(of_row, columns, strict=True):
                axes.set_visible(title in panels)
                for curve in panels.get(title, ()):
                    _draw(axes, curve)
                if of_row[0] is grid[0, 0]:
                    axes.set_title(title)
                _draw_levels(axes, level, place)
                _scale(axes, panels.get(title, ()), len(columns), log_x)
            of_row[0].set_ylabel(f"{name}\n{ylabel}")
        grid[0, 0].set_ylim(bottom=0)
        outer_labels(grid.flat)
        figure.supxlabel(xlabel, size=NORMAL)
        add_legend(figure, _handles(drawn, level, place), "outside upper center")
    return figure


def _draw(axes: Axes, curve: Curve) -> None:
    look = curve.look
    for seed in curve.values if len(curve.values) > 1 else ():
        axes.plot(curve.places, seed, color=look.colour, lw=0.4, alpha=0.55)
    middle = curve.values.mean(axis=0)
    axes.plot(curve.places, middle, color=look.colour, ls=look.line, marker=look.marker, zorder=3)


def _draw_levels(axes: Axes, level: Level | None, place: Level | None) -> None:
    if level:
        axes.axhline(level.value, color="#404040", lw=0.7, ls=(0, (1, 2)), zorder=1)
    if place:
        axes.axvline(place.value, color="#404040", lw=0.7, ls=(0, (4, 2)), zorder=1)


def _scale(axes: Axes, curves: Sequence[Curve], columns: int, log_x: bool) -> None:
    if log_x:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    places = sorted({float(place) for curve in curves for place in curve.places})
    axes.set_xticks(_apart(places, _room(columns)) if log_x else places)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _room(columns: int) -> float:
    """How many digits of the labels of ticks fit side by side below a panel, the space between two labels included."""
    return 72 * page_width(columns) / columns / (DIGIT * font_size(SMALL))


def _apart(places: Sequence[float], room: float) -> list[float]:
    """The places on a logarithmic axis whose labels do not touch, from the first on.

    >>> _apart([7.0, 8.0, 9.0, 16.0, 17.0, 19.0], room=40), _apart([7.0, 8.0, 9.0], room=1)
    ([7.0, 8.0, 9.0, 16.0, 19.0], [7.0])
    """
    whole = np.log(places[-1] / places[0])
    found = list(places[:1])
    for place in places[1:]:
        wide = (len(f"{found[-1]:g}") + len(f"{place:g}")) / 2 + 1
        if np.log(place / found[-1]) / whole * room >= wide:
            found.append(place)
    return found


def _handles(curves: Sequence[Curve], level: Level | None, place: Level | None) -> list[Line2D]:
    found = [
        Line2D([], [], color=one.look.colour, ls=one.look.line, marker=one.look.marker, label=label)
        for label, one in {curve.label: curve for curve in curves}.items()
    ]
    for shown, dashes in ((level, (0, (1, 2))), (place, (0, (4, 2)))):
        if shown:
            found.append(Line2D([], [], color="#404040", lw=0.7, ls=dashes, label=shown.label))
    if (most := max(len(curve.values) for curve in curves)) > 1:
        found.append(Line2D([], [], color="#404040", lw=0.4, label=f"n = {most} seeds: each, and their mean"))
    return found

"""Specification curves: estimates in rising order with their intervals, and below them the choices that made each."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from cnn_invariance.plotting.style import (
    SMALL,
    add_legend,
    font_size,
    is_one_column,
    new_figure,
    page_width,
    side_by_side,
    style,
)
from cnn_invariance.plotting.verdicts import MARKS

FEW = 12
"""So many estimates fit into one column of a page."""
CLAIMED = "#E8F1F7"


class Point(NamedTuple):
    """An estimate with its interval (NaN: unknown), its verdict, and its choices by what is chosen.

    own: whether it is that of the claim as it is stated, which is marked
    """

    estimate: float
    low: float
    high: float
    verdict: str
    choices: Mapping[str, str]
    own: bool = False


def curve_figure(
    panels: Mapping[str, Sequence[Point]], *, ylabel: str, claimed: tuple[float, float], log_y: bool = False
) -> Figure:
    """A curve for each panel, all on one axis of values.

    claimed: the bounds of the claimed region, which is shaded

    Only what differs between points has rows of marks. A panel without points says so.

    Errors: ValueError for no panel.
    """
    if not panels:
        raise ValueError("a figure of specification curves needs a panel")
    points = [point for shown in panels.values() for point in shown]
    rows = _rows(points)
    beside = side_by_side(len(panels))
    few = len(panels) == 1 and len(points) <= FEW
    with style():
        below = (0.13 if is_one_column() else 0.115) * max(len(rows), 1)
        deep = len(panels) // beside
        figure = new_figure(page_width(1 if few else 2), deep * (1.6 + below) + 0.5)
        grid = figure.subplots(2 * deep, beside, sharey="row", squeeze=False, height_ratios=[1.6, below] * deep)
        uppers, lowers = grid[::2].flatten(), grid[1::2].flatten()
        for above in uppers[1:] if deep > 1 else ():
            above.sharey(uppers[0])
        for above, marks, (title, shown) in zip(uppers, lowers, panels.items(), strict=True):
            ordered = sorted(shown, key=lambda point: point.estimate)
            above.set_title(title)
            _draw_estimates(above, ordered, claimed)
            _draw_choices(marks, ordered, rows)
        _scale(grid[0, 0], points, claimed, log_y)
        low, high = grid[0, 0].get_ylim()
        for above in uppers:
            above.axhspan(max(low, claimed[0]), min(high, claimed[1]), color=CLAIMED, lw=0, zorder=-1)
        grid[0, 0].set_ylabel(ylabel)
        add_legend(figure, _handles(points), "outside upper center", handlelength=1.2)
    return figure


def _rows(points: Sequence[Point]) -> list[tuple[str, str]]:
    """The choices that differ, and each of their values: (what is chosen, value)."""
    names = dict.fromkeys(name for point in points for name in point.choices)
    values = {name: list(dict.fromkeys(point.choices[name] for point in points)) for name in names}
    return [(name, value) for name, found in values.items() if len(found) > 1 for value in found]


def _draw_estimates(axes: Axes, points: Sequence[Point], claimed: tuple[float, float]) -> None:
    for bound in filter(math.isfinite, claimed):
        axes.axhline(bound, color="#404040", lw=0.8, ls=(0, (4, 2)))
    for place, point in enumerate(points):
        mark = MARKS[point.verdict]
        if point.own:
            axes.axvline(place, color="#D0D0D0", lw=4, alpha=0.6, zorder=0)
        axes.plot([place, place], [point.low, point.high], color=mark.edge, lw=1.0, alpha=0.7)
        axes.plot([place], [point.estimate], **mark.options | {"ms": 0.6 * mark.size}, mew=0.7, zorder=3)
    axes.set_xlim(-1, max(len(points), 1))
    axes.set_xticks([])
    if not points:
        axes.text(0.5, 0.5, "no estimate", transform=axes.transAxes, ha="center", va="center")


def _draw_choices(axes: Axes, points: Sequence[Point], rows: Sequence[tuple[str, str]]) -> None:
    """A mark in the row of each choice of a point; rows of one kind of choice stand together."""
    for place, point in enumerate(points):
        if point.own:
            axes.axvline(place, color="#D0D0D0", lw=4, alpha=0.6, zorder=0)
        chosen = [row for row, (name, value) in enumerate(rows) if point.choices[name] == value]
        axes.plot([place] * len(chosen), chosen, ls="", marker="s", ms=2.2, mec="none", mfc="#404040")
    for row in range(1, len(rows)):
        apart = rows[row][0] != rows[row - 1][0]
        axes.axhline(row - 0.5, color="#8C8C8C" if apart else "#EFEFEF", lw=0.5)
    axes.set_xlim(-1, max(len(points), 1))
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [f"{name}: {value}" for name, value in rows], fontsize=font_size(SMALL - 1))
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.grid(False)


def _scale(axes: Axes, points: Sequence[Point], claimed: tuple[float, float], log_y: bool) -> None:
    """All estimates and bounds are within the axis, and of intervals as much as leaves the estimates apart."""
    if log_y:
        axes.set_yscale("log")
    to, back = (np.log, math.exp) if log_y else (np.asarray, float)
    bounds = [bound for bound in claimed if math.isfinite(bound) and (bound > 0 or not log_y)]
    inner = to(np.array([point.estimate for point in points] + bounds, dtype=float))
    ends = to(np.array([end for point in points for end in (point.low, point.high)] or [np.nan], dtype=float))
    inner, ends = inner[np.isfinite(inner)], ends[np.isfinite(ends)]
    if not inner.size:
        return
    low, high = inner.min(), inner.max()
    room = max(high - low, 1e-3)
    outer = np.append(ends, [low, high])
    low, high = max(outer.min(), low - room), min(outer.max(), high + room)
    margin = 0.06 * max(high - low, 1e-3)
    axes.set_ylim(back(low - margin), back(high + margin))
    if log_y:
        narrow = high - low < math.log(5)  # of a decade less than two marks would be left
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]) if narrow else LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())


def _handles(points: Sequence[Point]) -> list[Line2D]:
    verdicts = {point.verdict for point in points}
    found = [mark.handle(verdict) for verdict, mark in MARKS.items() if verdict in verdicts]
    return [*found, Line2D([], [], color="#D0D0D0", lw=4, alpha=0.6, label="the claim as it is stated")]

"""Results computed twice: the second against the first, and their distance as a share of what is allowed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnn_invariance.plotting.style import BLUE, DOUBLE, GREEN, SMALL, VERMILLION, Mark, add_legend, new_figure, style

MARKS = {
    "identical": Mark("o", BLUE, BLUE, 3.0),
    "within the spread": Mark("D", GREEN, "white", 3.2),
    "disagrees": Mark("X", VERMILLION, VERMILLION, 5.0),
    "undecided": Mark("o", "#8C8C8C", "white", 3.6),
}
FURTHEST = 1.5
"""The end of the axis of shares of what is allowed; larger shares are drawn there."""


class Point(NamedTuple):
    """A value as it was computed first and then again, and the verdict of its cell."""

    first: float
    second: float
    verdict: str


def agreement_figure(panels: Mapping[str, Sequence[Point]], cells: Mapping[str, tuple[float | None, str]]) -> Figure:
    """Scatter panels with a diagonal, and below them a row for each cell.

    panels: the points by what they are; a panel whose values are all positive and span a factor of 30 has logarithmic
            axes
    cells:  for each cell its largest deviation as a share of what is allowed (None where nothing had to be tested), and
            its verdict
    """
    with style():
        figure = new_figure(DOUBLE, 3.0 + 0.13 * len(cells))
        parts = figure.subfigures(2, 1, height_ratios=[2.5, 0.5 + 0.13 * len(cells)], squeeze=False)
        top, below = parts[:, 0]
        for axes, (title, points) in zip(top.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
            _scatter(axes, points)
            axes.set_title(title)
        _rows(below.subplots(), cells)
        present = {verdict for _, verdict in cells.values()}
        add_legend(
            top, [mark.handle(verdict) for verdict, mark in MARKS.items() if verdict in present], "outside upper center"
        )
    return figure


def _scatter(axes: Axes, points: Sequence[Point]) -> None:
    values = np.array([point[:2] for point in points], dtype=float)
    values = values[np.isfinite(values).all(axis=1)]
    for verdict, mark in MARKS.items():
        shown = [point for point in points if point.verdict == verdict]
        if shown:
            first, second = [point.first for point in shown], [point.second for point in shown]
            axes.plot(first, second, **mark.options, mew=0.7, alpha=0.8)
    if len(values) and values.min() > 0 and values.max() > 30 * values.min():
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.axline((0.5, 0.5), (1.0, 1.0), color="#8C8C8C", lw=0.8, zorder=0)
    axes.set_xlabel("cached")
    axes.set_ylabel("computed again")
    axes.grid(axis="both")


def _rows(axes: Axes, cells: Mapping[str, tuple[float | None, str]]) -> None:
    for place, (share, verdict) in enumerate(cells.values()):
        mark = MARKS[verdict]
        x = min(share or 0.0, FURTHEST)
        axes.plot([0, x], [place, place], color=mark.edge, lw=0.8, alpha=0.6)
        axes.plot([x], [place], **mark.options, mew=0.9, clip_on=False, zorder=3)
    axes.axvline(1, color="#8C8C8C", lw=0.8, ls=(0, (1, 1.5)))
    axes.set_xlim(-0.02, FURTHEST)
    axes.set_xticks([0, 0.5, 1, FURTHEST], ["0", "0.5", "1", f"≥ {FURTHEST:g}"])
    axes.set_ylim(len(cells) - 0.5, -0.5)
    axes.set_yticks(range(len(cells)), list(cells), fontsize=SMALL - 1.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("largest deviation, as a share of what seeds allow")
    axes.grid(axis="x")
    axes.grid(False, axis="y")

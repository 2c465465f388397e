"""Dot plots: one row for each thing compared, values with their intervals on a common axis."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cnn_invariance.plotting.style import Look, add_legend, new_figure, outer_labels, page_width, side_by_side, style


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


def dot_figure(
    panels: Mapping[str, Sequence[Dot]],
    *,
    xlabel: str,
    before: str,
    after: str,
    reference: tuple[float, str] | None = None,
    columns: int | None = None,
) -> Figure:
    """Panels of dot plots with shared axes: rows in order of first appearance, top to bottom.

    xlabel:         of every panel's axis, which goes from 0 to 1
    before, after:  what the hollow and the filled dots are, for the legend
    reference:      a value and its name, drawn as a thin line through all panels

    Errors: ValueError for no panel, and for a panel without dots.
    """
    if not panels or not all(panels.values()):
        raise ValueError("a dot plot needs a panel, and each panel at least one dot")
    everything = [dot for dots in panels.values() for dot in dots]
    rows, series = _order(dot.row for dot in everything), _order(dot.series for dot in everything)
    columns = side_by_side(columns or min(len(panels), 4))
    deep = -(-len(panels) // columns)
    with style():
        height = deep * (0.16 * len(rows) * len(series) + 0.08 * len(rows) + 0.55) + 0.4
        figure = new_figure(page_width(len(panels)), height)
        grid = figure.subplots(deep, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (title, dots) in zip(grid.flat, panels.items(), strict=False):
            _draw(axes, dots, rows, series)
            axes.set_title(title)
            axes.tick_params(labelbottom=True)
            if reference:
                axes.axvline(reference[0], color="#8C8C8C", linewidth=0.8, linestyle=(0, (1, 1.5)))
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes in grid.flat:
            axes.set_xlabel(xlabel)
        outer_labels(grid.flat)
        _legend(figure, everything, before, after, reference)
    return figure


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
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axes.grid(axis="x")
    axes.grid(False, axis="y")


def _legend(
    figure: Figure,
    dots: Sequence[Dot],
    before: str,
    after: str,
    reference: tuple[float, str] | None,
) -> None:
    looks = {dot.series: dot.look for dot in dots}
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, lw=0.8, label=name)
        for name, look in looks.items()
        if len(looks) > 1
    ]
    for label, face in ((before, "white"), (after, "#404040")):
        handles.append(Line2D([], [], ls="", marker="o", mec="#404040", mfc=face, label=label))
    if reference:
        handles.append(Line2D([], [], color="#8C8C8C", lw=0.8, ls=(0, (1, 1.5)), label=reference[1]))
    add_legend(figure, handles, "outside upper center")

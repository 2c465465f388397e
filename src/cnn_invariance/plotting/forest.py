"""All claims of a study on one axis: how far each estimate lies inside or outside of what was claimed."""

import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cnn_invariance.plotting.style import (
    SMALL,
    Look,
    add_legend,
    font_size,
    is_one_column,
    new_figure,
    page_width,
    style,
)

FURTHEST = 6.0
"""The ends of the axis, in half-widths of an interval: an estimate beyond is a diamond or an arrow there."""
LONGEST = 62
"""Letters of a claim that fit on a line; a longer one has two lines."""
IN_ONE_COLUMN = 26
"""The same where there is one column."""
SUPPORTED, REFUTED = "#E5F0F6", "#FBEEE4"


class Place(NamedTuple):
    """One estimate: the distance from the threshold in half-widths of its 95 % interval (NaN: there is none).

    The distance is positive inside the claimed region: above 1 the whole interval is inside, below -1 outside.
    verdict: decides the mark, which is filled for a claim that is decided
    """

    distance: float
    verdict: str


def forest_figure(
    rows: Mapping[str, Mapping[str, Place]], looks: Mapping[str, Look], primary: Collection[str] = ()
) -> Figure:
    """A row for each claim with a mark for each dataset that it is about.

    rows:    the places by claim and by what it is about
    looks:   of what claims are about
    primary: the claims in bold

    Errors: ValueError for no claim.
    """
    if not rows:
        raise ValueError("a forest needs a claim")
    texts = [textwrap.wrap(claim, IN_ONE_COLUMN if is_one_column() else LONGEST) for claim in rows]
    with style():
        figure = new_figure(page_width(), 0.17 * sum(map(len, texts)) + 0.06 * len(rows) + 0.8)
        axes = figure.subplots()
        places = dict(zip(map(tuple, texts), rows.values(), strict=True))
        draw_forest(axes, places, looks, verdicts=not is_one_column())
        for label, claim in zip(axes.get_yticklabels(), rows, strict=True):
            label.set_fontweight("bold" if claim in primary else "normal")
        words = ["distance of the estimate from the threshold,", "in half-widths of its 95 % interval"]
        axes.set_xlabel(("\n" if is_one_column() else " ").join(words), loc="right")
        add_legend(figure, [*_regions(), *forest_handles(rows, looks)], "outside lower center")
    return figure


def draw_forest(
    axes: Axes,
    rows: Mapping[tuple[str, ...], Mapping[str, Place]],
    looks: Mapping[str, Look],
    *,
    verdicts: bool = True,
) -> None:
    """Draw the rows, each named by its lines of text, on an axis from not supported to supported.

    verdicts: whether the parts of the axis are named above it; narrow ones have no place for the names
    """
    axes.axvspan(1, FURTHEST + 0.6, color=SUPPORTED, lw=0, zorder=0)
    axes.axvspan(-FURTHEST - 0.6, -1, color=REFUTED, lw=0, zorder=0)
    axes.axvline(0, color="#404040", lw=0.8)
    tops, ticks = 0.0, []
    for lines, places in rows.items():
        height = len(lines) + 0.35
        middle = tops + height / 2
        ticks.append(middle)
        for number, (about, place) in enumerate(places.items()):
            offset = 0.0 if len(places) == 1 else 0.36 * (number / (len(places) - 1) - 0.5)
            _draw(axes, place, middle + offset, looks[about])
        tops += height
        axes.axhline(tops, color="#E4E4E4", lw=0.5, zorder=0.5)
    axes.set_ylim(tops, 0)
    axes.set_yticks(ticks, ["\n".join(lines) for lines in rows], fontsize=SMALL)
    axes.set_xlim(-FURTHEST - 0.6, FURTHEST + 0.6)
    ticks_below = {
        -FURTHEST: f"≤ −{FURTHEST:g}",
        -3: "−3",
        -1: "−1",
        0: "0",
        1: "1",
        3: "3",
        FURTHEST: f"≥ {FURTHEST:g}",
    }
    if not verdicts:
        del ticks_below[0]  # there is no room for it between its neighbours, and it has a line
    axes.set_xticks(list(ticks_below), list(ticks_below.values()))
    for x, verdict in ((-3.8, "not supported"), (0.0, "undecided"), (3.8, "supported")) if verdicts else ():
        axes.text(x, -0.15, verdict, ha="center", va="bottom", fontsize=SMALL, weight="bold")
    axes.tick_params(axis="y", length=0)
    axes.grid(False)


def _draw(axes: Axes, place: Place, height: float, look: Look) -> None:
    options: dict[str, Any] = {
        "ls": "",
        "mec": look.colour,
        "mfc": look.colour if _decided(place) else "white",
        "ms": 4.5,
        "zorder": 3,
    }
    if math.isnan(place.distance):
        axes.text(0, height, "no interval", ha="center", va="center", fontsize=font_size(SMALL - 1), color="#707070")
        return
    beyond = abs(place.distance) > FURTHEST
    x = math.copysign(FURTHEST, place.distance) if beyond else place.distance
    axes.plot([x], [height], marker=_marker(place, look, beyond), **options)


def _marker(place: Place, look: Look, beyond: bool) -> str:
    """A diamond wherever a claim depends on the set, else an arrow at the end of the axis for what lies beyond."""
    if place.verdict == "depends on the set":
        return "D"
    if beyond:
        return ">" if place.distance > 0 else "<"
    return str(look.marker)


def _regions() -> list[Patch]:
    """The parts of the axis, where there is no room for their names above it."""
    named = {"supported": SUPPORTED, "not supported": REFUTED} if is_one_column() else {}
    return [Patch(facecolor=colour, label=name) for name, colour in named.items()]


def _decided(place: Place) -> bool:
    return place.verdict != "undecided"


def forest_handles(rows: Mapping[str, Mapping[str, Place]], looks: Mapping[str, Look]) -> Sequence[Line2D]:
    """The legend of the marks that are there."""
    about = list(dict.fromkeys(name for places in rows.values() for name in places))
    found = [
        Line2D([], [], ls="", marker=looks[name].marker, mec=looks[name].colour, mfc=looks[name].colour, label=name)
        for name in about
    ]
    verdicts = {place.verdict for places in rows.values() for place in places.values()}
    if "depends on the set" in verdicts:
        found.append(Line2D([], [], ls="", marker="D", mec="#404040", mfc="#404040", label="depends on the set"))
    if "undecided" in verdicts:
        found.append(Line2D([], [], ls="", marker="o", mec="#404040", mfc="white", label="undecided (hollow)"))
    return found

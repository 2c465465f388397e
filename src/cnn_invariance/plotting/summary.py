"""The first figure: how the measure works, what it finds in one network, the headline, and the primary claims."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from cnn_invariance.plotting.forest import Place, draw_forest, forest_handles
from cnn_invariance.plotting.profiles import AXIS_LABELS, Axis, Series, draw_profiles, line_handles, name_layers
from cnn_invariance.plotting.responses import coloured, mosaic
from cnn_invariance.plotting.shares import Share, draw_shares
from cnn_invariance.plotting.style import (
    BLUE,
    COLUMN,
    NORMAL,
    SMALL,
    VERMILLION,
    Look,
    add_legend,
    font_size,
    is_one_column,
    new_figure,
    style,
)

WIDTH, HEIGHT = 17 / 2.54, 9 / 2.54
DEEP = 1.85
"""The height of a panel where there is one column, inches."""
SAMPLES, MEMBERS = 3, 5
"""How many samples and transformations are shown as pictures; the matrix has all."""


class Explained(NamedTuple):
    """Samples under transformations, and what they make of two units.

    pictures: of each sample its images under the transformations, (transformations, channels, H, W)
    most:     the ST matrix of a unit of the most invariant map, (samples, transformations)
    least:    that of a unit of the least invariant one
    """

    pictures: Sequence[np.ndarray]
    most: np.ndarray
    least: np.ndarray


class Profile(NamedTuple):
    """Lines of one panel, with the name of their measure and a title; by relative depth, of several designs."""

    series: Sequence[Series]
    measure: str
    title: str
    axis: Axis = "layer"


class Claims(NamedTuple):
    """The primary claims: their places by a short name and by what they are about, and the looks of the latter."""

    rows: Mapping[str, Mapping[str, Place]]
    looks: Mapping[str, Look]


def summary_figure(
    explained: Explained | None,
    profile: Profile | None,
    shares: Mapping[str, Share],
    claims: Claims | None,
) -> Figure:
    """Up to four lettered panels on 17 cm x 9 cm, or below each other in one column.

    A panel whose results are not there is left out.

    Errors: ValueError for no panel.
    """
    lower = [
        *([(1.65, partial(_draw_profile, shown=profile))] if profile else []),
        *([(1.0, partial(_draw_headline, shares=shares))] if shares else []),
    ]
    left = [
        *([(1.0, [(1.0, partial(_draw_explained, shown=explained))])] if explained else []),
        *([(1.8, lower)] if lower else []),
    ]
    if not left and not claims:
        raise ValueError("the first figure needs a panel")
    letters = iter("abcd")

    def draw(part: SubFigure, panels: Sequence[tuple[float, Callable[[SubFigure], None]]]) -> None:
        cells = part.subfigures(1, len(panels), width_ratios=[share for share, _ in panels], squeeze=False)[0]
        for cell, (_, panel) in zip(cells, panels, strict=True):
            panel(cell)
            cell.text(0.004, 0.99, next(letters), size=NORMAL + 1.5, weight="bold", va="top")

    with style():
        if is_one_column():
            stacked = [panel for row in left for panel in row[1]] + (
                [(1.0, partial(_draw_claims, claims=claims))] if claims else []
            )
            figure = new_figure(COLUMN, DEEP * len(stacked))
            for part, panel in zip(figure.subfigures(len(stacked), 1, squeeze=False)[:, 0], stacked, strict=True):
                draw(part, [panel])
            return figure
        figure = new_figure(WIDTH, HEIGHT)
        columns = [*([1.5] if left else []), *([1.0] if claims else [])]
        parts = list(figure.subfigures(1, len(columns), width_ratios=columns, squeeze=False)[0])
        if left:
            rows = parts[0].subfigures(len(left), 1, height_ratios=[share for share, _ in left], squeeze=False)[:, 0]
            for row, (_, panels) in zip(rows, left, strict=True):
                draw(row, panels)
        if claims:
            draw(parts[-1], [(1.0, partial(_draw_claims, claims=claims))])
    return figure


def variances(matrix: np.ndarray) -> tuple[float, float, float]:
    """TV, SV and NV of one ST matrix (samples, transformations), of at least two each.

    >>> variances(np.array([[0.0, 2.0], [4.0, 6.0]])) == (2**0.5, 8**0.5, 0.5)
    True
    """
    tv, sv = (float(matrix.std(axis=axis, ddof=1).mean()) for axis in (1, 0))
    return tv, sv, tv / sv


def _draw_explained(part: SubFigure, shown: Explained) -> None:
    pictures, *matrices = part.subplots(1, 3, width_ratios=[1.25, 1, 1])
    members = np.linspace(0, len(shown.pictures[0]) - 1, MEMBERS).round().astype(int)
    pictures.imshow(mosaic([coloured(one[members]) for one in shown.pictures[:SAMPLES]], MEMBERS))
    pictures.set_title("images", fontsize=SMALL)
    _bare(pictures)
    pictures.set_xlabel("transformations: TV", fontsize=SMALL, color=VERMILLION)
    pictures.set_ylabel("samples: SV", fontsize=SMALL, color=BLUE)
    for axes, matrix in zip(
        matrices, sorted((shown.most, shown.least), key=lambda one: variances(one)[2]), strict=True
    ):
        axes.imshow(matrix, cmap="gray", interpolation="none", aspect="auto")
        axes.set_title("ST matrix of a unit", fontsize=SMALL)
        _bare(axes)
        for end, colour in (((1, -0.08), VERMILLION), ((-0.04, 1), BLUE)):
            start = (0, end[1]) if colour == VERMILLION else (end[0], 0)
            axes.annotate("", end, start, xycoords="axes fraction", arrowprops=_arrow(colour), annotation_clip=False)
        text = "NV = {2:.2g}" if is_one_column() else "NV = {2:.2g} = {0:.2g} / {1:.2g}"
        axes.set_xlabel(text.format(*variances(matrix)), fontsize=SMALL, labelpad=8)


def _arrow(colour: str) -> dict[str, object]:
    return {"arrowstyle": "->", "color": colour, "lw": 1.0, "shrinkA": 0, "shrinkB": 0}


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _draw_profile(part: SubFigure, shown: Profile) -> None:
    axes = part.subplots()
    draw_profiles(axes, shown.series, axis=shown.axis)
    axes.set_title(shown.title, fontsize=SMALL)
    axes.axhline(1, color="#404040", lw=0.7, ls=(0, (1, 2)), zorder=1)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(shown.measure)
    if shown.axis == "layer":
        name_layers(axes, shown.series)
    else:
        axes.set_xlabel(AXIS_LABELS[shown.axis])
    axes.annotate(
        "1: as much as samples", (1, 1), (0, 2), xycoords=("axes fraction", "data"), textcoords="offset points",
        ha="right", va="bottom", fontsize=font_size(SMALL - 0.5), color="#404040",
    )  # fmt: skip
    axes.set_ylim(top=max(axes.get_ylim()[1], 1.2))
    handles = line_handles(shown.series)
    if len(handles) > 1:
        axes.legend(handles=handles, loc="lower left", fontsize=SMALL)


def _draw_headline(part: SubFigure, shares: Mapping[str, Share]) -> None:
    axes = part.subplots()
    draw_shares(axes, shares, list(shares))
    axes.set_title("shape of profiles", fontsize=SMALL)
    axes.set_xlabel("eta squared")
    axes.set_xlim(0, 1.25 * max(share if math.isnan(high) else max(share, high) for share, _, high in shares.values()))


def _draw_claims(part: SubFigure, claims: Claims) -> None:
    axes = part.subplots()
    draw_forest(axes, {(name,): places for name, places in claims.rows.items()}, claims.looks, verdicts=False)
    axes.set_title("primary claims", fontsize=SMALL)
    axes.set_xlabel("distance from the threshold")
    add_legend(part, forest_handles(claims.rows, claims.looks), "outside lower center", handlelength=1.0)

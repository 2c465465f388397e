"""Heatmaps: how a measure is spread inside every layer, one column a layer, one cell a feature map.

A table of maps has one row per feature map (per unit in layers without maps), with the columns
``layer_index`` (1-based), ``layer``, ``kind`` (module class), ``map`` and ``value``.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from cnn_invariance.plotting.grids import AROUND_ONE, DIVERGING
from cnn_invariance.plotting.layer_kinds import NAMED, Strip, draw_strips, kind_handles, layer_ticks
from cnn_invariance.plotting.style import (
    VERMILLION,
    add_colour_bar,
    add_legend,
    is_one_column,
    new_figure,
    page_width,
    style,
)

COLORMAP = "cividis"
FEW = 4
"""Of so many panels side by side, each has room for the names of `NAMED` layers; of more, for fewer."""
PAIR = 2
"""So many panels stand side by side in one column of a page."""
INFINITE: dict[str, Any] = {"facecolor": VERMILLION, "edgecolor": "white", "hatch": "////", "linewidth": 0}
UNDEFINED: dict[str, Any] = {"facecolor": "#D9D9D9", "edgecolor": "white", "hatch": "....", "linewidth": 0}


def heatmap_figure(
    rows: Mapping[str, Mapping[str, pd.DataFrame]],
    *,
    quotients: Collection[str] = (),
    top: float | None = None,
    height: float = 1.3,
    in_order: bool = False,
) -> Figure:
    """Heatmaps of several measures: a row for each, with a colour scale of its own, and its panels beside each other.

    Every column has the full height, whatever the number of its maps, and is sorted: the highest
    values at the top. Infinite and undefined values are hatched areas above them. A figure for one column of a page has
    `PAIR` panels beside each other, and all rows again below them for the next ones.

    rows:      by the label of a row's colour bar, its panels by their titles, which are the same in each row
    quotients: labels of the rows whose values are quotients with the middle 1: their colours are those of
               `grids.AROUND_ONE`, the same in every figure, whatever ``top``
    top:       the end of the other rows' colour scales, which begin at 0; what lies above it takes its last colour,
               which the bar shows by a pointed end (default: `scale_top` of the row)
    height:    of a panel, inches
    in_order:  whether columns are in the order of their maps, the first at the bottom, and not sorted. Infinite and
               undefined values have the colours of the areas there

    Errors: ValueError for no panel, for a panel without rows, and for rows whose titles differ.
    """
    if not all(rows.values()) or not rows or any(table.empty for row in rows.values() for table in row.values()):
        raise ValueError("a heatmap needs at least one panel, and each panel at least one map")
    titles = list(next(iter(rows.values())))
    if any(list(row) != titles for row in rows.values()):
        raise ValueError(f"each row of heatmaps needs the same panels: {', '.join(titles)}")
    beside = min(PAIR if is_one_column() else len(titles), len(titles))
    lines = [titles[start : start + beside] for start in range(0, len(titles), beside)]
    layers = {title: pd.concat([row[title] for row in rows.values()]) for title in titles}
    with style():
        figure = new_figure(page_width(beside), len(lines) * (len(rows) * height + 0.8) + 0.4)
        grid = figure.subplots(len(lines) * len(rows), beside, sharey=True, squeeze=False)
        for line, of_line in zip(lines, np.split(grid, len(lines)), strict=True):
            for of_row, (label, tables) in zip(of_line, rows.items(), strict=True):
                colours, above = _colours(tables, label in quotients, top)
                for axes, title in zip(of_row, line, strict=False):
                    draw_heatmap(axes, tables[title], colours, by_value=not in_order)
                of_row[0].set_ylabel("maps, units (%)")
                end = "max" if above else "neither"
                add_colour_bar(figure, colours, of_row, extend=end, label=label, aspect=12, pad=0.015)
            for column, title, before in zip(of_line.T, line, [None, *line], strict=False):
                column[0].set_title(_heading(title, before))
                _name_layers(column, layers[title], named=NAMED * FEW // max(beside, FEW))
            for axes in of_line[:, len(line) :].flat:
                axes.set_visible(False)
        _legend(figure, pd.concat(layers.values()))
    return figure


def scale_top(values: np.ndarray) -> float:
    """The end of a colour scale: the 99th percentile of the finite values, rounded up to two digits.

    >>> scale_top(np.array([0.1, 0.347, np.inf])), scale_top(np.array([np.nan]))
    (0.35, 1.0)
    """
    finite = values[np.isfinite(values)]
    high = float(np.quantile(finite, 0.99)) if finite.size else 0.0
    if high <= 0:
        return 1.0
    step = 10.0 ** (np.floor(np.log10(high)) - 1)
    return float(np.round(np.ceil(high / step - 1e-9) * step, 12))


def draw_heatmap(axes: Axes, table: pd.DataFrame, colours: ScalarMappable, *, by_value: bool = True) -> None:
    """Draw one heatmap: a column for each layer of the table, sorted or in the order of its maps.

    Neighbouring layers with as many maps are one picture, which keeps figures of deep networks small.
    """
    columns = {
        place: table["value"].to_numpy(dtype=float)[table["layer_index"] == place]
        for place in sorted(table["layer_index"].unique().astype(float))
    }
    for places in _alike(columns, whole=by_value):
        values = np.stack([columns[place] for place in places], axis=1)
        (_draw_sorted if by_value else _draw_in_order)(axes, places, values, colours)
    if len(columns) <= NAMED:  # more would leave little of the cells
        borders = [place + 0.5 for place, following in pairwise(columns) if following == place + 1]
        axes.vlines(borders, 0, 100, colors="white", linewidth=0.5)
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 50, 100])
    axes.tick_params(axis="x", length=0)
    axes.grid(False)


def _alike(columns: Mapping[float, np.ndarray], *, whole: bool) -> Iterator[list[float]]:
    """Places of neighbouring layers with as many maps, all of them finite where ``whole``."""
    places: list[float] = []
    for place, values in columns.items():
        fits = places and place == places[-1] + 1 and values.size == columns[places[-1]].size
        if fits and (not whole or np.isfinite([values, columns[places[-1]]]).all()):
            places.append(place)
            continue
        if places:
            yield places
        places = [place]
    yield places


def _heading(title: str, before: str | None) -> str:
    """A title without the first of several lines where the panel before it has the same one, over both."""
    first, *more = title.split("\n")
    same = more and before is not None and before.split("\n")[0] == first
    return "\n".join(["" if same else first, *more])


def _name_layers(column: Sequence[Axes], table: pd.DataFrame, named: int) -> None:
    """The axis of all panels of a column: the strip of the kinds of its layers, and their names, or numbers of many."""
    layers = table.drop_duplicates("layer_index").sort_values("layer_index")
    places = layers["layer_index"].astype(float).to_list()
    for axes in column:
        axes.set_xlim(min(places) - 0.6, max(places) + 0.6)
        axes.set_xticks([])
    axes = column[-1]
    draw_strips(axes, [Strip(places, layers["kind"].to_list())])
    if len(places) <= named:
        axes.set_xticks(places, (layers["layer"] if "layer" in layers else layers["kind"]).to_list(), rotation=90)
    else:
        axes.set_xticks([tick for tick in layer_ticks(max(places) * NAMED / named) if tick <= max(places)])
        axes.set_xlabel("layer")


def _draw_in_order(axes: Axes, places: list[float], values: np.ndarray, colours: ScalarMappable) -> None:
    cells = colours.to_rgba(np.nan_to_num(values, posinf=0.0))
    cells[np.isinf(values)] = mpl.colors.to_rgba(INFINITE["facecolor"])
    cells[np.isnan(values)] = mpl.colors.to_rgba(UNDEFINED["facecolor"])
    _draw_cells(axes, places, cells, 100.0)


def _draw_cells(axes: Axes, places: list[float], cells: np.ndarray, top: float) -> None:
    axes.imshow(
        cells,
        extent=(places[0] - 0.5, places[-1] + 0.5, 0, top),
        origin="lower",
        aspect="auto",
        interpolation="none",  # in SVG the cells themselves, not a picture of them
    )


def _draw_sorted(axes: Axes, places: list[float], values: np.ndarray, colours: ScalarMappable) -> None:
    finite = np.sort(values[np.isfinite(values).all(axis=1)], axis=0)
    infinite, undefined = np.isinf(values[:, 0]).sum(), np.isnan(values[:, 0]).sum()
    per_map = 100.0 / len(values)
    bottom = len(finite) * per_map
    if finite.size:
        _draw_cells(axes, places, colours.to_rgba(finite), bottom)
    for count, marks in ((infinite, INFINITE), (undefined, UNDEFINED)):
        if count:
            axes.add_patch(Rectangle((places[0] - 0.5, bottom), 1.0, count * per_map, **marks))
            bottom += count * per_map


def _colours(tables: Mapping[str, pd.DataFrame], quotient: bool, top: float | None) -> tuple[ScalarMappable, bool]:
    """The colours of a row, and whether a finite value lies above them."""
    values = np.concatenate([table["value"].to_numpy(dtype=float) for table in tables.values()])
    norm = AROUND_ONE if quotient else Normalize(0.0, scale_top(values) if top is None else top)
    above = bool((values[np.isfinite(values)] > norm.vmax).any())
    return ScalarMappable(norm, mpl.colormaps[DIVERGING if quotient else COLORMAP]), above


def _legend(figure: Figure, table: pd.DataFrame) -> None:
    handles = kind_handles(table["kind"].to_list())
    values = table["value"].to_numpy(dtype=float)
    if np.isinf(values).any():
        handles.append(Patch(**INFINITE, label="infinite"))
    if np.isnan(values).any():
        handles.append(Patch(**UNDEFINED, label="undefined"))
    add_legend(figure, handles, "outside lower center", handlelength=1.0, columnspacing=1.0)

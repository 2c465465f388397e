"""Heatmaps: how a measure is spread inside every layer, one column a layer, one cell a feature map.

A table of maps has one row per feature map (per unit in layers without maps), with the columns
``layer_index`` (1-based), ``layer``, ``kind`` (module class), ``map`` and ``value``.
"""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from cnn_invariance.plotting.grids import AROUND_ONE, DIVERGING
from cnn_invariance.plotting.layer_kinds import NAMED, Strip, draw_strips, kind_handles, layer_ticks
from cnn_invariance.plotting.style import (
    VERMILLION,
    add_legend,
    is_one_column,
    new_figure,
    page_width,
    side_by_side,
    style,
)

COLORMAP = "cividis"
INFINITE: dict[str, Any] = {"facecolor": VERMILLION, "edgecolor": "white", "hatch": "////", "linewidth": 0}
UNDEFINED: dict[str, Any] = {"facecolor": "#D9D9D9", "edgecolor": "white", "hatch": "....", "linewidth": 0}


def heatmap_figure(
    panels: Mapping[str, pd.DataFrame],
    *,
    label: str,
    top: float | None = None,
    height: float = 2.3,
    unsorted: bool = False,
    quotient: bool = False,
) -> Figure:
    """Heatmaps side by side on one colour scale, at most two in a row.

    Every column has the full height, whatever the number of its maps, and is sorted: the highest
    values at the top. Infinite and undefined values are hatched areas above them.

    label:    of the colour bar
    quotient: whether values are quotients whose middle is 1: then the colours are those of `grids.AROUND_ONE`, the same
              in every figure, whatever ``top``
    unsorted: whether above the sorted ones each stands also in the order of its maps, where infinite and undefined
              values have the colours of the areas
    top:      the end of the colour scale, which begins at 0; what lies above it takes its last colour,
              which the bar shows by a pointed end (default: `scale_top` of all panels)

    Errors: ValueError for no panel, and for a panel without rows.
    """
    if not panels or any(table.empty for table in panels.values()):
        raise ValueError("a heatmap needs at least one panel, and each panel at least one map")
    values = np.concatenate([table["value"].to_numpy(dtype=float) for table in panels.values()])
    norm = AROUND_ONE if quotient else Normalize(0.0, scale_top(values) if top is None else top)
    colormap = DIVERGING if quotient else COLORMAP
    columns = side_by_side(min(len(panels), 2))
    ordered = [(title, table, False) for title, table in panels.items() if unsorted]
    ordered += [("" if unsorted else title, table, True) for title, table in panels.items()]
    if is_one_column():  # the two of a panel below each other
        titles = list(panels)
        ordered = [
            (title, panels[title], by_value) for title in titles for by_value in ([False, True] if unsorted else [True])
        ]
    rows = -(-len(ordered) // columns)
    with style():
        figure = new_figure(page_width(columns), rows * height + 0.3)
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for place, (axes, (title, table, by_value)) in enumerate(zip(grid.flat, ordered, strict=False)):
            draw_heatmap(axes, table, mpl.colormaps[colormap], norm, by_value=by_value)
            axes.set_title(title)
            if place % columns == 0:
                axes.set_ylabel(f"maps or units, {'sorted' if by_value else 'in order'} (%)")
        for axes in grid.flat[len(ordered) :]:
            axes.set_visible(False)
        _colour_bar(
            figure,
            grid,
            ScalarMappable(norm, colormap),
            label,
            above=bool((values[np.isfinite(values)] > norm.vmax).any()),
        )
        _legend(figure, panels, values)
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


def draw_heatmap(
    axes: Axes, table: pd.DataFrame, colormap: Colormap, norm: Normalize, *, by_value: bool = True
) -> None:
    """Draw one heatmap: a column for each layer of the table, sorted or as it is, and the strip of layer kinds."""
    kinds = table.groupby("layer_index")["kind"].first()
    places = [float(index) for index in kinds.index]
    for place in places:
        values = table.loc[table["layer_index"] == place, "value"]
        (_draw_sorted if by_value else _draw_in_order)(axes, place, values.to_numpy(dtype=float), colormap, norm)
    draw_strips(axes, [Strip(places, list(kinds))])
    axes.set_xlim(min(places) - 0.6, max(places) + 0.6)
    axes.set_ylim(0, 100)
    names = table.groupby("layer_index")["layer"].first() if "layer" in table else kinds
    if len(names) <= NAMED:
        axes.set_xticks(places, list(names), rotation=90)
    else:
        axes.set_xticks(layer_ticks(max(places)))
        axes.set_xlabel("layer")
    axes.set_yticks([0, 50, 100])
    axes.grid(False)


def _draw_in_order(axes: Axes, place: float, values: np.ndarray, colormap: Colormap, norm: Normalize) -> None:
    colours = colormap(norm(np.nan_to_num(values, posinf=0.0)))
    colours[np.isinf(values)] = mpl.colors.to_rgba(INFINITE["facecolor"])
    colours[np.isnan(values)] = mpl.colors.to_rgba(UNDEFINED["facecolor"])
    _draw_cells(axes, place, colours, 100.0)


def _draw_cells(axes: Axes, place: float, colours: np.ndarray, top: float) -> None:
    axes.imshow(
        colours[:, None, :],
        extent=(place - 0.46, place + 0.46, 0, top),
        origin="lower",
        aspect="auto",
        interpolation="none",  # in SVG the cells themselves, not a picture of them
    )


def _draw_sorted(axes: Axes, place: float, values: np.ndarray, colormap: Colormap, norm: Normalize) -> None:
    finite = np.sort(values[np.isfinite(values)])
    infinite, undefined = np.isinf(values).sum(), np.isnan(values).sum()
    left, width, per_map = place - 0.46, 0.92, 100.0 / values.size
    bottom = finite.size * per_map
    if finite.size:
        _draw_cells(axes, place, colormap(norm(finite)), bottom)
    for count, marks in ((infinite, INFINITE), (undefined, UNDEFINED)):
        if count:
            axes.add_patch(Rectangle((left, bottom), width, count * per_map, **marks))
            bottom += count * per_map


def _colour_bar(figure: Figure, grid: np.ndarray, colours: ScalarMappable, label: str, above: bool) -> None:
    bar = figure.colorbar(
        colours,
        ax=list(grid.flat),
        extend="max" if above else "neither",
        label=label,
        shrink=0.95,
        aspect=25,
        pad=0.015,
    )
    bar.outline.set_linewidth(0.4)


def _legend(figure: Figure, panels: Mapping[str, pd.DataFrame], values: np.ndarray) -> None:
    handles = kind_handles([kind for table in panels.values() for kind in table["kind"]])
    if np.isinf(values).any():
        handles.append(Patch(**INFINITE, label="infinite"))
    if np.isnan(values).any():
        handles.append(Patch(**UNDEFINED, label="undefined"))
    add_legend(figure, handles, "outside lower center", handlelength=1.0, columnspacing=1.0)

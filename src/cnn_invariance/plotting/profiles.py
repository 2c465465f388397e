"""Layer profiles: one measure over the layers of one or more networks.

A profile table has one row per layer, with the columns ``layer_index`` (1-based), ``layer``,
``kind`` (module class), ``value`` (the mean over the layer's finite units), ``units``, ``infinite``,
``dead`` and ``nan`` (counts of units).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from cnn_invariance.plotting.layer_kinds import Strip, draw_strips, kind_handles, kind_of, layer_ticks
from cnn_invariance.plotting.style import DOUBLE, SINGLE, Look, add_legend, new_figure, style
from cnn_invariance.statistics.profiles import relative_depth

Axis = Literal["layer", "depth"]
AXIS_LABELS = {"layer": "layer", "depth": "relative depth (%)"}
TOP_ROW = 5.0  # between two rows of markers on the top edge, points
MARKERS = 20  # at most so many on a line: more run into each other


@dataclass(frozen=True)
class Series:
    """One line of a panel: the profiles of one design, one table per seed, all of the same layers.

    Errors: ValueError without a profile, and for profiles of other layers than those of the first.
    """

    label: str
    profiles: Sequence[pd.DataFrame]
    look: Look

    def __post_init__(self) -> None:
        if not self.profiles:
            raise ValueError(f"series {self.label!r} has no profile; give one table per seed")
        first = list(self.profiles[0]["layer_index"])
        for table in self.profiles[1:]:
            if list(table["layer_index"]) != first:
                raise ValueError(f"the seeds of series {self.label!r} do not share their layers")

    def values(self) -> np.ndarray:
        """(seeds, layers); NaN where no unit of a layer is finite."""
        rows = [table["value"].to_numpy(dtype=float) for table in self.profiles]
        values = np.stack(rows)
        return np.where(np.isfinite(values), values, np.nan)

    def band(self) -> tuple[np.ndarray, np.ndarray] | None:
        """(layers,) twice, around `middle`: the smallest and largest value of several seeds, or, of one profile that
        has them, the ends ``low`` and ``high`` of its interval over samples; else None.
        """
        values, table = self.values(), self.profiles[0]
        if len(values) > 1:
            return _over_seeds(np.min, values), _over_seeds(np.max, values)
        if not self.with_interval():
            return None
        return table["low"].to_numpy(dtype=float), table["high"].to_numpy(dtype=float)

    def with_interval(self) -> bool:
        """Whether it is one profile with an interval over samples."""
        table = self.profiles[0]
        return len(self.profiles) == 1 and "low" in table and bool(table["low"].notna().any())

    def places(self, axis: Axis) -> np.ndarray:
        """(layers,): where the layers lie on the axis: their number, or their depth in per cent.

        The depth is that among all observed layers, with or without the measure, where the table has it.
        """
        table = self.profiles[0]
        index = table["layer_index"].to_numpy(dtype=float)
        if axis == "layer":
            return index
        return table["depth"].to_numpy(dtype=float) if "depth" in table else relative_depth(index, index.max())

    def count(self, *columns: str) -> np.ndarray:
        """(layers,): units counted in these columns, over all seeds."""
        return np.sum([table[list(columns)].to_numpy(dtype=float) for table in self.profiles], axis=(0, 2))

    def middle(self) -> np.ndarray:
        """(layers,): the mean over the seeds with a finite value; NaN where there is none."""
        return _over_seeds(np.mean, self.values())

    def mean(self) -> float:
        """The mean of `middle` over the layers where it is finite (NaN: nowhere)."""
        finite = self.middle()[np.isfinite(self.middle())]
        return float(finite.mean()) if finite.size else float("nan")

    def best(self, better: Literal["lower", "higher"]) -> int | None:
        """The position of the layer where `middle` is lowest or highest (None: it is finite nowhere)."""
        middle = self.middle() if better == "lower" else -self.middle()
        return int(np.nanargmin(middle)) if np.isfinite(middle).any() else None

    def left_out(self) -> np.ndarray:
        """(layers,): whether some unit is infinite or undefined, and so left out of the mean."""
        return self.count("infinite", "nan") > 0

    def mostly_dead(self) -> np.ndarray:
        """(layers,): whether more than half of the layer's units are dead."""
        return self.count("dead") > 0.5 * self.count("units")


def profile_figure(
    panels: Mapping[str, Sequence[Series]],
    *,
    ylabel: str,
    axis: Axis = "layer",
    columns: int | None = None,
    height: float = 1.75,
    share_y: bool = True,
    log_y: bool = False,
    marked: str = "",
) -> Figure:
    """Panels of layer profiles, with the layers' kinds under each panel and legends outside.

    One panel makes a figure of single-column width, more panels one of double width. A series of several seeds is drawn
    as its mean, with a band from the smallest to the largest value; one profile with an interval over samples has that
    as its band. Series with the same label must have the same look, because they share one entry of the legend.

    panels:  the lines of each panel, by its title
    columns: how many panels stand side by side (None: two of four panels, else up to three)
    height:  of one row of panels, inches
    share_y: whether all panels have one axis of values
    log_y:   whether the axis of values is logarithmic, which leaves out values that are not positive; else it is linear
             from 0
    marked:  layers with a line behind them: a part of the names of their classes

    Errors: ValueError for no panel, and for a panel without series.
    """
    if not panels or not all(panels.values()):
        raise ValueError("a figure of profiles needs a panel, and each panel at least one series")
    columns = columns or (2 if len(panels) == 4 else min(len(panels), 3))
    rows = -(-len(panels) // columns)
    strips = max(len(_designs(series, axis)) for series in panels.values())
    last = max(one.places(axis).max() for series in panels.values() for one in series)
    width = SINGLE if len(panels) == 1 else DOUBLE
    with style():
        figure = new_figure(width, rows * (height + 0.11 * strips) + 0.55)
        grid = figure.subplots(rows, columns, sharex="col", sharey=share_y, squeeze=False)
        for axes, (title, series) in zip(grid.flat, panels.items(), strict=False):
            draw_profiles(axes, series, axis=axis, title=title, last=last)
            if marked:
                _draw_marked(axes, series, axis, marked)
            axes.tick_params(labelbottom=True)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes in grid.flat[: 1 if share_y else len(panels)]:  # once all lines are there
            if log_y:
                axes.set_yscale("log")
            elif share_y:
                axes.set_ylim(bottom=0)
            else:
                axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
        _label(figure, grid, panels, ylabel, axis)
    return figure


def draw_profiles(
    axes: Axes, series: Sequence[Series], *, axis: Axis = "layer", title: str = "", last: float | None = None
) -> None:
    """Draw the lines of one panel, their bands and marks, and the strips of layer kinds.

    last: the place where the axis ends (None: the last layer of these series)

    A hollow point is a layer of which more than half of the units are dead. A hollow marker on
    the top edge, or above it where several series have one, is a layer some of whose units are
    infinite or undefined, and left out of its mean.
    """
    for one in series:
        _draw_line(axes, one, axis)
    incomplete = [one for one in series if one.left_out().any()]
    for row, one in enumerate(incomplete):
        _draw_left_out(axes, one, axis, height=row * TOP_ROW)
    axes.set_title(title, pad=mpl.rcParams["axes.titlepad"] + len(incomplete) * TOP_ROW)
    designs = _designs(series, axis)
    several = len(designs) > 1
    draw_strips(
        axes,
        [
            Strip(list(one.places(axis)), list(one.profiles[0]["kind"]), one.look if several else None)
            for one in designs
        ],
    )
    _scale(axes, max(one.places(axis).max() for one in series) if last is None else last, axis)


def _draw_line(axes: Axes, one: Series, axis: Axis) -> None:
    places, band, look = one.places(axis), one.band(), one.look
    middle = one.middle()
    if band is not None:
        axes.fill_between(places, *band, color=look.colour, alpha=0.2, linewidth=0)
    axes.plot(places, middle, color=look.colour, linestyle=look.line)
    dead = one.mostly_dead()
    every = np.arange(len(places)) % -(-len(places) // MARKERS) == 0
    _draw_markers(axes, places[every & ~dead], middle[every & ~dead], look, face=look.colour)
    _draw_markers(axes, places[dead], middle[dead], look, face="white")


def _draw_marked(axes: Axes, series: Sequence[Series], axis: Axis, part: str) -> None:
    """A line behind each layer whose class has this part in its name."""
    for place in {
        place
        for one in series
        for place, kind in zip(one.places(axis), one.profiles[0]["kind"], strict=True)
        if part in kind
    }:
        axes.axvline(place, color=kind_of(part).colour, linewidth=2.5, alpha=0.35, zorder=0)


def _draw_left_out(axes: Axes, one: Series, axis: Axis, height: float) -> None:
    """Markers on the top edge of the panel, or ``height`` points above it."""
    figure = axes.get_figure()
    assert figure is not None
    edge = axes.get_xaxis_transform() + ScaledTranslation(0, height / 72, figure.dpi_scale_trans)
    places = one.places(axis)[one.left_out()]
    _draw_markers(axes, places, np.ones(places.size), one.look, face="white", transform=edge, clip_on=False)


def _draw_markers(axes: Axes, places: np.ndarray, values: np.ndarray, look: Look, face: str, **options: Any) -> None:
    if places.size:  # an empty line has its place at the figure's corner, and spoils the layout
        axes.plot(places, values, ls="", marker=look.marker, mec=look.colour, mfc=face, zorder=3, **options)


def _over_seeds(statistic: Callable[[np.ndarray], Any], values: np.ndarray) -> np.ndarray:
    """A statistic over the seeds of each layer, of the finite values; NaN where there is none."""
    columns = (column[np.isfinite(column)] for column in values.T)
    return np.array([statistic(column) if column.size else np.nan for column in columns])


def _designs(series: Sequence[Series], axis: Axis) -> list[Series]:
    """The first series of every distinct design (same layers in the same places)."""
    found: dict[tuple[object, ...], Series] = {}
    for one in series:
        design = (*one.places(axis), *one.profiles[0]["kind"])
        found.setdefault(design, one)
    return list(found.values())


def _scale(axes: Axes, last: float, axis: Axis) -> None:
    if axis == "depth":
        axes.set_xlim(-2.5, 102.5)
        axes.set_xticks([0, 25, 50, 75, 100])
    else:
        axes.set_xlim(0.4, last + 0.6)
        axes.set_xticks(layer_ticks(last))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))


def _label(
    figure: Figure,
    grid: np.ndarray,
    panels: Mapping[str, Sequence[Series]],
    ylabel: str,
    axis: Axis,
) -> None:
    series = list(chain.from_iterable(panels.values()))
    handles = line_handles(series)
    if len(handles) > 1:
        add_legend(figure, handles, "outside upper center")
    add_legend(figure, mark_handles(series), "outside lower center", handlelength=1.0, columnspacing=1.0)
    for row in grid:
        row[0].set_ylabel(ylabel)
    for axes in grid.flat:
        axes.set_xlabel(AXIS_LABELS[axis])


def line_handles(series: Sequence[Series]) -> list[Line2D]:
    """Legend entries of the lines, one for each label; with the number of seeds, where that is not the same for all."""
    counts = _seeds(series)
    several = len(set().union(*counts.values())) > 1
    return [
        _handle(one, f"{label} (n = {', '.join(map(str, sorted(counts[label])))})" if several else label)
        for label, one in {one.label: one for one in series}.items()
    ]


def mark_handles(series: Sequence[Series]) -> list[Artist]:
    """Legend entries of the layers' kinds, of the marks that the lines have, and of their bands."""
    classes = [kind for one in series for kind in one.profiles[0]["kind"]]
    return [*kind_handles(classes), *_state_handles(series), *_band_handles(series)]


def _seeds(series: Sequence[Series]) -> dict[str, set[int]]:
    """How many seeds the lines of each label have."""
    found: dict[str, set[int]] = {}
    for one in series:
        found.setdefault(one.label, set()).add(len(one.profiles))
    return found


def _band_handles(series: Sequence[Series]) -> list[Patch]:
    """The entries of bands; that of seeds says how many they are where all lines have as many."""
    counts = set().union(*_seeds(series).values())
    handles = []
    if any(one.with_interval() for one in series):
        handles.append(Patch(facecolor="#404040", alpha=0.2, linewidth=0, label="95 % interval over samples"))
    if max(counts) == 1:
        return handles
    n = f"n = {max(counts)} seeds" if len(counts) == 1 else "n seeds"
    return [Patch(facecolor="#404040", alpha=0.2, linewidth=0, label=f"{n}: lowest to highest"), *handles]


def _handle(one: Series, label: str) -> Line2D:
    look = one.look
    return Line2D([], [], color=look.colour, ls=look.line, marker=look.marker, label=label)


def _state_handles(series: Sequence[Series]) -> list[Line2D]:
    handles = []
    if any(one.mostly_dead().any() for one in series):
        handles.append(("mostly dead", "o"))
    if any(one.left_out().any() for one in series):
        handles.append(("some infinite", "^"))
    return [Line2D([], [], ls="", marker=marker, mec="#404040", mfc="white", label=label) for label, marker in handles]

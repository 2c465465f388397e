"""Layer profiles: one measure over the layers of one or more networks.

A profile table has one row per layer, with the columns ``layer_index`` (1-based), ``layer``,
``kind`` (module class), ``value`` (the mean over the layer's finite units), ``units``, ``infinite``,
``dead`` and ``nan`` (counts of units).
"""

import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from cnn_invariance.plotting.layer_kinds import (
    GAP,
    NAMED,
    STRIP,
    Strip,
    draw_strips,
    kind_handles,
    kind_of,
    layer_ticks,
)
from cnn_invariance.plotting.style import (
    DOUBLE,
    Look,
    add_legend,
    is_one_column,
    new_figure,
    page_width,
    side_by_side,
    style,
)
from cnn_invariance.statistics.profiles import relative_depth

Axis = Literal["layer", "depth"]
AXIS_LABELS = {"layer": "layer", "depth": "relative depth (%)"}
TOP_ROW = 5.0  # between two rows of markers on the top edge, points
MANY = 60  # layers on a panel of more are legible only where it has the width of the page
MARKERS = 20  # at most so many on a line: more run into each other
THIN = 5  # up to so many seeds have a line each
LABEL = 20  # letters of a line of the label of an axis of values that is `LOW`: as many as it has place for
HIGH, LOW = 1.5, 1.2  # a row of panels, inches: of a figure of up to four rows, and of more
LOW_ROWS = 6  # rows that are `LOW` fill a page; more are lower
DEAD: dict[str, Any] = {"marker": "x", "ms": 4.5, "mew": 1.1}
INFINITE: dict[str, Any] = {"marker": "$\\infty$", "ms": 5.5, "mew": 0.2}
"""The marks of layers that are mostly dead, and of those with infinite or undefined units, in figures and legends."""


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
        """(layers,) twice, around `middle`: the smallest and largest value of more than `THIN` seeds, or, of one
        profile that has them, the ends ``low`` and ``high`` of its interval over samples; else None.
        """
        values, table = self.values(), self.profiles[0]
        if len(values) > THIN:
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
        return np.sum([table[name].to_numpy(dtype=float) for table in self.profiles for name in columns], axis=0)

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


Rows = Mapping[str, Mapping[str, Sequence[Series]]]
"""Series by row and column of a figure: by dataset and panel."""


@dataclass(frozen=True)
class Values:
    """The axis of values of some rows of a figure.

    label:     what it shows
    shared:    whether all panels of these rows have one axis
    log:       whether it is logarithmic, which leaves out values that are not positive; None: where the largest value
               is more than `SPAN` times the median and all are positive. A linear axis begins at 0
    top:       where a linear axis ends; higher values are drawn there as arrows. None: above all values
    reference: a value with a line through all panels, such as 1 of a quotient of variances
    referenced: the titles of the panels with that line (None: all)
    """

    label: str
    shared: bool = True
    log: bool | None = None
    top: float | None = None
    reference: float | None = None
    referenced: Collection[str] | None = None


DECADES = 1000.0
"""A logarithmic axis that spans more has a tick at each power of ten alone."""
SPAN = 8.0
"""On a linear axis, most values of one that spans more lie in the lowest eighth."""


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
    reference: float | None = None,
    referenced: Collection[str] | None = None,
) -> Figure:
    """Panels of layer profiles in rows, with the layers' kinds under each panel and legends outside.

    panels:  the lines of each panel, by its title
    columns: how many panels stand side by side (None: two of four panels, else up to three; one where a panel has more
             than 60 layers)
    ylabel, share_y, log_y, reference, referenced: see `Values`; for the others see `facet_figure`

    Errors: ValueError for no panel, and for a panel without series.
    """
    most = max((len(one.places(axis)) for series in panels.values() for one in series), default=0)
    columns = columns or (1 if most > MANY else 2 if len(panels) == 4 else max(min(len(panels), 3), 1))
    width = DOUBLE if most > MANY else None
    values = Values(ylabel, share_y, log_y, reference=reference, referenced=referenced)
    return facet_figure([(values, {"": panels})], axis=axis, columns=columns, height=height, marked=marked, width=width)


class _Row(NamedTuple):
    """A row of panels, each a title and its series; ``axis``: which of the axes of values is theirs."""

    name: str
    panels: Sequence[tuple[str, Sequence[Series]]]
    axis: int


class _Panel(NamedTuple):
    """A panel in its place; ``heading``: its title, where it is written."""

    axes: Axes
    title: str
    series: Sequence[Series]
    heading: str


def facet_figure(
    facets: Sequence[tuple[Values, Rows]],
    *,
    axis: Axis = "layer",
    columns: int = 4,
    height: float | None = None,
    marked: str = "",
    width: float | None = None,
) -> Figure:
    """Panels of layer profiles in a grid: rows of datasets for each measure, columns of transformation sets, say.

    Under each panel stand the layers' kinds; of one design, the lowest panels have the layers' names. Series with the
    same label must have the same look, because they share one entry of the legend. A series of up to `THIN` seeds is
    drawn as its mean and a thin line for each seed, of more as its mean and a band from the lowest to the highest;
    one profile with an interval over samples has that as its band.

    facets:  axes of values, each with its rows, and of these the lines of each panel; a row of more than ``columns``
             panels goes on in the next
    height:  of one row of panels, inches (None: so that six rows or more fill a page)
    marked:  layers with a line behind them: a part of the names of their classes
    width:   of the figure, inches (None: of one column for one panel, else of two)

    Errors: ValueError for no panel, and for a panel without series.
    """
    columns = side_by_side(columns)
    rows = [
        _Row(name if place == 0 else "", list(panels.items())[place : place + columns], number)
        for number, (_, of_axis) in enumerate(facets)
        for name, panels in of_axis.items()
        for place in range(0, len(panels), columns)
    ]
    drawn = [series for row in rows for _, series in row.panels]
    if not drawn or not all(drawn):
        raise ValueError("a figure of profiles needs a panel, and each panel at least one series")
    beside = max(len(row.panels) for row in rows)
    lines = [one for series in drawn for one in series]
    strips = max(len(_designs(series, axis)) for series in drawn)
    last = max(one.places(axis).max() for one in lines)
    names = _layer_names(lines, axis)
    several_titles = len({tuple(title for title, _ in row.panels) for row in rows}) > 1
    with style():
        height = height or (HIGH if len(rows) <= 4 else LOW * min(1.0, LOW_ROWS / len(rows)))
        deep = len(rows) * (height + 0.11 * strips + (0.1 if several_titles else 0.0))
        below = 0.045 * max(map(len, names.values()), default=0)
        wide = page_width() if is_one_column() else width or page_width(beside)
        figure = new_figure(wide, deep + below + 0.55)
        grid = figure.subplots(len(rows), beside, sharex="col", squeeze=False)
        panels: list[list[_Panel]] = [[] for _ in facets]
        for place, (of_row, row) in enumerate(zip(grid, rows, strict=True)):
            for axes in of_row[len(row.panels) :]:
                axes.set_visible(False)
            for axes, (title, series) in zip(of_row, row.panels, strict=False):
                heading = title if place == 0 or several_titles else ""
                panels[row.axis].append(_Panel(axes, title, series, heading))
            lines_of_label = textwrap.wrap(facets[row.axis][0].label, round(LABEL * min(1.0, height / LOW)))
            of_row[0].set_ylabel("\n".join([row.name, *lines_of_label] if row.name else lines_of_label))
        for (values, _), of_axis in zip(facets, panels, strict=True):
            _draw_facet(of_axis, values, axis, last, marked)
        _label(figure, grid, lines, axis, names, room=strips * (GAP + STRIP))
    return figure


def _draw_facet(panels: Sequence[_Panel], values: Values, axis: Axis, last: float, marked: str) -> None:
    """Draw the panels that have one axis of values."""
    if values.shared:
        _share_values([panel.axes for panel in panels])
    for axes, title, series, heading in panels:
        draw_profiles(axes, series, axis=axis, title=heading, last=last)
        if marked:
            _draw_marked(axes, series, axis, marked)
        if values.reference is not None and (values.referenced is None or title in values.referenced):
            axes.axhline(values.reference, color="#404040", lw=0.7, ls=(0, (1, 2)), zorder=1)
    log = _spans([one for panel in panels for one in panel.series]) if values.log is None else values.log
    for panel in panels[:1] if values.shared else panels:  # once all lines are there
        _scale_values(panel.axes, log, values.top, room=0.0 if values.shared else 0.05)
    if values.top is not None and not log:
        for panel in panels:
            _draw_beyond(panel.axes, panel.series, axis, values.top)


def _share_values(panels: Sequence[Axes]) -> None:
    """One axis of values for all, whose numbers stand at the first panel of each row."""
    for axes in panels:
        if axes is not panels[0]:
            axes.sharey(panels[0])
        place = axes.get_subplotspec()
        axes.tick_params(labelleft=place is None or place.is_first_col())


def _spans(lines: Sequence[Series]) -> bool:
    found = np.concatenate([one.middle() for one in lines])
    found = found[np.isfinite(found)]
    return bool(found.size and found.min() > 0 and found.max() > SPAN * np.median(found))


def _scale_values(axes: Axes, log: bool, top: float | None, room: float) -> None:
    """From 0 to the top, or a logarithmic axis whose ticks are numbers."""
    if log:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        if high < 5 * low:  # of a decade hardly a tick would be left
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        else:
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < DECADES * low else (1,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        return
    axes.set_ylim(0, (1 + room) * axes.get_ylim()[1] if top is None else top)


def _draw_beyond(axes: Axes, series: Sequence[Series], axis: Axis, top: float) -> None:
    """An arrow at the upper edge for each layer whose value is above the axis."""
    for one in series:
        with np.errstate(invalid="ignore"):
            beyond = one.middle() > top
        places = one.places(axis)[beyond]
        if places.size:
            colour = one.look.colour
            axes.plot(places, np.full(places.size, 0.98 * top), ls="", marker="$\\uparrow$", mec=colour, mfc=colour)


def _layer_names(lines: Sequence[Series], axis: Axis) -> dict[float, str]:
    """The names of the layers by their places, where all lines are of one design with few layers; else none.

    A line may lack some layers of the design, those where its measure has no value.
    """
    if axis != "layer" or not all("layer" in one.profiles[0] for one in lines):
        return {}
    found: dict[float, tuple[str, str]] = {}
    for one in lines:
        table = one.profiles[0]
        for place, *layer in zip(one.places(axis), table["layer"], table["kind"], strict=True):
            if found.setdefault(place, (layer[0], layer[1])) != (layer[0], layer[1]):
                return {}
    return {place: found[place][0] for place in sorted(found)} if len(found) <= NAMED else {}


def name_layers(axes: Axes, series: Sequence[Series]) -> None:
    """Name the layers below a panel, where all lines are of one design with few layers; else number them."""
    if names := _layer_names(series, "layer"):
        axes.set_xticks(list(names), list(names.values()), rotation=90)
    else:
        axes.set_xlabel(AXIS_LABELS["layer"])


def draw_profiles(
    axes: Axes, series: Sequence[Series], *, axis: Axis = "layer", title: str = "", last: float | None = None
) -> None:
    """Draw the lines of one panel, their bands and marks, and the strips of layer kinds.

    last: the place where the axis ends (None: the last layer of these series)

    A cross is a layer of which more than half of the units are dead. The sign of infinity on the top edge, or above it
    where several series have one, is a layer some of whose units are infinite or undefined, and left out of its mean; a
    line goes from it over the layers that follow and have such units, too.
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
    places, values, band, look = one.places(axis), one.values(), one.band(), one.look
    middle = one.middle()
    if band is not None:
        axes.fill_between(places, *band, color=look.colour, alpha=0.2, linewidth=0)
    axes.plot(places, middle, color=look.colour, linestyle=look.line)
    for seed in values if 1 < len(values) <= THIN else ():
        axes.plot(places, seed, color=look.colour, lw=0.4, alpha=0.55, zorder=1.5)
    dead = one.mostly_dead()
    every = np.arange(len(places)) % -(-len(places) // MARKERS) == 0
    _draw_markers(axes, places[every & ~dead], middle[every & ~dead], look, marker=look.marker)
    _draw_markers(axes, places[dead], middle[dead], look, **DEAD)


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
    """A marker on the top edge of the panel, or ``height`` points above it, and a line over the layers that follow."""
    figure = axes.get_figure()
    assert figure is not None
    edge = axes.get_xaxis_transform() + ScaledTranslation(0, height / 72, figure.dpi_scale_trans)
    places, left_out = one.places(axis), one.left_out()
    begins = left_out & ~np.roll(left_out, 1)
    begins[0] = left_out[0]
    for first in np.flatnonzero(begins):
        last = first + int(np.argmin([*left_out[first:], False])) - 1
        if last > first:
            ends = [places[first], places[last]]
            axes.plot(ends, [1, 1], color=one.look.colour, lw=0.8, transform=edge, clip_on=False)
    _draw_markers(axes, places[begins], np.ones(begins.sum()), one.look, transform=edge, clip_on=False, **INFINITE)


def _draw_markers(axes: Axes, places: np.ndarray, values: np.ndarray, look: Look, **options: Any) -> None:
    if places.size:  # an empty line has its place at the figure's corner, and spoils the layout
        axes.plot(places, values, ls="", mec=look.colour, mfc=look.colour, zorder=3, **options)


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
    series: Sequence[Series],
    axis: Axis,
    names: Mapping[float, str],
    room: float,
) -> None:
    """Legends, and what the layers are, below the lowest panel of each column; names only in the last row of all.

    room: points below each other panel, for its strips, which the layout does not see, above the next one
    """
    handles = line_handles(series)
    if len(handles) > 1:
        add_legend(figure, handles, "outside upper center")
    add_legend(figure, mark_handles(series), "outside lower center", handlelength=1.0, columnspacing=1.0)
    for column in grid.T:
        below = [axes for axes in column if axes.get_visible()][-1]
        ends_above = below is not column[-1]
        if not names:
            below.set_xlabel(AXIS_LABELS[axis])
        elif not ends_above:
            below.set_xticks(list(names), list(names.values()), rotation=90)
        for axes in column:
            axes.tick_params(labelbottom=axes is below and not (names and ends_above))
            if room and axes is not below:
                axes.set_xlabel(" ", fontsize=room)


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


def _band_handles(series: Sequence[Series]) -> list[Artist]:
    """The entries of thin lines and of bands, which say of how many seeds they are where all lines have as many."""
    counts = set().union(*_seeds(series).values())
    n = f"n = {max(counts)} seeds" if len(counts) == 1 else "n seeds"
    found: list[Artist] = []
    if any(one.with_interval() for one in series):
        found.append(Patch(facecolor="#404040", alpha=0.2, linewidth=0, label="95 % interval over samples"))
    if any(1 < count <= THIN for count in counts):
        found.append(Line2D([], [], color="#404040", lw=0.4, label=f"{n}: each, and their mean"))
    if max(counts) > THIN:
        found.append(Patch(facecolor="#404040", alpha=0.2, linewidth=0, label=f"{n}: lowest to highest, mean"))
    return found


def _handle(one: Series, label: str) -> Line2D:
    look = one.look
    return Line2D([], [], color=look.colour, ls=look.line, marker=look.marker, label=label)


def _state_handles(series: Sequence[Series]) -> list[Line2D]:
    states: list[tuple[str, dict[str, Any]]] = []
    if any(one.mostly_dead().any() for one in series):
        states.append(("mostly dead", DEAD))
    if any(one.left_out().any() for one in series):
        states.append(("some infinite", INFINITE))
    return [Line2D([], [], ls="", mec="#404040", mfc="#404040", label=label, **mark) for label, mark in states]

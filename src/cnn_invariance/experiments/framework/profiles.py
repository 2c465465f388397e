"""Figures of layer profiles: which lines are drawn in which panel, and from which cells.

The figures, the table and their captions follow from the plan.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import captions
from cnn_invariance.experiments.framework.choices import label
from cnn_invariance.experiments.framework.experiment import Outputs
from cnn_invariance.study import MeasureSpec, Study

if TYPE_CHECKING:
    import numpy as np

    from cnn_invariance.plotting import Canvas, Caption, Series
    from cnn_invariance.results import Results


class Line(NamedTuple):
    """A line to be drawn: its label, its cells, one for each seed, and its measure (None: the figure's)."""

    label: str
    cells: Sequence[MeasureSpec]
    measure: str | None = None


Lines = Mapping[str, Mapping[str, Sequence[Line]]]
"""Lines by dataset and panel."""

Drawn = dict[str, dict[str, list["Series"]]]
"""The lines of one measure as they were drawn, by dataset and panel."""


@dataclass(frozen=True)
class ProfilePlan:
    """Figures of profiles, one for each dataset and measure, with panels of lines; and a table of all lines.

    Under a set whose transformations cannot be undone, same-equivariance is not measured: a line is left out where its
    cells do not hold its measure, a panel where it has no line, and a figure where it has no panel.

    experiment:  its id, with which the names of figures and table begin
    title:       of figures and table, completed by the measure and the name of the dataset
    measures:    whose profiles; the figures of the first are named without it
    lines:       by dataset and by panel, the same number in each panel; only those that can be shown are kept
    ordered:     whether the lines of a panel have an order, which their colours then show
    line_column: what a line is, the name of its column in the table
    ylabel:      of lines with measures of their own; else the measure is the label
    log_y:       whether the axis of values is logarithmic
    meanings:    what the measures are, in words; else a sentence on each
    columns:     how many panels stand side by side (None: up to three)
    part:        of an experiment with several plans, what tells the names of this one's figures and table from theirs
    departures:  from the paper, beyond the sizes that captions compare
    usual:       see `captions.caption`
    """

    experiment: str
    title: str
    question: str
    setting: str | Sequence[str]
    measures: Sequence[str]
    lines: Lines
    axis: Literal["layer", "depth"] = "layer"
    ordered: bool = False
    line_column: str = "network"
    panel_column: str = "transformations"
    ylabel: str = ""
    share_y: bool = True
    log_y: bool = False
    meanings: str = ""
    columns: int | None = None
    part: str = ""
    departures: Sequence[str] = ()
    usual: Sequence[MeasureSpec] | None = None

    @classmethod
    def of(cls, *, measures: Sequence[str], lines: Lines, **fields: Any) -> "ProfilePlan":
        """The plan of those lines that hold a measure to show.

        Errors: InputError if no line does, or if one does not hold the first measure, which claims are about.
        """
        kept = {dataset: _shown(panels, measures) for dataset, panels in lines.items()}
        kept = {dataset: panels for dataset, panels in kept.items() if panels}
        lacking = [
            (panel, measures[0])
            for panels in kept.values()
            for panel, shown in panels.items()
            for line in shown
            if line.measure is None and not _holds(line, measures[0])
        ]
        if lacking or not kept:
            panel, measure = lacking[0] if lacking else ("the chosen sets", measures[0])
            raise InputError(
                f"{measure} cannot be measured under {panel}: its transformations cannot be undone on feature maps; "
                "name another measure first, or leave the set out of 'transformation_sets'"
            )
        return cls(measures=measures, lines=kept, **fields)

    def shown(self, measure: str) -> dict[str, dict[str, Sequence[Line]]]:
        """The lines that a figure of one measure shows, by dataset and panel."""
        kept = {dataset: _shown(panels, [measure]) for dataset, panels in self.lines.items()}
        return {dataset: panels for dataset, panels in kept.items() if panels}

    def cells(self, dataset: str | None = None) -> list[MeasureSpec]:
        """The cells of one dataset, or of all, each once."""
        cells = (
            cell
            for name, panels in self.lines.items()
            if dataset in (None, name)
            for lines in panels.values()
            for line in lines
            for cell in line.cells
        )
        return list(dict.fromkeys(cells))

    def outputs(self) -> Outputs:
        """The figures of each dataset, and the table."""
        figures = [
            self._name(dataset, measure)
            for dataset in self.lines
            for measure in self.measures
            if dataset in self.shown(measure)
        ]
        return Outputs(figures, [self._table])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> dict[str, Drawn]:
        """Draw the figures, write the table, and return the lines by measure for what else is to be told."""
        import pandas as pd

        found = {measure: self.series(results, measure) for measure in self.measures}
        for measure, drawn in found.items():
            self._draw_figures(study, canvas, measure, drawn)
        rows = [
            {
                "dataset": dataset,
                self.panel_column: panel,
                "measure": label(line.measure or measure),
                self.line_column: line.label,
                **summary(series),
            }
            for measure, drawn in found.items()
            for dataset, panels in drawn.items()
            for panel, shown in panels.items()
            for line, series in zip(self.shown(measure)[dataset][panel], shown, strict=True)
        ]
        frame = pd.DataFrame(rows)
        printed = frame.drop(columns=["layers", "seeds", "values", "undefined"])
        canvas.table(self._table, frame, self.caption(study, found), printed=printed)
        return found

    def caption(
        self, study: Study, found: Mapping[str, Drawn], dataset: str | None = None, more: str = ""
    ) -> "Caption":
        """The caption of one dataset, or of all, for some measures; ``more`` follows the setting."""
        shown = [dataset] if dataset else list(self.lines)
        series = [
            line
            for drawn in found.values()
            for name in shown
            for panel in drawn.get(name, {}).values()
            for line in panel
        ]
        bands = "Lines: mean over seeds; bands: from the lowest to the highest seed."
        several = bands if any(len(line.profiles) > 1 for line in series) else ""
        meanings = [self.meanings] if self.meanings else map(captions.measure_in_words, self._measures(found))
        title = f"{' and '.join(map(label, found))}: {self.title}" if not self.ylabel else self.title
        return captions.caption(
            study,
            self.experiment,
            self.cells(dataset),
            title=f"{title}, {' and '.join(shown)}",
            question=self.question,
            setting=[*captions.sentences(self.setting), several, *meanings, *self._left_out(found, shown), more],
            counts=counted(series),
            departures=self.departures,
            usual=self.usual,
        )

    def _left_out(self, found: Iterable[str], datasets: Iterable[str]) -> Iterable[str]:
        """A sentence on each measure that some panels do not have."""
        for measure in found:
            kept = self.shown(measure)
            panels = (panel for name in datasets for panel in self.lines[name] if panel not in kept.get(name, {}))
            if absent := ", ".join(dict.fromkeys(panels)):
                yield f"{label(measure)} is not shown for {absent}: these transformations cannot be undone."

    def _draw_figures(self, study: Study, canvas: "Canvas", measure: str, drawn: Drawn) -> None:
        from cnn_invariance.plotting import profile_figure

        for dataset, panels in drawn.items():
            ylabel = self.ylabel or label(measure)
            figure = profile_figure(
                panels,
                ylabel=ylabel,
                axis=self.axis,
                columns=self.columns,
                share_y=self.share_y,
                log_y=self.log_y,
            )
            caption = self.caption(study, {measure: drawn}, dataset)
            canvas.figure(self._name(dataset, measure), figure, caption)

    @property
    def _table(self) -> str:
        return f"{self.experiment}_{self.part}" if self.part else self.experiment

    def _name(self, dataset: str, measure: str) -> str:
        parts = [self.experiment, dataset, *filter(None, [self.part])]
        return "_".join(parts if measure == self.measures[0] else [*parts, slug(measure)])

    def _measures(self, found: Iterable[str]) -> list[str]:
        """The measures of some figures, each once."""
        own = [
            line.measure
            for panels in self.lines.values()
            for lines in panels.values()
            for line in lines
            if line.measure is not None
        ]
        return list(dict.fromkeys(own or found))

    def series(self, results: "Results", measure: str) -> Drawn:
        """The lines of one measure, by dataset and panel, as they are drawn."""
        from cnn_invariance.plotting import Series, looks, sequential_looks

        choose = sequential_looks if self.ordered else looks
        return {
            dataset: {
                panel: [
                    Series(line.label, [results.profile(cell, line.measure or measure) for cell in line.cells], look)
                    for line, look in zip(lines, choose(len(lines)), strict=True)
                ]
                for panel, lines in panels.items()
            }
            for dataset, panels in self.shown(measure).items()
        }


def _holds(line: Line, measure: str) -> bool:
    """Whether the cells of a line hold its own measure, or this one if it has none."""
    return all((line.measure or measure) in cell.measures for cell in line.cells)


def _shown(panels: Mapping[str, Sequence[Line]], measures: Sequence[str]) -> dict[str, Sequence[Line]]:
    """The panels with the lines that hold one of these measures, without those that have none."""
    kept = {
        panel: [line for line in lines if any(_holds(line, measure) for measure in measures)]
        for panel, lines in panels.items()
    }
    return {panel: lines for panel, lines in kept.items() if lines}


def cells_of(plans: Iterable[ProfilePlan]) -> list[MeasureSpec]:
    """The cells of several plans, each once."""
    return list(dict.fromkeys(cell for plan in plans for cell in plan.cells()))


def values(results: "Results", cells: Iterable[MeasureSpec], measure: str) -> list["np.ndarray"]:
    """The profile of each cell, (L,)."""
    return [results.profile(cell, measure)["value"].to_numpy(dtype=float) for cell in cells]


def slug(measure: str) -> str:
    """A measure as part of a file name.

    >>> slug("NVSE[aggregate=mean]"), slug("ND[per=map,normalize=true]")
    ('NVSE', 'ND_of_units_per_map_normalize_true')
    """
    return re.sub(r"[^A-Za-z0-9.]+", "_", label(measure)).strip("_").replace(".", "")


def summary(line: "Series") -> dict[str, object]:
    """A line in numbers: its mean over layers, where it is lowest, and what was left out.

    ``mean`` and ``lowest`` are those of the mean over seeds; layers without a finite value are left
    out of both. ``lowest_depth`` is in per cent. Values (of units, or of feature maps) are counted
    over all layers and seeds.
    """
    found = line.lowest()
    return {
        "layers": len(line.middle()),
        "seeds": len(line.profiles),
        "mean": line.mean(),
        "lowest": None if found is None else float(line.middle()[found]),
        "lowest_layer": None if found is None else line.profiles[0]["layer"].iloc[found],
        "lowest_depth": None if found is None else round(float(line.places("depth")[found])),
        **{name: int(line.count(column).sum()) for name, column in COUNTS.items()},
    }


COUNTS = {"values": "units", "infinite": "infinite", "undefined": "nan", "dead": "dead"}


def counted(lines: Sequence["Series"]) -> str:
    """How many values were left out of the layers' means, and how many of those in them are dead."""
    totals = {name: sum(int(line.count(c).sum()) for line in lines) for name, c in COUNTS.items()}
    out = [f"{totals[kind]:,} {kind}" for kind in ("infinite", "undefined") if totals[kind]]
    first = (
        f"Left out of the layers' means: {' and '.join(out)} of {totals['values']:,} values"
        if out
        else f"None of the {totals['values']:,} values is infinite or undefined"
    )
    return f"{first}; {totals['dead']:,} are dead (0/0, counted as 1)."

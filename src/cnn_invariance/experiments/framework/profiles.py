"""Figures of layer profiles: which lines are drawn in which panel, and from which cells.

The figures, the table and their captions follow from the plan.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.choices import label
from cnn_invariance.experiments.framework.experiment import Outputs
from cnn_invariance.measures.requests import better, check
from cnn_invariance.paper import captions
from cnn_invariance.statistics.lines import COUNTS, counted, summary
from cnn_invariance.study import MeasureSpec, Study

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from cnn_invariance.plotting import Canvas, Caption, Series
    from cnn_invariance.results import Results

BANDS = "Lines: mean over seeds; bands: from the lowest to the highest seed."


class Line(NamedTuple):
    """A line to be drawn: its label, its cells, one for each seed, and its measure (None: the figure's).

    without: the layers that it leaves out, by a part of the names of their classes; the others are numbered anew
    """

    label: str
    cells: Sequence[MeasureSpec]
    measure: str | None = None
    without: str = ""

    def holds(self, measure: str) -> bool:
        """Whether its cells hold its own measure, or this one if it has none."""
        return all((self.measure or measure) in cell.measures for cell in self.cells)

    def tables(self, results: "Results", measure: str) -> list["pd.DataFrame"]:
        """The profile of each cell as a table, of its own measure, or of this one if it has none."""
        found = [results.profile(cell, self.measure or measure) for cell in self.cells]
        return [_left_out(table, self.without) for table in found] if self.without else found


Lines = Mapping[str, Mapping[str, Sequence[Line]]]
"""Lines by dataset and panel."""

Note = Callable[["Results", Sequence[Line]], str]

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
    lines:       by dataset and by panel; lines of one label have one look; only those that can be shown are kept
    ordered:     whether the lines of a panel have an order, which their colours then show
    line_column: what a line is, the name of its column in the table
    ylabel:      of lines with measures of their own; else the measure is the label
    log_y:       whether the axis of values is logarithmic
    marked:      the layers that are marked, by a part of the names of their classes
    note:        what the legend says in brackets behind the label of lines, of those of all panels that share the label
    meanings:    what the measures are, in words; else a sentence on each
    columns:     how many panels stand side by side at most (None: as `plotting.profile_figure` chooses)
    rows:        how many panels stand one below the other (None: as ``columns`` says)
    part:        of an experiment with several plans, what tells the names of this one's figures and table from theirs
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
    marked: str = ""
    note: "Note | None" = None
    meanings: str = ""
    columns: int | None = None
    rows: int | None = None
    part: str = ""
    usual: Sequence[MeasureSpec] | None = None

    @classmethod
    def of(cls, *, measures: Sequence[str], lines: Lines, **fields: Any) -> "ProfilePlan":
        """The plan of those lines that hold a measure to show.

        Errors: InputError if no line does, or if one does not hold the first measure, which claims are about.
        """
        kept, first = _shown(lines, measures), measures[0]
        each = ((panel, line) for panels in kept.values() for panel, shown in panels.items() for line in shown)
        lacking = [panel for panel, line in each if not line.measure and not line.holds(first)]
        if lacking or not kept:
            raise InputError(
                f"{first} cannot be measured under {lacking[0] if lacking else 'the chosen sets'}: its transformations "
                "cannot be undone on feature maps; name another measure first, or leave the set out of "
                "'transformation_sets'"
            )
        return cls(measures=measures, lines=kept, **fields)

    def shown(self, measure: str) -> Lines:
        """The lines that a figure of one measure shows, by dataset and panel."""
        return _shown(self.lines, [measure])

    def all_lines(self, dataset: str | None = None) -> Iterator[Line]:
        """The lines of one dataset, or of all."""
        chosen = self.lines if dataset is None else [dataset]
        return (line for name in chosen for lines in self.lines[name].values() for line in lines)

    def cells(self, dataset: str | None = None) -> list[MeasureSpec]:
        """The cells of one dataset, or of all, each once."""
        return list(dict.fromkeys(cell for line in self.all_lines(dataset) for cell in line.cells))

    def outputs(self) -> Outputs:
        """The figures of each dataset, and the table."""
        both = ((dataset, measure) for dataset in self.lines for measure in self.measures)
        return Outputs([self._name(*each) for each in both if each[0] in self.shown(each[1])], [self._table])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> dict[str, Drawn]:
        """Draw the figures, write the table, and return the lines by measure for what else is to be told."""
        import pandas as pd

        from cnn_invariance.plotting import profile_figure

        found = {measure: self.series(results, measure) for measure in self.measures}
        rows = []
        for measure, drawn in found.items():
            for dataset, panels in drawn.items():
                figure = profile_figure(
                    panels,
                    ylabel=self.ylabel or label(measure),
                    axis=self.axis,
                    columns=self._beside(len(panels)),
                    share_y=self.share_y,
                    log_y=self.log_y,
                    marked=self.marked,
                )
                caption = self.caption(study, {measure: drawn}, dataset)
                canvas.figure(self._name(dataset, measure), figure, caption)
                rows += [
                    {
                        "dataset": dataset,
                        self.panel_column: panel,
                        "measure": label(line.measure or measure),
                        self.line_column: line.label,
                        **summary(series, better(check(line.measure or measure))),
                    }
                    for panel, shown in panels.items()
                    for line, series in zip(self.shown(measure)[dataset][panel], shown, strict=True)
                ]
        frame = pd.DataFrame(rows)
        printed = frame.drop(columns=["layers", "seeds", *COUNTS])
        canvas.table(self._table, frame, self.caption(study, found), printed=printed)
        return found

    def caption(
        self, study: Study, found: Mapping[str, Drawn], dataset: str | None = None, more: str = ""
    ) -> "Caption":
        """The caption of one dataset, or of all, for some measures; ``more`` follows the setting."""
        shown = [dataset] if dataset else list(self.lines)
        drawn = (
            panel for by_dataset in found.values() for name in shown for panel in by_dataset.get(name, {}).values()
        )
        series = [line for panel in drawn for line in panel]
        several = BANDS if any(len(line.profiles) > 1 for line in series) else ""
        measures = dict.fromkeys(line.measure for line in self.all_lines() if line.measure) or found
        meanings = [self.meanings] if self.meanings else map(captions.measure_in_words, measures)
        title = self.title if self.ylabel else f"{' and '.join(map(label, found))}: {self.title}"
        return captions.caption(
            study,
            self.experiment,
            self.cells(dataset),
            title=f"{title}, {' and '.join(shown)}",
            question=self.question,
            setting=[*captions.sentences(self.setting), several, *meanings, *self._left_out(found, shown), more],
            counts=counted(table for line in series for table in line.profiles),
            usual=self.usual,
        )

    def series(self, results: "Results", measure: str) -> Drawn:
        """The lines of one measure, by dataset and panel, as they are drawn."""
        from cnn_invariance.plotting import Series, looks, sequential_looks

        def drawn(panels: Mapping[str, Sequence[Line]]) -> dict[str, list[Series]]:
            alike: dict[str, list[Line]] = {}
            for line in chain.from_iterable(panels.values()):
                alike.setdefault(line.label, []).append(line)
            notes = {label: f" ({self.note(results, lines)})" if self.note else "" for label, lines in alike.items()}
            look = dict(zip(alike, (sequential_looks if self.ordered else looks)(len(alike)), strict=True))
            return {
                panel: [
                    Series(line.label + notes[line.label], line.tables(results, measure), look[line.label])
                    for line in lines
                ]
                for panel, lines in panels.items()
            }

        return {dataset: drawn(panels) for dataset, panels in self.shown(measure).items()}

    def _left_out(self, found: Iterable[str], datasets: Iterable[str]) -> Iterable[str]:
        """A sentence on each measure that some panels do not have."""
        for measure in found:
            kept = self.shown(measure)
            panels = (panel for name in datasets for panel in self.lines[name] if panel not in kept.get(name, {}))
            if absent := ", ".join(dict.fromkeys(panels)):
                yield f"{label(measure)} is not shown for {absent}: these transformations cannot be undone."

    def _beside(self, panels: int) -> int | None:
        """How many panels stand side by side (None: as the figure chooses)."""
        return -(-panels // self.rows) if self.rows else self.columns and min(self.columns, panels)

    @property
    def _table(self) -> str:
        return f"{self.experiment}_{self.part}" if self.part else self.experiment

    def _name(self, dataset: str, measure: str) -> str:
        parts = (self.experiment, dataset, self.part, "" if measure == self.measures[0] else slug(measure))
        return "_".join(filter(None, parts))


def _shown(lines: Lines, measures: Sequence[str]) -> Lines:
    """The lines that hold one of these measures, without the panels and datasets that have none."""
    kept = {
        dataset: {
            panel: held
            for panel, lines in panels.items()
            if (held := [line for line in lines if any(map(line.holds, measures))])
        }
        for dataset, panels in lines.items()
    }
    return {dataset: panels for dataset, panels in kept.items() if panels}


def _left_out(table: "pd.DataFrame", part: str) -> "pd.DataFrame":
    out = table["kind"].str.contains(part)
    return table.assign(layer_index=table["layer_index"] - out.cumsum())[~out].reset_index(drop=True)


def values(results: "Results", cells: Iterable[MeasureSpec], measure: str) -> list["np.ndarray"]:
    """The profile of each cell, (L,)."""
    return [results.profile(cell, measure)["value"].to_numpy(dtype=float) for cell in cells]


def slug(measure: str) -> str:
    """A measure as part of a file name, in which maps go without saying.

    >>> slug("NVSE[aggregate=mean]"), slug("ND[per=unit]"), slug("NDSE[normalize=true]")
    ('NVSE', 'ND_of_units', 'NDSE_normalize_true')
    """
    return re.sub(r"[^A-Za-z0-9.]+", "_", label(measure).replace(" of maps", "")).strip("_").replace(".", "")

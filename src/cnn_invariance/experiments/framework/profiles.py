"""Figures of layer profiles: which lines are drawn in which panel, and from which cells.

The figures, the table and their captions follow from the plan.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.choices import label
from cnn_invariance.experiments.framework.experiment import Outputs
from cnn_invariance.measures.requests import QUOTIENTS, better, check
from cnn_invariance.paper import captions
from cnn_invariance.paper.words import enumerated
from cnn_invariance.statistics.lines import COUNTS, counted, summary
from cnn_invariance.study import MeasureSpec, Study

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

    from cnn_invariance.plotting import Canvas, Caption, Look, Series, Values
    from cnn_invariance.plotting.style import Family
    from cnn_invariance.results import Results

SEEDS = "Lines with marks: mean over seeds."
TOPS = {"NV[aggregate=mean]": 1.6}
"""Where the axis of a measure ends in all figures of the study; what lies above is drawn as arrows."""
TOGETHER = 3
"""So many measures stand in one figure at most, below each other; with two datasets, it fills a page."""


class Line(NamedTuple):
    """A line to be drawn: its label, its cells, one for each seed, and its measure (None: the figure's).

    without: the layers that it leaves out, by a part of the names of their classes; the others are numbered anew
    at:      where it lies on the axis of a figure of all lines: the number of samples, the epoch, ...
    """

    label: str
    cells: Sequence[MeasureSpec]
    measure: str | None = None
    without: str = ""
    at: float | None = None

    def holds(self, measure: str) -> bool:
        """Whether its cells hold its own measure, or this one if it has none."""
        return all((self.measure or measure) in cell.measures for cell in self.cells)

    def tables(self, results: "Results", measure: str) -> list["pd.DataFrame"]:
        """The profile of each cell as a table, of its own measure, or of this one if it has none."""
        found = [results.profile(cell, self.measure or measure) for cell in self.cells]
        return [_left_out(table, self.without) for table in found] if self.without else found

    def values(self, results: "Results", measure: str) -> list["np.ndarray"]:
        """The values of the same profiles, (L,)."""
        if self.without:
            return [table["value"].to_numpy(dtype=float) for table in self.tables(results, measure)]
        return values(results, self.cells, self.measure or measure)


Lines = Mapping[str, Mapping[str, Sequence[Line]]]
"""Lines by dataset and panel."""

Chart = Callable[["ProfilePlan", Study, "Results", Mapping[str, "Drawn"]], "Figure"]
"""What draws one figure of the lines of all measures in place of profiles; see `framework.charts`."""

Drawn = dict[str, dict[str, list["Series"]]]
"""The lines of one measure as they were drawn, by dataset and panel."""


@dataclass(frozen=True)
class ProfilePlan:
    """Figures of profiles, with a row of panels for each measure and dataset; and a table of all lines.

    A figure shows at most `TOGETHER` measures; where it is drawn for one column of a page, one.

    Under a set whose transformations cannot be undone, same-equivariance is not measured: a line is left out where its
    cells do not hold its measure, a panel where it has no line, and a figure where it has no panel.

    experiment:  its id, with which the names of figures and table begin
    title:       of figures and table, completed by the measure and the name of the dataset
    measures:    whose profiles; a figure is named by its first, and that of the first of all without it
    lines:       by dataset and by panel; lines of one label have one look; only those that can be shown are kept
    ordered:     whether the lines of a panel have an order, which their colours then show
    line_column: what a line is, the name of its column in the table
    ylabel:      of lines with measures of their own; else the measure is the label
    log_y:       whether the axis of values is logarithmic (None: where values span too much for a linear one)
    family:      what the labels of the lines are, if they are networks, sets or datasets: these have looks of their own
    marked:      the layers that are marked, by a part of the names of their classes
    explained:   the measures that the caption explains (None: each that is shown)
    columns:     how many panels of a dataset stand side by side at most
    rows:        how many panels of a dataset stand one below the other (None: as ``columns`` says)
    chart:       what draws one figure of all measures in place of figures of profiles
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
    log_y: bool | None = None
    family: "Family | None" = None
    marked: str = ""
    explained: Sequence[str] | None = None
    columns: int = 4
    rows: int | None = None
    chart: Chart | None = None
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
        """The figures, or one of all; and the table."""
        figures = [self.measures] if self.chart else _in_figures(filter(self.shown, self.measures), TOGETHER)
        return Outputs([self._name(first) for first, *_ in figures], [self._table])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> dict[str, Drawn]:
        """Draw the figures, write the table, and return the lines by measure for what else is to be told."""
        from cnn_invariance.plotting.style import is_one_column

        found = {measure: self.series(study, results, measure) for measure in self.measures}
        if self.chart:
            figure = self.chart(self, study, results, found)
            canvas.figure(self._name(self.measures[0]), figure, self.caption(study, found))
        else:
            shown = filter(found.get, self.measures)
            for measures in _in_figures(shown, 1 if is_one_column() else TOGETHER):
                drawn = {measure: found[measure] for measure in measures}
                canvas.figure(self._name(measures[0]), self.figure(drawn), self.caption(study, drawn))
        self.write_table(study, canvas, found)
        return found

    def write_table(self, study: Study, canvas: "Canvas", found: Mapping[str, Drawn]) -> None:
        """Write the table of all lines, by measure."""
        import pandas as pd

        frame = pd.DataFrame(self._rows(found))
        printed = frame.drop(columns=["layers", "seeds", *COUNTS])
        canvas.table(self._table, frame, self.caption(study, found), printed=printed)

    def _rows(self, found: Mapping[str, Drawn]) -> Iterator[dict[str, object]]:
        """A row of the table for each line of each measure."""
        for measure, drawn in found.items():
            for dataset, panels in drawn.items():
                for panel, series in panels.items():
                    for line, one in zip(self.shown(measure)[dataset][panel], series, strict=True):
                        request = line.measure or measure
                        yield {
                            "dataset": dataset,
                            self.panel_column: panel,
                            "measure": label(request),
                            self.line_column: line.label,
                            **summary(one, better(check(request))),
                        }

    def figure(self, drawn: Mapping[str, Drawn]) -> "Figure":
        """A figure of some measures: for each, a row for each dataset, whose panels may go on in the next."""
        from cnn_invariance.plotting import facet_figure

        most = max(len(panels) for of_measure in drawn.values() for panels in of_measure.values())
        columns = -(-most // self.rows) if self.rows else self.columns
        facets = [(self._values(measure), of_measure) for measure, of_measure in drawn.items()]
        return facet_figure(facets, axis=self.axis, columns=columns, marked=self.marked)

    def _values(self, measure: str) -> "Values":
        """The axis of a measure's values, the same in each figure that shows it."""
        from cnn_invariance.plotting import Values

        reference = 1.0 if not self.ylabel and check(measure).name in QUOTIENTS else None
        return Values(self.ylabel or label(measure), self.share_y, self.log_y, TOPS.get(measure), reference)

    def caption(self, study: Study, found: Mapping[str, Drawn], more: str = "") -> "Caption":
        """The caption of some measures; ``more`` follows the setting."""
        shown = list(self.lines)
        drawn = (panel for by_dataset in found.values() for panels in by_dataset.values() for panel in panels.values())
        series = [line for panel in drawn for line in panel]
        several = SEEDS if any(len(line.profiles) > 1 for line in series) else ""
        explained = dict.fromkeys(line.measure for line in self.all_lines() if line.measure) or found
        title = self.title if self.ylabel else f"{enumerated(list(map(label, found)))}: {self.title}"
        return captions.caption(
            study,
            self.experiment,
            self.cells(),
            title=f"{title}, {' and '.join(shown)}",
            question=self.question,
            setting=[*captions.sentences(self.setting), several, *self._left_out(found, shown), more],
            measures=explained if self.explained is None else self.explained,
            counts=counted(table for line in series for table in line.profiles),
            usual=self.usual,
        )

    def series(self, study: Study, results: "Results", measure: str) -> Drawn:
        """The lines of one measure, by dataset and panel, as they are drawn."""
        from cnn_invariance.plotting import Series

        shown = self.shown(measure)
        look = self._looks(study, list(dict.fromkeys(line.label for line in self.all_lines())))
        return {
            dataset: {
                panel: [Series(line.label, line.tables(results, measure), look[line.label]) for line in lines]
                for panel, lines in panels.items()
            }
            for dataset, panels in shown.items()
        }

    def _looks(self, study: Study, labels: Sequence[str]) -> dict[str, "Look"]:
        from cnn_invariance.plotting import family_looks, looks, sequential_looks

        if self.family:
            return family_looks(
                self.family, {"network": study.models, "set": study.sets, "dataset": study.datasets}[self.family]
            )
        return dict(zip(labels, (sequential_looks if self.ordered else looks)(len(labels)), strict=True))

    def _left_out(self, found: Iterable[str], datasets: Iterable[str]) -> Iterable[str]:
        """A sentence on each measure that some panels do not have."""
        for measure in found:
            kept = self.shown(measure)
            panels = (panel for name in datasets for panel in self.lines[name] if panel not in kept.get(name, {}))
            if absent := ", ".join(dict.fromkeys(panels)):
                yield f"{label(measure)} is not shown for {absent}: these transformations cannot be undone."

    @property
    def _table(self) -> str:
        return f"{self.experiment}_{self.part}" if self.part else self.experiment

    def _name(self, measure: str) -> str:
        parts = (self.experiment, self.part, "" if measure == self.measures[0] else slug(measure))
        return "_".join(filter(None, parts))


def _in_figures(measures: Iterable[str], most: int) -> list[list[str]]:
    """The measures of each figure: at most so many, and as evenly as can be.

    >>> _in_figures("abcde", 3), _in_figures("abcdefg", 3)
    ([['a', 'b', 'c'], ['d', 'e']], [['a', 'b', 'c'], ['d', 'e'], ['f', 'g']])
    """
    left, found = list(measures), list[list[str]]()
    while left:
        size = -(-len(left) // -(-len(left) // most))
        found.append(left[:size])
        left = left[size:]
    return found


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
    return [results.values(cell, measure) for cell in cells]


def slug(measure: str) -> str:
    """A measure as part of a file name, in which maps go without saying.

    >>> slug("NVSE[aggregate=mean]"), slug("ND[per=unit]"), slug("NDSE[normalize=true]")
    ('NVSE', 'ND_of_units', 'NDSE_normalize_true')
    """
    return re.sub(r"[^A-Za-z0-9.]+", "_", label(measure).replace(" of maps", "")).strip("_").replace(".", "")

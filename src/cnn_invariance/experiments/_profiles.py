"""Experiments that compare layer profiles: which lines are drawn in which panel, and from which cells.

Such an experiment says its plan, `ProfilePlan`; the figures, the table and their captions follow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from cnn_invariance.experiments import _captions
from cnn_invariance.experiments._choices import label
from cnn_invariance.study import MeasureSpec, Outputs, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas, Series
    from cnn_invariance.results import Results


class Line(NamedTuple):
    """A line to be drawn: its label, and its cells, one for each seed."""

    label: str
    cells: Sequence[MeasureSpec]


Drawn = dict[str, dict[str, list["Series"]]]
"""The lines as they were drawn, by dataset and panel."""


@dataclass(frozen=True)
class ProfilePlan:
    """A figure of profiles for each dataset, with panels of lines, and a table of all lines.

    experiment:  its id, with which the names of figures and table begin
    title:       of figures and table, completed by the name of the dataset
    lines:       by dataset and by panel, the same number in each panel
    ordered:     whether the lines of a panel have an order, which their colours then show
    line_column: what a line is, the name of its column in the table
    """

    experiment: str
    title: str
    question: str
    setting: str
    measure: str
    lines: Mapping[str, Mapping[str, Sequence[Line]]]
    axis: Literal["layer", "depth"] = "layer"
    ordered: bool = False
    line_column: str = "network"

    def cells(self, dataset: str | None = None) -> list[MeasureSpec]:
        """The cells of one dataset, or of all."""
        return [
            cell
            for name, panels in self.lines.items()
            if dataset in (None, name)
            for lines in panels.values()
            for line in lines
            for cell in line.cells
        ]

    def outputs(self, *tables: str) -> Outputs:
        """The figure of each dataset, the table, and further tables."""
        figures = [f"{self.experiment}_{dataset}" for dataset in self.lines]
        return Outputs(figures, [self.experiment, *tables])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> Drawn:
        """Draw the figures, write the table, and return the lines for what else is to be told."""
        import pandas as pd

        from cnn_invariance.plotting import profile_figure

        drawn = {dataset: self._drawn(results, dataset) for dataset in self.lines}
        for dataset, panels in drawn.items():
            figure = profile_figure(panels, ylabel=label(self.measure), axis=self.axis)
            caption = self.caption(study, drawn, dataset)
            canvas.figure(f"{self.experiment}_{dataset}", figure, caption)
        rows = [
            {"dataset": dataset, "transformations": panel, self.line_column: line.label, **summary(line)}
            for dataset, panels in drawn.items()
            for panel, lines in panels.items()
            for line in lines
        ]
        frame = pd.DataFrame(rows)
        printed = frame.drop(columns=["layers", "seeds", "values", "undefined"])
        canvas.table(self.experiment, frame, self.caption(study, drawn), printed=printed)
        return drawn

    def caption(self, study: Study, drawn: Drawn, dataset: str | None = None, more: str = "") -> str:
        """The caption of one dataset, or of all; ``more`` follows the setting."""
        shown = [dataset] if dataset else list(self.lines)
        lines = [line for name in shown for panel in drawn[name].values() for line in panel]
        bands = "Lines: mean over seeds; bands: from the lowest to the highest seed."
        several = bands if len(lines[0].profiles) > 1 else ""
        return _captions.caption(
            study,
            self.experiment,
            self.cells(dataset),
            title=f"{self.title}, {' and '.join(shown)}",
            question=self.question,
            setting=" ".join(filter(None, [self.setting, several, _captions.of_measure(self.measure), more])),
            counts=counted(lines),
        )

    def _drawn(self, results: "Results", dataset: str) -> dict[str, list["Series"]]:
        from cnn_invariance.plotting import Series, looks, sequential_looks

        choose = sequential_looks if self.ordered else looks
        return {
            panel: [
                Series(line.label, [results.profile(cell, self.measure) for cell in line.cells], look)
                for line, look in zip(lines, choose(len(lines)), strict=True)
            ]
            for panel, lines in self.lines[dataset].items()
        }


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

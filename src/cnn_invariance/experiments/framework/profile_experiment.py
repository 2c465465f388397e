"""An experiment on layer profiles: which lines stand in which panel, and what is claimed of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.choice import Choice, OneModel
from cnn_invariance.experiments.framework.claims import Claim, Finding
from cnn_invariance.experiments.framework.experiment import Outputs, Overview, Row
from cnn_invariance.experiments.framework.panels import MeasuredPanel, Panel, ProfileClaim
from cnn_invariance.experiments.framework.profiles import Drawn, Line, Lines, ProfilePlan
from cnn_invariance.paper import captions
from cnn_invariance.statistics.lines import Rows
from cnn_invariance.study import Cell, MeasureSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results

ALIKE = (
    "Each network is trained with the transformation set of the panel as augmentation, and measured under the same set"
)
STRIPS = "The strips show the kinds of layers."
DEPTH = "Layers by relative depth: the first at 0 %, the last at 100 %."


class ProfilesOfModels(Choice):
    """Profiles of some models, in a panel for each transformation set.

    Class variables:

    claims:    what is claimed of each dataset
    title:     of figures and table, and ``setting``: what the reader must know; both may name fields, as ``{model}``
    shown:     the measures shown where the preset has them and the option ``measures`` names none
    drawing:   further arguments of `ProfilePlan`: ``axis``, ``ordered``, ``line_column``, ...
    reference: where the experiment varies sizes itself, the cells whose sizes captions compare with the author's: those
               of the line at a place; None: all cells
    further:   tables beside that of all lines: functions that give their rows, see `statistics.lines.Rows`
    in_overview: the place and the title of its profiles in the overview; None: they are not shown there

    Fields: labels of the preset (None: all, or see above); ``seeds``: how many of the preset's seeds (several: a band).
    """

    claims: ClassVar[Sequence[Claim]] = ()
    title: ClassVar[str]
    setting: ClassVar[str]
    shown: ClassVar[Sequence[str]] = choices.HEADLINES
    drawing: ClassVar[Mapping[str, Any]] = {}
    reference: ClassVar[int | None] = None
    further: ClassVar[Sequence[Rows]] = ()
    in_overview: ClassVar[tuple[int, str] | None] = None

    measures: choices.Labels = None
    seeds: int = Field(1, ge=1)

    def panel(self, at: Panel) -> Iterable[Line]:
        """The lines of one panel; an experiment that defines ``panels`` itself has no need of it."""
        raise InputError(f"{self.name}: its class defines neither `panel` nor `panels`; define one of them")

    def panels(self, study: Study, dataset: str) -> Mapping[str, Sequence[Line]]:
        """The panels of a dataset by their titles: one for each set."""
        return {at.label: list(self.panel(at)) for at in self.at(study, dataset)}

    def at(self, study: Study, dataset: str) -> list[Panel]:
        """A panel of a dataset for each set, to make lines in."""
        return [Panel(study, self, dataset, label) for label in self.sets(study)]

    def check(self, study: Study) -> None:
        """Raise InputError for options that do not fit together."""

    def requests(self, study: Study) -> Sequence[str]:
        """The measures shown, as results name them."""
        return choices.measures(study, self.measures, self.shown)

    def words(self, study: Study) -> Mapping[str, object]:
        """What ``title``, ``setting`` and ``ylabel`` may name: the fields, and the measures as ``labels``."""
        return {**dict(self), "labels": ", ".join(map(choices.label, self.requests(study)))}

    def plans(self, study: Study) -> Sequence[ProfilePlan]:
        """What it draws: one plan, of all its panels."""
        datasets = self.grid(study).datasets
        self.requests(study)
        self.check(study)
        return [self.plan(study, {dataset: self.panels(study, dataset) for dataset in datasets})]

    def plan(
        self, study: Study, lines: Lines, words: Mapping[str, object] | None = None, **changes: Any
    ) -> ProfilePlan:
        """The plan of some lines; where each has a measure of its own, of the first measure alone.

        words:   further ones that ``title``, ``setting`` and ``ylabel`` may name
        changes: other arguments of `ProfilePlan` than those of the class
        """
        own = all(line.measure for panels in lines.values() for shown in panels.values() for line in shown)
        requests = self.requests(study)
        fields: dict[str, Any] = {
            "title": self.title,
            "setting": self.setting,
            "measures": requests[:1] if own else requests,
            "usual": self._reference_cells(lines),
            **self.drawing,
            **changes,
        }
        named = {**self.words(study), **(words or {})}
        fields |= {name: fields[name].format_map(named) for name in ("title", "ylabel") if name in fields}
        fields["setting"] = [text.format_map(named) for text in captions.sentences(fields["setting"])]
        return ProfilePlan.of(experiment=self.name, question=self.question, lines=lines, **fields)

    def plans_by_set(
        self, study: Study, panels: Callable[[Panel], Mapping[str, Sequence[Line]]], **changes: Any
    ) -> list[ProfilePlan]:
        """A plan for each set, which ``title`` may name.

        panels:  of a dataset and the set
        changes: see `plan`
        """
        datasets, _, sets = self.grid(study)
        by_set = {label: {one: panels(Panel(study, self, one, label)) for one in datasets} for label in sets}
        return [self.plan(study, lines, {"set": label}, part=label, **changes) for label, lines in by_set.items()]

    def cells(self, study: Study) -> list[Cell]:
        """The cells of all lines, each once."""
        return list(dict.fromkeys(cell for plan in self.once(study, self.plans) for cell in plan.cells()))

    def outputs(self, study: Study) -> Outputs:
        """The figures and the table of each plan, and the further tables."""
        each = [plan.outputs() for plan in self.plans(study)]
        figures = [name for one in each for name in one.figures]
        tables = [name for one in each for name in one.tables]
        return Outputs(figures, [*tables, *(f"{self.name}_{rows.__name__}" for rows in self.further)])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the figures and write the tables."""
        import pandas as pd

        for plan in self.plans(study):
            drawn = plan.draw(study, results, canvas)
            for rows in self.further:
                caption = plan.caption(study, drawn, more=" ".join(str(rows.__doc__).split()))
                canvas.table(f"{self.name}_{rows.__name__}", pd.DataFrame(_all(rows, drawn)), caption)

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """A finding for each dataset and claim."""
        plans = self.once(study, self.plans)
        for dataset in dict.fromkeys(name for plan in plans for name in plan.lines):
            here = [plan for plan in plans if dataset in plan.lines]
            cells = list(dict.fromkeys(cell for plan in here for cell in plan.cells(dataset)))
            panels = [
                MeasuredPanel(plan, dataset, k, results) for plan in here for k in range(len(plan.lines[dataset]))
            ]
            tested = (claim for claim in self.claims if isinstance(claim, ProfileClaim))
            yield from (claim.finding(panels, dataset, cells) for claim in tested)

    def overview(self, study: Study, results: "Results") -> Overview:
        """The first panel of each dataset, of the first measure."""
        if self.in_overview is None:
            return Overview()
        (place, title), plan = self.in_overview, self.plans(study)[0]
        panels = {
            f"{title}: {dataset}, {first}": series
            for dataset, by_panel in plan.series(study, results, plan.measures[0]).items()
            for first, series in list(by_panel.items())[:1]
        }
        return Overview([Row(place, title, plan.measures[0], plan.axis, panels)])

    def _reference_cells(self, lines: Lines) -> list[MeasureSpec] | None:
        """The cells that captions compare with the author's settings; see ``reference``."""
        if self.reference is None:
            return None
        panels = (shown for of_dataset in lines.values() for shown in of_dataset.values())
        return [cell for shown in panels for cell in shown[self.reference].cells]


class ProfileExperiment(ProfilesOfModels, OneModel):
    """Profiles of one model, whose label in the preset is the field ``model``."""


def _all(rows: Rows, drawn: Mapping[str, Drawn]) -> Iterator[dict[str, object]]:
    for measure, datasets in drawn.items():
        for dataset, panels in datasets.items():
            yield from ({"dataset": dataset, **row} for row in rows(choices.label(measure), panels))

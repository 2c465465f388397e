"""An experiment on layer profiles: which lines stand in which panel, and what is claimed of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.claims import Claim, Finding
from cnn_invariance.experiments.framework.experiment import Experiment, Outputs
from cnn_invariance.experiments.framework.profiles import Line, Lines, ProfilePlan, cells_of, values
from cnn_invariance.statistics.intervals import POSITIVE, mean, over
from cnn_invariance.statistics.profiles import difference, pairs
from cnn_invariance.study import Cell, MeasureSpec, Study, TrainSpec

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.plotting import Canvas, Series
    from cnn_invariance.results import Results


class Panel(NamedTuple):
    """One panel of a figure, of one dataset and one transformation set; it makes the lines that stand in it."""

    study: Study
    experiment: "ProfilesOfModels"
    dataset: str
    label: str

    def networks(self, seeds: Sequence[int] | None = None, **changes: Any) -> list[TrainSpec]:
        """The experiment's model (of several, the first), trained with the set, once for each seed.

        seeds:   None: as many of the preset's as the experiment says
        changes: what is not so: arguments of `Study.network`
        """
        given = {"model": self.experiment.compared(self.study)[0], "augmentation": self.label} | changes
        chosen = choices.seeds(self.study, self.experiment.seeds) if seeds is None else seeds
        return [self.study.network(dataset=self.dataset, seed=seed, **given) for seed in chosen]

    def line(
        self, label: str, networks: Iterable[TrainSpec] | None = None, *, measure: str | None = None, **changes: Any
    ) -> Line:
        """A line of networks that are measured under the set.

        networks: None: those of `networks`
        measure:  of this line; None: the figure's
        changes:  how else they are measured: ``under`` another set, or arguments of `Study.measurement`
        """
        under = changes.pop("under", self.label)
        trained = self.networks() if networks is None else networks
        return Line(label, [self.study.measurement(one, under, **changes) for one in trained], measure)


class MeasuredPanel(NamedTuple):
    """The lines of a panel with their results, of which a statistic is computed.

    place:   of the panel among those of its dataset
    measure: of the lines that have none of their own
    """

    lines: Sequence[Line]
    place: int
    measure: str
    results: "Results"

    def profiles(self, line: int | str) -> list[np.ndarray]:
        """The profiles (L,) of a line, by its place or its label: one for each of its cells."""
        one = self._line(line)
        return values(self.results, one.cells, one.measure or self.measure)

    def tables(self, line: int | str) -> list["pd.DataFrame"]:
        """The profiles of a line as tables, which name the layers and their kinds."""
        one = self._line(line)
        return [self.results.profile(cell, one.measure or self.measure) for cell in one.cells]

    def by_seed(self) -> Iterator[tuple[np.ndarray, ...]]:
        """The profiles of all lines, seed by seed."""
        return zip(*(self.profiles(place) for place in range(len(self.lines))), strict=True)

    def _line(self, line: int | str) -> Line:
        if isinstance(line, int):
            return self.lines[line]
        return next(one for one in self.lines if one.label == line)


EMPTY: Mapping[str, object] = {}

Statistic = Callable[[MeasuredPanel], Iterable[float]]
"""The values that a panel contributes to a claim."""


@dataclass(frozen=True)
class Test:
    """A claim and the statistic that decides it: the mean over the values of all panels of a dataset.

    over:   what the values are of, in words
    within: what they can be at all
    """

    claim: Claim
    statistic: Statistic
    over: str = "sets and seeds"
    within: tuple[float, float] = POSITIVE


def claim(
    name: str,
    statement: str,
    words: str,
    statistic: Statistic,
    *,
    above: float | None = None,
    below: float | None = None,
    over: str = "sets and seeds",
    within: tuple[float, float] = POSITIVE,
) -> Test:
    """A claim, whose statistic is ``words`` in words, with what computes it; see `Claim` and `Test`.

    above, below: one of them, the threshold and its side
    """
    threshold, side = (below, "below") if above is None else (above, "above")
    if threshold is None or (above is not None and below is not None):
        raise ValueError(f"claim {name!r}: expected 'above' or 'below'")
    return Test(Claim(name, statement, words, side, threshold), statistic, over, within)  # type: ignore[arg-type]


@dataclass(frozen=True)
class FurtherTable:
    """A table beside the one of all lines.

    suffix:  of its name, behind that of the experiment
    caption: what its columns are
    rows:    its rows for one dataset, from the label of a measure and the drawn lines by panel
    """

    suffix: str
    caption: str
    rows: Callable[[str, Mapping[str, Sequence["Series"]]], Iterable[dict[str, object]]]


class ProfilesOfModels(Experiment):
    """Profiles of some models, in a panel for each transformation set.

    Class variables:

    title:     of figures and table, and ``setting``: what the reader must know; both may name fields, as ``{model}``
    shown:     the measures shown where the preset has them and the option ``measures`` names none
    combined:  whether the set "combined" is shown where the option ``transformation_sets`` names none
    drawing:   further arguments of `ProfilePlan`: ``axis``, ``ordered``, ``line_column``, ...
    tests:     the claims, each with its statistic
    reference: where the experiment varies sizes itself, the cells whose sizes captions compare with the author's: those
               of the line at a place, or ``preset``, the networks measured as the preset says; None: all cells
    further:   tables beside that of all lines

    Fields: labels of the preset (None: all, or see above); ``seeds``: how many of the preset's seeds (several: a band).
    """

    title: ClassVar[str]
    setting: ClassVar[str]
    shown: ClassVar[Sequence[str]] = choices.HEADLINES
    combined: ClassVar[bool] = False
    drawing: ClassVar[Mapping[str, Any]] = {}
    tests: ClassVar[Sequence[Test]] = ()
    reference: ClassVar[int | Literal["preset"] | None] = None
    further: ClassVar[Sequence[FurtherTable]] = ()

    datasets: choices.Labels = None
    transformation_sets: choices.Labels = None
    measures: choices.Labels = None
    seeds: int = Field(1, ge=1)

    def compared(self, study: Study) -> Sequence[str]:
        """The labels of the models."""
        raise NotImplementedError

    def panel(self, at: Panel) -> Iterable[Line]:
        """The lines of one panel."""
        raise NotImplementedError

    def panels(self, study: Study, dataset: str) -> Mapping[str, Sequence[Line]]:
        """The panels of a dataset by their titles: one for each set."""
        return {label: list(self.panel(Panel(study, self, dataset, label))) for label in self.sets(study)}

    def check(self, study: Study) -> None:
        """Raise InputError for options that do not fit together."""

    def sets(self, study: Study) -> Sequence[str]:
        """The labels of the sets chosen, checked."""
        if self.combined:
            return choices.choose("transformation set", self.transformation_sets, study.sets)
        return choices.simple_sets(study, self.transformation_sets)

    def requests(self, study: Study) -> Sequence[str]:
        """The measures shown, as results name them."""
        return choices.measures(study, self.measures, self.shown)

    def departures(self, study: Study) -> Sequence[str]:
        """What differs from the author's settings beyond the sizes that captions compare."""
        return ()

    def words(self) -> Mapping[str, object]:
        """What ``title`` and ``setting`` may name: the fields."""
        return dict(self)

    def plans(self, study: Study) -> Sequence[ProfilePlan]:
        """What it draws: one plan, of all its panels."""
        choices.choose("model", self.compared(study), study.models)
        self.requests(study)
        self.check(study)
        return [self.plan(study, {dataset: self.panels(study, dataset) for dataset in self.on(study)})]

    def plan(self, study: Study, lines: Lines, *, words: Mapping[str, object] = EMPTY, **changes: Any) -> ProfilePlan:
        """The plan of some lines.

        words:   further ones that ``title`` and ``setting`` may name
        changes: other arguments of `ProfilePlan` than those of the class
        """
        named = {**self.words(), **words}
        fields = {
            "title": self.title.format_map(named),
            "setting": self.setting.format_map(named),
            "measures": changes.get("measures") or self.requests(study),
            "departures": self.departures(study),
            "usual": self._reference_cells(study, lines),
            **self.drawing,
        }
        return ProfilePlan.of(experiment=self.name, question=self.question, lines=lines, **(fields | changes))

    def on(self, study: Study) -> Sequence[str]:
        """The labels of the datasets chosen, checked."""
        return choices.choose("dataset", self.datasets, study.datasets)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The claims of its tests."""
        return tuple(test.claim for test in self.tests)

    def cells(self, study: Study) -> list[Cell]:
        """The cells of all lines."""
        return list(cells_of(self.plans(study)))

    def outputs(self, study: Study) -> Outputs:
        """A figure for each dataset and measure, a table of all lines, and the further tables."""
        each = [plan.outputs() for plan in self.plans(study)]
        figures = [name for one in each for name in one.figures]
        tables = [name for one in each for name in one.tables]
        return Outputs(figures, [*tables, *(f"{self.name}_{table.suffix}" for table in self.further)])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the figures and write the tables."""
        for plan in self.plans(study):
            drawn = plan.draw(study, results, canvas)
            for table in self.further:
                self._write(table, plan, drawn, study, canvas)

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """A finding for each dataset and test."""
        for plan in self.plans(study):
            for dataset in plan.lines:
                for test in self.tests:
                    found = [value for panel in measured(plan, dataset, results) for value in test.statistic(panel)]
                    interval = over(found, test.over, test.within)
                    yield Finding(test.claim, (dataset,), interval, plan.cells(dataset))

    def _reference_cells(self, study: Study, lines: Lines) -> list[MeasureSpec] | None:
        """The cells that captions compare with the author's settings; see ``reference``."""
        if self.reference is None:
            return None
        if self.reference == "preset":
            places = (Panel(study, self, dataset, label) for dataset in lines for label in self.sets(study))
            return [study.measurement(one, at.label) for at in places for one in at.networks()]
        panels = (shown for of_dataset in lines.values() for shown in of_dataset.values())
        return [cell for shown in panels for cell in shown[self.reference].cells]

    def _write(self, table: FurtherTable, plan: ProfilePlan, drawn: Any, study: Study, canvas: "Canvas") -> None:
        import pandas as pd

        rows = [
            {"dataset": dataset, **row}
            for measure, datasets in drawn.items()
            for dataset, panels in datasets.items()
            for row in table.rows(choices.label(measure), panels)
        ]
        caption = plan.caption(study, drawn, more=table.caption)
        canvas.table(f"{self.name}_{table.suffix}", pd.DataFrame(rows), caption)


class ProfileExperiment(ProfilesOfModels):
    """Profiles of one model, whose label in the preset is the field ``model``."""

    model: str = "SimpleConv"

    def compared(self, study: Study) -> Sequence[str]:
        """The model."""
        return (self.model,)


def measured(plan: ProfilePlan, dataset: str, results: "Results") -> list[MeasuredPanel]:
    """The panels of a dataset with their results."""
    panels = plan.lines[dataset].values()
    return [MeasuredPanel(lines, place, plan.measures[0], results) for place, lines in enumerate(panels)]


def differences(first: int | str, second: int | str) -> Statistic:
    """The relative difference of two lines, by place or label, seed by seed."""

    def statistic(panel: MeasuredPanel) -> list[float]:
        both = zip(panel.profiles(first), panel.profiles(second), strict=True)
        return [difference(p, q) for p, q in both]

    return statistic


def apart(panel: MeasuredPanel) -> list[float]:
    """The relative difference of two profiles of the first line, mean over all pairs."""
    return [mean(pairs(panel.profiles(0)))]

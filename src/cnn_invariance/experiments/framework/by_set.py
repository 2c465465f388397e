"""Experiments whose panels are of one transformation set each, and whose figures show the sets side by side."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from cnn_invariance.experiments.framework.experiment import Outputs
from cnn_invariance.experiments.framework.panels import Panel
from cnn_invariance.experiments.framework.profile_experiment import ProfileExperiment
from cnn_invariance.experiments.framework.profiles import SEEDS, Drawn, Line, ProfilePlan
from cnn_invariance.paper import captions
from cnn_invariance.statistics.lines import counted
from cnn_invariance.study import Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas, Series
    from cnn_invariance.results import Results


class OfASet(NamedTuple):
    """The lines of a set, as they are drawn."""

    plan: ProfilePlan
    drawn: Drawn


class BySet(ProfileExperiment):
    """A figure for each dataset, with a row for each panel and a column for each set; and a table for each set.

    Lines of one label have one look, and the panels of a row one axis of values.
    """

    @abstractmethod
    def panels_of_set(self, at: Panel) -> Mapping[str, Sequence[Line]]:
        """The panels of a dataset and a set by their titles."""

    def plans(self, study: Study) -> Sequence[ProfilePlan]:
        """A plan for each set."""
        return self.plans_by_set(study, self.panels_of_set, title=f"{self.title} under {{set}}")

    def outputs(self, study: Study) -> Outputs:
        """A figure for each dataset, and the table of each set."""
        plans = self.once(study, self.plans)
        tables = [name for plan in plans for name in plan.outputs().tables]
        return Outputs([self._figure(dataset) for dataset in _datasets(plans)], tables)

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the figures and write the tables."""
        self.draw_sets(study, results, canvas)

    def draw_sets(self, study: Study, results: "Results", canvas: "Canvas") -> list[OfASet]:
        """Draw the figures, write the tables, and return what was drawn of each set for what else is to be told."""
        found = [OfASet(plan, plan.series(study, results, plan.measures[0])) for plan in self.once(study, self.plans)]
        for dataset in _datasets([one.plan for one in found]):
            self._draw(study, canvas, dataset, [one for one in found if dataset in one.drawn])
        for one in found:
            one.plan.write_table(study, canvas, {one.plan.measures[0]: one.drawn})
        return found

    def _draw(self, study: Study, canvas: "Canvas", dataset: str, found: Sequence[OfASet]) -> None:
        from cnn_invariance.plotting import Values, facet_figure

        rows: dict[str, dict[str, Sequence[Series]]] = {}
        for one in found:
            for title, series in one.drawn[dataset].items():
                rows.setdefault(title, {})[one.plan.part] = series
        figure = facet_figure([(Values(title), {"": panels}) for title, panels in rows.items()], columns=len(found))
        plan, lines = found[0].plan, [line for panels in rows.values() for series in panels.values() for line in series]
        caption = captions.caption(
            study,
            self.name,
            list(dict.fromkeys(cell for one in found for cell in one.plan.cells(dataset))),
            title=f"{self.title.format_map(self.words(study))}, {dataset}",
            question=self.question,
            setting=[*captions.sentences(plan.setting), SEEDS if any(len(one.profiles) > 1 for one in lines) else ""],
            measures=dict.fromkeys(str(line.measure) for one in found for line in one.plan.all_lines(dataset)),
            counts=counted(table for line in lines for table in line.profiles),
        )
        canvas.figure(self._figure(dataset), figure, caption)

    def _figure(self, dataset: str) -> str:
        return f"{self.name}_{dataset}"


def _datasets(plans: Sequence[ProfilePlan]) -> list[str]:
    return list(dict.fromkeys(dataset for plan in plans for dataset in plan.lines))

"""What the experiments on the parts of a network share: the base design against designs with one argument changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.claims import Claim, Finding, over, unknown
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, values
from cnn_invariance.experiments.framework.similarity import at_depths, difference, pairs
from cnn_invariance.experiments.framework.statistics import mean
from cnn_invariance.study import Cell, Closed, Outputs, Scalar, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results


class Options(Closed):
    """``measures``: whose profiles; ``seeds``: how many of the preset's seeds for a variant (the base has all)."""

    model: str = "SimpleConv"
    datasets: choices.Labels = None
    transformation_sets: choices.Labels = None
    measures: choices.Labels = None
    seeds: int = Field(1, ge=1)


@dataclass(frozen=True)
class Part:
    """An experiment on one part of the network.

    experiment: its id
    name:       of the part, as in "the activation function"
    argument:   of the model
    values:     of the argument, by the names of the lines; the first is the base design's
    """

    experiment: str
    name: str
    question: str
    argument: str
    values: Mapping[str, Scalar]

    @property
    def claim(self) -> Claim:
        """That the part changes the profile by more than another seed does."""
        return Claim(
            name="changes_structure",
            statement=f"{self.name[0].upper()}{self.name[1:]} changes the structure of invariance.",
            statistic=(
                "relative difference of the NV profiles (by relative depth) of variant and base design, divided by "
                "the mean difference between two seeds of the base design"
            ),
            side="above",
            threshold=1.5,
        )

    def cells(self, study: Study, options: Options) -> list[Cell]:
        """The networks of each design and set, measured under the set; of the base design, all seeds."""
        return list(self._plan(study, options).cells())

    def outputs(self, study: Study, options: Options) -> Outputs:
        """A figure of profiles for each dataset and measure, and a table of their means and minima."""
        return self._plan(study, options).outputs()

    def draw(self, study: Study, options: Options, results: "Results", canvas: "Canvas") -> None:
        """Draw the profiles and write the table."""
        self._plan(study, options).draw(study, results, canvas)

    def findings(self, study: Study, options: Options, results: "Results") -> Iterator[Finding]:
        """For each dataset, over the variants and sets."""
        plan = self._plan(study, options)
        for dataset, panels in plan.lines.items():
            cells = plan.cells(dataset)
            if len(study.seeds) < 2:
                reason = "the preset has one seed; how far seeds of the base design differ needs two"
                yield Finding(self.claim, dataset, unknown("one seed"), cells, reason=reason)
                continue
            ratios = []
            for lines in panels.values():
                base, *variants = (
                    [at_depths(one) for one in values(results, line.cells, plan.measures[0])] for line in lines
                )
                usual = mean(pairs(base))
                for variant in variants:
                    changed = mean(difference(one, other) for one in variant for other in base)
                    ratios.append(changed / usual if usual else float("nan"))
            yield Finding(self.claim, dataset, over(ratios, "variants and sets"), cells)

    def _plan(self, study: Study, options: Options) -> ProfilePlan:
        choices.choose("model", (options.model,), study.models)
        datasets = choices.choose("dataset", options.datasets, study.datasets)
        sets = choices.simple_sets(study, options.transformation_sets)
        return ProfilePlan(
            experiment=self.experiment,
            title=f"profiles of {options.model} by {self.name}",
            question=self.question,
            setting=(
                f"Designs that differ in {self.name} only ({next(iter(self.values))}: the base design, of which all "
                "seeds are shown). Each is trained with the transformation set of the panel and measured under it. "
                "Layers by relative depth: the first at 0 %, the last at 100 %. The strips show the kinds of layers."
            ),
            measures=choices.measures(study, options.measures),
            lines={
                dataset: {label: self._lines(study, options, dataset, label) for label in sets} for dataset in datasets
            },
            axis="depth",
            line_column="design",
        )

    def _lines(self, study: Study, options: Options, dataset: str, label: str) -> list[Line]:
        lines = []
        for index, (name, value) in enumerate(self.values.items()):
            seeds = choices.seeds(study, options.seeds) if index else study.seeds
            networks = (
                study.network(
                    dataset=dataset,
                    model=options.model,
                    augmentation=label,
                    seed=seed,
                    arguments={self.argument: value},
                )
                for seed in seeds
            )
            lines.append(Line(name, [study.measurement(network, label) for network in networks]))
        return lines

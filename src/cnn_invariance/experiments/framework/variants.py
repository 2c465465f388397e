"""Experiments on the parts of a network: the base design against designs with one argument changed."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from cnn_invariance.experiments.framework.claims import Claim, Finding
from cnn_invariance.experiments.framework.profile_experiment import Panel, ProfileExperiment, measured
from cnn_invariance.experiments.framework.profiles import Line
from cnn_invariance.statistics.intervals import mean, over, quotient, unknown
from cnn_invariance.statistics.profiles import at_depths, difference, pairs
from cnn_invariance.study import Scalar, Study

if TYPE_CHECKING:
    from cnn_invariance.results import Results


class VariantExperiment(ProfileExperiment):
    """An experiment on one part of a network. The base design has all seeds of the preset, a variant ``seeds`` of them.

    part:     the name of the part, as in "the activation function"
    argument: the argument of the model that says how the part is
    variants: its values by the names of the lines; the first is that of the base design
    """

    group = "characterisation"
    title = "profiles of {model} by {part}"
    setting = (
        "Designs that differ in {part} only ({base}: the base design, of which all seeds are shown). Each is trained "
        "with the transformation set of the panel and measured under it. Layers by relative depth: the first at 0 %, "
        "the last at 100 %. The strips show the kinds of layers."
    )
    drawing: ClassVar[Mapping[str, Any]] = {"axis": "depth", "line_column": "design"}

    part: ClassVar[str]
    argument: ClassVar[str]
    variants: ClassVar[Mapping[str, Scalar]]

    def words(self) -> Mapping[str, object]:
        """The fields, the part, and the name of the base design."""
        return {**dict(self), "part": self.part, "base": next(iter(self.variants))}

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each design."""
        for place, (name, value) in enumerate(self.variants.items()):
            seeds = None if place else at.study.seeds
            yield at.line(name, at.networks(seeds, arguments={self.argument: value}))

    @property
    def claims(self) -> tuple[Claim, ...]:
        """That the part changes the profile by more than another seed does."""
        statistic = (
            "relative difference of the NV profiles (by relative depth) of variant and base design, divided by the "
            "mean difference between two seeds of the base design"
        )
        statement = f"{self.part[0].upper()}{self.part[1:]} changes the structure of invariance."
        return (Claim("changes_structure", statement, statistic, "above", 1.5),)

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset, over the variants and sets."""
        (plan,), (claim,) = self.plans(study), self.claims
        for dataset in plan.lines:
            if len(study.seeds) < 2:
                reason = "the preset has one seed; how far seeds of the base design differ needs two"
                yield Finding(claim, (dataset,), unknown("one seed"), plan.cells(dataset), reason=reason)
                continue
            ratios = []
            for panel in measured(plan, dataset, results):
                base, *variants = (list(map(at_depths, panel.profiles(k))) for k in range(len(panel.lines)))
                usual = mean(pairs(base))
                ratios += [
                    quotient(mean(difference(one, other) for one in variant for other in base), usual)
                    for variant in variants
                ]
            yield Finding(claim, (dataset,), over(ratios, "variants and sets"), plan.cells(dataset))

"""Experiments on the parts of a network: the base design against designs with one argument changed."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from cnn_invariance.experiments.framework.claims import UntestableError
from cnn_invariance.experiments.framework.panels import MeasuredPanel, Panel, ProfileClaim, claimed
from cnn_invariance.experiments.framework.profile_experiment import STRIPS, ProfileExperiment
from cnn_invariance.experiments.framework.profiles import Line
from cnn_invariance.paper.sources import Source
from cnn_invariance.statistics.intervals import ANY, mean, quotient
from cnn_invariance.statistics.profiles import difference, pairs
from cnn_invariance.study import Scalar, Study


class VariantExperiment(ProfileExperiment):
    """An experiment on one part of a network. The base design has all seeds of the preset, a variant ``seeds`` of them.

    part:     the name of the part, as in "the activation function"
    argument: the argument of the model that says how the part is
    variants: its values by the names of the lines; the first is that of the base design
    without:  layers that are left out, so that all designs have the same: a part of the names of their classes
    """

    group = "characterisation"
    title = "profiles of {model} by {part}"
    setting = (
        "Designs that differ in {part} only ({base}: the base design, of which all seeds are shown). Each is trained "
        f"with the transformation set of the panel and measured under it. {STRIPS}"
    )
    drawing: ClassVar[Mapping[str, Any]] = {"line_column": "design"}

    part: ClassVar[str]
    argument: ClassVar[str]
    variants: ClassVar[Mapping[str, Scalar]]
    without: ClassVar[str] = ""

    def words(self, study: Study) -> Mapping[str, object]:
        """The part and the name of the base design, too."""
        return {**super().words(study), "part": self.part, "base": next(iter(self.variants))}

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each design."""
        for place, (name, value) in enumerate(self.variants.items()):
            seeds = None if place else at.study.seeds
            yield at.line(name, at.networks(seeds, arguments={self.argument: value}), without=self.without)


@claimed("", Source.OURS, above=1.5, over="variants and sets", within=ANY)
def changes_structure(panel: MeasuredPanel) -> Iterator[float]:
    """relative difference of the NV profiles of variant and base design, divided by the mean difference between two
    seeds of the base design.
    """
    base, *variants = map(panel.profiles, range(len(panel.lines)))
    if not variants:
        return
    if len(base) < 2:
        raise UntestableError("the preset has one seed; how far seeds of the base design differ needs two", "one seed")
    usual = mean(pairs(base))
    for variant in variants:
        yield quotient(mean(difference(one, other) for one in variant for other in base), usual)


def changes(part: str) -> tuple[ProfileClaim, ...]:
    """The claim that a part changes the profile by more than another seed does."""
    return (replace(changes_structure, statement=f"{part[0].upper()}{part[1:]} changes the structure of invariance."),)

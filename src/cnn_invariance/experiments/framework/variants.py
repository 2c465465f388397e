"""Experiments on the parts of a network: the base design against designs with one argument changed."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.experiments.framework.panels import MeasuredPanel, Panel, ProfileClaim, claimed
from cnn_invariance.experiments.framework.profile_experiment import STRIPS, ProfileExperiment
from cnn_invariance.experiments.framework.profiles import Line
from cnn_invariance.paper.sources import Source
from cnn_invariance.paper.words import enumerated
from cnn_invariance.statistics.evidence import jackknife
from cnn_invariance.statistics.groups import log_ratio
from cnn_invariance.statistics.profiles import difference
from cnn_invariance.study import Scalar, Study


class VariantExperiment(ProfileExperiment):
    """An experiment on one part of a network.

    part:     the name of the part, as in "the activation function"
    argument: the argument of the model that says how the part is
    variants: its values by the names of the lines; the first is that of the base design. An experiment that has a
              field of the name of the argument takes them from there, ``dropout: [0, .1, .3]`` in a preset
    without:  layers that are left out, so that all designs have the same: a part of the names of their classes
    """

    group = "characterisation"
    title = "profiles of {model} by {part}"
    setting = (
        "Designs that differ in {part} only ({base}: the base design). Each is trained "
        f"with the transformation set of the panel and measured under it. {STRIPS}{{left_out}}"
    )
    drawing: ClassVar[Mapping[str, Any]] = {"line_column": "design"}

    part: ClassVar[str]
    argument: ClassVar[str]
    variants: ClassVar[Mapping[str, Scalar]] = {}
    without: ClassVar[str] = ""

    seeds: int = Field(5, ge=1)
    leave_out: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """By dataset, the designs whose networks do not learn there, by the names of their lines; captions say so."""

    def words(self, study: Study) -> Mapping[str, object]:
        """The part, the name of the base design, and what is left out, too."""
        gone = [f"on {dataset} {enumerated(names)}" for dataset, names in self.leave_out.items() if names]
        left_out = f" Left out, because these networks do not learn: {'; '.join(gone)}." if gone else ""
        return {**super().words(study), "part": self.part, "base": next(iter(self.designs)), "left_out": left_out}

    @property
    def designs(self) -> Mapping[str, Scalar]:
        """The values of the argument by the names of the lines, of the base design first."""
        given = getattr(self, self.argument, None)
        if not isinstance(given, tuple):
            return self.variants
        return {f"{self.argument.replace('_', ' ')} {_text(value)}": value for value in given}

    def check(self, study: Study) -> None:
        """Raise InputError for a single design, which differs from nothing, and for one left out that is not there."""
        if len(self.designs) < 2:
            raise InputError(
                f"{self.name}: expected two or more values of {self.argument!r} to compare; received "
                f"{', '.join(self.designs) or 'none'}"
            )
        base, *variants = self.designs
        for dataset, names in self.leave_out.items():
            if dataset not in study.datasets:
                raise unknown_name("dataset in leave_out:", dataset, study.datasets)
            for name in names:
                if name not in variants:
                    raise unknown_name(f"variant in leave_out, where {base} must stay:", name, variants)
            if set(names) == set(variants):
                raise InputError(f"{self.name}: leave_out leaves no variant of {base} on {dataset}")

    def restricted(self, datasets: Sequence[str]) -> Self:
        """What is left out on these datasets alone."""
        kept = {dataset: names for dataset, names in self.leave_out.items() if dataset in datasets}
        return super().restricted(datasets).model_copy(update={"leave_out": kept})

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each design that learns on the dataset."""
        for name, value in self.designs.items():
            if name not in self.leave_out.get(at.dataset, ()):
                yield at.line(name, at.networks(arguments={self.argument: value}), without=self.without)


def _text(value: Scalar) -> str:
    """A value of an argument: 0 and not 0.0, because a label is read."""
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


@claimed("", Source.OURS, above=math.log2(1.5), because="half as much again; the null is 0", primary=True)
def changes_structure(panel: MeasuredPanel) -> dict[str, list[float]]:
    """log2 of the mean relative difference of the NV profiles of variant and base design over that of two seeds of the
    base design (jackknife over seeds).
    """
    base, *variants = map(panel.profiles, range(len(panel.lines)))
    within = [[difference(p, q) for q in base] for p in base]

    def ratios(variant: Sequence[np.ndarray]) -> list[float]:
        between = [[difference(p, q) for q in variant] for p in base]

        def ratio(seeds: Sequence[int]) -> float:
            apart = [between[one][other] for one, other in product(seeds, repeat=2)]
            return log_ratio(apart, [within[one][other] for one, other in combinations(seeds, 2)])

        return jackknife(ratio, range(min(len(base), len(variant))))

    return {line.label: ratios(variant) for line, variant in zip(panel.lines[1:], variants, strict=True)}


def changes(part: str) -> tuple[ProfileClaim, ...]:
    """The claim that a part changes the profile by more than another seed does."""
    return (replace(changes_structure, statement=f"{part[0].upper()}{part[1:]} changes the structure of invariance."),)

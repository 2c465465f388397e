"""Networks measured under a set within and beyond the range that they were trained with."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import STRIPS, Line, Panel, ProfileExperiment, Source, choices
from cnn_invariance.experiments.framework.panels import MeasuredPanel, claimed
from cnn_invariance.experiments.framework.profiles import ProfilePlan
from cnn_invariance.statistics.intervals import quotient
from cnn_invariance.statistics.profiles import layer_mean
from cnn_invariance.study import SetSpec, Study
from cnn_invariance.study.intensity import scaled

AUTHOR: Mapping[str, Sequence[Mapping[str, float]]] = {
    "rotation": [{"angle_deg": angle} for angle in (90, 180, 270, 360)],
    "scale": [{"low": 1 - 2 * step, "high": 1 + step} for step in (0.0625, 0.125, 0.1875, 0.25)],
    "translation": [{"distance": distance} for distance in (0.05, 0.1, 0.15, 0.2)],
}
"""The ranges of the author's code, by set."""
HALF = 0.5
"""The share of the range that is trained with in our question."""


@claimed("NV rises beyond the range that the network was trained with.", Source.OURS, above=1.05)
def rises_beyond(panel: MeasuredPanel) -> list[float]:
    """NV (mean over layers) at the widest measured range, as a share of that at the trained, where that is narrower."""
    sets = [line.cells[0].transformations for line in panel.lines]
    trained = panel.lines[0].cells[0].network.augmentation
    if trained not in sets[:-1]:
        return []
    both = zip(panel.profiles(sets.index(trained)), panel.profiles(-1), strict=True)
    return [quotient(layer_mean(widest), layer_mean(inside)) for inside, widest in both]


class TransformationRange(ProfileExperiment):
    """``shares`` of a set's range that are measured in our question, rising; networks are trained with half of it."""

    question = "Is a network invariant beyond the range of transformations it was trained with?"
    group = "stability"
    title = "profiles of {model} by measured range, trained at {trained} range"
    setting = (
        "{whose}: each network is trained with the transformation set of the panel over {trained} range, and measured "
        "under sets of as many members and of rising ranges, up to that of the panel's title. "
    ) + STRIPS
    drawing = {"ordered": True, "line_column": "measured_at"}
    reference = -1
    claims = (rises_beyond,)

    shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.25, HALF, 0.75, 1.0)

    def check(self, study: Study) -> None:
        """Raise InputError for shares that do not rise, or lack the trained one."""
        choices.rising("shares", self.shares, needed=(HALF,))

    def plans(self, study: Study) -> Sequence[ProfilePlan]:
        """The author's comparison, and ours."""
        self.check(study)
        datasets = self.grid(study).datasets
        full = {dataset: dict(self._full(at) for at in self.at(study, dataset)) for dataset in datasets}
        half = {dataset: {at.label: self._half(at) for at in self.at(study, dataset)} for dataset in datasets}
        author = {"trained": "its full", "whose": "As the author's code does"}
        ours = {"trained": "half of its", "whose": "Our question"}
        return [self.plan(study, full, author), self.plan(study, half, ours, part="half")]

    def _full(self, at: Panel) -> tuple[str, list[Line]]:
        own = at.study.set(at.label)
        if own.name not in AUTHOR:
            raise InputError(f"ranges are known of {', '.join(AUTHOR)}; received the set {own.name!r}")
        under = [at.study.set(SetSpec(name=own.name, parameters={**own.parameters, **r})) for r in AUTHOR[own.name]]
        widest = " and ".join(f"{value:g}" for value in AUTHOR[own.name][-1].values())
        return f"{at.label}, up to {widest}", _lines(at, own, under)

    def _half(self, at: Panel) -> list[Line]:
        own = at.study.set(at.label)
        return _lines(at, scaled(own, HALF), [scaled(own, share) or own for share in self.shares])


def _lines(at: Panel, trained: SetSpec | None, under: Iterable[SetSpec]) -> list[Line]:
    networks, samples = at.networks(augmentation=trained), at.study.samples(at.label)
    sets = dict(enumerate(under, start=1))
    return [at.line(f"range {k} of {len(sets)}", networks, under=one, samples=samples) for k, one in sets.items()]

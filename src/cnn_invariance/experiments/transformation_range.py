"""Networks measured under a set within and beyond the range that they were trained with."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import STRIPS, Line, Panel, ProfileExperiment, Source, choices
from cnn_invariance.experiments.framework.charts import against
from cnn_invariance.experiments.framework.panels import MeasuredPanel, claimed
from cnn_invariance.experiments.framework.profiles import ProfilePlan
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
TRAINED = ("trained at half of it", "trained at all of it")
"""The networks of our question."""
CONTROL = ("trained at full range, at half", "trained at full range, at full")
"""The lines of the network that the rise beyond the trained range is compared with."""
BESIDE = " Beside it: the network trained over the full range."
RISES = "Beyond the range that a network was trained with, NV rises more than that of one trained with all of it."


@claimed(RISES, Source.OURS, above=0.0, because="no more than for a network trained at the full range", primary=True)
def rises_beyond(panel: MeasuredPanel) -> Iterator[float]:
    """logarithm of NV (mean over layers) at the full range over that at half of it, of the network trained at half the
    range, less the same of the network trained at the full range.
    """
    if panel.plan.part != "half":
        return
    whole = [panel.profiles(line) for line in CONTROL]
    inside, beyond = (panel.profiles(f"range {k} of {len(panel.lines) - len(CONTROL)}") for k in _places(panel))
    for values in zip(beyond, inside, *reversed(whole), strict=True):
        b, i, full, half = map(layer_mean, values)
        yield math.log(b / i / (full / half)) if min(b, i, full, half) > 0 else math.nan


def _places(panel: MeasuredPanel) -> tuple[int, int]:
    """The places of the trained and of the full range among those that are measured, from 1."""
    trained = scaled(panel.lines[-1].cells[0].transformations, HALF)
    assert trained is not None  # half of a range is a range
    measured = [line.cells[0].transformations for line in panel.lines if line.label not in CONTROL]
    return measured.index(trained) + 1, len(measured)


class TransformationRange(ProfileExperiment):
    """``shares`` of a set's range that are measured in our question, rising; networks are trained with half of it."""

    question = "Is a network invariant beyond the range of transformations it was trained with?"
    group = "stability"
    title = "profiles of {model} by measured range, trained at {trained} range"
    setting = (
        "{whose}: each network is trained with the transformation set of the panel over {trained} range, and measured "
        "under sets of as many members and of rising ranges, up to that of the panel's title.{control} "
    ) + STRIPS
    drawing = {"line_column": "measured_at"}
    reference = -1
    claims = (rises_beyond,)

    shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.25, HALF, 0.75, 1.0)

    def check(self, study: Study) -> None:
        """Raise InputError for shares that do not rise, or lack the trained one or the full range."""
        choices.rising("shares", self.shares, needed=(HALF, 1.0))

    def plans(self, study: Study) -> Sequence[ProfilePlan]:
        """The author's comparison, and ours."""
        self.check(study)
        datasets = self.grid(study).datasets
        full = {dataset: dict(self._full(at) for at in self.at(study, dataset)) for dataset in datasets}
        half = {dataset: {at.label: self._half(at) for at in self.at(study, dataset)} for dataset in datasets}
        author = {"trained": "its full", "whose": "As the author's code does", "control": ""}
        ours = {"trained": "half of its", "whose": "Our question", "control": BESIDE}
        x = "range measured, as a share of the widest"
        return [
            self.plan(study, full, author, chart=against(x, ["trained at all of it"], 1.0)),
            self.plan(study, half, ours, part="half", chart=against(x, TRAINED, HALF)),
        ]

    def _full(self, at: Panel) -> tuple[str, list[Line]]:
        own = at.study.set(at.label)
        if own.name not in AUTHOR:
            raise InputError(f"ranges are known of {', '.join(AUTHOR)}; received the set {own.name!r}")
        under = [at.study.set(SetSpec(name=own.name, parameters={**own.parameters, **r})) for r in AUTHOR[own.name]]
        widest = " and ".join(f"{value:g}" for value in AUTHOR[own.name][-1].values())
        shares = {k / len(under): one for k, one in enumerate(under, start=1)}
        return f"{at.label}, up to {widest}", _lines(at, own, shares)

    def _half(self, at: Panel) -> list[Line]:
        own = at.study.set(at.label)
        networks, samples = at.networks(), at.study.samples(at.label)
        both = zip(CONTROL, (scaled(own, HALF) or own, own), (HALF, 1.0), strict=True)
        control = [at.line(name, networks, under=one, samples=samples, at=share) for name, one, share in both]
        under = {share: scaled(own, share) or own for share in self.shares}
        return [*_lines(at, scaled(own, HALF), under), *control]


def _lines(at: Panel, trained: SetSpec | None, under: Mapping[float, SetSpec]) -> list[Line]:
    """A line for each set, by its share of the widest range."""
    networks, samples = at.networks(augmentation=trained), at.study.samples(at.label)
    return [
        at.line(f"range {k} of {len(under)}", networks, under=one, samples=samples, at=share)
        for k, (share, one) in enumerate(under.items(), start=1)
    ]

"""The profile of a network at checkpoints of its training."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import (
    POSITIVE,
    Claim,
    Finding,
    Line,
    Panel,
    ProfileExperiment,
    choices,
    over,
    values,
)
from cnn_invariance.statistics.intervals import quotient
from cnn_invariance.statistics.profiles import difference
from cnn_invariance.study import MeasureSpec, Study, TrainSpec

if TYPE_CHECKING:
    from cnn_invariance.results import Results

EARLY, LATER = 0.1, 0.3


class DuringTraining(ProfileExperiment):
    """``shares`` of the epochs; those which are the same epoch as the one before in every panel are left out."""

    question = "When in its training does a network take on its profile?"
    group = "stability"
    overview_row = (3, "During training")
    title = "profiles of {model} during training"
    setting = (
        "The network is trained with the transformation set of the panel as augmentation, and measured under the same "
        "set at checkpoints, by the share of the epochs done, rounded to whole epochs. Where two shares are the same "
        "epoch, their lines coincide. The strips show the kinds of layers."
    )
    shown, combined = choices.WITH_DISTANCE, True
    drawing = {"ordered": True, "line_column": "checkpoint"}

    shares: tuple[Annotated[float, Field(ge=0, le=1)], ...] = (0.0, 0.01, 0.03, 0.05, EARLY, LATER, 0.5, 1.0)

    def check(self, study: Study) -> None:
        """Raise InputError for shares that do not rise, or lack one that a claim compares."""
        choices.rising("shares", self.shares, needed=(0.0, EARLY, LATER, 1.0))

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each share that is another epoch."""
        for done in self._distinct(at.study):
            cells = [_measured(at.study, one, at.label, done) for one in at.networks()]
            yield Line(f"at {100 * done:g} %", cells)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """That the profile appears early, and then is stable."""
        return (
            Claim(
                "then_stable",
                "From a third of the training on, the profile hardly changes.",
                "relative difference of the NV profiles at 30 % of the epochs and at the end",
                "below",
                0.1,
            ),
            Claim(
                "early",
                "The profile appears early in the training.",
                "relative difference of the NV profiles at 10 % of the epochs and at the end, as a share of that "
                "before the training and at the end",
                "below",
                0.5,
            ),
        )

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset, over the sets and seeds."""
        (plan,) = self.plans(study)
        for dataset, panels in plan.lines.items():
            ends = [(label, cell) for label, lines in panels.items() for cell in lines[-1].cells]
            later, early, first = (
                [
                    difference(*values(results, (_measured(study, end.network, label, done), end), plan.measures[0]))
                    for label, end in ends
                ]
                for done in (LATER, EARLY, 0.0)
            )
            found = (later, map(quotient, early, first))
            for claim, numbers, done in zip(self.claims, found, (LATER, EARLY), strict=True):
                reason = _too_short([end.network for _, end in ends], done)
                interval = over(numbers, "sets and seeds", POSITIVE)
                yield Finding(claim, (dataset,), interval, plan.cells(dataset), reason=reason)

    def _distinct(self, study: Study) -> list[float]:
        """The shares that are another epoch than the one before in some panel: all panels have the same lines."""
        networks = [
            Panel(study, self, dataset, label).networks()[0] for dataset in self.on(study) for label in self.sets(study)
        ]
        if untrained := [network.dataset.name for network in networks if not network.recipe.epochs]:
            raise InputError(f"{self.model} is not trained on {untrained[0]}: it has 0 epochs")
        by_epochs: dict[tuple[int, ...], float] = {}
        for done in self.shares:
            by_epochs.setdefault(tuple(_epoch(network, done) for network in networks), done)
        return list(by_epochs.values())


def _epoch(network: TrainSpec, done: float) -> int:
    return round(done * network.recipe.epochs)


def _measured(study: Study, network: TrainSpec, label: str, done: float) -> MeasureSpec:
    return study.measurement(network, label, epoch=_epoch(network, done))


def _too_short(networks: list[TrainSpec], done: float) -> str:
    fewest = min(network.recipe.epochs for network in networks)
    untrained = any(_epoch(network, done) == 0 for network in networks)
    return f"{100 * done:g} % of {fewest} epochs is no epoch" if untrained else ""

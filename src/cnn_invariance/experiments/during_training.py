"""The profile of a network at checkpoints of its training."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import Finding, Line, ProfileExperiment, Source, choices
from cnn_invariance.experiments.framework.charts import course
from cnn_invariance.experiments.framework.panels import MARGIN, TENTH, MeasuredPanel, Panel, claimed, differences
from cnn_invariance.statistics.evidence import LOG
from cnn_invariance.statistics.intervals import quotient
from cnn_invariance.study import Study, TrainSpec

if TYPE_CHECKING:
    from cnn_invariance.results import Results

EARLY, LATER = 0.1, 0.3
THEN = "From a third of the training on, the profile hardly changes."


@claimed(THEN, Source.OURS, below=MARGIN, scale=LOG, because=TENTH, primary=True)
def then_stable(panel: MeasuredPanel) -> list[float]:
    """relative difference of the NV profiles at 30 % of the epochs and at the end."""
    return _to_the_end(panel, LATER)


@claimed("The profile appears early in the training.", Source.OURS, below=0.5, scale=LOG, because="half of the way")
def early(panel: MeasuredPanel) -> Iterator[float]:
    """relative difference of the NV profiles at 10 % of the epochs and at the end, as a share of that before the
    training and at the end.
    """
    return map(quotient, _to_the_end(panel, EARLY), _to_the_end(panel, 0.0))


class DuringTraining(ProfileExperiment):
    """``shares`` of the epochs; those which are the same epoch as the one before in every panel are left out."""

    question = "When in its training does a network take on its profile?"
    group = "stability"
    in_overview = (3, "During training")
    title = "profiles of {model} during training"
    setting = (
        "The network is trained with the transformation set of the panel as augmentation, and measured under the same "
        "set after some epochs. Below each epoch: the accuracy then on the samples measured, under the set. Colours "
        "are the mean over seeds."
    )
    shown, combined = choices.WITH_DISTANCE, True
    drawing = {"line_column": "checkpoint", "chart": course}
    claims = (then_stable, early)

    shares: tuple[Annotated[float, Field(ge=0, le=1)], ...] = (0.0, 0.01, 0.03, 0.05, EARLY, LATER, 0.5, 1.0)

    def check(self, study: Study) -> None:
        """Raise InputError for shares that do not rise, or lack one that a claim compares."""
        choices.rising("shares", self.shares, needed=(0.0, EARLY, LATER, 1.0))

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each share that is another epoch."""
        networks = at.networks()
        for done in self._distinct(at.study):
            epoch = _epoch(networks[0], done)
            yield at.line(f"at {100 * done:g} %", networks, epoch=epoch, at=epoch)

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """A finding for each dataset and claim; undecided where the share it is about is no epoch."""
        for found in super().findings(study, results):
            done = EARLY if found.claim == early else LATER
            shortest = min((cell.network for cell in found.cells), key=lambda network: network.recipe.epochs)
            epochs = f"{100 * done:g} % of {shortest.recipe.epochs} epochs"
            yield replace(found, reason="" if _epoch(shortest, done) else f"{epochs} is no epoch")

    def _distinct(self, study: Study) -> list[float]:
        """The shares that are another epoch than the one before in some panel: all panels have the same lines."""
        networks = [at.networks()[0] for dataset in self.on(study) for at in self.at(study, dataset)]
        if untrained := [network.dataset.name for network in networks if not network.recipe.epochs]:
            raise InputError(f"{self.model} is not trained on {untrained[0]}: it has 0 epochs")
        by_epochs: dict[tuple[int, ...], float] = {}
        for done in self.shares:
            by_epochs.setdefault(tuple(_epoch(network, done) for network in networks), done)
        return list(by_epochs.values())


def _epoch(network: TrainSpec, done: float) -> int:
    return int(done * network.recipe.epochs + 1e-9)  # .3 x 10 is 3, whatever its last bit


def _to_the_end(panel: MeasuredPanel, done: float) -> list[float]:
    """The difference of the profiles after a share of the epochs and at the end, of each seed."""
    epoch = _epoch(panel.lines[-1].cells[0].network, done)
    return list(differences(next(line.label for line in panel.lines if line.cells[0].epoch == epoch), -1)(panel))

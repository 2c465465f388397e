"""The profile of a network at checkpoints of its training."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import augmented, choices
from cnn_invariance.experiments.framework.claims import POSITIVE, Claim, Finding, over
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, of_plan, values
from cnn_invariance.experiments.framework.similarity import difference
from cnn_invariance.experiments.framework.statistics import quotient
from cnn_invariance.study import MeasureSpec, Study, TrainSpec

if TYPE_CHECKING:
    from cnn_invariance.results import Results

QUESTION = "When in its training does a network take on its profile?"

SETTING = (
    "The network is trained with the transformation set of the panel as augmentation, and measured under the same set "
    "at checkpoints, by the share of the epochs done, rounded to whole epochs. Where two shares are the same epoch, "
    "their lines coincide. The strips show the kinds of layers."
)

EARLY, LATER = 0.1, 0.3

CLAIMS = (
    Claim(
        name="then_stable",
        statement="From a third of the training on, the profile hardly changes.",
        statistic="relative difference of the NV profiles at 30 % of the epochs and at the end",
        side="below",
        threshold=0.1,
    ),
    Claim(
        name="early",
        statement="The profile appears early in the training.",
        statistic="relative difference of the NV profiles at 10 % of the epochs and at the end, as a share of that "
        "before the training and at the end",
        side="below",
        threshold=0.5,
    ),
)


class Options(augmented.Options):
    """``shares`` of the epochs; those which are the same epoch as the one before in every panel are left out."""

    shares: tuple[Annotated[float, Field(ge=0, le=1)], ...] = (0.0, 0.01, 0.03, 0.05, EARLY, LATER, 0.5, 1.0)
    seeds: int = Field(1, ge=1)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets and seeds."""
    plan = profile_plan(study, options)
    for dataset, panels in plan.lines.items():
        ends = [(label, cell) for label, lines in panels.items() for cell in lines[-1].cells]
        later, early, first = (
            [_to_the_end(study, plan, results, label, end, done) for label, end in ends] for done in (LATER, EARLY, 0.0)
        )
        shares = list(map(quotient, early, first))
        cells = plan.cells(dataset)
        for claim, found, done in zip(CLAIMS, (later, shares), (LATER, EARLY), strict=True):
            reason = _too_short([end.network for _, end in ends], done)
            yield Finding(claim, dataset, over(found, "sets and seeds", POSITIVE), cells, reason=reason)


def profile_plan(study: Study, options: Options) -> ProfilePlan:
    """The lines of its figures; the overview shows some of them, too."""
    choices.rising("shares", options.shares, needed=(0.0, EARLY, LATER, 1.0))
    sets = augmented.all_sets(study, options)

    def panel(dataset: str, label: str) -> list[Line]:
        networks = augmented.networks(study, options, dataset, label)
        return [
            Line(f"at {100 * done:g} %", [_measured(study, network, label, done) for network in networks])
            for done in _distinct(study, options, sets)
        ]

    return ProfilePlan(
        experiment="during_training",
        title=f"profiles of {options.model} during training",
        question=QUESTION,
        setting=SETTING,
        measures=choices.measures(study, options.measures, choices.WITH_DISTANCE),
        lines=augmented.lines(study, options, sets, panel),
        ordered=True,
        line_column="checkpoint",
    )


def _distinct(study: Study, options: Options, sets: Sequence[str]) -> list[float]:
    """The shares that are another epoch than the one before in some panel, so that all panels have the same lines."""
    networks = [
        augmented.networks(study, options, dataset, label)[0]
        for dataset in choices.choose("dataset", options.datasets, study.datasets)
        for label in sets
    ]
    if untrained := [network.dataset.name for network in networks if not network.recipe.epochs]:
        raise InputError(f"{options.model} is not trained on {untrained[0]}: it has 0 epochs")
    by_epochs: dict[tuple[int, ...], float] = {}
    for done in options.shares:
        by_epochs.setdefault(tuple(_epoch(network, done) for network in networks), done)
    return list(by_epochs.values())


def _epoch(network: TrainSpec, done: float) -> int:
    return round(done * network.recipe.epochs)


def _measured(study: Study, network: TrainSpec, label: str, done: float) -> MeasureSpec:
    return study.measurement(network, label, epoch=_epoch(network, done))


def _to_the_end(
    study: Study, plan: ProfilePlan, results: "Results", label: str, end: MeasureSpec, done: float
) -> float:
    """How much the profile at a share of the epochs differs from that at the end."""
    cells = (_measured(study, end.network, label, done), end)
    return difference(*values(results, cells, plan.measures[0]))


def _too_short(networks: list[TrainSpec], done: float) -> str:
    fewest = min(network.recipe.epochs for network in networks)
    untrained = any(_epoch(network, done) == 0 for network in networks)
    return f"{100 * done:g} % of {fewest} epochs is no epoch" if untrained else ""


cells, outputs, draw = of_plan(profile_plan)

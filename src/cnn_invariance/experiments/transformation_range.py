"""Networks trained over a part of a set's range, measured below and beyond it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from cnn_invariance.experiments.framework import augmented, choices
from cnn_invariance.experiments.framework.claims import POSITIVE, Claim, Finding, over
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, of_plan
from cnn_invariance.experiments.framework.statistics import layer_mean, quotient
from cnn_invariance.study import Study
from cnn_invariance.study.intensity import scaled

if TYPE_CHECKING:
    from cnn_invariance.results import Results

QUESTION = "Is a network invariant beyond the range of transformations it was trained with?"

SETTING = (
    "Each network is trained with the transformation set of the panel over {trained} of its range, and measured under "
    "the set over shares of its range below, at and beyond that. The strips show the kinds of layers."
)

CLAIMS = (
    Claim(
        name="rises_beyond",
        statement="NV rises beyond the range that the network was trained with.",
        statistic="NV (mean over layers) measured at the full range, as a share of that at the trained range",
        side="above",
        threshold=1.05,
    ),
)

Share = Annotated[float, Field(gt=0, le=1)]
FULL = 1.0


class Options(augmented.Options):
    """``trained_share``: the part of a set's range that networks are trained with; ``shares``: those measured."""

    trained_share: Share = 0.5
    shares: tuple[Share, ...] = (0.25, 0.5, 0.75, FULL)
    seeds: int = Field(1, ge=1)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets and seeds."""
    plan = profile_plan(study, options)
    trained, full = (options.shares.index(share) for share in (options.trained_share, FULL))
    for dataset in plan.lines:
        pairs = augmented.matched(plan, results, dataset, trained, full)
        interval = over(
            (quotient(layer_mean(beyond), layer_mean(inside)) for inside, beyond in pairs), "sets and seeds", POSITIVE
        )
        yield Finding(CLAIMS[0], dataset, interval, plan.cells(dataset))


def profile_plan(study: Study, options: Options) -> ProfilePlan:
    """The lines of its figures."""
    choices.rising("shares", options.shares, needed=dict.fromkeys((options.trained_share, FULL)))

    def panel(dataset: str, label: str) -> list[Line]:
        own = study.set(label)
        augmentation = scaled(own, options.trained_share)
        networks = [
            study.network(dataset=dataset, model=options.model, augmentation=augmentation, seed=seed)
            for seed in choices.seeds(study, options.seeds)
        ]
        return [
            Line(
                f"{100 * share:g} % of the range" + (" (trained with)" if share == options.trained_share else ""),
                [study.measurement(one, scaled(own, share) or own, samples=study.samples(label)) for one in networks],
            )
            for share in options.shares
        ]

    lines = augmented.lines(study, options, augmented.simple_sets(study, options), panel)
    return ProfilePlan(
        experiment="transformation_range",
        title=f"profiles of {options.model} by measured range",
        question=QUESTION,
        setting=SETTING.format(trained=f"{100 * options.trained_share:g} %"),
        measures=choices.measures(study, options.measures),
        lines=lines,
        ordered=True,
        line_column="measured_at",
        usual=[cell for panels in lines.values() for shown in panels.values() for cell in shown[-1].cells],
    )


cells, outputs, draw = of_plan(profile_plan)

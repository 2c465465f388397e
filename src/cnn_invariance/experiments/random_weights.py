"""The profiles of untrained networks, beside that of a trained one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from cnn_invariance.experiments.framework import augmented, choices
from cnn_invariance.experiments.framework.claims import POSITIVE, Claim, Finding, over
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, of_plan
from cnn_invariance.experiments.framework.similarity import difference
from cnn_invariance.study import Study

if TYPE_CHECKING:
    from cnn_invariance.results import Results

QUESTION = "What structure does a network have before it is trained?"

SETTING = (
    "Untrained networks, whose weights are random, and one network that was trained with the transformation set of the "
    "panel as augmentation; all measured under the set. The strips show the kinds of layers."
)

CLAIMS = (
    Claim(
        name="stable",
        statement="Untrained networks have a stable structure.",
        statistic="relative difference of the NV profiles of two untrained networks, mean over all pairs",
        side="below",
        threshold=0.1,
    ),
    Claim(
        name="own_structure",
        statement="Untrained networks have a structure of their own, other than trained ones.",
        statistic="relative difference of the untrained networks' mean NV profile and the trained network's",
        side="above",
        threshold=0.1,
    ),
)


class Options(augmented.Options):
    """``networks``: how many untrained ones, from seeds 0, 1, 2, ...; ``seeds``: how many trained ones."""

    networks: int = Field(10, ge=2)
    seeds: int = Field(1, ge=1)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets: the untrained networks are the same ones under each."""
    plan = profile_plan(study, options)
    for dataset, panels in plan.lines.items():
        stable = over(augmented.apart(plan, results, dataset), "sets", POSITIVE)
        own = []
        for lines in panels.values():
            untrained, trained = (augmented.profiles(plan, results, line) for line in lines)
            own.append(difference(np.mean(untrained, axis=0), trained[0]))
        for claim, interval in zip(CLAIMS, (stable, over(own, "sets", POSITIVE)), strict=True):
            yield Finding(claim, dataset, interval, plan.cells(dataset))


def profile_plan(study: Study, options: Options) -> ProfilePlan:
    """The lines of its figures."""

    def panel(dataset: str, label: str) -> list[Line]:
        untrained = [
            study.network(dataset=dataset, model=options.model, seed=seed, epochs=0) for seed in range(options.networks)
        ]
        trained = augmented.networks(study, options, dataset, label)
        return [
            Line(f"{options.networks} untrained networks", [study.measurement(one, label) for one in untrained]),
            Line("trained network", [study.measurement(one, label) for one in trained]),
        ]

    lines = augmented.lines(study, options, augmented.simple_sets(study, options), panel)
    return ProfilePlan(
        experiment="random_weights",
        title=f"profiles of {options.model} before training",
        question=QUESTION,
        setting=SETTING,
        measures=choices.measures(study, options.measures),
        lines=lines,
        line_column="networks",
        usual=[cell for panels in lines.values() for _, trained in panels.values() for cell in trained.cells],
    )


cells, outputs, draw = of_plan(profile_plan)

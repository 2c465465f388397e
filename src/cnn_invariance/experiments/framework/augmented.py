"""What experiments share that look at one design, trained with the transformation set that it is measured under."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, values
from cnn_invariance.experiments.framework.similarity import difference, pairs
from cnn_invariance.experiments.framework.statistics import mean
from cnn_invariance.study import Closed, Study, TrainSpec

if TYPE_CHECKING:
    from cnn_invariance.results import Results


class Options(Closed):
    """Labels of the preset (None: see the experiment).

    ``measures``: whose profiles; ``seeds``: how many of the preset's seeds (several: a band).
    """

    model: str = "SimpleConv"
    datasets: choices.Labels = None
    transformation_sets: choices.Labels = None
    measures: choices.Labels = None
    seeds: int = Field(3, ge=1)


def all_sets(study: Study, options: Options) -> Sequence[str]:
    """The sets chosen, checked; by default all, "combined" included."""
    return choices.choose("transformation set", options.transformation_sets, study.sets)


def simple_sets(study: Study, options: Options) -> Sequence[str]:
    """The sets chosen, checked; by default all but "combined"."""
    return choices.simple_sets(study, options.transformation_sets)


def lines(
    study: Study, options: Options, sets: Sequence[str], of: Callable[[str, str], Sequence[Line]]
) -> dict[str, dict[str, Sequence[Line]]]:
    """The lines of a plan with a panel for each set: ``of`` gives those of a dataset and a set."""
    choices.choose("model", (options.model,), study.models)
    datasets = choices.choose("dataset", options.datasets, study.datasets)
    return {dataset: {label: of(dataset, label) for label in sets} for dataset in datasets}


def networks(study: Study, options: Options, dataset: str, label: str) -> list[TrainSpec]:
    """The network trained with a set, once for each seed."""
    return [
        study.network(dataset=dataset, model=options.model, augmentation=label, seed=seed)
        for seed in choices.seeds(study, options.seeds)
    ]


def profiles(plan: ProfilePlan, results: "Results", line: Line) -> list[np.ndarray]:
    """The profiles of a line, one for each of its cells; of its own measure, or of the plan's first."""
    return values(results, line.cells, line.measure or plan.measures[0])


def matched(
    plan: ProfilePlan, results: "Results", dataset: str, first: int, second: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The profiles of two lines, by their places in each panel: a pair for each panel and seed."""
    for panel in plan.lines[dataset].values():
        yield from zip(profiles(plan, results, panel[first]), profiles(plan, results, panel[second]), strict=True)


def differences(plan: ProfilePlan, results: "Results", dataset: str, first: int, second: int) -> list[float]:
    """The relative difference of two lines of each panel, seed by seed."""
    return [difference(p, q) for p, q in matched(plan, results, dataset, first, second)]


def apart(plan: ProfilePlan, results: "Results", dataset: str, line: int = 0) -> list[float]:
    """The relative difference of the profiles inside a line, mean over all pairs: a value for each panel."""
    return [mean(pairs(profiles(plan, results, panel[line]))) for panel in plan.lines[dataset].values()]

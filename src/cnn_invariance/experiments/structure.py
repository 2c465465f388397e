"""The headline: whether the structure of invariance belongs to the design of a network, and not to its training."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import Claim, Finding, GridExperiment, Outputs, captions, choices, over
from cnn_invariance.experiments.framework.grid import Grid
from cnn_invariance.statistics.profiles import at_depths, difference
from cnn_invariance.study import Cell, MeasureSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results

SETTING = (
    "Each point is the difference between the {measure} profiles of two networks that are alike in all but one thing, "
    "named to the left: mean |P - Q| / mean (P + Q) / 2 over 101 depths from the first layer to the last, profiles "
    "interpolated between layers. Each network is trained with the set it is measured under; 'trained plain or "
    "augmented' compares it with the network trained plain. The bar is the mean."
)

KINDS = {
    "seed": "another seed",
    "augmentation": "trained plain or augmented",
    "transformations": "another transformation set",
    "dataset": "another dataset",
    "design": "another design",
}
"""What two networks differ in, and in nothing else."""

PERMUTATIONS = 10_000

CLAIMS = (
    Claim(
        "design",
        "The structure of invariance depends on the design: designs differ more than seeds of one design.",
        "log2 of the mean difference between designs over that between seeds; p: designs permuted",
        "above",
        math.log2(1.5),
    ),
    Claim(
        "not_training",
        "It does not depend on the training: designs differ more than plain and augmented training.",
        "log2 of the mean difference between designs over that between plain and augmented training",
        "above",
        0.0,
    ),
    Claim(
        "transformation",
        "It changes with the transformation: sets differ more than seeds.",
        "log2 of the mean difference between transformation sets over that between seeds; p: sets permuted",
        "above",
        math.log2(1.5),
    ),
    Claim(
        "dataset",
        "It changes with the dataset: datasets differ more than seeds.",
        "log2 of the mean difference between datasets over that between seeds; p: datasets permuted",
        "above",
        math.log2(1.5),
    ),
)


class Place(NamedTuple):
    """What determines a profile but the seed; ``augmented`` False: trained plain."""

    dataset: str
    design: str
    transformations: str
    augmented: bool = True


@dataclass(frozen=True)
class Profiles:
    """The profiles of the study by relative depth: of each place one for each seed, (101,)."""

    at: dict[Place, list[np.ndarray]]

    def seeds(self, places: Iterable[Place]) -> list[float]:
        """Differences between the seeds of each place."""
        return [difference(p, q) for place in places for p, q in combinations(self.at[place], 2)]

    def between(self, pairs: Iterable[tuple[Place, Place]]) -> list[float]:
        """Differences between two places, of networks of one seed."""
        return [difference(p, q) for a, b in pairs for p, q in zip(self.at[a], self.at[b], strict=False)]


class Structure(GridExperiment):
    """``measure``: whose profiles; ``seeds``: how many of the preset's seeds, at least two."""

    question = "Does the structure of invariance belong to the design of a network, and not to its training?"
    group = "characterisation"

    measure: str = choices.HEADLINE
    seeds: int = Field(3, ge=2)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """On what the structure depends."""
        return CLAIMS

    def cells(self, study: Study) -> list[Cell]:
        """Each network of each seed, trained with and measured under each set; and of the first seed, trained plain."""
        return [cell for cells in self._cells(study).values() for cell in cells]

    def outputs(self, study: Study) -> Outputs:
        """A figure of all differences, and their table."""
        return Outputs([self.name], [self.name])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the differences and write their table."""
        import pandas as pd

        from cnn_invariance.plotting import spread_figure

        panels, measure = self.overview_spreads(study, results), choices.measure(study, self.measure)
        name = choices.label(measure)
        caption = captions.caption(
            study,
            self.name,
            self.cells(study),
            title=f"Differences between {name} profiles, {' and '.join(self.grid(study).datasets)}",
            question=self.question,
            setting=f"{SETTING.format(measure=name)} {captions.measure_in_words(measure)}",
        )
        canvas.figure(self.name, spread_figure(panels, xlabel=f"difference between two {name} profiles"), caption)
        canvas.table(self.name, pd.DataFrame(_table(panels)), caption)

    def overview_spreads(self, study: Study, results: "Results") -> dict[str, dict[str, list[float]]]:
        """By dataset and by what two networks differ in, in words: the differences between their profiles."""
        profiles, grid = self._profiles(study, results), self.grid(study)
        return {
            dataset: {KINDS[kind]: values for kind, values in _differences(grid, profiles, dataset).items()}
            for dataset in grid.datasets
        }

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset over its sets; the last claim over designs and sets, for all datasets together."""
        profiles, cells = self._profiles(study, results), self._cells(study)
        chosen = self.grid(study)
        for dataset in chosen.datasets:
            used = [cell for place, found in cells.items() if place.dataset == dataset for cell in found]
            at = [[Place(dataset, design, label) for design in chosen.models] for label in chosen.sets]
            designs = [profiles.between(combinations(places, 2)) for places in at]
            seeds = [profiles.seeds(places) for places in at]
            trainings = [
                profiles.between((place._replace(augmented=False), place) for place in places) for places in at
            ]
            yield _finding(CLAIMS[0], (dataset,), designs, seeds, "sets", used, permuted(profiles, at))
            yield _finding(CLAIMS[1], (dataset,), designs, trainings, "sets", used)
            by_design = [[Place(dataset, design, label) for label in chosen.sets] for design in chosen.models]
            sets = [profiles.between(combinations(places, 2)) for places in by_design]
            seeds = [profiles.seeds(places) for places in by_design]
            yield _finding(CLAIMS[2], (dataset,), sets, seeds, "designs", used, permuted(profiles, by_design))
        if len(chosen.datasets) > 1:
            by_both = [
                [Place(dataset, design, label) for dataset in chosen.datasets]
                for design, label in product(chosen.models, chosen.sets)
            ]
            datasets = [profiles.between(combinations(places, 2)) for places in by_both]
            seeds = [profiles.seeds(places) for places in by_both]
            every = [cell for found in cells.values() for cell in found]
            p = permuted(profiles, by_both)
            yield _finding(CLAIMS[3], tuple(chosen.datasets), datasets, seeds, "designs and sets", every, p)

    def _cells(self, study: Study) -> dict[Place, list[MeasureSpec]]:
        chosen, seeds = self.grid(study), choices.seeds(study, self.seeds)
        if len(chosen.models) < 2:
            raise InputError(f"designs are compared: name at least two models; received {', '.join(chosen.models)}")
        measure, found = choices.measure(study, self.measure), {}
        for dataset, design, label in product(*chosen):
            for augmentation in (label, None):
                networks = (
                    study.network(dataset=dataset, model=design, augmentation=augmentation, seed=seed)
                    for seed in (seeds if augmentation else seeds[:1])
                )
                place = Place(dataset, design, label, augmentation is not None)
                found[place] = [study.measurement(network, label) for network in networks]
                choices.check_held(measure, found[place])
        return found

    def _profiles(self, study: Study, results: "Results") -> "Profiles":
        measure = choices.measure(study, self.measure)
        return Profiles(
            {
                place: [at_depths(results.profile(cell, measure)["value"]) for cell in cells]
                for place, cells in self._cells(study).items()
            }
        )


def permuted(profiles: Profiles, strata: Sequence[Sequence[Place]], draws: int = PERMUTATIONS) -> float:
    """The p of a permutation test that places differ: that their labels do not matter, within each stratum.

    Statistic: the mean difference between places less that between seeds of one place, mean over strata. The labels of
    the networks of a stratum are permuted, p = (1 + permutations as large) / (1 + permutations). The random numbers are
    fixed.
    """
    generator = np.random.default_rng(0)
    observed, drawn = 0.0, np.zeros(draws)
    for places in strata:
        labels = np.array([k for k, place in enumerate(places) for _ in profiles.at[place]])
        members = [profile for place in places for profile in profiles.at[place]]
        rows, columns = np.triu_indices(len(members), 1)
        distances = np.array([difference(members[i], members[j]) for i, j in zip(rows, columns, strict=True)])

        def statistic(labels: np.ndarray, pairs: tuple = (rows, columns), distances: np.ndarray = distances) -> float:
            same = labels[pairs[0]] == labels[pairs[1]]
            return float(distances[~same].mean() - distances[same].mean())

        observed += statistic(labels)
        drawn += [statistic(generator.permutation(labels)) for _ in range(draws)]
    return float((1 + (drawn >= observed - 1e-12).sum()) / (1 + draws))


def _finding(
    claim: Claim,
    datasets: tuple[str, ...],
    above: Sequence[Sequence[float]],
    below: Sequence[Sequence[float]],
    of: str,
    cells: Sequence[Cell],
    p: float | None = None,
) -> Finding:
    """The log2 of the ratios of means, one for each stratum."""
    ratios = (
        math.log2(np.mean(a) / np.mean(b)) if np.mean(b) > 0 and np.mean(a) > 0 else math.nan
        for a, b in zip(above, below, strict=True)
    )
    return Finding(claim, datasets, over(ratios, of), cells, p=p)


def _differences(chosen: Grid, profiles: Profiles, dataset: str) -> dict[str, list[float]]:
    """The differences of pairs that differ in one thing, by what they differ in; other datasets against this one."""
    here = [Place(dataset, design, label) for design, label in product(chosen.models, chosen.sets)]

    def alike(same: Callable[[Place, Place], bool]) -> Iterator[tuple[Place, Place]]:
        return ((a, b) for a, b in combinations(here, 2) if same(a, b))

    found = {
        "seed": profiles.seeds(here),
        "augmentation": profiles.between((place._replace(augmented=False), place) for place in here),
        "transformations": profiles.between(alike(lambda a, b: a.design == b.design)),
        "dataset": profiles.between(
            (place, place._replace(dataset=other)) for place in here for other in chosen.datasets if other != dataset
        ),
        "design": profiles.between(alike(lambda a, b: a.transformations == b.transformations)),
    }
    return {kind: values for kind, values in found.items() if values}


def _table(found: dict[str, dict[str, list[float]]]) -> list[dict[str, object]]:
    return [
        {
            "dataset": dataset,
            "networks differ in": kind,
            "pairs": len(values),
            "mean": float(np.mean(values)),
            "median": float(np.median(values)),
            "lowest": min(values),
            "highest": max(values),
        }
        for dataset, kinds in found.items()
        for kind, values in kinds.items()
    ]

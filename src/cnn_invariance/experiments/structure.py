"""The headline: whether the structure of invariance belongs to the design of a network, and not to its training."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import captions, choices
from cnn_invariance.experiments.framework.claims import Claim, Finding, over
from cnn_invariance.experiments.framework.similarity import at_depths, difference
from cnn_invariance.study import Cell, MeasureSpec, Outputs, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results

QUESTION = "Does the structure of invariance belong to the design of a network, and not to its training?"

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
        name="design",
        statement="The structure of invariance depends on the design: designs differ more than seeds of one design.",
        statistic="log2 of the mean difference between designs over that between seeds; p: designs permuted",
        side="above",
        threshold=math.log2(1.5),
    ),
    Claim(
        name="not_training",
        statement="It does not depend on the training: designs differ more than plain and augmented training.",
        statistic="log2 of the mean difference between designs over that between plain and augmented training",
        side="above",
        threshold=0.0,
    ),
    Claim(
        name="transformation",
        statement="It changes with the transformation: sets differ more than seeds.",
        statistic="log2 of the mean difference between transformation sets over that between seeds; p: sets permuted",
        side="above",
        threshold=math.log2(1.5),
    ),
    Claim(
        name="dataset",
        statement="It changes with the dataset: datasets differ more than seeds.",
        statistic="log2 of the mean difference between datasets over that between seeds; p: datasets permuted",
        side="above",
        threshold=math.log2(1.5),
    ),
)


class Options(choices.Choice):
    """``measure``: whose profiles; ``seeds``: how many of the preset's seeds, at least two."""

    measure: str = choices.HEADLINE
    seeds: int = Field(3, ge=2)


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


def cells(study: Study, options: Options) -> list[Cell]:
    """Each network of each seed, trained with and measured under each set; and of the first seed, trained plain."""
    return [cell for cells in _cells(study, options).values() for cell in cells]


def outputs(study: Study, options: Options) -> Outputs:
    """A figure of all differences, and their table."""
    return Outputs(["structure"], ["structure"])


def draw(study: Study, options: Options, results: "Results", canvas: "Canvas") -> None:
    """Draw the differences and write their table."""
    import pandas as pd

    from cnn_invariance.plotting import spread_figure

    panels = differences(study, options, results)
    name = choices.label(choices.measure(study, options.measure))
    caption = _caption(study, options)
    canvas.figure("structure", spread_figure(panels, xlabel=f"difference between two {name} profiles"), caption)
    canvas.table("structure", pd.DataFrame(_table(panels)), caption)


def differences(study: Study, options: Options, results: "Results") -> dict[str, dict[str, list[float]]]:
    """By dataset and by what two networks differ in, in words: the differences between their profiles."""
    profiles = _profiles(study, options, results)
    return {
        dataset: {KINDS[kind]: values for kind, values in _differences(study, options, profiles, dataset).items()}
        for dataset in options.of(study).datasets
    }


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset over its sets; the last claim over designs and sets, for all datasets together."""
    profiles = _profiles(study, options, results)
    chosen, cells = options.of(study), _cells(study, options)
    for dataset in chosen.datasets:
        used = [cell for place, found in cells.items() if place.dataset == dataset for cell in found]
        at = [_grid(options, study, dataset, label) for label in chosen.sets]
        designs = [profiles.between(combinations(places, 2)) for places in at]
        seeds = [profiles.seeds(places) for places in at]
        trainings = [profiles.between((place._replace(augmented=False), place) for place in places) for places in at]
        p = permuted(profiles, at)
        yield _finding(CLAIMS[0], dataset, designs, seeds, "sets", used, p)
        yield _finding(CLAIMS[1], dataset, designs, trainings, "sets", used)
        by_design = [[Place(dataset, design, label) for label in chosen.sets] for design in chosen.models]
        sets = [profiles.between(combinations(places, 2)) for places in by_design]
        seeds = [profiles.seeds(places) for places in by_design]
        yield _finding(CLAIMS[2], dataset, sets, seeds, "designs", used, permuted(profiles, by_design))
    if len(chosen.datasets) > 1:
        by_both = [
            [Place(dataset, design, label) for dataset in chosen.datasets]
            for design, label in product(chosen.models, chosen.sets)
        ]
        datasets = [profiles.between(combinations(places, 2)) for places in by_both]
        seeds = [profiles.seeds(places) for places in by_both]
        every = [cell for found in cells.values() for cell in found]
        about = " and ".join(chosen.datasets)
        yield _finding(CLAIMS[3], about, datasets, seeds, "designs and sets", every, permuted(profiles, by_both))


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
    about: str,
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
    return Finding(claim, about, over(ratios, of), cells, p=p)


def _cells(study: Study, options: Options) -> dict[Place, list[MeasureSpec]]:
    chosen, count = options.of(study), len(choices.seeds(study, options.seeds))
    if len(chosen.models) < 2:
        raise InputError(f"designs are compared: name at least two models; received {', '.join(chosen.models)}")
    found = {}
    for dataset, design, label in product(*chosen):
        for augmented in (True, False):
            networks = (
                study.network(dataset=dataset, model=design, augmentation=label if augmented else None, seed=seed)
                for seed in study.seeds[: count if augmented else 1]
            )
            place = Place(dataset, design, label, augmented)
            found[place] = [study.measurement(network, label) for network in networks]
            choices.check_held(choices.measure(study, options.measure), found[place])
    return found


def _profiles(study: Study, options: Options, results: "Results") -> Profiles:
    measure = choices.measure(study, options.measure)

    def profile(cell: MeasureSpec) -> np.ndarray:
        return at_depths(results.profile(cell, measure)["value"])

    return Profiles({place: [profile(cell) for cell in cells] for place, cells in _cells(study, options).items()})


def _grid(options: Options, study: Study, dataset: str, label: str) -> list[Place]:
    return [Place(dataset, design, label) for design in options.of(study).models]


def _differences(study: Study, options: Options, profiles: Profiles, dataset: str) -> dict[str, list[float]]:
    """The differences of pairs that differ in one thing, by what they differ in; other datasets against this one."""
    chosen = options.of(study)
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


def _caption(study: Study, options: Options) -> str:
    measure = choices.measure(study, options.measure)
    name = choices.label(measure)
    return captions.caption(
        study,
        "structure",
        cells(study, options),
        title=f"Differences between {name} profiles, {' and '.join(options.of(study).datasets)}",
        question=QUESTION,
        setting=f"{SETTING.format(measure=name)} {captions.of_measure(measure)}",
    )

"""The headline: whether the structure of invariance belongs to the design of a network, and not to its training."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import Claim, Finding, Models, Outputs, Overview, Source, captions, choices
from cnn_invariance.experiments.framework.choice import Grid
from cnn_invariance.statistics.groups import Group, among, between, log_ratio, permuted, within
from cnn_invariance.statistics.intervals import over
from cnn_invariance.statistics.profiles import at_depths
from cnn_invariance.study import Cell, MeasureSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results

DESIGN = Claim(
    "design",
    "The structure of invariance depends on the design: designs differ more than seeds of one design.",
    "log2 of the mean difference between designs over that between seeds; p: designs permuted",
    "above",
    math.log2(1.5),
    Source.ABSTRACT,
)
NOT_TRAINING = Claim(
    "not_training",
    "It does not depend on the training: designs differ more than plain and augmented training.",
    "log2 of the mean difference between designs over that between plain and augmented training",
    "above",
    0.0,
    Source.ABSTRACT,
)
TRANSFORMATION = Claim(
    "transformation",
    "It changes with the transformation: sets differ more than seeds.",
    "log2 of the mean difference between transformation sets over that between seeds; p: sets permuted",
    "above",
    math.log2(1.5),
    Source.SUCCESSOR,
)
DATASET = Claim(
    "dataset",
    "It changes with the dataset: datasets differ more than seeds.",
    "log2 of the mean difference between datasets over that between seeds; p: datasets permuted",
    "above",
    math.log2(1.5),
    Source.SUCCESSOR,
)


class Place(NamedTuple):
    """What determines a profile but the seed; ``augmented`` False: trained plain."""

    dataset: str
    design: str
    transformations: str
    augmented: bool = True


Profiles = Mapping[Place, Group]
"""The profiles of the study by relative depth: of each place one for each seed, (101,)."""


class Structure(Models):
    """``measure``: whose profiles; ``seeds``: how many of the preset's seeds, at least two."""

    question = "Does the structure of invariance belong to the design of a network, and not to its training?"
    group = "characterisation"
    combined = True
    claims = (DESIGN, NOT_TRAINING, TRANSFORMATION, DATASET)
    setting = (
        "Each point is the difference between the {measure} profiles of two networks that are alike in all but one "
        "thing, named to the left: mean |P - Q| / mean (P + Q) / 2 over 101 depths from the first layer to the last, "
        "profiles interpolated between layers. Each network is trained with the set it is measured under; 'trained "
        "plain or augmented' compares it with the network trained plain. The bar is the mean."
    )

    measure: str = choices.HEADLINE
    seeds: int = Field(3, ge=2)

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

        panels, measure = self.overview(study, results).spreads, choices.measure(study, self.measure)
        name = choices.label(measure)
        caption = captions.caption(
            study,
            self.name,
            self.cells(study),
            title=f"Differences between {name} profiles, {' and '.join(self.on(study))}",
            question=self.question,
            setting=f"{self.setting.format(measure=name)} {captions.measure_in_words(measure)}",
        )
        canvas.figure(self.name, spread_figure(panels, xlabel=f"difference between two {name} profiles"), caption)
        canvas.table(self.name, pd.DataFrame(_table(panels)), caption)

    def overview(self, study: Study, results: "Results") -> Overview:
        """By dataset and by what two networks differ in, in words: the differences between their profiles."""
        profiles, grid = self._profiles(study, results), self.grid(study)
        return Overview(spreads={dataset: _differences(grid, profiles, dataset) for dataset in grid.datasets})

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset over its sets; the last claim over designs and sets, for all datasets together."""
        profiles, cells = self._profiles(study, results), self._cells(study)
        datasets, designs, sets = self.grid(study)

        def finding(
            claim: Claim,
            strata: Sequence[Sequence[Place]],
            of: str,
            among_datasets: Sequence[str],
            trained: bool = False,
        ) -> Finding:
            """The places of each stratum against seeds, or against the training."""
            groups = [[profiles[place] for place in places] for places in strata]
            plain = [[profiles[place._replace(augmented=False)] for place in places] for places in strata if trained]
            against = map(between, map(zip, plain, groups)) if trained else map(within, groups)
            ratios = [log_ratio(among(each), other) for each, other in zip(groups, against, strict=True)]
            used = [cell for place, found in cells.items() if place.dataset in among_datasets for cell in found]
            p = None if trained else permuted(groups)
            return Finding(claim, tuple(among_datasets), over(ratios, of), used, p=p)

        for dataset in datasets:
            by_set = [[Place(dataset, design, label) for design in designs] for label in sets]
            yield finding(DESIGN, by_set, "sets", [dataset])
            yield finding(NOT_TRAINING, by_set, "sets", [dataset], trained=True)
            by_design = [[Place(dataset, design, label) for label in sets] for design in designs]
            yield finding(TRANSFORMATION, by_design, "designs", [dataset])
        if len(datasets) > 1:
            by_both = [[Place(each, design, label) for each in datasets] for design, label in product(designs, sets)]
            yield finding(DATASET, by_both, "designs and sets", datasets)

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

    def _profiles(self, study: Study, results: "Results") -> Profiles:
        measure = choices.measure(study, self.measure)
        return {
            place: [at_depths(results.profile(cell, measure)["value"]) for cell in cells]
            for place, cells in self._cells(study).items()
        }


def _differences(chosen: Grid, profiles: Profiles, dataset: str) -> dict[str, list[float]]:
    """The differences of pairs that differ in one thing, by what they differ in; other datasets against this one."""
    here = [Place(dataset, design, label) for design, label in product(chosen.models, chosen.sets)]

    def differences(both: Iterable[tuple[Place, Place]]) -> list[float]:
        return between((profiles[a], profiles[b]) for a, b in both)

    def alike(same: Callable[[Place], str]) -> list[float]:
        return differences((a, b) for a, b in combinations(here, 2) if same(a) == same(b))

    others = [other for other in chosen.datasets if other != dataset]
    found = {
        "another seed": within(profiles[place] for place in here),
        "trained plain or augmented": differences((place._replace(augmented=False), place) for place in here),
        "another transformation set": alike(lambda place: place.design),
        "another dataset": differences((place, place._replace(dataset=other)) for place in here for other in others),
        "another design": alike(lambda place: place.transformations),
    }
    return {kind: values for kind, values in found.items() if values}


def _table(found: Mapping[str, Mapping[str, list[float]]]) -> list[dict[str, object]]:
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

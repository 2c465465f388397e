"""The headline: whether the structure of invariance belongs to the design of a network, and not to its training."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations, product
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from cnn_invariance.experiments.framework import (
    Claim,
    Finding,
    Models,
    Outputs,
    Overview,
    Source,
    captions,
    choices,
)
from cnn_invariance.statistics import decomposition
from cnn_invariance.statistics.evidence import Estimate, Evidence, Rule, evidence, what_decides
from cnn_invariance.statistics.groups import between, within
from cnn_invariance.statistics.lines import counted
from cnn_invariance.statistics.profiles import by_depth
from cnn_invariance.study import Cell, MeasureSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results

Training = Literal["untrained", "plain", "augmented"]
PLAINER: dict[Training, str] = {"untrained": "untrained", "plain": "plain, not augmented"}
TRAININGS: tuple[Training, ...] = ("untrained", "plain", "augmented")
FACTORS = ("dataset", "set", "training", "design")
SHAPE, SHARE = "eta squared of {}, of the shape of the profile", 0.05
SEED = "another seed"
SMALL = "a twentieth of the differences between profiles"

DESIGN = Claim(
    "design_not_training",
    "The structure depends on the design and not on the training: the design explains more of it than the training.",
    "eta squared of the design less that of the training (untrained, plain, augmented), of the shape of the profile",
    Rule("above", 0.0),
    Source.ABSTRACT,
    "no difference",
    primary=True,
)
TRAINING = Claim(
    "training_negligible",
    "The training explains next to nothing of the structure.",
    SHAPE.format("the training"),
    Rule("below", SHARE),
    Source.ABSTRACT,
    SMALL,
)
SET = Claim(
    "set",
    "The structure changes with the transformations.",
    SHAPE.format("the set"),
    Rule("above", SHARE),
    Source.SUCCESSOR,
    SMALL,
)
DATASET = Claim(
    "dataset",
    "The structure changes with the dataset.",
    SHAPE.format("the dataset"),
    Rule("above", SHARE),
    Source.SUCCESSOR,
    SMALL,
)
TOLD = Claim(
    "design_told",
    "The design can be told from a profile of an unseen dataset and set.",
    "share of augmented networks whose design is that of the nearest profile (shape) of other datasets and sets",
    Rule("above", 0.5),
    Source.OURS,
    "twice what guessing among four designs gives",
)


class Place(NamedTuple):
    """What determines a profile but the seed."""

    dataset: str
    design: str
    transformations: str
    training: Training


class Structure(Models):
    """``measure``: whose profiles; ``seeds``: how many of the preset's seeds, at least two."""

    question = "Does the structure of invariance belong to the design of a network, and not to its training?"
    group = "characterisation"
    combined = True
    claims = (DESIGN, TRAINING, SET, DATASET, TOLD)
    setting = (
        "{measure} profiles by relative depth (101 depths, linear between layers) of all combinations of {factors}. "
        "Untrained, trained plain for as many epochs as with augmentation, or trained with the set: all are measured "
        "under the set."
    )

    measure: str = choices.HEADLINE
    seeds: int = Field(5, ge=2)

    def cells(self, study: Study) -> list[MeasureSpec]:
        """Each design of each seed, untrained, plain and augmented, measured under each set."""
        return list(dict.fromkeys(cell for cells in self.once(study, self._cells).values() for cell in cells))

    def outputs(self, study: Study) -> Outputs:
        """A figure of the decomposition and one of all differences, each with its table."""
        both = [self.name, f"{self.name}_differences"]
        return Outputs(both, both)

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the decomposition and the differences, and write their tables."""
        import pandas as pd

        from cnn_invariance.plotting import share_figure, spread_figure

        measure = choices.measure(study, self.measure)
        name, profiles, factors = choices.label(measure), self._profiles(study, results), self._factors(study)
        words = {"measure": name, "factors": ", ".join(factors)}

        counts = counted(results.profile(cell, measure) for cell in self.cells(study))

        def caption(title: str, more: str) -> "captions.Caption":
            return captions.caption(
                study,
                self.name,
                self.cells(study),
                title=f"{title}, {' and '.join(self.on(study))}",
                question=self.question,
                setting=[self.setting.format(**words), more],
                measures=[measure],
                counts=counts,
            )

        parts = {
            kind: _shown(self._array(study, profiles, of), factors)
            for kind, of in {"level": decomposition.level, "shape": decomposition.shape}.items()
        }
        figure = share_figure(parts, xlabel="share of the differences between profiles (eta squared)")
        rows = [
            {"part": kind, "of": factor, "share": share, "low": low, "high": high}
            for kind, found in parts.items()
            for factor, (share, low, high) in found.items()
        ]
        rows += [{"part": "told", "of": one, "share": self._told(study, profiles, one)} for one in TRAININGS]
        text = caption(f"What {name} profiles differ by", DECOMPOSED)
        canvas.figure(self.name, figure, text)
        canvas.table(self.name, pd.DataFrame(rows), text)
        panels = _differences(profiles, self.on(study))
        text = caption(f"Differences between {name} profiles", DIFFERENCES)
        other = f"{self.name}_differences"
        xlabel = f"difference between two {name} profiles"
        canvas.figure(other, spread_figure(panels, xlabel=xlabel, band=SEED), text)
        canvas.table(other, pd.DataFrame(_table(panels)), text)

    def overview(self, study: Study, results: "Results") -> Overview:
        """The decomposition of the shape."""
        shape = self._array(study, self._profiles(study, results), decomposition.shape)
        return Overview(shares=_shown(shape, self._factors(study)))

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """Of all datasets together; without a second dataset, design or set, the factor's claims cannot be decided."""
        profiles, factors, cells = self._profiles(study, results), self._factors(study), self.cells(study)
        shape = self._array(study, profiles, decomposition.shape)

        def statistic(one: np.ndarray) -> dict[str, float]:
            found = decomposition.shares(one, factors)
            return found | {"design less training": found["design"] - found["training"]}

        found = decomposition.over_replicates(shape, statistic)
        about = tuple(self.on(study))
        for claim, name in {
            DESIGN: "design less training",
            TRAINING: "training",
            SET: "set",
            DATASET: "dataset",
        }.items():
            if name in found:
                yield Finding(claim, about, {"all profiles": found[name]}, cells)
            else:
                yield Finding(claim, about, cells=cells, reason=f"one {name} alone was measured")
        yield self._design_told(shape[..., TRAININGS.index("augmented"), :, :, :], about, cells)

    def _design_told(self, augmented: np.ndarray, about: tuple[str, ...], cells: Sequence[Cell]) -> Finding:
        if augmented.ndim < 4:
            return Finding(TOLD, about, cells=cells, reason="nothing unseen: one dataset and one set were measured")
        told = decomposition.bootstrap(augmented, _told)
        if math.isnan(told.low):
            return Finding(TOLD, about, cells=cells, reason="an interval needs three seeds")
        verdict = TOLD.rule.verdict(told.low, told.high)
        why: tuple[str, int | None] = ("", None)
        if verdict == "undecided":
            why = what_decides(TOLD.rule, told.value, augmented.shape[-2] * float(told.draws.var()))
        p, n = told.p_above(TOLD.rule.threshold), augmented[..., 0].size
        return Finding(TOLD, about, cells=cells, given=Evidence(Estimate(n, *told[:3], p, verdict, *why)))

    def _factors(self, study: Study) -> list[str]:
        """The factors with more than one level, in the order of the axes."""
        datasets, models, sets = self.grid(study)
        levels = dict(zip(FACTORS, (len(datasets), len(sets), len(TRAININGS), len(models)), strict=True))
        return [name for name in FACTORS if levels[name] > 1]

    def _array(self, study: Study, profiles: Mapping[Place, np.ndarray], of: decomposition.Part) -> np.ndarray:
        """The level or the shape of all profiles, an axis for each factor of several levels: (..., seeds, P)."""
        datasets, models, sets = self.grid(study)
        places = product(datasets, sets, TRAININGS, models)
        rows = np.stack([of(profiles[Place(d, m, s, t)]) for d, s, t, m in places])
        sizes = (size for size in (len(datasets), len(sets), len(TRAININGS), len(models)) if size > 1)
        return rows.reshape(*sizes, *rows.shape[1:])

    def _told(self, study: Study, profiles: Mapping[Place, np.ndarray], training: Training) -> float:
        datasets, models, sets = self.grid(study)
        chosen = [[[profiles[Place(d, m, s, training)] for m in models] for s in sets] for d in datasets]
        return _told(decomposition.shape(np.array(chosen)))

    def _cells(self, study: Study) -> dict[Place, list[MeasureSpec]]:
        datasets, models, sets = self.grid(study)
        choices.several("designs are compared", models)
        measure, seeds = choices.measure(study, self.measure), choices.seeds(study, self.seeds)
        found = {}
        for dataset, design, label in product(datasets, models, sets):
            how: dict[Training, dict[str, Any]] = {
                "untrained": {"augmentation": None, "epochs": 0},
                "plain": {"augmentation": None, "epochs_for": label},
                "augmented": {"augmentation": label},
            }
            for training in TRAININGS:
                networks = (study.network(dataset=dataset, model=design, seed=seed, **how[training]) for seed in seeds)
                place = Place(dataset, design, label, training)
                found[place] = [study.measurement(network, label) for network in networks]
                choices.check_held(measure, found[place])
        return found

    def _profiles(self, study: Study, results: "Results") -> dict[Place, np.ndarray]:
        """The profiles of each place by relative depth, (seeds, 101)."""
        measure = choices.measure(study, self.measure)
        return {
            place: np.array([by_depth(results.numbers(cell, measure)) for cell in cells])
            for place, cells in self.once(study, self._cells).items()
        }


DECOMPOSED = (
    "Level: the mean of a profile over depths; shape: the profile over its mean. Each share is the sum of squares of a "
    "factor's means, of the interactions of all factors, or of seeds, over that of all profiles about their mean. "
    "Estimates and their 95 % intervals (lines): by the jackknife over seeds. In the table, told: how often the design "
    "is that of the nearest profile of another dataset and another set."
)
DIFFERENCES = (
    "Each point is the difference between the profiles of two networks that are alike in all but one thing, named to "
    "the left: mean |P - Q| / mean (P + Q) / 2 over depths. The mark is the median, the bar goes from quartile to "
    "quartile; shaded: the middle 95 % of what another seed does. Augmented networks but where another training is "
    "named; two datasets stand once, with the first."
)


def _shown(profiles: np.ndarray, factors: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """Each share with its interval over seeds; with fewer than three of them as it is, without an interval (NaN)."""
    shares = partial(decomposition.shares, factors=factors)
    found = {
        name: evidence({name: values}, DESIGN.rule).pooled
        for name, values in decomposition.over_replicates(profiles, shares).items()
    }
    plain = shares(profiles)
    return {
        name: (plain[name] if math.isnan(one.estimate) else one.estimate, one.low, one.high)
        for name, one in found.items()
    }


def _told(shapes: np.ndarray) -> float:
    """How often the design is told, of shapes (datasets, sets, designs, seeds, P) or without one of the first two.

    By the nearest profile of another dataset and another set: neither is seen, nor is the same network.
    """
    *seen, design, _ = np.indices(shapes.shape[:-1]).reshape(shapes.ndim - 1, -1).tolist()
    return decomposition.nearest(shapes.reshape(-1, shapes.shape[-1]), design, *seen)


def _differences(profiles: Mapping[Place, np.ndarray], datasets: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """By dataset and by the one thing in which two networks differ: the differences between their profiles.

    What two datasets differ by stands once, with the first of the two.
    """
    found = {}
    for number, dataset in enumerate(datasets):
        here = {place: list(found) for place, found in profiles.items() if place.dataset == dataset}
        trained = {place: found for place, found in here.items() if place.training == "augmented"}
        kinds: dict[str, list[float]] = {SEED: within(trained.values())}
        for training, name in PLAINER.items():
            others = ((here[place._replace(training=training)], each) for place, each in trained.items())
            kinds[name] = between(others)
        for field, name in {"design": "design", "transformations": "set"}.items():
            for first, second in combinations(dict.fromkeys(getattr(place, field) for place in trained), 2):
                both = (
                    (each, trained[place._replace(**{field: second})])
                    for place, each in trained.items()
                    if getattr(place, field) == first
                )
                kinds[f"{name}: {first}, {second}"] = between(both)
        for other, label in product(datasets[number + 1 :], dict.fromkeys(place.transformations for place in trained)):
            both = (
                (each, list(profiles[place._replace(dataset=other)]))
                for place, each in trained.items()
                if place.transformations == label
            )
            kinds[f"dataset: {other}, under {label}"] = between(both)
        found[dataset] = {kind: values for kind, values in kinds.items() if values}
    return found


def _table(found: Mapping[str, Mapping[str, list[float]]]) -> list[dict[str, object]]:
    return [
        {
            "dataset": dataset,
            "networks differ in": kind,
            "pairs": len(values),
            "lowest": min(values),
            "lower quartile": float(np.quantile(values, 0.25)),
            "median": float(np.median(values)),
            "upper quartile": float(np.quantile(values, 0.75)),
            "highest": max(values),
            "mean": float(np.mean(values)),
        }
        for dataset, kinds in found.items()
        for kind, values in kinds.items()
    ]

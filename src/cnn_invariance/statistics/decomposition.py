"""Functional analysis of variance: how much of the differences between profiles goes back to each of several factors.

The profiles of a balanced study are an array (levels of factor 1, levels of factor 2, ..., replicates, P): at each of P
depths, a value of each replicate of each combination of levels. The sum of squares about the grand mean profile, over
all depths together, is the sum of one part for each factor (of the means of its levels), one for their interactions,
and one for the replicates. The share of a part is its eta squared.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from cnn_invariance.statistics.evidence import jackknife
from cnn_invariance.statistics.intervals import CONFIDENCE

Part = Callable[[np.ndarray], np.ndarray]
"""`level` or `shape`: what of profiles is decomposed."""
Statistic = Callable[[np.ndarray], Mapping[str, float]]
"""Numbers of profiles, by name."""
INTERACTIONS, SEED = "interactions", "seed"
DRAWS = 2000
"""Bootstrap samples of an interval."""


class Bootstrapped(NamedTuple):
    """A number, its 95 % interval (NaN: unknown), and the number of each bootstrap sample, which that is made of."""

    value: float
    low: float
    high: float
    draws: np.ndarray

    def p_above(self, threshold: float) -> float:
        """One-sided, of a number above the threshold, the estimate counted as a draw; NaN: there are no draws."""
        if not self.draws.size:
            return math.nan
        return float((1 + (self.draws <= threshold).sum()) / (1 + self.draws.size))


def level(profiles: np.ndarray) -> np.ndarray:
    """The mean of each profile over its depths, (..., 1).

    >>> level(np.array([[1.0, 3.0]]))
    array([[2.]])
    """
    return profiles.mean(axis=-1, keepdims=True)


def shape(profiles: np.ndarray) -> np.ndarray:
    """Each profile over its own mean, (..., P): what is left of it without its level."""
    return profiles / level(profiles)


def shares(profiles: np.ndarray, factors: Sequence[str]) -> dict[str, float]:
    """Eta squared of each factor, of `INTERACTIONS` and of `SEED`; they sum to 1 (NaN where all profiles are equal).

    profiles: (levels, ..., replicates, P), an axis for each factor in order

    Errors: ValueError if the axes are not those of the factors
    """
    if profiles.ndim != len(factors) + 2:
        raise ValueError(f"expected {len(factors) + 2} axes for {', '.join(factors)}; received {profiles.ndim}")
    axes = tuple(range(len(factors) + 1))
    grand = profiles.mean(axis=axes, keepdims=True)
    whole = float(((profiles - grand) ** 2).sum())
    if whole == 0:
        return dict.fromkeys((*factors, INTERACTIONS, SEED), float("nan"))
    cells = profiles.mean(axis=len(factors), keepdims=True)
    found = {}
    for axis, name in enumerate(factors):
        means = profiles.mean(axis=tuple(other for other in axes if other != axis), keepdims=True)
        found[name] = float(((means - grand) ** 2).sum()) * profiles[..., 0].size / profiles.shape[axis] / whole
    seed = float(((profiles - cells) ** 2).sum()) / whole
    return found | {INTERACTIONS: 1 - sum(found.values()) - seed, SEED: seed}


def over_replicates(profiles: np.ndarray, statistic: Statistic) -> dict[str, list[float]]:
    """Of each number of a statistic of all profiles, a value for each replicate: its jackknife pseudo-values.

    Replicate k of all combinations together is left out at a time, because it can be one network in several of them: an
    untrained network is measured under every set. Student's interval of the mean of the values holds the truth in 93 to
    97 % of made-up studies of the size of ours (2 x 3 x 3 x 4 combinations of 5 replicates); the bootstrap's held it in
    83 to 93 %, and in 69 to 88 % of smaller ones (in this module's test, and in CHANGELOG).
    """
    replicates = list(np.moveaxis(profiles, -2, 0))
    found: dict[tuple[int, ...], Mapping[str, float]] = {}

    def numbers(kept: Sequence[np.ndarray]) -> Mapping[str, float]:
        """The numbers of some replicates, computed once for all names."""
        which = tuple(map(id, kept))
        if which not in found:
            found[which] = statistic(np.stack(kept, axis=-2))
        return found[which]

    names = numbers(replicates)
    return {name: jackknife(lambda kept, name=name: numbers(kept)[name], replicates) for name in names}  # type: ignore[misc]


def bootstrap(profiles: np.ndarray, statistic: Callable[[np.ndarray], float], draws: int = DRAWS) -> Bootstrapped:
    """A number that counts something, with its 95 % interval: replicates of all combinations together are drawn anew.

    The interval is that of the percentiles. The random numbers are fixed. Fewer than three replicates have no interval
    (NaN).
    """
    generator, value = np.random.default_rng(0), statistic(profiles)
    replicates = profiles.shape[-2]
    if replicates < 3:  # two can be drawn in three ways only
        return Bootstrapped(value, math.nan, math.nan, np.array([]))
    drawn = (profiles[..., generator.integers(replicates, size=replicates), :] for _ in range(draws))
    found = np.array([statistic(one) for one in drawn])
    low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Bootstrapped(value, float(low), float(high), found)


def nearest(profiles: np.ndarray, labels: Sequence[int], *groups: Sequence[int]) -> float:
    """How often a profile's label is that of the nearest profile outside all its groups: leave-groups-out 1-NN.

    profiles: (n, P); labels: what is to be told, such as the design; groups: of each thing that is not to be seen, such
    as the dataset and the set, which each profile has

    >>> nearest(np.array([[0.0], [1.0], [0.1], [1.1]]), [0, 1, 0, 1], [0, 0, 1, 1])
    1.0
    """
    from scipy.spatial.distance import cdist  # here, so that planning does not load it

    told, distances = np.asarray(labels), cdist(profiles, profiles, "cityblock")
    for group in map(np.asarray, groups):
        distances[group[:, None] == group[None]] = np.inf
    return float((told[distances.argmin(axis=1)] == told).mean())

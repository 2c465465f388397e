"""Functional analysis of variance: how much of the differences between profiles goes back to each of several factors.

The profiles of a balanced study are an array (levels of factor 1, levels of factor 2, ..., replicates, P): at each of P
depths, a value of each replicate of each combination of levels. The sum of squares about the grand mean profile, over
all depths together, is the sum of one part for each factor (of the means of its levels), one for their interactions,
and one for the replicates. The share of a part is its eta squared.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from cnn_invariance.statistics.intervals import CONFIDENCE

Part = Callable[[np.ndarray], np.ndarray]
"""`level` or `shape`: what of profiles is decomposed."""
INTERACTIONS, SEED = "interactions", "seed"
DRAWS = 1000
"""Bootstrap samples of an interval."""


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


def bootstrap(
    profiles: np.ndarray, statistic: Callable[[np.ndarray], Mapping[str, float]], draws: int = DRAWS
) -> dict[str, tuple[float, float, float]]:
    """Each number of a statistic of profiles, with its 95 % interval: replicates are drawn anew in each combination.

    The interval is the basic one about the estimate (Davison, Hinkley 1997), because drawing replicates anew adds to
    their spread what it already has. The random numbers are fixed. One replicate has no interval (NaN).
    """
    generator, found = np.random.default_rng(0), statistic(profiles)
    replicates = profiles.shape[-2]
    if replicates < 2:
        return {name: (value, float("nan"), float("nan")) for name, value in found.items()}
    drawn: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(draws):
        chosen = generator.integers(replicates, size=(*profiles.shape[:-1], 1))
        for name, value in statistic(np.take_along_axis(profiles, chosen, axis=-2)).items():
            drawn[name].append(value)
    ends = {name: np.quantile(values, [(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2]) for name, values in drawn.items()}
    return {
        name: (value, float(2 * value - ends[name][0]), float(2 * value - ends[name][1]))
        for name, value in found.items()
    }


def nearest(profiles: np.ndarray, labels: Sequence[int], groups: Sequence[int]) -> float:
    """How often a profile's label is that of the nearest profile outside its own group: leave-one-group-out 1-NN.

    profiles: (n, P); labels: what is to be told, such as the design; groups: what was not seen, such as dataset and set

    >>> nearest(np.array([[0.0], [1.0], [0.1], [1.1]]), [0, 1, 0, 1], [0, 0, 1, 1])
    1.0
    """
    told, unseen = np.asarray(labels), np.asarray(groups)
    distances = np.abs(profiles[:, None] - profiles[None]).mean(axis=-1)
    distances[unseen[:, None] == unseen[None]] = np.inf
    return float((told[distances.argmin(axis=1)] == told).mean())

"""Statistics of groups of profiles: how far groups lie apart, compared with the members of one group.

A group is a sequence of profiles of one length, as of networks that differ in their seed only.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from cnn_invariance.statistics.profiles import difference, pairs

Group = Sequence[np.ndarray]

PERMUTATIONS = 10_000


def within(groups: Iterable[Group]) -> list[float]:
    """Differences between the members of each group."""
    return [value for group in groups for value in pairs(group)]


def between(both: Iterable[tuple[Group, Group]]) -> list[float]:
    """Differences between two groups, member by member (in the order of both; of the longer group, not all)."""
    return [difference(p, q) for first, second in both for p, q in zip(first, second, strict=False)]


def among(groups: Iterable[Group]) -> list[float]:
    """Differences between every two groups, member by member."""
    return between(combinations(groups, 2))


def log_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The log2 of the mean of some values over that of others; NaN where one mean is not positive.

    >>> log_ratio([4.0, 4.0], [1.0])
    2.0
    """
    if np.mean(below) > 0 and np.mean(above) > 0:
        return math.log2(np.mean(above) / np.mean(below))
    return math.nan


def permuted(strata: Sequence[Sequence[Group]], draws: int = PERMUTATIONS) -> float:
    """The p of a permutation test that groups differ: that their labels do not matter, within each stratum.

    Statistic: the mean difference between groups less that inside a group, mean over strata. The labels of the members
    of a stratum are permuted, p = (1 + permutations as large) / (1 + permutations). The random numbers are fixed.
    """
    generator = np.random.default_rng(0)
    observed, drawn = 0.0, np.zeros(draws)
    for groups in strata:
        labels = np.array([k for k, group in enumerate(groups) for _ in group])
        members = [profile for group in groups for profile in group]
        rows, columns = np.triu_indices(len(members), 1)
        distances = np.array([difference(members[i], members[j]) for i, j in zip(rows, columns, strict=True)])

        def statistic(labels: np.ndarray, both: tuple = (rows, columns), distances: np.ndarray = distances) -> float:
            same = labels[both[0]] == labels[both[1]]
            return float(distances[~same].mean() - distances[same].mean())

        observed += statistic(labels)
        drawn += [statistic(generator.permutation(labels)) for _ in range(draws)]
    return float((1 + (drawn >= observed - 1e-12).sum()) / (1 + draws))

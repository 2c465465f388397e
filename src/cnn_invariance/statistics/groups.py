"""Statistics of groups of profiles: how far groups lie apart, compared with the members of one group.

A group is a sequence of profiles of one length, as of networks that differ in their seed only.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from cnn_invariance.statistics.profiles import difference, pairs

Group = Sequence[np.ndarray]


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

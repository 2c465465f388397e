"""How far profiles lie apart, in single numbers: over seeds, over layers, between two networks.

A profile is an array (L,), its layers in forward order; layers without a finite value are left out.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def variation(profiles: Sequence[ArrayLike]) -> float:
    """The coefficient of variation over seeds, std / |mean| with n - 1 (mean over layers).

    Layers that are not finite for every seed, or are 0 on average, are left out; NaN if none is left, or for one seed.

    >>> round(variation([[1.0, 4.0], [3.0, 4.0]]), 3)
    0.354
    """
    values = np.asarray(profiles, dtype=float)
    if len(values) < 2:
        return math.nan
    values = values[:, np.isfinite(values).all(axis=0)]
    middle = np.abs(values.mean(axis=0))
    if not middle.any():
        return math.nan
    return float((values.std(axis=0, ddof=1)[middle > 0] / middle[middle > 0]).mean())


def log_range(profile: ArrayLike) -> float:
    """How many orders of magnitude the layers span: log10 of the largest positive value over the smallest.

    >>> log_range([0.01, 1.0, 10.0])
    3.0
    """
    values = np.asarray(profile, dtype=float)
    positive = values[np.isfinite(values) & (values > 0)]
    return float(np.log10(positive.max() / positive.min())) if positive.size else math.nan


def separation(first: ArrayLike, second: ArrayLike) -> float:
    """How clearly the first profile lies above the second: the mean over layers of P - Q, over its deviation.

    0 for equal profiles, infinite for a constant distance; NaN with fewer than two layers finite in both.

    >>> separation([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    2.0
    """
    distance = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    distance = distance[np.isfinite(distance)]
    if distance.size < 2:
        return math.nan
    middle, deviation = float(distance.mean()), float(distance.std(ddof=1))
    if deviation == 0:
        return math.copysign(math.inf, middle) if middle else 0.0
    return middle / deviation

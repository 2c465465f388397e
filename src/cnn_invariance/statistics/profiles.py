"""Statistics of layer profiles: how alike two are, and how far several lie apart, in single numbers.

A profile is an array (L,), its layers in forward order; layers without a finite value are left out, pairwise where two
profiles are compared.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike

GRID = np.linspace(0, 100, 101)
"""Depths, in per cent, at which profiles of different designs are compared."""


def difference(first: ArrayLike, second: ArrayLike) -> float:
    """The relative difference of two profiles P, Q of the same layers: mean |P - Q| / mean (P + Q) / 2.

    0 for equal profiles, 2 where one is zero everywhere; NaN without a layer in which both are finite. Symmetric.

    >>> round(difference([1.0, 1.0], [1.1, 0.9]), 3), difference([1.0, 2.0], [1.0, 2.0])
    (0.1, 0.0)
    """
    p, q = _both(first, second)
    if not p.size:
        return float("nan")
    total = float(np.abs(p + q).mean() / 2)
    return float(np.abs(p - q).mean() / total) if total else 0.0


def correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Pearson's correlation over the layers of two profiles: whether their shapes agree, whatever their levels.

    NaN where fewer than three layers are finite in both, or one profile is constant.

    >>> round(correlation([1.0, 2.0, 4.0], [10.0, 20.0, 40.0]), 12)
    1.0
    """
    p, q = _both(first, second)
    if p.size < 3 or np.ptp(p) == 0 or np.ptp(q) == 0:
        return float("nan")
    return float(np.corrcoef(p, q)[0, 1])


def pairs(profiles: Sequence[ArrayLike]) -> list[float]:
    """`difference` of every pair of profiles of the same layers.

    >>> pairs([[1.0], [1.0], [3.0]])
    [0.0, 1.0, 1.0]
    """
    return [difference(p, q) for p, q in combinations(profiles, 2)]


def relative_depth(index: ArrayLike, last: float) -> np.ndarray:
    """The depth of layers in per cent of all that were observed: the first at 0, the last at 100 (a single one: 100).

    index: the numbers of the layers, from 1; last: that of the last observed layer

    >>> relative_depth([1, 2, 4], 5)
    array([ 0., 25., 75.])
    """
    numbers = np.asarray(index, dtype=float)
    return np.full_like(numbers, 100.0) if last <= 1 else 100.0 * (numbers - 1) / (last - 1)


def at_depths(profile: ArrayLike, depths: ArrayLike | None = None) -> np.ndarray:
    """A profile by relative depth, (101,): linear between layers, beyond its first and last layer their values.

    So that profiles of different designs can be compared. Layers without a finite value are left out.

    depths: of the layers, in per cent of all observed ones; None: those of the profile are all

    >>> at_depths([0.0, 1.0])[[0, 50, 100]]
    array([0. , 0.5, 1. ])
    """
    values = np.asarray(profile, dtype=float)
    finite = np.isfinite(values)
    if not finite.any():
        return np.full(GRID.size, np.nan)
    places = np.linspace(0, 100, values.size) if depths is None else np.asarray(depths, dtype=float)
    return np.interp(GRID, places[finite], values[finite])


def by_depth(profile: Mapping[str, np.ndarray]) -> np.ndarray:
    """`at_depths` of a profile's columns, of which it takes ``value`` and ``depth``."""
    return at_depths(profile["value"], profile["depth"])


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


def layer_mean(profile: Iterable[float]) -> float:
    """The mean of a profile over the layers where it is finite; NaN where it is nowhere.

    >>> layer_mean([1.0, float("nan"), 3.0])
    2.0
    """
    finite = [value for value in profile if math.isfinite(value)]
    return fmean(finite) if finite else math.nan


def rate(counts: Sequence[float], differences: Sequence[float]) -> float:
    """How fast differences from the value of all samples fall: r of c (1/N - 1/N_all)^r, fitted to logarithms.

    Of a mean over independent samples, the difference between the first N of N_all and all has the variance
    sigma^2 (1/N - 1/N_all), and r is 1/2.

    counts:      N of each difference, and, last, N_all
    differences: of all but the last; one that is 0 or unknown is left out

    Returns NaN where fewer than two are left.

    >>> round(rate([10, 50, 100], [0.3, 0.1, 0.0]), 3)
    0.5
    """
    *fewer, whole = counts
    x = np.log([1 / count - 1 / whole for count in fewer])
    with np.errstate(divide="ignore"):
        y = np.log(np.asarray(differences, dtype=float)[: len(fewer)])
    known = np.isfinite(y)
    if np.unique(x[known]).size < 2:
        return math.nan
    return float(np.polynomial.Polynomial.fit(x[known], y[known], 1).convert().coef[1])


def _both(first: ArrayLike, second: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    p, q = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if p.shape != q.shape:
        raise ValueError(f"profiles of {p.size} and {q.size} layers cannot be compared layer by layer; see at_depths")
    finite = np.isfinite(p) & np.isfinite(q)
    return p[finite], q[finite]

"""Estimates with their intervals, and statistics of numbers that are not profiles."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

import numpy as np

CONFIDENCE = 0.95

DRAWS = 2000
"""Bootstrap samples of an interval."""

ANY = (-math.inf, math.inf)
"""What a number can be."""
CORRELATION = (-1.0, 1.0)
"""What a correlation can be."""
POSITIVE = (0.0, math.inf)
"""What the difference between two profiles and the quotient of positive numbers can be."""


@dataclass(frozen=True)
class Interval:
    """A statistic with the bounds of its 95 % interval (NaN: unknown), and what they come from, in words."""

    estimate: float
    low: float
    high: float
    source: str


def over(values: Iterable[float], of: str, within: tuple[float, float] = ANY) -> Interval:
    """The mean of independent values, with Student's interval: mean +- t(n - 1) s / sqrt(n).

    of:     what a value is of, in the plural: "networks". A single value has no interval; values that are NaN are left
            out, and counted in the words. Equal values have an interval without width.
    within: what the statistic can be at all; the interval is cut there

    >>> found = over([1.0, 2.0, 3.0], "networks")
    >>> round(found.estimate, 3), round(found.low, 3), round(found.high, 3), found.source
    (2.0, -0.484, 4.484, '3 networks')
    """
    given = np.asarray(list(values), dtype=float)
    known = given[np.isfinite(given)]
    source = f"{known.size} {of}" + (f" ({given.size - known.size} without a value)" if known.size < given.size else "")
    if known.size == 0:
        return Interval(math.nan, math.nan, math.nan, source)
    middle = float(known.mean())
    if known.size == 1:
        return Interval(middle, math.nan, math.nan, source)
    from scipy.stats import t as student  # here, so that planning does not load it

    quantile = float(student.ppf(0.5 + CONFIDENCE / 2, known.size - 1))
    half = quantile * float(known.std(ddof=1)) / math.sqrt(known.size)
    return Interval(middle, max(within[0], middle - half), min(within[1], middle + half), source)


def bootstrap(
    statistic: Callable[[Sequence[np.ndarray]], float], groups: Sequence[np.ndarray], of: str, *, draws: int = DRAWS
) -> Interval:
    """A statistic of groups of values, with the percentile interval of bootstrap samples of every group.

    groups: each (n,) or (n, ...): its rows are drawn with replacement, independently of the other groups
    of:     what is drawn, in the plural: "feature maps"

    The random numbers are fixed: the same groups give the same interval. Draws whose statistic is NaN are left out.

    >>> found = bootstrap(lambda groups: float(groups[0].mean()), [np.arange(100.0)], "samples")
    >>> found.estimate, round(found.low), round(found.high), found.source
    (49.5, 44, 55, 'bootstrap of 100 samples')
    """
    generator = np.random.default_rng(0)
    sizes = [len(group) for group in groups]
    source = f"bootstrap of {sum(sizes):,} {of}"
    fewest = min(sizes, default=0)
    if fewest < 2:
        return Interval(statistic(groups) if fewest else math.nan, math.nan, math.nan, source)
    drawn = np.array(
        [
            statistic([group[generator.integers(size, size=size)] for group, size in zip(groups, sizes, strict=True)])
            for _ in range(draws)
        ]
    )
    drawn = drawn[np.isfinite(drawn)]
    if drawn.size == 0:
        return Interval(statistic(groups), math.nan, math.nan, source)
    low, high = np.quantile(drawn, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return Interval(float(statistic(groups)), float(low), float(high), source)


def unknown(source: str) -> Interval:
    """No statistic: for a finding whose ``reason`` says why."""
    return Interval(math.nan, math.nan, math.nan, source)


def wilson(share: float, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for a share observed on ``count`` independent samples, inside [0, 1].

    Of a mean over the transformations of each sample, too, ``count`` is the number of samples: the
    values of one sample are not independent. As such a mean varies less from sample to sample than
    one yes or no of the same expectation, the interval is then wide rather than narrow.

    >>> [round(bound, 4) for bound in wilson(0.9, 100)]
    [0.8256, 0.9448]
    """
    from scipy.stats import norm  # here and below, so that planning does not load it

    z = float(norm.ppf(0.5 + confidence / 2))
    scale = 1 + z**2 / count
    middle = (share + z**2 / (2 * count)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def with_interval(name: str, share: float, count: int) -> dict[str, float]:
    """A share and its Wilson interval as three columns of a table.

    >>> list(with_interval("plain", 0.9, 100))
    ['plain', 'plain_low', 'plain_high']
    """
    low, high = wilson(share, count)
    return {name: share, f"{name}_low": low, f"{name}_high": high}


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rho; NaN where one side is constant or has fewer than two values.

    >>> rank_correlation([0, 1, 2, 3], [9, 8, 4, 1])
    -1.0
    """
    if len(set(first)) < 2 or len(set(second)) < 2:
        return math.nan
    from scipy.stats import spearmanr

    return round(float(spearmanr(first, second).statistic), 12)


def falls(values: Sequence[float]) -> bool:
    """Whether every value is below the one before it (NaN never is).

    >>> falls([3, 2, 1]), falls([3, 3, 1]), falls([3, float("nan")])
    (True, False, False)
    """
    return all(b < a for a, b in pairwise(values))


def mean(values: Iterable[float]) -> float:
    """The arithmetic mean of one or more values."""
    return fmean(values)


def quotient(part: float, whole: float) -> float:
    """One value over another; NaN over zero.

    >>> quotient(1.0, 4.0), quotient(1.0, 0.0)
    (0.25, nan)
    """
    return part / whole if whole else math.nan

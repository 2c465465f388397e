"""Intervals of shares, and statistics of numbers that are not profiles."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import fmean

CONFIDENCE = 0.95

DRAWS = 2000
"""Bootstrap samples of an interval."""


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

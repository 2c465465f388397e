"""Claims: what is expected of an experiment, stated before looking, as a test that can come out either way.

An experiment states its expectations in its class: a `Claim` has a statistic, a side and a threshold, which are fixed
in the source. Its results give a `Finding` for each claim and dataset: the statistic with its 95 % interval.

The verdict follows from these alone. *Supported*: the whole interval lies on the claimed side of the threshold.
*Not supported*: the whole interval lies on the other side. *Undecided*: the threshold is inside the interval, there is
no interval, or a permutation test beside it has p >= 0.01. So more data move a claim away from "undecided", in either
direction.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cnn_invariance.study import Cell

CONFIDENCE = 0.95
LEVEL = 0.01
"""A claim with a permutation test is supported only where its p is below this, too."""

DRAWS = 2000
"""Bootstrap samples of an interval."""

Side = Literal["above", "below"]
Verdict = Literal["supported", "not supported", "undecided"]


@dataclass(frozen=True)
class Claim:
    """An expectation of the paper.

    name:      its id inside the experiment, such as "monotone"
    statement: the expectation, a sentence
    statistic: what number is looked at, in words that name the measure
    side:      on which side of the threshold the claim holds
    threshold: chosen before looking at results
    """

    name: str
    statement: str
    statistic: str
    side: Side
    threshold: float

    @property
    def rule(self) -> str:
        """The test in words."""
        return f"supported if {self.side} {self.threshold:g}"


@dataclass(frozen=True)
class Interval:
    """A statistic with the bounds of its 95 % interval (NaN: unknown), and what they come from, in words."""

    estimate: float
    low: float
    high: float
    source: str


@dataclass(frozen=True)
class Finding:
    """What the results say about a claim.

    datasets: those it is about, one or several together
    cells:  those the statistic was computed from
    p:      of a permutation test, where there is one
    reason: why the results cannot say, where they cannot
    """

    claim: Claim
    datasets: tuple[str, ...]
    interval: Interval
    cells: Sequence[Cell]
    p: float | None = None
    reason: str = ""

    @property
    def about(self) -> str:
        """The datasets in words."""
        return " and ".join(self.datasets)

    @property
    def verdict(self) -> Verdict:
        """Supported, not supported or undecided, by the rule of this module."""
        low, high = self.interval.low, self.interval.high
        if self.reason or math.isnan(low) or math.isnan(high):
            return "undecided"
        claimed, other = low > self.claim.threshold, high < self.claim.threshold
        if self.claim.side == "below":
            claimed, other = other, claimed
        if self.p is not None and self.p >= LEVEL:
            claimed = False
        return "supported" if claimed else "not supported" if other else "undecided"

    @property
    def why(self) -> str:
        """Why the verdict is "undecided"; nothing for another verdict."""
        if self.reason or self.verdict != "undecided":
            return self.reason
        if math.isnan(self.interval.low) or math.isnan(self.interval.high):
            return f"no interval from {self.interval.source}"
        if self.p is not None and self.p >= LEVEL:
            return f"p = {self.p:.2g} is not below {LEVEL:g}"
        return "the threshold lies inside the interval"


def over(values: Iterable[float], of: str, within: tuple[float, float] = (-math.inf, math.inf)) -> Interval:
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


CORRELATION = (-1.0, 1.0)
"""What a correlation can be."""
POSITIVE = (0.0, math.inf)
"""What the difference between two profiles and the quotient of positive numbers can be."""


def unknown(source: str) -> Interval:
    """No statistic: for a finding whose ``reason`` says why."""
    return Interval(math.nan, math.nan, math.nan, source)

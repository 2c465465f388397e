"""Claims: what is expected of an experiment, stated before looking, as a test that can come out either way.

An experiment states its expectations in its class: a `Claim` has a statistic, a side and a threshold, which are fixed
in the source. Its results give a `Finding` for each claim and dataset: the statistic with its 95 % interval.

The verdict follows from these alone. *Supported*: the whole interval lies on the claimed side of the threshold.
*Not supported*: the whole interval lies on the other side. *Undecided*: the threshold is inside the interval, there is
no interval, or a permutation test beside it has p >= 0.01. So more data move a claim away from "undecided", in either
direction.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cnn_invariance.paper.sources import Source
from cnn_invariance.statistics.intervals import Interval
from cnn_invariance.study import Cell

LEVEL = 0.01
"""A claim with a permutation test is supported only where its p is below this, too."""

Side = Literal["above", "below"]
Verdict = Literal["supported", "not supported", "undecided"]


@dataclass(frozen=True)
class Claim:
    """A statement that results can support or refute.

    name:      its id inside the experiment, such as "monotone"
    statement: what is claimed, a sentence
    statistic: what number is looked at, in words that name the measure
    side:      on which side of the threshold the claim holds
    threshold: chosen before looking at results
    source:    whose statement it is: the abstract's, the successor's, or a hypothesis of ours
    """

    name: str
    statement: str
    statistic: str
    side: Side
    threshold: float
    source: Source

    @property
    def rule(self) -> str:
        """The test in words."""
        return f"supported if {self.side} {self.threshold:g}"


class UntestableError(Exception):
    """Raised by the statistic of a claim that results cannot decide.

    reason: why they cannot, in words
    source: what there is no number of, in the place of an interval's source
    """

    def __init__(self, reason: str, source: str) -> None:
        super().__init__(reason)
        self.reason, self.source = reason, source


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

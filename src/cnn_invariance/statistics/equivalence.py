"""Two samples of seeds of one setting: how far apart their means are, and whether they are equal within a margin."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cnn_invariance.statistics.intervals import CONFIDENCE

LEVEL = (1 - CONFIDENCE) / 2
"""Of each of the two one-sided tests of equivalence: equal where the 95 % interval lies inside the margin."""

Equivalence = Literal["equal", "apart", "undecided"]
"""Equal within the margin, apart by more than it, or neither can be said."""


@dataclass(frozen=True)
class Difference:
    """The difference of two means, with its standard error and the degrees of freedom of Student's t.

    An error of 0 is that of samples without any spread; NaN degrees: it is not known.
    """

    estimate: float
    error: float
    degrees: float

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """The two-sided interval (NaN: unknown).

        >>> low, high = Difference(1.0, 0.1, 10.0).interval()
        >>> round(low, 3), round(high, 3)
        (0.777, 1.223)
        """
        if math.isnan(self.degrees) or math.isnan(self.error):
            return math.nan, math.nan
        from scipy.stats import t as student  # here, so that planning does not load it

        half = self.error * float(student.ppf(0.5 + confidence / 2, self.degrees))
        return self.estimate - half, self.estimate + half

    def p(self, margin: float) -> float:
        """The larger p of the two one-sided tests (TOST) that the means are a margin apart or more; NaN: unknown."""
        if math.isnan(self.degrees) or not self.error > 0:
            return math.nan
        from scipy.stats import t as student

        return float(student.sf((margin - abs(self.estimate)) / self.error, self.degrees))

    def equivalence(self, margin: float, level: float = LEVEL) -> Equivalence:
        """Two one-sided tests at ``level`` (TOST): equal where both reject that the means are a margin apart or more.

        The same as: the whole interval with confidence 1 - 2 level lies inside the margin. A difference whose interval
        lies outside it is apart.
        """
        low, high = self.interval(1 - 2 * level)
        if -margin < low and high < margin:
            return "equal"
        return "apart" if high < -margin or low > margin else "undecided"


def welch(first: Sequence[float], second: Sequence[float]) -> Difference:
    """The mean of the first sample less that of the second, by Welch: neither size nor variance need be equal.

    The values are compared as they are: accuracies of one setting differ by a hundredth at most, over which the logit
    is a straight line, and a margin in points of accuracy says what a reader wants to know. With fewer than two values
    on a side the error is unknown (NaN).

    >>> found = welch([0.976, 0.978, 0.980], [0.977, 0.979])
    >>> round(found.estimate, 4), round(found.error, 5), round(found.degrees, 2)
    (0.0, 0.00153, 2.88)
    """
    sizes = [len(first), len(second)]
    estimate = float(np.mean(first) - np.mean(second)) if min(sizes) else math.nan
    if min(sizes) < 2:
        return Difference(estimate, math.nan, math.nan)
    parts = [float(np.var(sample, ddof=1)) / len(sample) for sample in (first, second)]
    if not any(parts):
        return Difference(estimate, 0.0, float(sum(sizes) - 2))
    below = sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
    return Difference(estimate, math.sqrt(sum(parts)), sum(parts) ** 2 / below)


def single(first: Sequence[float], second: Sequence[float], yardstick: Sequence[float]) -> Difference:
    """The difference of two means of which one may be a single value, by the spread of a third sample.

    yardstick: values of one setting, whose deviation s is taken to be that of both samples: the error is
               s sqrt(1 / n + 1 / m), with the degrees of freedom of s. Fewer than two: the error is unknown (NaN)

    >>> found = single([0.98], [0.97], [0.976, 0.978, 0.980])
    >>> round(found.estimate, 3), round(found.error, 5), found.degrees
    (0.01, 0.00283, 2.0)
    """
    estimate = float(np.mean(first) - np.mean(second))
    if len(yardstick) < 2:
        return Difference(estimate, math.nan, math.nan)
    spread = float(np.std(yardstick, ddof=1)) * math.sqrt(1 / len(first) + 1 / len(second))
    return Difference(estimate, spread, float(len(yardstick) - 1))

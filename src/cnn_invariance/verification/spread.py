"""The spread of a statistic over seeds, and the test whether two values of it lie further apart than two seeds do.

A statistic is a vector, such as the logarithms of a layer profile. Of two networks that differ in the seed alone, the
difference of a component has the variance 2 s^2, where s^2 is the variance over seeds. So

    t = sqrt(mean (x - y)^2 / (2 s^2)),  the mean over components,

follows Student's distribution if the components move together, and lies closer to 1 if they do not: its quantile is
a bound that holds in both cases. A result of the same seed, computed on another kind of machine, is at most like that
of another seed.

A design has few seeds, so its s^2 is moderated by the other designs (Smyth 2004, Statistical Applications in Genetics
and Molecular Biology 3(1), 3): variances of designs are taken to scatter about s0^2 like s0^2 d0 / chi^2(d0). With d
degrees of freedom of its own a design has the variance (d0 s0^2 + d s^2) / (d0 + d) with d0 + d degrees of freedom. A
design of one seed has that of the others alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
"""Components; NaN where there is no value."""


@dataclass(frozen=True)
class Variance:
    """A variance over seeds with its degrees of freedom; of how many seeds, and of how many other designs."""

    value: float
    freedom: float
    seeds: int = 0
    designs: int = 0


@dataclass(frozen=True)
class Score:
    """How far two values of a statistic lie apart: t, and the two-sided p of Student's distribution."""

    statistic: str
    t: float
    p: float
    yardstick: Variance

    def bound(self, level: float) -> float:
        """The t that is exceeded with the probability ``level`` at most."""
        from scipy.stats import t as student  # here, so that planning does not load it

        return float(student.isf(level / 2, self.yardstick.freedom))


def over_seeds(vectors: Sequence[Vector], floor: float = 0.0) -> Variance | None:
    """The variance over seeds, a mean over the components that all seeds have; None if there is none.

    floor: the least standard deviation

    >>> over_seeds([np.array([1.0, 5.0]), np.array([3.0, np.nan])])
    Variance(value=2.0, freedom=1, seeds=2, designs=0)
    """
    if len(vectors) < 2:
        return None
    values = np.array(vectors)
    values = values[:, np.isfinite(values).all(axis=0)]
    if not values.size:
        return None
    return Variance(max(float(values.var(axis=0, ddof=1).mean()), floor**2), len(vectors) - 1, len(vectors))


def prior(designs: Sequence[Variance]) -> Variance | None:
    """The variance s0^2 that those of designs scatter about, with its degrees of freedom d0; None for no design.

    d0 is at most the number of designs: where their variances differ no more than chance, they would say infinity.
    """
    if not designs:
        return None
    freedom = np.array([design.freedom for design in designs], dtype=float)
    values = np.array([design.value for design in designs])
    d0, s0 = math.inf, float((freedom * values).sum() / freedom.sum())
    if len(designs) > 1 and (values > 0).all():
        from scipy.special import digamma, polygamma

        logs = np.log(values) - digamma(freedom / 2) + np.log(freedom / 2)
        excess = float(logs.var(ddof=1) - polygamma(1, freedom / 2).mean())
        if excess > 0:
            d0 = 2 * _inverse_trigamma(excess)
            s0 = math.exp(float(logs.mean()) + float(digamma(d0 / 2)) - math.log(d0 / 2))
    return Variance(s0, min(d0, len(designs)), designs=len(designs))


def moderated(own: Variance | None, others: Variance | None) -> Variance | None:
    """The variance of a design, moderated by that of others; None if neither is known."""
    if own is None or others is None:
        return own or others
    freedom = own.freedom + others.freedom
    value = (own.freedom * own.value + others.freedom * others.value) / freedom
    return Variance(value, freedom, own.seeds, others.designs)


def score(statistic: str, x: Vector, y: Vector, yardstick: Variance, siblings: Sequence[Vector] = ()) -> Score | None:
    """Compare two values of a statistic; None if they have no component in common.

    siblings: the values of other seeds. A component that all of them have, and only one of x and y, is as far away as
              can be: infinitely.
    """
    from scipy.stats import t as student

    here, there = np.isfinite(x), np.isfinite(y)
    if len(siblings) > 1 and (np.isfinite(np.array(siblings)).all(axis=0) & (here != there)).any():
        return Score(statistic, math.inf, 0.0, yardstick)
    if not (both := here & there).any():
        return None
    distance = math.sqrt(float(((x - y)[both] ** 2).mean()) / 2)
    spread = math.sqrt(yardstick.value)
    t = distance / spread if spread else math.copysign(math.inf, distance) if distance else 0.0
    return Score(statistic, t, float(2 * student.sf(t, yardstick.freedom)), yardstick)


def _inverse_trigamma(value: float) -> float:
    """The x > 0 with trigamma(x) = value > 0, by Newton's method on 1 / trigamma, which is nearly straight."""
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if -step < 1e-9 * x:
            break
    return x

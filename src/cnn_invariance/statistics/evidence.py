"""What independently trained networks say of a claim: estimates, verdicts, and how many networks would decide it.

**Condition**: one dataset, one transformation set, one design: what is held fixed. **Replicate**: a network that was
trained independently of the others, with a seed of its own. Samples, layers and feature maps are never replicates.
Conditions are fixed, too: the three transformation sets of the study are not a sample of all transformation sets.

A statistic has one value for each replicate of a condition, on a `Scale` where its distribution is about symmetric. Its
mean has Student's 95 % interval over the replicates; that of several conditions, over the means of each seed, because
conditions share networks, and networks of one seed their first weights. The verdict of a `Rule` is *supported* where
the whole interval lies in the claimed region, *not supported* where it lies wholly outside, *undecided* otherwise. So
each of the first two is wrong in at most 2.5 % of all cases. "Nearly the same" is the region within a margin: its
verdict is the pair of one-sided tests of an equivalence (TOST), each at 2.5 %.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, TypeVar

import numpy as np

from cnn_invariance.statistics.intervals import CONFIDENCE

TAIL = (1 - CONFIDENCE) / 2
"""The chance of each wrong verdict where the truth lies at the threshold."""
POWER = 0.9
"""The power at which a number of seeds is said to decide a claim."""
MOST_SEEDS = 1000
"""The largest number of seeds that is named as deciding."""

Replicate = TypeVar("Replicate")
Verdict = Literal["supported", "not supported", "depends on the set", "undecided"]
Side = Literal["above", "below", "within"]


@dataclass(frozen=True)
class Scale:
    """A monotone map of a statistic to numbers whose mean and spread make sense; ``back`` undoes it."""

    name: str
    to: Callable[[float], float]
    back: Callable[[float], float]


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


def _unlogit(value: float) -> float:
    return 1 / (1 + math.exp(-value))


IDENTITY = Scale("identity", float, float)
LOG = Scale("log", math.log, math.exp)
"""For positive quotients and differences."""
FISHER = Scale("Fisher's z", math.atanh, math.tanh)
"""For correlations."""
LOGIT = Scale("logit", _logit, _unlogit)
"""For shares."""
SCALES = {scale.name: scale for scale in (IDENTITY, LOG, FISHER, LOGIT)}


@dataclass(frozen=True)
class Rule:
    """What is claimed of a statistic.

    side:      ``above`` or ``below`` the threshold, or ``within`` the threshold, a margin, of no effect
    threshold: in the unit of the statistic; of ``within``, on a log scale a ratio above 1 (1.1: from 1 / 1.1 to 1.1)
    """

    side: Side
    threshold: float
    scale: Scale = IDENTITY

    @property
    def region(self) -> tuple[float, float]:
        """The bounds of the claimed region, on the scale."""
        bound = self.scale.to(self.threshold)
        match self.side:
            case "above":
                return bound, math.inf
            case "below":
                return -math.inf, bound
        return -bound, bound

    @property
    def bounds(self) -> tuple[float, float]:
        """The bounds of the claimed region, in the unit of the statistic.

        >>> Rule("above", 0.5).bounds, Rule("within", 2.0, LOG).bounds
        ((0.5, inf), (0.5, 2.0))
        """
        first, last = (bound if math.isinf(bound) else self.scale.back(bound) for bound in self.region)
        return first, last

    @property
    def in_words(self) -> str:
        """The rule in words.

        >>> Rule("within", 1.1, LOG).in_words, Rule("above", 0.5).in_words
        ('supported if within a factor of 1.1', 'supported if above 0.5')
        """
        if self.side != "within":
            return f"supported if {self.side} {self.threshold:.3g}"
        return f"supported if within {'a factor of ' if self.scale is LOG else '± '}{self.threshold:.3g}"

    def distance(self, estimate: float, low: float, high: float) -> float:
        """How far an estimate lies inside the claimed region (negative: outside), in half-widths of its interval.

        All in the unit of the statistic; NaN where the interval is unknown or has no width.

        >>> Rule("above", 0.5).distance(0.7, 0.6, 0.8), Rule("below", 0.5).distance(0.7, 0.6, 0.8)
        (2.0, -2.0)
        """
        try:
            middle, *ends = map(self.scale.to, (estimate, low, high))
        except (ValueError, ZeroDivisionError):  # not on the scale
            return math.nan
        half, (first, last) = (ends[1] - ends[0]) / 2, self.region
        if not (math.isfinite(middle) and half > 0):
            return math.nan
        return round(min(middle - first, last - middle) / half, 9)

    def verdict(self, low: float, high: float) -> Verdict:
        """The verdict of an interval on the scale."""
        first, last = self.region
        if first < low and high < last:
            return "supported"
        return "not supported" if high < first or last < low else "undecided"


@dataclass(frozen=True)
class Estimate:
    """The mean of a statistic over replicates, in its own unit, with its interval (NaN: unknown).

    n:       replicates with a value; of a pooled estimate, of all conditions together
    p:       one-sided, of the claim; small where the data speak for it
    verdict: by the rule; ``reason`` says why it is undecided, where it is
    seeds:   how many of each condition would decide it with power .9; None: it is decided, or no number would
    """

    n: int
    estimate: float
    low: float
    high: float
    p: float
    verdict: Verdict
    reason: str = ""
    seeds: int | None = None


@dataclass(frozen=True)
class Evidence:
    """What several fixed conditions say of one claim: each by itself, and their mean.

    pooled:     the mean over conditions, with its interval over seeds
    conditions: the estimate of each, by name; empty for a statistic of all of them together
    """

    pooled: Estimate
    conditions: Mapping[str, Estimate] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """*Depends on the set* where conditions are decided against each other, or one against their mean."""
        found = {one.verdict for one in (self.pooled, *self.conditions.values())} - {"undecided"}
        return "depends on the set" if len(found) > 1 else self.pooled.verdict

    def decided(self, verdict: Verdict) -> list[str]:
        """The conditions with this verdict."""
        return [name for name, one in self.conditions.items() if one.verdict == verdict]


def evidence(values: Mapping[str, Sequence[float]], rule: Rule) -> Evidence:
    """The evidence of the values of a statistic, one for each replicate, by condition, in the order of the seeds.

    Over several conditions the mean is taken for each seed, and its interval is over seeds: conditions share networks
    (a base design, a plain or an untrained network), and networks of one seed share their first weights and the order
    of their samples. Of seeds that not all conditions have a value for, there is none.

    A value that is not finite on the scale of the rule is no value. A condition with fewer than two values, or whose
    values do not vary, is undecided, and so is the mean over conditions with such a one: no number comes from n = 1.
    """
    scaled = {name: _on_scale(given, rule.scale) for name, given in values.items()}
    conditions = {name: _estimate({name: given}, rule) for name, given in scaled.items()}
    return Evidence(_estimate(scaled, rule), conditions)


def jackknife(statistic: Callable[[Sequence[Replicate]], float], replicates: Sequence[Replicate]) -> list[float]:
    """A value for each replicate of a statistic that is of all of them together: its jackknife pseudo-values.

    Pseudo-value ``i`` is ``n T - (n - 1) T_i``, where T is the statistic of all n replicates and T_i that without the
    i-th. Their mean estimates T with less bias, and their spread gives its standard error (Tukey 1958). With fewer than
    three replicates there is none: each value is NaN.

    >>> jackknife(lambda rows: float(np.mean(rows)), [np.array([1.0]), np.array([2.0]), np.array([6.0])])
    [1.0, 2.0, 6.0]
    """
    n = len(replicates)
    if n < 3:
        return [math.nan] * n
    whole = statistic(replicates)
    without = (statistic([one for k, one in enumerate(replicates) if k != left]) for left in range(n))
    return [n * whole - (n - 1) * value for value in without]


def page(values: Sequence[Sequence[float]], side: Literal["above", "below"]) -> float:
    """The p of Page's test that values rise (``above``) or fall (``below``) from each step to the next.

    values: of each replicate one for each step, in order; two replicates and three steps at least (else NaN)
    """
    table = np.asarray(values, dtype=float)
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 3 or not np.isfinite(table).all():
        return math.nan
    from scipy.stats import page_trend_test

    return float(page_trend_test(table if side == "above" else table[:, ::-1]).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """The p values of a family of claims, adjusted so that the chance of any false one is controlled (Holm 1979).

    NaN stays NaN, and does not count.
    """

    def adjust(known: np.ndarray) -> np.ndarray:
        order = np.argsort(known)
        falling = np.arange(known.size, 0, -1)
        adjusted = np.minimum(1.0, np.maximum.accumulate(falling * known[order]))
        return adjusted[np.argsort(order)]

    return _adjusted(p, adjust)


def q_values(p: Sequence[float]) -> list[float]:
    """The p values adjusted so that the share of false ones among those found is controlled (Benjamini, Hochberg 1995).

    NaN stays NaN, and does not count.
    """
    from scipy.stats import false_discovery_control

    return _adjusted(p, false_discovery_control)


def _adjusted(p: Sequence[float], adjust: Callable[[np.ndarray], np.ndarray]) -> list[float]:
    given = np.array(p, dtype=float)
    known = np.isfinite(given)
    if known.any():
        given[known] = adjust(given[known])
    return [float(value) for value in given]


def _on_scale(values: Sequence[float], scale: Scale) -> np.ndarray:
    def scaled(value: float) -> float:
        try:
            return scale.to(value)
        except (ValueError, ZeroDivisionError):
            return math.nan

    return np.array([scaled(float(value)) for value in values], dtype=float)


def _estimate(values: Mapping[str, np.ndarray], rule: Rule) -> Estimate:
    """The mean over seeds of the mean over conditions, all on the scale."""
    known = {name: given[np.isfinite(given)] for name, given in values.items()}
    n, back = sum(map(len, known.values())), rule.scale.back
    complete = n and all(map(len, known.values()))
    middle = float(np.mean([given.mean() for given in known.values()])) if complete else math.nan
    means = _by_seed(values)
    if reason := _undecidable(values, known, means):
        return Estimate(n, back(middle), math.nan, math.nan, math.nan, "undecided", reason)
    middle, variance, seeds = float(means.mean()), float(means.var(ddof=1)), len(means)
    error = math.sqrt(variance / seeds)
    half = _quantile(seeds - 1) * error
    low, high = middle - half, middle + half
    verdict = rule.verdict(low, high)
    reason, wanted = what_decides(rule, middle, variance) if verdict == "undecided" else ("", None)
    return Estimate(n, back(middle), back(low), back(high), _p(rule, middle, error, seeds - 1), verdict, reason, wanted)


def _by_seed(values: Mapping[str, np.ndarray]) -> np.ndarray:
    """The mean over conditions of each seed that has a value in all of them."""
    seeds = min(map(len, values.values()), default=0)
    if not seeds:
        return np.array([])
    means: np.ndarray = np.mean([given[:seeds] for given in values.values()], axis=0)
    return means[np.isfinite(means)]


def _undecidable(values: Mapping[str, np.ndarray], known: Mapping[str, np.ndarray], means: np.ndarray) -> str:
    """Why there is no interval; empty if there is one."""
    if not values:
        return "no condition was measured"
    for name, given in known.items():
        if len(given) < 2:
            lost = len(values[name]) - len(given)
            seeds = "no seed has" if not len(given) else "one seed has"
            return f"{name}: {seeds} a value" + (f" ({lost} without)" if lost else "") + "; two are needed"
        if _vary_not(given):
            return f"{name}: the {len(given)} seeds have one and the same value, so no variance is known"
    if len(means) < 2:
        return f"{len(means)} seeds have a value in all {len(values)} conditions; two are needed"
    if _vary_not(means):
        return f"the {len(means)} seeds have one and the same mean over conditions, so no variance is known"
    return ""


def _vary_not(values: np.ndarray) -> bool:
    return bool(np.ptp(values) <= 1e-12 * max(1.0, float(np.abs(values).max())))


@lru_cache(maxsize=4096)
def _quantile(freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))


def _p(rule: Rule, middle: float, error: float, freedom: float) -> float:
    """The larger p of the one-sided tests against the bounds of the region."""
    from scipy.special import stdtr

    first, last = rule.region
    return float(max(stdtr(freedom, (first - middle) / error), stdtr(freedom, (middle - last) / error)))


def what_decides(rule: Rule, middle: float, variance: float) -> tuple[str, int | None]:
    """Why a claim is undecided, and the number of seeds at which it would be decided.

    variance: see `power`; of a bootstrap over n seeds, n times the variance of its draws
    """
    tried = range(2, MOST_SEEDS + 1)
    place = bisect_left(tried, POWER, key=lambda seeds: power(rule, middle, variance, seeds))
    if place == len(tried):
        return f"the estimate is so near the threshold that {MOST_SEEDS:,} seeds would not decide it", None
    seeds = tried[place]
    return f"the interval holds the threshold; {seeds} seeds would decide it with power {POWER:g}", seeds


def power(rule: Rule, middle: float, variance: float, seeds: int) -> float:
    """The chance that so many seeds decide the claim the right way, if ``middle`` is the truth.

    variance: over seeds, of the mean over conditions, on the scale of the rule

    Of a region with two bounds it is a lower bound: one less the chances of missing either.
    """
    from scipy.special import nctdtr

    error, freedom = math.sqrt(variance / seeds), seeds - 1
    quantile = _quantile(freedom)

    def beyond(distance: float) -> float:
        """The chance that the interval lies wholly on the right side of a bound at this distance."""
        if math.isinf(distance) or not error:
            return float(distance > 0)
        return float(1 - nctdtr(freedom, distance / error, quantile))

    first, last = rule.region
    if first < middle < last:
        return max(0.0, beyond(middle - first) + beyond(last - middle) - 1)
    return beyond(max(first - middle, middle - last))

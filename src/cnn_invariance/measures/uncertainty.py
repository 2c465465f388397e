"""Intervals of layer profiles over samples: the jackknife over groups of samples.

A pass with ``uncertainty`` takes the samples in a random order, in G groups g of ``n_g`` of the N samples, and leaves
for each layer the profile without each group, ``P_-g``. With ``h_g = N / n_g`` the pseudo-values, their mean and the
variance of the profile ``P`` are (F. Busing, E. Meijer and R. van der Leeden, "Delete-m jackknife for unequal m",
Statistics and Computing 9, 1999)::

    p_g = h_g P - (h_g - 1) P_-g      mean = G P - sum_g (1 - 1 / h_g) P_-g
    var = 1/G sum_g (p_g - mean)^2 / (h_g - 1)      low, high = P -+ t(G - 1) sqrt(var)

where t is Student's quantile. The interval is for the measure of *this many samples*: 95 % of the intervals from other
draws of N samples hold the mean over all draws. How a measure changes as N grows (a standard deviation of few samples
is biased, a quotient too) is no part of it; `Uncertainty.nested` shows it.

Coverage, simulated for layers of 16 units with effects of sample, unit and transformation in 5 to 10 groups, 600 or 900
layers for each number (Monte Carlo error 0.7 to 0.9 %): NV, TV and ND have 93 to 96 % of normal and of ReLU-like
activations at N = 64 and 200, and of normal ones at N = 40. It is not the nominal one everywhere:

* SV and TV by themselves, of strongly skewed activations (log-normal, skewness above 2): 91 to 94 % at N = 40 and 64;
  NV and ND of these 94 to 96 %;
* units of which one activation in forty is not zero: SV 90 % and ND 93 % at N = 64, 93 and 94 % at N = 200; the
  standard error of NV (its root mean square) is two thirds too large at N = 64;
* Goodfellow (``alpha=0.9``), whose threshold is taken as given: 96 to 98 %.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What each group of samples of a pass says of the layer profiles.

    Attributes:
        sizes: the number of samples in each group, in the order of the pass.
        without: for each measure with intervals, (layers, G): the profile without the samples of each group; NaN where
            the measure has no value.
        numbers: the number of samples in the first group, the first two, four, eight, ..., all groups.
        nested: for each measure, (layers, len(numbers)): the profile of so many samples.
        no_interval: the measures without intervals, and why.
    """

    sizes: tuple[int, ...]
    numbers: tuple[int, ...]
    without: Mapping[str, np.ndarray]
    nested: Mapping[str, np.ndarray]
    no_interval: Mapping[str, str]

    def interval(self, measure: str, layers: int, confidence: float = CONFIDENCE) -> tuple[np.ndarray, np.ndarray]:
        """The lower and upper ends for all so many layers; NaN where there is no interval."""
        if measure not in self.without:
            return np.full(layers, np.nan), np.full(layers, np.nan)
        from scipy.stats import t

        profile = self.nested[measure][:, -1]
        half = self.standard_error(measure) * t.ppf(0.5 + confidence / 2, len(self.sizes) - 1)
        return profile - half, profile + half

    def standard_error(self, measure: str) -> np.ndarray:
        """That of the profile, for all layers."""
        profile, without = self.nested[measure][:, -1:], self.without[measure]
        h = sum(self.sizes) / np.array(self.sizes)
        change = profile - without  # pseudo-values relative to the profile: no digits are lost
        pseudo = (h - 1) * change
        mean = ((1 - 1 / h) * change).sum(1, keepdims=True)
        return np.sqrt(((pseudo - mean) ** 2 / (h - 1)).mean(1))

    def facts(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return {
            "sizes": list(self.sizes),
            "numbers": list(self.numbers),
            "without": {name: _listed(values) for name, values in self.without.items()},
            "nested": {name: _listed(values) for name, values in self.nested.items()},
            "no_interval": dict(self.no_interval),
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Uncertainty":
        """From `facts`."""
        without, nested = (
            {name: np.array(rows, dtype=float) for name, rows in facts[key].items()} for key in ("without", "nested")
        )
        return cls(tuple(facts["sizes"]), tuple(facts["numbers"]), without, nested, facts["no_interval"])


def _listed(values: np.ndarray) -> list[list[float | None]]:
    return [[None if np.isnan(value) else value for value in row] for row in values.tolist()]

"""The null of a measure: its value where f(t(x)) is paired with another sample, from the same pass.

A pass with ``null`` permutes the samples of each transformation of a tile, each transformation in another way, and adds
the shuffled tile to running statistics of its own. So what is compared is a sample with another one: a measure that is
near its null says that the network does not carry the sample over at all, however small the number is. Of a quotient
(NV, ND, ...) only the part that compares transformations changes; the normaliser is that of the pass.

**The shuffle.** The b samples of a tile are put on a circle in a random order, and transformation j gets the sample
that is ``s_j`` places further on, all ``s_j`` different and none 0: no sample meets itself, nor do two transformations
share one. This takes tiles of M + 1 samples, to which they are enlarged where there are so many samples, and as long as
the largest layer of a tile takes at most `MOST_BYTES`. In smaller tiles the share `Null.shared` of pairs of
transformations have the same sample, and a spread along transformations (NV, ND, ..., Consistency) is nearer to its
value by about that share; what compares with the untransformed sample (DSES, Correlation, ...) never is. A last tile of
fewer samples than the others has no part in it if it has fewer than M + 1.

**Its error.** R shuffles give R values; ``null`` is their mean and ``null_error`` their standard deviation over
``sqrt(R)``: the error of the null of *these samples*, as a mean over pairs of them. It does not hold that samples are
paired in their own tile alone, by which the true error is larger by a factor of about ``sqrt(1 + R / b)``; nor the
error of SD, which ``SD_error`` tells.

Where the measure is linear in its pairs, the mean over all shuffles is that over all pairs of different samples. A
standard deviation is not: NV of independent samples is ``c4(M) / c4(N)``, a little below 1, and that is what NV is to
be compared with. Source: ours; permuting pairs is the usual way (E. Pitman, 1937).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SHUFFLES = 5
"""How many, where ``null=True``."""

MOST_BYTES = 1 << 29
"""A tile is not enlarged beyond this size of its largest layer."""

SAME_UNDER_A_SHUFFLE = (
    "it compares samples under one transformation at a time, and so it does not depend on which sample is paired with "
    "which"
)
OWN_PASS = "a derivative is of one image: there are no pairs of samples and transformed samples"
BY_CLASS = "a measure of this pass is taken class by class; measure this one in a pass without such"


@dataclass(frozen=True, eq=False)
class Null:
    """What the shuffles of a pass gave.

    Attributes:
        shuffles: R, how many.
        shared: the share of pairs of transformations that have the same sample, 0 where tiles are large enough.
        profiles: for each measure, (layers, R): the profile of each shuffle; NaN where the measure has no value.
        network: for each measure of the network, (R): the mean of its values under each shuffle.
        no_null: the measures without a null, and why.
    """

    shuffles: int
    shared: float
    profiles: Mapping[str, np.ndarray]
    network: Mapping[str, np.ndarray]
    no_null: Mapping[str, str]

    def of(self, measure: str, layers: int) -> tuple[np.ndarray, np.ndarray]:
        """The null and its standard error of all so many layers; NaN where there is none."""
        if measure not in self.profiles:
            return np.full(layers, np.nan), np.full(layers, np.nan)
        return mean_and_error(self.profiles[measure])

    def facts(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return {
            "shuffles": self.shuffles,
            "shared": self.shared,
            "profiles": {name: [_listed(row) for row in rows] for name, rows in self.profiles.items()},
            "network": {name: _listed(values) for name, values in self.network.items()},
            "no_null": dict(self.no_null),
        }

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> "Null":
        """From `facts`."""
        profiles, network = (
            {name: np.array(values, dtype=float) for name, values in facts[key].items()}
            for key in ("profiles", "network")
        )
        return cls(facts["shuffles"], facts["shared"], profiles, network, facts["no_null"])


def mean_and_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean over shuffles, the last axis, and its standard error; of one shuffle the error is not known: NaN."""
    R = values.shape[-1]
    error = values.std(axis=-1, ddof=1) / R**0.5 if R > 1 else np.full(values.shape[:-1], np.nan)
    return values.mean(axis=-1), error


def _listed(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]

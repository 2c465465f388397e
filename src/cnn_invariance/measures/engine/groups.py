"""What each group of samples adds to the statistics of a pass, for intervals over samples.

Between two tiles of the pass, at the end of each of G groups, the running statistics are read. Of a mean over samples,
``n`` times the value grows by the sum over the samples of the group, so the mean without the group follows::

    S_k = n_k T_k      T_-g = (S_G - (S_g - S_(g-1))) / (N - n_g)

A variance is such a mean, but for terms of the order 1 in S_k; a standard deviation along samples goes with the root of
the variance, so that of it the variance is read (`Statistic.average`). Measures are then combined from the statistics
without each group, and their profiles are what the jackknife needs (`uncertainty`). So a pass keeps no state for each
group: 4 bytes for each group, unit and statistic, 8 for a standard deviation along samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from types import ModuleType

import numpy as np
from torch import Tensor

from cnn_invariance.measures.engine.inputs import LEAST_GROUPS
from cnn_invariance.measures.requests import Measure
from cnn_invariance.measures.statistics.base import Accumulators, Statistic
from cnn_invariance.measures.uncertainty import Uncertainty

ROUNDING = 1e-5
"""A share of a statistic that is less is the rounding of a difference, and counts as 0: 0 / 0 must stay so."""

Readings = dict[Statistic, dict[int, Tensor]]


@dataclass
class SampleGroups:
    """The readings of a pass after each group of samples.

    families: of the measures that are to have an interval
    layers:   the accumulators of the pass
    ends:     the number of samples after each group
    """

    families: Mapping[Measure, ModuleType]
    layers: list[Accumulators]
    ends: list[int]
    no_interval: dict[str, str] = field(default_factory=dict)
    readings: list[Readings] = field(init=False)
    seen: int = 0

    def __post_init__(self) -> None:
        self.families = {request: family for request, family in self.families.items() if not self._excuse(request)}
        self.readings = [{} for _ in self.layers]
        for layer, readings in zip(self.layers, self.readings, strict=True):
            for request, family in self.families.items():
                for statistic in family.statistics(request, layer.context):
                    readings |= {statistic: {}, statistic.average[0]: {}}

    def _excuse(self, request: Measure) -> bool:
        """Enter why a measure has no interval, if it has none."""
        family, why = self.families[request], self.no_interval.get(str(request), "")
        if not why and hasattr(family, "no_interval"):
            why = family.no_interval(request)
        needed = [(layer, family.statistics(request, layer.context)) for layer in self.layers]
        if not any(statistics for _, statistics in needed):
            why = why or "it is not computed from the running statistics of layers, which are read after each group"
        for layer, statistics in needed:
            for statistic in statistics:
                why = why or statistic.no_interval
                if statistic not in layer.statistics:
                    why = why or "its samples come in an order by class, in which no group is like the others"
        if not why and len(self.ends) < LEAST_GROUPS:
            why = (
                f"the samples make {len(self.ends)} groups of whole blocks, and an interval needs {LEAST_GROUPS}; "
                "give more samples, or pair them in smaller blocks"
            )
        if why:
            self.no_interval[str(request)] = why
        return bool(why)

    def add(self, samples: int) -> None:
        """A tile of so many samples is in the accumulators; at the end of a group they are read."""
        self.seen += samples
        if self.seen in self.ends:
            g, looked = self.ends.index(self.seen), stages(len(self.ends))
            for layer, readings in zip(self.layers, self.readings, strict=True):
                for statistic, values in readings.items():
                    if g in looked or statistic.average[0] == statistic:
                        values[g] = layer.read(statistic).float().cpu()

    def finish(self) -> Uncertainty:
        """The profiles without each group, and of the first groups."""
        sizes = [end - start for start, end in pairwise([0, *self.ends])]
        numbers = [self.ends[g] for g in stages(len(self.ends))]
        without, nested = (
            {str(request): np.full((len(self.layers), columns), np.nan) for request in self.families}
            for columns in (len(sizes), len(numbers))
        )
        for k, (layer, readings) in enumerate(zip(self.layers, self.readings, strict=True)):
            if readings:
                self._finish_layer(layer, readings, without, nested, k)
                readings.clear()
        return Uncertainty(tuple(sizes), tuple(numbers), without, nested, self.no_interval)

    def _finish_layer(
        self,
        layer: Accumulators,
        readings: Readings,
        without: dict[str, np.ndarray],
        nested: dict[str, np.ndarray],
        k: int,
    ) -> None:
        """Fill in the row of a layer."""
        families = {request: family.statistics(request, layer.context) for request, family in self.families.items()}
        wanted = {statistic for needed in families.values() for statistic in needed}
        whole = {statistic: layer.at_own_scale(statistic) for statistic in wanted}

        def profiles(shares: Mapping[Statistic, Tensor], table: dict[str, np.ndarray], column: int) -> None:
            """Of every measure, from the statistics as shares of those of all samples."""
            values = {one: layer.in_layer_order(whole[one] * share, one) for one, share in shares.items()}
            for request, needed in families.items():
                if needed:
                    parts = (values[one] for one in needed)
                    combined = self.families[request].combine(request, layer.context, *parts)
                    table[str(request)][k, column] = mean_of_finite(combined)

        for g in range(len(self.ends)):
            without_group = {one: _without(readings[one.average[0]], self.ends, g) for one in wanted}
            profiles({one: share.pow(one.average[1]) for one, share in without_group.items()}, without, g)
        for column, g in enumerate(stages(len(self.ends))):
            profiles(
                {one: _share(readings[one][g], readings[one][len(self.ends) - 1]) for one in wanted}, nested, column
            )


def stages(groups: int) -> list[int]:
    """The groups after which profiles are looked at: the first, the second, the fourth, ..., the last.

    >>> stages(10)
    [0, 1, 3, 7, 9]
    """
    return [*(2**k - 1 for k in range((groups - 1).bit_length())), groups - 1]


def ends_of_groups(tiles: Sequence[int], groups: int) -> list[int]:
    """The number of samples after each of so many groups of whole tiles; of fewer where there are fewer tiles.

    >>> ends_of_groups([3, 3, 3, 3, 1], 2), ends_of_groups([8, 8], 10)
    ([6, 13], [8, 16])
    """
    ends = list(accumulate(tiles))
    groups = min(groups, len(ends))
    return [ends[round(k * len(ends) / groups) - 1] for k in range(1, groups + 1)]


def _without(readings: Mapping[int, Tensor], ends: Sequence[int], g: int) -> Tensor:
    """The statistic without a group, as a share of the statistic of all: 1 where both are 0."""
    last, N = readings[len(ends) - 1], ends[-1]
    start = ends[g - 1] if g else 0
    rest = last * N - readings[g] * ends[g]
    if g:
        rest += readings[g - 1] * start
    share = _share(rest, last).div_(N - ends[g] + start)
    return share.masked_fill_((share < ROUNDING) & (share > -ROUNDING), 0)


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return (part / whole).masked_fill_(whole == 0, 1)


def mean_of_finite(values: Tensor) -> float:
    """The mean over the finite values; NaN where there is none."""
    if not bool(values.isfinite().all()):
        values = values[values.isfinite()]
    return float(values.mean()) if values.numel() else np.nan

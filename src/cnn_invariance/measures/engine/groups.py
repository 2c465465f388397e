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
import torch
from torch import Tensor

from cnn_invariance.measures.requests import Measure
from cnn_invariance.measures.statistics.base import Accumulators, Statistic
from cnn_invariance.measures.uncertainty import LEAST_GROUPS, Uncertainty

ROUNDING = 1e-5
"""A share of a statistic that is less is the rounding of a difference, and counts as 0: 0 / 0 must stay so."""

Readings = dict[Statistic, list[Tensor]]


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
                    readings |= {statistic: [], statistic.average[0]: []}

    def _excuse(self, request: Measure) -> bool:
        """Enter why a measure has no interval, if it has none."""
        family, why = self.families[request], self.no_interval.get(str(request), "")
        if not why and hasattr(family, "no_interval"):
            why = family.no_interval(request)
        for layer in self.layers:
            for statistic in family.statistics(request, layer.context):
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
            for layer, readings in zip(self.layers, self.readings, strict=True):
                for statistic, values in readings.items():
                    values.append(layer.read(statistic).float().cpu())

    def finish(self) -> Uncertainty:
        """The profiles without each group, and of the first groups."""
        sizes = [end - start for start, end in pairwise([0, *self.ends])]
        shape = (len(self.layers), len(self.ends))
        without = {str(request): np.full(shape, np.nan) for request in self.families}
        nested = {str(request): np.full(shape, np.nan) for request in self.families}
        for k, (layer, readings) in enumerate(zip(self.layers, self.readings, strict=True)):
            if readings:
                self._finish_layer(layer, readings, without, nested, k)
                readings.clear()
        return Uncertainty(tuple(sizes), without, nested, self.no_interval)

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
        last = {statistic: layer.value(statistic) for statistic in wanted}
        for g in range(len(self.ends)):
            shares = {
                statistic: _without(readings[statistic.average[0]], self.ends, g).pow(statistic.average[1])
                for statistic in wanted
            }
            before = {statistic: _share(readings[statistic][g], readings[statistic][-1]) for statistic in wanted}
            for parts, table in ((shares, without), (before, nested)):
                values = {one: last[one] * layer.in_layer_order(part, one) for one, part in parts.items()}
                for request, needed in families.items():
                    if needed:
                        combined = self.families[request].combine(
                            request, layer.context, *(values[one] for one in needed)
                        )
                        table[str(request)][k, g] = _profile(combined)


def ends_of_groups(tiles: Sequence[int], groups: int) -> list[int]:
    """The number of samples after each of so many groups of whole tiles; of fewer where there are fewer tiles.

    >>> ends_of_groups([3, 3, 3, 3, 1], 2), ends_of_groups([8, 8], 10)
    ([6, 13], [8, 16])
    """
    ends = list(accumulate(tiles))
    groups = min(groups, len(ends))
    return [ends[round(k * len(ends) / groups) - 1] for k in range(1, groups + 1)]


def _without(readings: Sequence[Tensor], ends: Sequence[int], g: int) -> Tensor:
    """The statistic without a group, as a share of the statistic of all: 1 where both are 0."""
    N, n = ends[-1], ends[g] - (ends[g - 1] if g else 0)
    own = readings[g] * ends[g] - (readings[g - 1] * ends[g - 1] if g else 0)
    share = _share(readings[-1] * N - own, readings[-1]) / (N - n)
    return torch.where(share.abs() < ROUNDING, 0, share)


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole == 0, 1, part / whole)


def _profile(values: Tensor) -> float:
    """The mean over the finite values; NaN where there is none."""
    if not bool(values.isfinite().all()):
        values = values[values.isfinite()]
    return float(values.mean()) if values.numel() else np.nan

"""Distances of whole layers: between ``f(t x)`` and ``t f(x)``, and from the centre of an orbit."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from cnn_invariance.measures.statistics import samples_of_positions
from cnn_invariance.measures.statistics.base import Accumulator, Context, Statistic, Tile

Metric = Literal["euclidean", "cosine"]

AT_ONCE = 1 << 18
"""So many numbers of a layer, of some transformations, are compared at once, and stay in the caches."""


def distance(one: Tensor, other: Tensor, metric: Metric) -> Tensor:
    """(m, b, ...) and that or (b, ...) -> (m, b): euclidean, or 1 - cosine: 0 of two zeros, 1 of a zero and another."""
    one, other = one.flatten(2), other.expand_as(one).flatten(2)
    if metric == "euclidean":
        return torch.linalg.vector_norm(one - other, dim=2)
    norms = torch.linalg.vector_norm(one, dim=2), torch.linalg.vector_norm(other, dim=2)
    both = norms[0] * norms[1]
    apart = 1 - (one * other).sum(2) / both.where(both > 0, torch.ones_like(both))
    nothing = (norms[0] == 0) & (norms[1] == 0)
    return torch.where(nothing, torch.zeros_like(apart), apart).clamp(min=0)


class OrbitDistances(Accumulator):
    """Sums over samples of distances of whole layers, for each transformation: 8 M bytes for each statistic."""

    def __init__(self, context: Context, statistics: frozenset[Statistic]) -> None:
        super().__init__(context, statistics)
        layer = context.layer
        self.asked = [s for s in statistics if isinstance(s, Orbit)]
        self.totals = {s: context.zeros(context.M, dtype=torch.float64) for s in self.asked}
        self.places: Tensor | None = None
        self.enlarged = 1.0
        if layer.spatial:
            all_places = layer.shape[1] * layer.shape[2]
            places = samples_of_positions.drawn(all_places, self.asked[0].positions)
            self.places = torch.tensor(places, device=context.device)
            self.enlarged = all_places / len(places)

    @classmethod
    def group(cls, statistic: Statistic) -> object:
        """Both metrics see the same."""
        assert isinstance(statistic, Orbit)
        return statistic.moved, statistic.positions

    def add(self, tile: Tile) -> None:
        """Some transformations at once."""
        layer = self.context.layer
        numbers = tile.samples * (layer.units if self.places is None else len(self.places) * layer.maps)
        step = max(1, AT_ONCE // numbers)
        parts = [slice(start, min(start + step, tile.M)) for start in range(0, tile.M, step)]
        seen: Iterable[Tensor] = (self._seen(tile, part) for part in parts)
        centre = None
        if not self.asked[0].moved:
            seen = [*seen]
            centre = torch.stack([some.sum(0) for some in seen]).sum(0) / tile.M
        for part, some in zip(parts, seen, strict=True):
            other = self._moved(tile, part) if centre is None else centre
            for statistic, total in self.totals.items():
                total[part] += distance(some, other, statistic.metric).sum(1)

    def _seen(self, tile: Tile, members: slice) -> Tensor:
        """Float64 (m, b, S, C) or (m, b, U): the layer under some transformations."""
        if self.places is None:
            return tile.columns[members].double()
        return samples_of_positions.as_they_came(tile, members, self.places)

    def _moved(self, tile: Tile, members: slice) -> Tensor:
        """Float64 (m, b, S, C) or (1, b, U): the layer of the untransformed samples, transformed."""
        if self.places is None:
            return self._seen(tile, slice(tile.reference, tile.reference + 1))
        assert tile.forward is not None
        return samples_of_positions.moved(tile, tile.forward, tile.reference, members, self.places)

    def value(self, statistic: Statistic) -> Tensor:
        """(M): means over samples; euclidean distances enlarged to all positions."""
        assert isinstance(statistic, Orbit)
        factor = self.enlarged**0.5 if statistic.metric == "euclidean" else 1.0
        return self.totals[statistic] * (factor / self.samples)


@dataclass(frozen=True)
class Orbit(Statistic):
    """Mean over samples of the distance of whole layers, for each transformation: float64 (M).

    ``moved``: between f(t_j x) and t_j f(x); otherwise between f(t_j x) and the mean of f(t_k x) over k.
    """

    metric: Metric
    positions: int
    moved: bool = False
    whole: ClassVar[bool] = True
    accumulator: ClassVar[type[Accumulator]] = OrbitDistances

    @property
    def untransformed(self) -> bool:  # type: ignore[override]
        """A moved layer is that of the untransformed samples."""
        return self.moved

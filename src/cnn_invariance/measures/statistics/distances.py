"""Mean distances over pairs: of activations, and of feature maps as vectors."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cnn_invariance.measures.backends.interface import MapDistanceSums
from cnn_invariance.measures.statistics.base import Accumulator, Axis, Context, Statistic, Tile, pairs_in_blocks


class ActivationDistances(Accumulator):
    """Sums of pairwise distances |a - b|; 8 bytes a unit for each axis."""

    def __init__(self, context: Context, statistics: frozenset[Statistic]) -> None:
        super().__init__(context, statistics)
        self.undone = next(iter(statistics)).undone
        axes = {s.axis for s in statistics if isinstance(s, PairDistance)}
        self.sums = {axis: self._sum(axis in axes) for axis in ("transformations", "samples")}
        self.pairs = 0  # of samples, in one column

    def _sum(self, wanted: bool) -> Tensor | None:
        return self.context.zeros(self.context.layer.units, dtype=torch.float64) if wanted else None

    def add(self, tile: Tile) -> None:
        """Rows are complete in a tile; blocks of a column never straddle two."""
        self.pairs += pairs_in_blocks(tile.samples, self.context.block)
        self._add(tile)

    def _add(self, tile: Tile) -> None:
        tile.backend.activation_distances(
            tile.values(self.undone), self.context.block, self.sums["transformations"], self.sums["samples"]
        )

    def value(self, statistic: Statistic) -> Tensor:
        """The mean distance; 0 where there is no pair."""
        assert isinstance(statistic, PairDistance)
        total = self.sums[statistic.axis]
        assert total is not None
        M = self.context.M
        count = self.samples * (M * (M - 1) // 2) if statistic.axis == "transformations" else M * self.pairs
        return total / max(count, 1) + 0 * total  # infinity somewhere: NaN, as in every other statistic


class MapDistances(ActivationDistances):
    """Sums of pairwise euclidean distances between feature maps, and to the untransformed sample's map."""

    def __init__(self, context: Context, statistics: frozenset[Statistic]) -> None:
        super().__init__(context, statistics)
        first = next(iter(statistics))
        self.normalize = bool(getattr(first, "normalize", False))
        self.zero = context.zeros(context.layer.maps)
        self.untransformed = self._sum(any(isinstance(s, DistanceToUntransformed) for s in statistics))

    @classmethod
    def group(cls, statistic: Statistic) -> object:
        """One loop for each form of the maps."""
        return statistic.undone, getattr(statistic, "normalize", False)

    def _sum(self, wanted: bool) -> Tensor | None:
        return self.context.zeros(self.context.layer.maps, dtype=torch.float64) if wanted else None

    def _add(self, tile: Tile) -> None:
        tile.backend.map_distances(
            tile.as_maps(tile.all_columns(self.undone)),
            MapDistanceSums(self.sums["transformations"], self.sums["samples"], self.untransformed),
            M=tile.M,
            block=self.context.block,
            reference=tile.reference,
            normalize=self.normalize,
            pivot=tile.pivot if self.undone and tile.pivot is not None else self.zero,
        )

    def value(self, statistic: Statistic) -> Tensor:
        """The mean distance for each map."""
        if isinstance(statistic, DistanceToUntransformed):
            assert self.untransformed is not None
            return self.untransformed / (self.samples * self.context.M) + 0 * self.untransformed
        return super().value(statistic)


@dataclass(frozen=True)
class PairDistance(Statistic):
    """Mean distance over pairs along one axis, of activations: |a - b|.

    Along samples, pairs are taken inside consecutive blocks of the column.
    """

    axis: Axis
    undone: bool = False
    accumulator: ClassVar[type[Accumulator]] = ActivationDistances

    @property
    def spatial(self) -> bool:  # type: ignore[override]
        """Undoing needs feature maps."""
        return self.undone


@dataclass(frozen=True)
class MapDistance(PairDistance):
    """The same of feature maps as vectors: the euclidean distance over H x W, optionally of unit-norm maps."""

    normalize: bool = False
    accumulator: ClassVar[type[Accumulator]] = MapDistances
    spatial: ClassVar[bool] = True  # type: ignore[misc]
    per_map: ClassVar[bool] = True


@dataclass(frozen=True)
class DistanceToUntransformed(Statistic):
    """Mean over samples and transformations of the distance between ``f(x)`` and ``t^{-1} f(t x)``, per map."""

    normalize: bool = False
    undone: bool = True
    accumulator: ClassVar[type[Accumulator]] = MapDistances
    spatial: ClassVar[bool] = True  # type: ignore[misc]
    per_map: ClassVar[bool] = True

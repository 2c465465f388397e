"""Mean distances over pairs: of activations, and of feature maps as vectors."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from cnn_invariance.measures.backends.interface import MapDistanceSums
from cnn_invariance.measures.statistics.base import Accumulator, Axis, Context, SampleOrder, Statistic, Tile
from cnn_invariance.measures.statistics.blocks import BlocksOf, PairsInBlocks

BLOCK = 8
"""Samples in a block, unless said."""


class ActivationDistances(Accumulator):
    """Sums of pairwise distances ``|a - b|``: 8 bytes a unit for each axis, and 8 more for an error."""

    def __init__(self, context: Context, statistics: frozenset[Statistic]) -> None:
        super().__init__(context, statistics)
        self.undone = next(iter(statistics)).undone
        self.width = self._width()
        pairs = [s for s in statistics if isinstance(s, PairDistance)]
        along_samples = {s.blocks for s in pairs if s.axis == "samples"}
        with_error = {s.blocks for s in pairs if s.error}
        self.samples_in = {
            blocks: PairsInBlocks(context, blocks, self.width, blocks in with_error)
            for blocks in sorted(along_samples, key=lambda blocks: blocks.size)
        }
        parts = {s.parts(context.M) for s in pairs if s.axis == "transformations"}
        self.rows = {part: context.zeros(self.width, dtype=torch.float64) for part in sorted(set().union(*parts))}
        self.untransformed: Tensor | None = None  # feature maps alone are compared with it

    def _width(self) -> int:
        return self.context.layer.units

    def add(self, tile: Tile) -> None:
        """Rows are complete in a tile where someone asks for them; blocks of a column never straddle two."""
        whole = (0, tile.M)
        sums = MapDistanceSums(self.rows.get(whole), untransformed=self.untransformed)
        for blocks, pairs in self.samples_in.items():
            columns, halves = pairs.room(tile.samples)
            self._add(tile, whole, blocks.size, sums._replace(samples=columns, halves=halves))
            if tile.samples % blocks.size == 1:
                columns[-1] += self._unknown(tile)
            pairs.add(columns, halves, tile.samples, tile.M)
            sums = MapDistanceSums()  # the others are added once
        self._add(tile, whole, BLOCK, sums)
        for part, total in self.rows.items():
            if part != whole:
                self._add(tile, part, BLOCK, MapDistanceSums(total))

    def _add(self, tile: Tile, part: tuple[int, int], block: int, sums: MapDistanceSums) -> None:
        """Add the distances under some transformations in one loop, ``part`` from the first to before the last."""
        if any(total is not None for total in sums):
            values = tile.values(self.undone)[slice(*part)]
            tile.backend.activation_distances(values, block, sums.transformations, sums.samples, sums.halves)

    def _unknown(self, tile: Tile) -> Tensor:
        """Of the tile's last sample, which is in no pair: NaN where a value is not finite, else 0."""
        return (0 * tile.values(self.undone)[:, -1]).sum(0, dtype=torch.float64).view(-1, self.width).sum(0)

    def value(self, statistic: Statistic) -> Tensor:
        """The mean distance, or its error; 0 where there is no pair."""
        assert isinstance(statistic, PairDistance)
        if statistic.axis == "samples":
            pairs = self.samples_in[statistic.blocks]
            return pairs.error() if statistic.error else pairs.mean()
        parts = statistic.parts(self.context.M)
        means = [self.rows[start, end] / max(self.samples * _pairs(end - start), 1) for start, end in parts]
        mean = torch.stack(means).mean(0)
        return mean + 0 * mean  # infinity somewhere: NaN, as in every other statistic


def _pairs(n: int) -> int:
    return n * (n - 1) // 2


class MapDistances(ActivationDistances):
    """Sums of pairwise euclidean distances between feature maps, and to the untransformed sample's map."""

    def __init__(self, context: Context, statistics: frozenset[Statistic]) -> None:
        super().__init__(context, statistics)
        first = next(iter(statistics))
        self.normalize = bool(getattr(first, "normalize", False))
        self.zero = context.zeros(context.layer.maps)
        simple = any(isinstance(s, DistanceToUntransformed) for s in statistics)
        self.untransformed = context.zeros(self.width, dtype=torch.float64) if simple else None

    @classmethod
    def group(cls, statistic: Statistic) -> object:
        """One loop for each form of the maps."""
        return statistic.undone, getattr(statistic, "normalize", False)

    def _width(self) -> int:
        return self.context.layer.maps

    def _add(self, tile: Tile, part: tuple[int, int], block: int, sums: MapDistanceSums) -> None:
        if all(total is None for total in sums):
            return
        maps, whole = tile.maps(self.undone), part == (0, tile.M)
        tile.backend.map_distances(
            maps if whole else maps[slice(*part)],
            sums,
            M=part[1] - part[0],
            block=block,
            reference=tile.reference if whole else 0,
            normalize=self.normalize,
            pivot=tile.pivot if self.undone and tile.pivot is not None else self.zero,
        )

    def value(self, statistic: Statistic) -> Tensor:
        """The mean distance for each map."""
        if isinstance(statistic, DistanceToUntransformed):
            assert self.untransformed is not None
            return self.untransformed / (self.samples * self.context.M) + 0 * self.untransformed
        return super().value(statistic)


class ForwardDistances(Accumulator):
    """Sums of the distance between the feature maps for a transformed sample, and the transformed feature maps."""

    def __init__(self, context: Context, statistics: frozenset[Statistic]) -> None:
        super().__init__(context, statistics)
        forms = sorted({s.normalize for s in statistics if isinstance(s, DistanceToTransformed)})
        self.sums = {normalize: context.zeros(context.layer.maps, dtype=torch.float64) for normalize in forms}
        self.positions = context.layer.units // context.layer.maps

    def add(self, tile: Tile) -> None:
        """One transformation after the other: the maps of all of them at once would fill another tile."""
        assert tile.forward is not None
        assert tile.pivot is not None
        maps, taps, pivot = tile.maps(undone=False), tile.forward, tile.pivot
        plain = maps[tile.reference][None]
        pair = plain.new_empty(2, *plain.shape[1:])
        for j in range(tile.M):
            member = slice(j, j + 1)
            torch.sub(maps[j], pivot, out=pair[0])
            tile.backend.undo(plain, taps.index[member], taps.fraction[member], taps.exact[member], pivot, pair[1:])
            for normalize, total in self.sums.items():
                tile.backend.map_distances(
                    pair, MapDistanceSums(total), M=2, block=BLOCK, reference=0, normalize=normalize, pivot=pivot
                )

    def value(self, statistic: Statistic) -> Tensor:
        """The mean over samples and transformations of the root of the mean square over a map, for each map."""
        assert isinstance(statistic, DistanceToTransformed)
        total = self.sums[statistic.normalize]
        return total / (self.positions**0.5 * self.samples * self.context.M) + 0 * total


@dataclass(frozen=True)
class PairDistance(Statistic):
    """Mean distance over pairs along one axis, of activations: ``|a - b|``.

    Along samples, pairs are taken inside blocks of ``block`` consecutive samples in an ``order`` of the samples, random
    or by class; see `blocks`. ``error`` asks for the standard error of that mean instead, in the random order.
    Along transformations all pairs are taken, and in the order by class (the author's library) those inside blocks of
    ``block`` transformations, all blocks weighing the same.
    """

    axis: Axis
    undone: bool = False
    order: SampleOrder = field(default="random", kw_only=True)
    block: int = field(default=BLOCK, kw_only=True)
    error: bool = field(default=False, kw_only=True)
    accumulator: ClassVar[type[Accumulator]] = ActivationDistances

    @property
    def no_interval(self) -> str:  # type: ignore[override]
        """An error has none."""
        return "it is a standard error itself, of the pairs that were drawn among these samples" if self.error else ""

    @property
    def compares_samples(self) -> bool:  # type: ignore[override]
        """Along them."""
        return self.axis == "samples"

    @property
    def sample_order(self) -> SampleOrder | None:  # type: ignore[override]
        """Only along samples are samples paired."""
        return self.order if self.axis == "samples" else None

    @property
    def paired(self) -> bool:  # type: ignore[override]
        """A distance along samples is of one transformation."""
        return self.axis == "transformations"

    @property
    def spatial(self) -> bool:  # type: ignore[override]
        """Undoing needs feature maps."""
        return self.undone

    @property
    def blocks(self) -> BlocksOf:
        """The blocks of samples."""
        return BlocksOf(self.order, self.block)

    def parts(self, M: int) -> tuple[tuple[int, int], ...]:
        """The blocks of transformations with a pair, each from its first to before its last; of one alone, that one.

        >>> PairDistance("transformations").parts(9), PairDistance("transformations", order="class", block=4).parts(9)
        (((0, 9),), ((0, 4), (4, 8)))
        """
        size = self.block if self.order == "class" else M
        cuts = [*range(0, M, size), M]
        return tuple((start, end) for start, end in pairwise(cuts) if end - start > 1) or ((0, M),)


@dataclass(frozen=True)
class MapDistance(PairDistance):
    """The same of feature maps as vectors: the euclidean distance over H x W, optionally of unit-norm maps."""

    normalize: bool = False
    accumulator: ClassVar[type[Accumulator]] = MapDistances
    spatial: ClassVar[bool] = True  # type: ignore[misc]
    per_map: ClassVar[bool] = True

    @property
    def degree(self) -> int:  # type: ignore[override]
        """Maps of unit norm have no unit of measurement."""
        return 0 if self.normalize else 1


@dataclass(frozen=True)
class DistanceToUntransformed(Statistic):
    """Mean over samples and transformations of the distance between ``f(x)`` and ``t^{-1} f(t x)``, per map."""

    normalize: bool = False
    undone: bool = True
    accumulator: ClassVar[type[Accumulator]] = MapDistances
    spatial: ClassVar[bool] = True  # type: ignore[misc]
    per_map: ClassVar[bool] = True
    untransformed: ClassVar[bool] = True
    no_interval: ClassVar[str] = ""  # type: ignore[misc]

    @property
    def degree(self) -> int:  # type: ignore[override]
        """Maps of unit norm have no unit of measurement."""
        return 0 if self.normalize else 1


@dataclass(frozen=True)
class DistanceToTransformed(Statistic):
    """Mean over samples and transformations of the distance between ``f(t x)`` and ``t f(x)``, per map.

    The distance is the root of the mean square over the map, optionally of unit-norm maps; ``t`` acts on a feature map
    as on an image of its size. Source: the author's library.
    """

    normalize: bool = False
    moved: bool = True
    accumulator: ClassVar[type[Accumulator]] = ForwardDistances
    spatial: ClassVar[bool] = True  # type: ignore[misc]
    per_map: ClassVar[bool] = True
    untransformed: ClassVar[bool] = True
    no_interval: ClassVar[str] = ""  # type: ignore[misc]

    @property
    def degree(self) -> int:  # type: ignore[override]
        """Maps of unit norm have no unit of measurement."""
        return 0 if self.normalize else 1

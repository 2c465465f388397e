"""The running statistics that measures are made of, and the accumulators that keep them.

A measure names the statistics it needs (``Spread``, ``FRatio``, ``Firing``, ``PairDistance``, ``Simple``): values of
equality, so that two measures that need the same statistic share it. Statistics that come out of the same loop
share an accumulator. An accumulator is given each tile once, right when the layer has computed it, and holds
nothing that no measure asked for.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from math import floor
from types import ModuleType
from typing import ClassVar, Literal

import torch
from torch import Tensor

from cnn_invariance.activations import Layer
from cnn_invariance.measures import native, plain

Axis = Literal["transformations", "samples"]


@dataclass(frozen=True)
class Undo:
    """The taps of every member's inverse at one size of feature map."""

    index: Tensor  # int32 (M, P, 4)
    fraction: Tensor  # float32 (M, P, 2), of the way between the taps in x and y
    exact: Tensor  # uint8 (M)


@dataclass(frozen=True)
class Context:
    """What the accumulators of one layer know before the pass."""

    layer: Layer
    N: int  # samples in the whole pass
    M: int
    device: torch.device
    block: int  # samples in a block of a column, for sample distances

    def zeros(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Zeros on the pass's device."""
        return torch.zeros(shape, dtype=dtype, device=self.device)


@dataclass
class Tile:
    """The activations of one layer for b samples under all transformations, as the hook hands them on.

    Attributes:
        columns: float32 (M', b, U), contiguous; feature maps with channels last. M' is M, or M + 1 when the
            transformation set has no identity and the untransformed samples are the last column.
        M: the number of transformations.
        reference: the column of the untransformed samples.
        context: the layer, the device.
        undo: how to undo the transformations on this layer; None where that is not possible or not asked.
        pivot: (C), taken from the undone activations: spreads and distances do not see it, their digits do.
        buffer: room for the undone activations, at least M * b * U values.
    """

    columns: Tensor
    M: int
    reference: int
    context: Context
    undo: Undo | None = None
    pivot: Tensor | None = None
    buffer: Tensor | None = None

    @property
    def kernels(self) -> ModuleType:
        """The loops for this tile's device."""
        return native if native.available(self.columns.device) else plain

    @property
    def samples(self) -> int:
        """The number of samples, b."""
        return self.columns.shape[1]

    @cached_property
    def undone_columns(self) -> Tensor:
        """(M', b, U): ``t_j^{-1}`` of the activations, less the pivot; computed once for all that need it."""
        assert self.undo is not None
        assert self.pivot is not None
        assert self.buffer is not None
        maps = self.as_maps(self.columns)
        out = self.buffer[: maps.numel()].view(maps.shape)
        undo = self.undo
        undone = self.kernels.undo(maps, undo.index, undo.fraction, undo.exact, self.pivot, out)
        return undone.view(self.columns.shape)

    def all_columns(self, undone: bool) -> Tensor:
        """(M', b, U), undone or as they came; the untransformed samples are column ``reference``."""
        return self.undone_columns if undone else self.columns

    def values(self, undone: bool) -> Tensor:
        """(M, b, U), the columns of the transformation set, undone or as they came."""
        return self.all_columns(undone)[: self.M]

    def as_maps(self, columns: Tensor) -> Tensor:
        """(M', b, U) seen as (M', b, P, C), P positions."""
        return columns.view(len(columns), self.samples, -1, self.context.layer.maps)


class Statistic:
    """What a measure needs of a layer: a value for each unit or for each feature map, float64."""

    accumulator: ClassVar["type[Accumulator]"]
    undone: bool = False  # on the activations after the transformation is undone
    spatial: bool = False  # for feature maps only
    per_map: ClassVar[bool] = False  # one value a feature map, not one a unit


class Accumulator(ABC):
    """Running state for some statistics of one layer."""

    def __init__(self, context: Context, statistics: frozenset[Statistic]) -> None:
        self.context = context
        self.samples = 0

    @classmethod
    def group(cls, statistic: Statistic) -> object:
        """Statistics of one group share an accumulator."""
        return statistic.undone

    def prepare(self, columns: Tensor) -> None:
        """See a tile of untransformed samples (1, b, U) before the pass; only where ``looks_before``."""

    @property
    def looks_before(self) -> bool:
        """Whether ``prepare`` must see the untransformed samples before the pass."""
        return False

    def update(self, tile: Tile) -> None:
        """Add a tile."""
        self.add(tile)
        self.samples += tile.samples

    @abstractmethod
    def add(self, tile: Tile) -> None:
        """Add a tile to the state; ``self.samples`` is the count before it."""

    @abstractmethod
    def value(self, statistic: Statistic) -> Tensor:
        """The finished statistic: float64, (U) in the order of the tile, or (maps)."""


# ---- spread along transformations or samples, and the ANOVA that follows from it ----


class Moments(Accumulator):
    """Sums over samples of the spread along transformations; moments along samples of every transformation.

    Memory: 12 bytes per transformation and unit if someone looks along samples, 8 or 16 bytes a unit for rows.
    """

    def __init__(self, context: Context, statistics: frozenset[Statistic]) -> None:
        super().__init__(context, statistics)
        units = context.layer.units
        rows = {s.statistic for s in statistics if isinstance(s, Spread) and s.axis == "transformations"}
        self.undone = next(iter(statistics)).undone
        self.sums = {
            kind: context.zeros(units, dtype=torch.float64) if kind in rows else None for kind in ("std", "var")
        }
        along_samples = any(
            isinstance(s, FRatio) or (isinstance(s, Spread) and s.axis == "samples") for s in statistics
        )
        self.columns: tuple[Tensor, Tensor] | None = None
        if along_samples:
            self.columns = context.zeros(context.M, units, dtype=torch.float64), context.zeros(context.M, units)

    def add(self, tile: Tile) -> None:
        """One pass over the tile for both directions."""
        values = tile.values(self.undone)
        tile.kernels.grid_moments(values, self.samples, self.columns, self.sums["std"], self.sums["var"])

    def value(self, statistic: Statistic) -> Tensor:
        """The mean spread, or F."""
        if isinstance(statistic, FRatio):
            return self._f_ratio()
        assert isinstance(statistic, Spread)
        if statistic.axis == "transformations":
            total = self.sums[statistic.statistic]
            assert total is not None
            return total / self.samples
        total = self.context.zeros(self.context.layer.units, dtype=torch.float64)
        for _, variance in self.columns_of_moments():
            total += variance.sqrt() if statistic.statistic == "std" else variance
        return total / self.context.M

    def columns_of_moments(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Mean and unbiased variance of each column, float64 (U) each; one column at a time bounds the memory."""
        assert self.columns is not None
        for mean, m2 in zip(*self.columns, strict=True):
            yield mean, m2.double().clamp(min=0) / max(self.samples - 1, 1)

    def _f_ratio(self) -> Tensor:
        """``F = [N sum_j (m_j - m)^2 / (M - 1)] / [sum_j var_j / M]``, columns as groups."""
        M, N = self.context.M, self.samples
        grand = sum(mean for mean, _ in self.columns_of_moments()) / M
        between = self.context.zeros(self.context.layer.units, dtype=torch.float64)
        within = torch.zeros_like(between)
        for mean, variance in self.columns_of_moments():
            between += (mean - grand).square() * (N / max(M - 1, 1))
            within += variance / M
        return quotient(between, within)


@dataclass(frozen=True)
class Spread(Statistic):
    """Mean over one axis of the unbiased standard deviation (or variance) along the other.

    ``axis``: along ``transformations`` (TV: the mean is over samples) or along ``samples`` (SV: over
    transformations). A single sample or transformation gives 0.
    """

    axis: Axis
    statistic: str = "std"
    undone: bool = False
    accumulator: ClassVar[type[Accumulator]] = Moments

    @property
    def spatial(self) -> bool:  # type: ignore[override]
        """Undoing needs feature maps."""
        return self.undone


@dataclass(frozen=True)
class FRatio(Statistic):
    """One-way ANOVA's F with the columns as groups; degrees of freedom M - 1 and M (N - 1)."""

    accumulator: ClassVar[type[Accumulator]] = Moments


# ---- firing rates ----


class Exceedances(Accumulator):
    """How often an activation is above its threshold: over all pairs (L) and untransformed samples (G).

    The threshold comes from the untransformed samples, seen once before the pass. Memory: 12 bytes a unit for each
    pair of level and sign, and during the look before 12 more, or ``TAIL`` values for each percentile level.
    """

    def __init__(self, context: Context, statistics: frozenset[Statistic]) -> None:
        super().__init__(context, statistics)
        self.levels = sorted({(s.alpha, s.sign, s.threshold) for s in statistics if isinstance(s, Firing)})
        units = context.layer.units
        self.signs = torch.tensor([float(sign) for _, sign, _ in self.levels], device=context.device)
        self.thresholds = context.zeros(len(self.levels), units)
        self.counts = tuple(context.zeros(len(self.levels), units, dtype=torch.int32) for _ in range(2))
        self.before: list[Threshold] | None = [
            Normal(context, alpha, sign) if form == "normal" else Percentile(context, alpha, sign)
            for alpha, sign, form in self.levels
        ]

    @classmethod
    def group(cls, statistic: Statistic) -> object:
        """All levels in one."""
        return None

    @property
    def looks_before(self) -> bool:
        """Thresholds come before the pass."""
        return True

    def prepare(self, columns: Tensor) -> None:
        """Show the untransformed samples to every threshold."""
        for threshold in self.before or ():
            threshold.see(columns)

    def add(self, tile: Tile) -> None:
        """Count."""
        if self.before is not None:
            for row, threshold in zip(self.thresholds, self.before, strict=True):
                row.copy_(threshold.value())
            self.before = None
        values, untransformed = tile.values(undone=False), tile.columns[tile.reference]
        tile.kernels.exceedances(values, untransformed, self.signs, self.thresholds, self.counts)

    def value(self, statistic: Statistic) -> Tensor:
        """A rate between 0 and 1."""
        assert isinstance(statistic, Firing)
        a = self.levels.index((statistic.alpha, statistic.sign, statistic.threshold))
        local, untransformed = self.counts
        unknown = 0 * self.thresholds[a].double()  # NaN where the threshold is not finite
        if statistic.rate == "local":
            return local[a].double() / (self.samples * self.context.M) + unknown
        return untransformed[a].double() / self.samples + unknown


class Threshold(ABC):
    """The level of ``sign * activation`` that an activation must pass to fire."""

    def __init__(self, context: Context, alpha: float, sign: int) -> None:
        self.context, self.alpha, self.sign = context, alpha, sign

    @abstractmethod
    def see(self, columns: Tensor) -> None:
        """Some untransformed samples, (1, b, U)."""

    @abstractmethod
    def value(self) -> Tensor:
        """(U)."""


class Normal(Threshold):
    """``mean + z(alpha) * std`` of the signed activation, z the standard normal quantile."""

    def __init__(self, context: Context, alpha: float, sign: int) -> None:
        super().__init__(context, alpha, sign)
        self.moments = Moments(replace(context, M=1), frozenset({Spread("samples")}))

    def see(self, columns: Tensor) -> None:
        """Add to the moments."""
        self.moments.update(Tile(columns, 1, 0, self.moments.context))

    def value(self) -> Tensor:
        """From the moments."""
        z = torch.special.ndtri(torch.tensor(self.alpha, dtype=torch.float64)).item()
        mean, variance = next(self.moments.columns_of_moments())
        return (self.sign * mean + z * variance.sqrt()).float()


class Percentile(Threshold):
    """The order statistic ``floor(alpha n)`` (from 0, ascending) of the signed activation over n samples.

    Only the largest values are kept, at most ``TAIL`` a unit. It is exact while ``n - floor(alpha n) <= TAIL``;
    beyond, every k-th sample is looked at, with the smallest k that fits. The rank is then that of a systematic
    sample: the share of samples above the threshold has a standard error of about ``(1 - alpha) / sqrt(TAIL)``.
    """

    TAIL = 64

    def __init__(self, context: Context, alpha: float, sign: int) -> None:
        super().__init__(context, alpha, sign)
        self.step, self.rank = next(
            (step, rank) for step in count(1) if (rank := self._rank(-(-context.N // step))) <= self.TAIL
        )
        self.seen = 0
        self.largest = torch.empty(0, context.layer.units, device=context.device)

    def _rank(self, n: int) -> int:
        return n - floor(self.alpha * n)

    def see(self, columns: Tensor) -> None:
        """Keep the largest values."""
        chosen = [i for i in range(columns.shape[1]) if (self.seen + i) % self.step == 0]
        self.seen += columns.shape[1]
        together = torch.cat([self.largest, self.sign * columns[0, chosen]])
        self.largest = together.topk(min(self.rank, len(together)), dim=0).values

    def value(self) -> Tensor:
        """The smallest of the largest; NaN if one of them is not finite."""
        return self.largest[-1] + 0 * self.largest[0]


@dataclass(frozen=True)
class Firing(Statistic):
    """The share of pairs (``rate="local"``, L) or of untransformed samples (``"global"``, G) above the threshold."""

    rate: Literal["local", "global"]
    alpha: float = 0.99
    sign: int = 1
    threshold: str = "normal"
    accumulator: ClassVar[type[Accumulator]] = Exceedances


# ---- distances ----


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
        tile.kernels.activation_distances(
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
        self.simple = self._sum(any(isinstance(s, Simple) for s in statistics))

    @classmethod
    def group(cls, statistic: Statistic) -> object:
        """One loop for each form of the maps."""
        return statistic.undone, getattr(statistic, "normalize", False)

    def _sum(self, wanted: bool) -> Tensor | None:
        return self.context.zeros(self.context.layer.maps, dtype=torch.float64) if wanted else None

    def _add(self, tile: Tile) -> None:
        tile.kernels.map_distances(
            tile.as_maps(tile.all_columns(self.undone)),
            tile.M,
            self.context.block,
            tile.reference,
            self.normalize,
            tile.pivot if self.undone and tile.pivot is not None else self.zero,
            self.sums["transformations"],
            self.sums["samples"],
            self.simple,
        )

    def value(self, statistic: Statistic) -> Tensor:
        """The mean distance for each map."""
        if isinstance(statistic, Simple):
            assert self.simple is not None
            return self.simple / (self.samples * self.context.M) + 0 * self.simple
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
class Simple(Statistic):
    """Mean over samples and transformations of the distance between ``f(x)`` and ``t^{-1} f(t x)``, per map."""

    normalize: bool = False
    undone: bool = True
    accumulator: ClassVar[type[Accumulator]] = MapDistances
    spatial: ClassVar[bool] = True  # type: ignore[misc]
    per_map: ClassVar[bool] = True


# ---- helpers ----


def quotient(numerator: Tensor, denominator: Tensor) -> Tensor:
    """``numerator / denominator`` where 0 / 0 is 1 and positive / 0 is infinity.

    >>> quotient(torch.tensor([0.0, 1.0, 1.0]), torch.tensor([0.0, 0.0, 2.0])).tolist()
    [1.0, inf, 0.5]
    """
    nothing = (numerator == 0) & (denominator == 0)
    return torch.where(nothing, torch.ones_like(numerator), numerator / denominator)


def pairs_in_blocks(n: int, block: int) -> int:
    """The number of pairs inside consecutive blocks of n items, the last block may be short.

    >>> pairs_in_blocks(10, 4)
    13
    """
    full, rest = divmod(n, block)
    return full * (block * (block - 1) // 2) + rest * (rest - 1) // 2


@dataclass
class Accumulators:
    """All accumulators of one layer for a set of statistics."""

    context: Context
    statistics: frozenset[Statistic]
    members: dict[tuple[type[Accumulator], object], Accumulator] = field(init=False)

    def __post_init__(self) -> None:
        groups: dict[tuple[type[Accumulator], object], set[Statistic]] = {}
        for statistic in self.statistics:
            groups.setdefault(self._key(statistic), set()).add(statistic)
        self.members = {key: key[0](self.context, frozenset(group)) for key, group in groups.items()}

    @staticmethod
    def _key(statistic: Statistic) -> tuple[type[Accumulator], object]:
        return statistic.accumulator, statistic.accumulator.group(statistic)

    @property
    def looks_before(self) -> bool:
        """Whether some accumulator must see the untransformed samples first."""
        return any(member.looks_before for member in self.members.values())

    def prepare(self, columns: Tensor) -> None:
        """Show untransformed samples, (1, b, U), to those who look before."""
        for member in self.members.values():
            if member.looks_before:
                member.prepare(columns)

    def update(self, tile: Tile) -> None:
        """Add a tile to every accumulator."""
        for member in self.members.values():
            member.update(tile)

    def value(self, statistic: Statistic) -> Tensor:
        """A finished statistic on the CPU: float64, shaped like the layer (C, H, W), (K,), or (maps,)."""
        value = self.members[self._key(statistic)].value(statistic).cpu()
        layer = self.context.layer
        if statistic.per_map:
            return value
        if not layer.spatial:
            return value.view(layer.shape)
        C, H, W = layer.shape
        return value.view(H, W, C).permute(2, 0, 1).contiguous()

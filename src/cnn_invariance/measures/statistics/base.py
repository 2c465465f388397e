"""The running statistics that measures are made of, and the accumulators that keep them.

A measure names the statistics it needs: ``Spread`` and ``FRatio`` in `moments`, ``Firing`` in `firing`, and
``PairDistance``, ``MapDistance``, ``DistanceToUntransformed`` and ``DistanceToTransformed`` in `distances`. Statistics
are compared by value, so that two measures that need the same statistic share it. Statistics that come out of the same
loop share an accumulator. An accumulator is given each tile once, right when the layer has computed it, and holds
nothing that no measure asked for.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal

import torch
from torch import Tensor

from cnn_invariance.activations import Layer
from cnn_invariance.measures.backends import backend_of
from cnn_invariance.measures.backends.interface import Backend
from cnn_invariance.measures.statistics.scales import Scale

Axis = Literal["transformations", "samples"]
SampleOrder = Literal["random", "class"]


@dataclass(frozen=True)
class Taps:
    """The taps of every member, or of every member's inverse, at one size of feature map."""

    index: Tensor  # int32 (M, P, 4)
    fraction: Tensor  # float32 (M, P, 2), of the way between the taps in x and y
    exact: Tensor  # uint8 (M)

    def of(self, members: slice) -> "Taps":
        """Those of some members."""
        return Taps(self.index[members], self.fraction[members], self.exact[members])


@dataclass(frozen=True)
class Context:
    """What the accumulators of one layer know before the pass."""

    layer: Layer
    N: int  # samples in the whole pass
    M: int
    device: torch.device
    scale: Scale | None = None  # of the activations it is shown; None: as they are

    def zeros(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Zeros on the pass's device."""
        return torch.zeros(shape, dtype=dtype, device=self.device)

    def in_units(self, columns: Tensor) -> Tensor:
        """Activations (M', b, U) with each unit at its scale: as they are, on nearly every layer."""
        return columns if self.scale is None else (columns.double() * self.scale.units).float()

    def in_maps(self, columns: Tensor) -> Tensor:
        """The same with each feature map at its scale."""
        return columns if self.scale is None else (columns.double() * self.scale.maps).float()


@dataclass
class Tile:
    """The activations of one layer for b samples under all transformations, as the hook hands them on.

    Attributes:
        columns: (M', b, U), contiguous; feature maps with channels last. M' is M, or M + 1 when the transformation set
            has no identity and the untransformed samples are the last column. Float32; of a layer of unusual
            magnitude as the network gives them: `unit_columns` and `map_columns` have them at their scales.
        M: the number of transformations in the tile.
        reference: the column of the untransformed samples.
        context: the layer, the device.
        undo: how to undo the transformations on this layer; None where that is not possible or not asked.
        forward: how to apply the transformations to this layer, likewise.
        pivot: (C), taken from the undone activations: spreads and distances do not see it, their digits do.
        buffer: room for the undone activations, at least M * b * U values.
        numbers: (b), the place of each sample among the images that were given.
    """

    columns: Tensor
    M: int
    reference: int
    context: Context
    undo: Taps | None = None
    forward: Taps | None = None
    pivot: Tensor | None = None
    buffer: Tensor | None = None
    numbers: Tensor | None = None

    @property
    def backend(self) -> Backend:
        """The loops for this tile's device."""
        return backend_of(self.columns.device)

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
        maps = self.as_maps(self.map_columns)
        out = self.buffer[: maps.numel()].view(maps.shape)
        undo = self.undo
        undone = self.backend.undo(maps, undo.index, undo.fraction, undo.exact, self.pivot, out)
        return undone.view(self.columns.shape)

    @cached_property
    def unit_columns(self) -> Tensor:
        """Float32 (M', b, U), each unit at its scale."""
        return self.context.in_units(self.columns)

    @cached_property
    def map_columns(self) -> Tensor:
        """Float32 (M', b, U), each feature map at its scale."""
        return self.context.in_maps(self.columns)

    def values(self, undone: bool) -> Tensor:
        """(M, b, U), the activations of units under the transformation set, undone or as they came."""
        return (self.undone_columns if undone else self.unit_columns)[: self.M]

    def maps(self, undone: bool) -> Tensor:
        """(M', b, P, C), feature maps, undone or as they came; of the untransformed samples at ``reference``."""
        return self.as_maps(self.undone_columns if undone else self.map_columns)

    def as_maps(self, columns: Tensor) -> Tensor:
        """(M', b, U) seen as (M', b, P, C), P positions."""
        return columns.view(len(columns), self.samples, -1, self.context.layer.maps)


class NoValueError(Exception):
    """A statistic or a measure has no value on a layer; the text is the reason, as results give it."""


class Statistic:
    """What a measure needs of a layer: a value for each unit or for each feature map, float64."""

    accumulator: ClassVar["type[Accumulator]"]
    undone: bool = False  # on the activations after the transformation is undone
    moved: bool = False  # needs the transformation of the activations themselves
    spatial: bool = False  # for feature maps only
    per_map: ClassVar[bool] = False  # one value a feature map, not one a unit
    whole: ClassVar[bool] = False  # of the layer as a whole, of any shape; whatever the scale of its activations
    untransformed: ClassVar[bool] = False  # reads the column of the untransformed samples
    paired: bool = (
        True  # changes where f(t(x)) is paired with another sample; False: it sees one transformation at a time
    )
    compares_samples: bool = False  # of one sample it has no value
    sample_order: SampleOrder | None = None  # in which it pairs samples in blocks; None: it pairs none
    block: int = 1  # the samples of a block, which stand in one tile
    degree: int = 1  # the power of the activations' unit of measurement it has: 1 of a distance, 0 of a share
    no_interval: str = "it reads a statistic that is not known to be a mean over samples"  # why; empty: it has one

    @property
    def average(self) -> "tuple[Statistic, float]":
        """A statistic that is a mean over samples, of the same accumulator, and the power of it that this one is like.

        But for a constant factor, and terms that vanish as the samples grow in number. It is read where ``no_interval``
        is empty, for intervals over samples.
        """
        return self, 1.0


def over_members(values: Tensor, per: str) -> Tensor:
    """Values of each transformation (M): as they are where ``per`` is "member", else their mean (1)."""
    return values if per == "member" else values.mean(0, keepdim=True)


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
        """See a tile before the pass, if needed: untransformed samples (1, b, U), or all columns (M, b, U)."""

    @property
    def bytes_of_pairs(self) -> int:
        """The bytes of what it keeps of pairs of channels or positions, which grow with the square of their number."""
        return 0

    @property
    def needs_untransformed_first(self) -> bool:
        """Whether ``prepare`` must see the untransformed samples before the pass."""
        return False

    @property
    def needs_all_first(self) -> bool:
        """Whether ``prepare`` must see the samples under all transformations before the pass."""
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


def quotient(numerator: Tensor, denominator: Tensor) -> Tensor:
    """``numerator / denominator`` where 0 / 0 is 1 and positive / 0 is infinity.

    >>> quotient(torch.tensor([0.0, 1.0, 1.0]), torch.tensor([0.0, 0.0, 2.0])).tolist()
    [1.0, inf, 0.5]
    """
    nothing = (numerator == 0) & (denominator == 0)
    return torch.where(nothing, torch.ones_like(numerator), numerator / denominator)


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
    def needs_untransformed_first(self) -> bool:
        """Whether some accumulator must see the untransformed samples first."""
        return any(member.needs_untransformed_first for member in self.members.values())

    @property
    def needs_all_first(self) -> bool:
        """Whether some accumulator must see the samples under all transformations first."""
        return any(member.needs_all_first for member in self.members.values())

    def show_untransformed(self, columns: Tensor) -> None:
        """Show untransformed samples, (1, b, U), to those that need them first."""
        for member in self.members.values():
            if member.needs_untransformed_first:
                member.prepare(self.context.in_units(columns))

    def show_all(self, columns: Tensor) -> None:
        """Show samples under some of the transformations, (m, b, U), to those that need all of them first."""
        for member in self.members.values():
            if member.needs_all_first:
                member.prepare(self.context.in_units(columns))

    def update(self, tile: Tile) -> None:
        """Add a tile to every accumulator."""
        for member in self.members.values():
            member.update(tile)

    def value(self, statistic: Statistic) -> Tensor:
        """A finished statistic on the CPU: float64, shaped like the layer (C, H, W), (K,), or (maps,)."""
        return self.in_layer_order(self.at_own_scale(statistic), statistic).contiguous()

    def at_own_scale(self, statistic: Statistic) -> Tensor:
        """A finished statistic on the CPU: float64, in the order of a tile."""
        value = self.read(statistic)
        if statistic.whole:
            return value.cpu()
        if self.context.scale is not None:
            by_map = statistic.undone or statistic.moved
            value = self.context.scale.take_back(value, statistic.degree, statistic.per_map, by_map)
        return value.cpu()

    def read(self, statistic: Statistic) -> Tensor:
        """A statistic of the samples so far, float64 (U) in the order of a tile or (maps), of activations at scale."""
        return self.members[self._key(statistic)].value(statistic)

    def in_layer_order(self, value: Tensor, statistic: Statistic) -> Tensor:
        """Values in the order of a tile, (U) or (maps), in the order of the layer: (C, H, W), (K,), or (maps,).

        Those of the layer as a whole stay as they are.
        """
        layer = self.context.layer
        if statistic.per_map or statistic.whole:
            return value
        if not layer.spatial:
            return value.view(layer.shape)
        C, H, W = layer.shape
        return value.view(H, W, C).permute(2, 0, 1)

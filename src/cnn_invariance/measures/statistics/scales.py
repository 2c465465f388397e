"""Powers of two that bring the activations of a unit to where their squares neither vanish nor overflow.

Statistics are sums of squares in float32: of differences below 2^-63 they underflow, beyond 2^63 they overflow, while
the activations themselves are normal numbers down to 2^-126 and up to 2^128. A pass therefore notes the largest
magnitude of each unit, in one transformation of each tile. Where that is not a usual one, those of all activations are
looked at, and the pass is made again with such units multiplied by a power of two, which is exact; a unit of usual
magnitude is not touched, and keeps its bits. Quotients, F and firing rates do not depend on the factor; of all other
statistics it is taken back when they are finished (`Statistic.degree`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from cnn_invariance.activations import Layer

LEAST, MOST = 2.0**-38, 2.0**30
"""Usual magnitudes: two float32 numbers of which one is at least 2^-38 are 2^-62 apart, or equal; its square is normal.
"""


@dataclass(frozen=True)
class Scale:
    """The factors of one layer, powers of two, float64 (U) in the order of a tile.

    units: of each unit by itself
    maps:  the same for all units of a feature map, whose neighbours are mixed when a transformation is undone; where
           there are no maps, those of the units
    """

    units: Tensor
    maps: Tensor

    @classmethod
    def of(cls, layer: Layer, largest: Tensor) -> "Scale | None":
        """From the largest magnitude of each unit (U); None where all are usual."""
        maps = largest
        if layer.spatial:
            known = torch.where(largest.isfinite(), largest, 0).view(-1, layer.maps).amax(0)  # (P, C) -> (C)
            maps = known.repeat(layer.units // layer.maps)
        of_maps, of_units = _factors(maps), _factors(largest)
        usual = bool((of_maps == 1).all() and (of_units == 1).all())
        return None if usual else cls(of_units, of_maps)

    def take_back(self, value: Tensor, degree: int, per_map: bool, by_map: bool) -> Tensor:
        """A statistic of the scaled activations -> of the activations; it grows with their ``degree``-th power."""
        factors = self.maps[: len(value)] if per_map else self.maps if by_map else self.units
        return value / factors.pow(degree)


class Magnitudes:
    """The largest magnitude of each unit of each layer, float32 (float64 of a network of that precision)."""

    def __init__(self) -> None:
        self.largest: dict[int, Tensor] = {}

    def see(self, layer: Layer, values: Tensor) -> None:
        """Some activations, (..., U)."""
        values = values.detach().reshape(-1, layer.units)
        here = torch.maximum(values.amax(0), values.amin(0).neg_())
        before = self.largest.get(layer.index)
        self.largest[layer.index] = here if before is None else torch.maximum(before, here)

    def unusual(self, unknown: Collection[int]) -> bool:
        """Whether some magnitude is not usual, or all are finite of a layer whose results are not (by its number)."""
        return any(
            bool(_outside(largest).any()) or (index in unknown and bool(largest.isfinite().all()))
            for index, largest in self.largest.items()
        )

    def scales(self, layers: Sequence[Layer]) -> dict[int, Scale]:
        """Of each layer that needs one, by number."""
        found = {layer.index: Scale.of(layer, self.largest[layer.index]) for layer in layers}
        return {index: scale for index, scale in found.items() if scale is not None}


def _outside(largest: Tensor) -> Tensor:
    """Which magnitudes are not usual, of those that are finite and not zero."""
    return ((largest > 0) & (largest < LEAST)) | ((largest > MOST) & (largest < inf))


def _factors(largest: Tensor) -> Tensor:
    """The power of two that brings each magnitude to between 1/2 and 1; 1 where it is usual, zero, or not finite."""
    outside, largest = _outside(largest), largest.double()
    exponents = torch.frexp(largest.where(outside, torch.ones_like(largest))).exponent
    return torch.where(outside, torch.ldexp(torch.ones_like(largest), -exponents), 1.0)

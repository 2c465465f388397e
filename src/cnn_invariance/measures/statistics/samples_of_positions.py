"""Which positions of feature maps, and which transformations, the measures of other authors look at.

Cross-moments of channels grow with the square of their number, and are the same in mean at a part of the positions. So
of a feature map with more positions than ``positions``, that many are drawn: the first in the order of NumPy's PCG64
with seed 0, the same for all layers of one size, all samples and all transformations. Of a set with more than
``members`` transformations, that many are taken, evenly from the first: number ``floor(k M / members)``.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from cnn_invariance.measures.statistics.base import Taps, Tile


@lru_cache(maxsize=64)
def drawn(positions: int, at_most: int) -> tuple[int, ...]:
    """The positions that are looked at, rising, out of so many.

    >>> drawn(4, 64), len(drawn(4096, 64))
    ((0, 1, 2, 3), 64)
    """
    if positions <= at_most:
        return tuple(range(positions))
    order = np.argsort(np.random.PCG64(0).random_raw(positions), kind="stable")
    return tuple(sorted(order[:at_most].tolist()))


def chosen(M: int, at_most: int) -> tuple[int, ...]:
    """The transformations that are looked at, out of M.

    >>> chosen(3, 8), chosen(12, 4)
    ((0, 1, 2), (0, 3, 6, 9))
    """
    return tuple(range(M)) if at_most >= M else tuple(k * M // at_most for k in range(at_most))


def as_they_came(tile: Tile, member: int, positions: Tensor) -> Tensor:
    """Float64 (b, S, C): the activations under one transformation, at some positions."""
    return tile.as_maps(tile.columns)[member].index_select(1, positions).double()


def moved(tile: Tile, taps: Taps, source: int, member: int, positions: Tensor) -> Tensor:
    """Float64 (b, S, C): column ``source`` of the tile after ``taps[member]`` on feature maps, at some positions."""
    maps = tile.as_maps(tile.columns)[source]  # (b, P, C)
    if bool(taps.exact[member]):
        return maps.index_select(1, positions).double()
    index = taps.index[member].long().index_select(0, positions)  # (S, 4)
    x, y = taps.fraction[member].index_select(0, positions).double().unbind(-1)  # (S) each
    corners = maps.index_select(1, index.flatten()).double().view(len(maps), len(index), 4, -1)
    weights = torch.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], -1)  # (S, 4)
    return torch.einsum("bskc,sk->bsc", corners, weights)

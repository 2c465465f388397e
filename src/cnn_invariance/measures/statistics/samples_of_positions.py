"""Which positions of feature maps, and which transformations, the measures of other authors look at.

Cross-moments of channels grow with the square of their number, and are the same in mean at a part of the positions. So
of a feature map with more positions than ``positions``, that many are drawn: the first in the order of NumPy's PCG64
with seed 0, the same for all layers of one size, all samples and all transformations. Of a set with more than
``members`` transformations, that many are taken, evenly from the first: number ``floor(k M / members)``.
"""

from functools import lru_cache

import numpy as np
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


def as_they_came(tile: Tile, members: slice, positions: Tensor) -> Tensor:
    """Float64 (m, b, S, C): the activations under some transformations, at some positions."""
    return tile.as_maps(tile.columns[members]).index_select(2, positions).double()


def moved(tile: Tile, taps: Taps, source: int, members: slice, positions: Tensor) -> Tensor:
    """Float64 (m, b, S, C): column ``source`` of the tile after each of ``taps[members]`` on feature maps, at some
    positions.
    """
    maps, some = tile.as_maps(tile.columns)[source], taps.of(members)  # maps: (b, P, C)
    index = some.index.index_select(1, positions)  # (m, S, 4)
    x, y = some.fraction.index_select(1, positions).double().unbind(-1)  # (m, S) each
    found: Tensor | None = None
    for k, weight in enumerate(((1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y)):
        corner = maps.index_select(1, index[..., k].flatten()).double().mul_(weight.reshape(-1, 1))
        found = corner if found is None else found.add_(corner)
    assert found is not None
    result = found.unflatten(1, index.shape[:2]).transpose(0, 1)
    for member in some.exact.nonzero().flatten().tolist():
        result[member] = maps.index_select(1, positions)
    return result

"""The statistics of a tile as torch operations, for any device.

What ``native.py`` does in compiled loops, with the same arguments and results. A tile is the activations of one
layer, ``values``: float32 (M, b, U), M transformations x b samples x U units. Every function adds one tile to
running results that it is given, in place.
"""

import threading
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from cnn_invariance.measures.sorting import sorting_network

MEMBERS = 16  # transformations between merges
FEW = 128  # values up to which a network of minima and maxima is faster than torch's sorting
SLICE = 1 << 20  # values of one temporary on a CPU: in the last-level cache, and worth the start of the threads
GPU_SLICE = 1 << 28
TAPS = 4  # of bilinear interpolation
DOUBLES = 4  # a value of a temporary in float64, and of a second one beside it, counts as so many


class _Room(threading.local):
    """Memory for temporaries that stays on a CPU: there, fresh pages cost more than what is computed in them."""

    def __init__(self) -> None:
        self.kept: dict[torch.dtype, Tensor] = {}

    def __call__(self, like: Tensor, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        """A tensor whose values are anything, until the next call for the same type."""
        if like.device.type != "cpu":
            return torch.empty(shape, dtype=dtype, device=like.device)
        size = prod(shape)
        if dtype not in self.kept or len(self.kept[dtype]) < size:
            with torch.inference_mode(mode=False):
                self.kept[dtype] = torch.empty(size, dtype=dtype)
        return self.kept[dtype][:size].view(*shape)


_room = _Room()


def _width(like: Tensor, values: int) -> int:
    """How many items of so many values fit into a temporary."""
    return max(1, (SLICE if like.device.type == "cpu" else GPU_SLICE) // max(values, 1))


def _slices(values: Tensor, per_unit: int) -> list[slice]:
    """Ranges of units whose temporaries, of ``per_unit`` values a unit, stay in the cache."""
    return _ranges(values.shape[-1], _width(values, per_unit))


def _ranges(items: int, width: int) -> list[slice]:
    return [slice(start, start + width) for start in range(0, items, width)]


def grid_moments(
    values: Tensor,
    seen: int,
    columns: tuple[Tensor, Tensor] | None,
    sum_std: Tensor | None,
    sum_var: Tensor | None,
) -> None:
    """Add a tile to the moments along samples and to the spread along transformations.

    Args:
        values: (M, b, U).
        seen: the number of samples in ``columns`` before this tile.
        columns: ``mean``, float64, and ``m2``, float32, each (M, U): the mean and the sum of squared deviations from
            it of each column; None when nobody looks along samples.
        sum_std, sum_var: float64 (U): sums over samples of the unbiased standard deviation and variance over
            transformations; None when nobody asks.
    """
    M, b, _ = values.shape
    for part in _slices(values, M * b):
        tile = values[..., part]
        if sum_std is not None or sum_var is not None:
            variance = _row_variance(tile)
            if sum_std is not None:
                sum_std[part] += variance.sqrt().sum(0)
            if sum_var is not None:
                sum_var[part] += variance.sum(0)
        if columns is not None:
            _merge_columns(tile, seen, *(state[:, part] for state in columns))


def _row_variance(tile: Tensor) -> Tensor:
    """Unbiased variance over transformations, (M, b, u) -> (b, u); 0 for a single one.

    Sums over a few members, shifted by the first of them, merged by Chan's formula: an outlier that a sum is shifted
    by costs few digits. The mean is relative to the row's first value.
    """
    mean = m2 = tile.new_zeros(())
    seen = 0
    for group in tile.split(MEMBERS):
        n = len(group)
        shifted = torch.sub(group, group[0], out=_room(group, group.shape))
        first = shifted.sum(0)
        second = shifted.square_().sum(0).addcmul_(first, first, value=-1 / n)
        own = first.div_(n)
        if seen == 0:
            mean, m2 = own, second
        else:
            delta = own.add_(group[0] - tile[0]).sub_(mean)
            mean.add_(delta, alpha=n / (seen + n))
            m2.add_(second).addcmul_(delta, delta, value=seen * n / (seen + n))
        seen += n
    return m2.clamp_(min=0).div_(max(len(tile) - 1, 1))


def _merge_columns(tile: Tensor, seen: int, mean: Tensor, m2: Tensor) -> None:
    """Chan's merge of a tile's column moments, shifted by the tile's first sample, into the running ones."""
    b = tile.shape[1]
    later = tile[:, 1:]
    shifted = torch.sub(later, tile[:, :1], out=_room(tile, later.shape))
    first = shifted.sum(1)
    second = shifted.square_().sum(1).addcmul_(first, first, value=-1 / b)
    own = tile[:, 0].double().add_(first, alpha=1 / b)
    if seen == 0:
        mean.copy_(own)
        m2.copy_(second)
        return
    delta = own.sub_(mean)
    mean.add_(delta, alpha=b / (seen + b))
    apart = delta.float()
    m2.add_(second).addcmul_(apart, apart, value=seen * b / (seen + b))


def sum_of_columns(m2: Tensor, root: bool) -> Tensor:
    """The sum over columns of their sum of squared deviations, or of its root: (M, U) -> float64 (U)."""
    total = torch.empty(m2.shape[1], dtype=torch.float64, device=m2.device)
    for part in _slices(m2, DOUBLES * len(m2)):
        squares = m2[:, part].double().clamp_(min=0)
        total[part] = (squares.sqrt_() if root else squares).sum(0)
    return total


def between_columns(mean: Tensor) -> Tensor:
    """The sum over columns of the squared distance of their mean from the mean of all: float64 (M, U) -> (U)."""
    total = torch.empty_like(mean[0])
    for part in _slices(mean, DOUBLES * len(mean)):
        means = mean[:, part]
        total[part] = (means - means.mean(0)).square_().sum(0)
    return total


def exceedances(
    values: Tensor,
    reference: Tensor,
    signs: Tensor,
    thresholds: Tensor,
    counts: tuple[Tensor, Tensor],
    broken: Tensor,
) -> None:
    """Count the activations above their thresholds.

    Args:
        values: (M, b, U).
        reference: (b, U), the activations for the untransformed samples: a column of the buffer of ``values``.
        signs: float32 (A), 1 or -1; an activation fires where ``sign * activation > threshold``.
        thresholds: float32 (A, U).
        counts: int32 (A, U) twice: over all pairs, and over the untransformed samples.
        broken: float32 (U), becomes NaN where an activation is not finite.
    """
    local, untransformed = counts
    for part in _slices(values, values.shape[0] * values.shape[1]):
        tile = values[..., part]
        broken[part] += torch.mul(tile, 0, out=_room(tile, tile.shape)).sum((0, 1))
        for a, sign in enumerate(signs.tolist()):
            level = thresholds[a, part] * sign
            exceeds = torch.gt if sign > 0 else torch.lt
            for some, count in ((tile, local), (reference[None, :, part], untransformed)):
                fires = exceeds(some, level, out=_room(some, some.shape, torch.bool))
                count[a, part] += fires.sum((0, 1), dtype=torch.int32)


def activation_distances(values: Tensor, block: int, rows: Tensor | None, columns: Tensor | None) -> None:
    """Add sums of ``|a - b|`` over pairs.

    Args:
        values: (M, b, U).
        block: samples in a block of a column; pairs are taken inside blocks.
        rows: float64 (U), over samples and pairs of transformations; None when nobody asks.
        columns: float64 (U), over transformations, blocks and pairs of samples in a block; None when nobody asks.
    """
    for part in _slices(values, values.shape[0] * values.shape[1]):
        tile = values[..., part]
        if rows is not None:
            rows[part] += _sum_of_pair_distances(tile)
        if columns is not None:
            for few in tile.split(block, dim=1):
                columns[part] += _sum_of_pair_distances(few.transpose(0, 1))


def _sum_of_pair_distances(items: Tensor) -> Tensor:
    """Sum over pairs of the n items, and over the second axis, of |a - b|: (n, k, u) -> (u)."""
    n = len(items)
    room = _room(items, (n + 1, *items.shape[1:]))
    shifted = torch.sub(items, items[0], out=room[:n])
    if n > FEW:
        weight = torch.arange(1 - n, n, 2, dtype=items.dtype, device=items.device)
        total = torch.einsum("n,nku->u", weight, shifted.sort(dim=0).values)
        return total + 0 * shifted.sum((0, 1))  # NaN or infinity somewhere: NaN here
    *ascending, spare = room.unbind()
    for i, j in sorting_network(n).tolist():
        low, high = ascending[i], ascending[j]
        torch.minimum(low, high, out=spare)
        torch.maximum(low, high, out=high)
        ascending[i], spare = spare, low
    total = ascending[0].mul_(1 - n)
    for k in range(1, n):
        total.add_(ascending[k], alpha=2 * k + 1 - n)
    return total.sum(0, dtype=torch.float64)


def map_distances(
    columns: Tensor,
    M: int,
    block: int,
    reference: int,
    normalize: bool,
    pivot: Tensor,
    rows: Tensor | None,
    samples: Tensor | None,
    simple: Tensor | None,
) -> None:
    """Add sums of the euclidean distances between feature maps over pairs.

    Args:
        columns: (M', b, P, C), P positions x C channels; the first M columns are the transformation set's.
        M: the number of transformations.
        block: samples in a block of a column.
        reference: the column of the untransformed samples.
        normalize: scale each map to unit norm first (a zero map stays zero).
        pivot: (C), what was taken from the values; unit norm is that of the maps with it added back.
        rows: float64 (C), over samples and pairs of transformations; None when nobody asks.
        samples: float64 (C), over transformations, blocks and pairs of samples in a block; None when nobody asks.
        simple: float64 (C), over samples and transformations, of the distance to ``reference``; or None.
    """
    if normalize:
        columns = unit_norm(columns, pivot)
    values = columns[:M]
    if rows is not None:
        rows += _sum_of_map_distances(values)
    if samples is not None:
        for few in values.split(block, dim=1):
            samples += _sum_of_map_distances(few.transpose(0, 1))
    if simple is not None:
        add_simple_distances(columns, M, reference, simple)


def unit_norm(columns: Tensor, pivot: Tensor) -> Tensor:
    """The maps with the pivot added back, each scaled to unit norm; a zero map stays zero."""
    columns = columns + pivot
    squares = _room(columns, columns.shape[1:])
    norm = torch.stack([torch.mul(maps, maps, out=squares).sum(1, keepdim=True).sqrt_() for maps in columns])
    return columns.div_(norm.masked_fill_(norm == 0, 1))


def add_simple_distances(columns: Tensor, M: int, reference: int, simple: Tensor) -> None:
    """Add the distances between each column and the untransformed one, over samples."""
    for column in columns[:M]:
        apart = torch.sub(column, columns[reference], out=_room(column, column.shape))
        simple += apart.square_().sum(1).sqrt_().sum(0)


def _sum_of_map_distances(items: Tensor) -> Tensor:
    """Sum over pairs of the n items, and over the second axis, of the distance of maps: (n, k, P, C) -> (C)."""
    total = items.new_zeros(items.shape[-1], dtype=torch.float64)
    for few in items.split(_width(items, items[:, 0].numel()), dim=1):
        for n in range(1, len(items)):
            apart = torch.sub(few[:n], few[n], out=_room(few, few[:n].shape))
            total += apart.square_().sum(2).sqrt_().sum((0, 1))
    return total


def undo(values: Tensor, index: Tensor, fraction: Tensor, exact: Tensor, pivot: Tensor, out: Tensor) -> Tensor:
    """Bring the feature maps of every member back: ``t_j^{-1}`` on the columns of the tile, bilinear.

    Interpolated by differences, less a pivot: equal taps give exactly their value, so a constant map stays constant,
    and an offset that all values of a channel share costs no digits.

    Args:
        values: (M, b, P, C).
        index: int32 (M, P, 4), the taps of each member's inverse at this map's size: above left, above right, below
            left, below right.
        fraction: float32 (M, P, 2), the way from left to right and from above to below.
        exact: uint8 (M), the members that are the identity.
        pivot: (C), taken from every value.
        out: (M, b, P, C), overwritten.

    Returns:
        ``out``.
    """
    _, b, P, C = values.shape
    taps = index.transpose(1, 2).flatten(1).contiguous()
    base, x, y = (values.new_empty(P, C) for _ in range(3))
    base.copy_(pivot)
    for j, still in enumerate(exact.tolist()):
        if still:
            torch.sub(values[j], base, out=out[j])
            continue
        for way, k in ((x, 0), (y, 1)):
            way.copy_(fraction[j, :, k, None])
        for part in _ranges(b, _width(values, TAPS * P * C)):
            room = _room(values, (TAPS + 1, *values[j, part].shape))
            shifted = torch.sub(values[j, part], base, out=room[0])
            around = torch.index_select(shifted, 1, taps[j], out=room[1:].view(len(shifted), TAPS * P, C))
            above_left, above_right, below_left, below_right = around.view(-1, TAPS, P, C).unbind(1)
            above, below = above_left.lerp_(above_right, x), below_left.lerp_(below_right, x)
            torch.lerp(above, below, y, out=out[j, part])
    return out

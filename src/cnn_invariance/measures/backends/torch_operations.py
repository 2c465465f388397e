"""The loops of `interface.Backend` as torch operations, for any device.

A CPU's memory is the bottleneck: values go through in ranges whose temporaries stay in the cache, and temporaries are
kept from call to call.
"""

import threading
from collections.abc import Sequence
from math import ceil, prod

import torch
from torch import Tensor

from cnn_invariance.measures.backends.interface import MapDistanceSums
from cnn_invariance.measures.backends.sorting import sorting_network

MEMBERS = 16  # transformations, or samples, between merges
FEW = 1024  # values up to which a network of minima and maxima is faster than torch's sorting
ROW = 1 << 17  # values of one temporary on a CPU: some stay in the second-level cache, and outweigh the call
GPU_ROW = 1 << 26
ROWS = 32  # temporaries of that size that one computation may keep
TAPS = 4  # of bilinear interpolation


class _Room(threading.local):
    """Memory for temporaries that stays on a CPU: there, fresh pages cost more than what is computed in them."""

    def __init__(self) -> None:
        self.kept = torch.empty(0, dtype=torch.float32, device="cpu")

    def __call__(self, like: Tensor, shape: Sequence[int]) -> Tensor:
        """A float32 tensor whose values are anything, until the next call."""
        if like.device.type != "cpu":
            return torch.empty(shape, dtype=torch.float32, device=like.device)
        size = prod(shape)
        if len(self.kept) < size:
            with torch.inference_mode(mode=False):
                self.kept = torch.empty(size, dtype=torch.float32, device="cpu")
        return self.kept[:size].view(*shape)


_room = _Room()


def _ranges(like: Tensor, items: int, values: int) -> list[slice]:
    """The items cut so that a temporary of so many ``values`` for each stays in the cache.

    All operations on a temporary then have its shape: torch gives the same part of it to the same thread each time,
    and no value moves between the caches of two cores.
    """
    width = max(1, (ROW if like.device.type == "cpu" else GPU_ROW) // max(values, 1))
    return [slice(start, start + width) for start in range(0, items, width)]


def grid_moments(
    values: Tensor,
    seen: int,
    columns: tuple[Tensor, Tensor] | None,
    sum_std: Tensor | None,
    sum_var: Tensor | None,
) -> None:
    """See `interface.Backend.grid_moments`."""
    M, b, U = values.shape
    if sum_std is not None or sum_var is not None:
        for part in _ranges(values, U, b):
            variance = _row_variance(values[..., part])
            if sum_var is not None:
                sum_var[part] += variance.sum(0)
            if sum_std is not None:
                sum_std[part] += variance.sqrt_().sum(0)
    if columns is not None:
        for part in _ranges(values, U, M):
            _merge_columns(values[..., part], seen, *(state[:, part] for state in columns))


def _row_variance(tile: Tensor) -> Tensor:
    """Unbiased variance over transformations, (M, b, u) -> (b, u), a temporary; 0 for a single one.

    Sums over a few members, shifted by the first of them, merged by Chan's formula: an outlier that a sum is shifted
    by costs few digits. The mean is relative to the row's first value.
    """
    mean, m2, own, second, apart = _room(tile, (5, *tile.shape[1:])).unbind()
    _shifted_moments(tile[:MEMBERS], mean, m2, apart)
    seen = min(len(tile), MEMBERS)
    for group in tile.split(MEMBERS)[1:]:
        n = len(group)
        _shifted_moments(group, own, second, apart)
        delta = own.add_(torch.sub(group[0], tile[0], out=apart)).sub_(mean)
        mean.add_(delta, alpha=n / (seen + n))
        m2.add_(second).addcmul_(delta, delta, value=seen * n / (seen + n))
        seen += n
    return m2.clamp_(min=0).div_(max(len(tile) - 1, 1))


def _shifted_moments(items: Tensor, mean: Tensor, m2: Tensor, apart: Tensor) -> None:
    """The mean of some items, relative to the first, and their sum of squared deviations; ``apart`` is room."""
    base = items[0]
    torch.mul(base, 0, out=mean)  # NaN if not finite
    m2.copy_(mean)
    for item in items[1:]:
        torch.sub(item, base, out=apart)
        mean.add_(apart)
        m2.addcmul_(apart, apart)
    m2.addcmul_(mean, mean, value=-1 / len(items))
    mean.div_(len(items))


def _merge_columns(tile: Tensor, seen: int, mean: Tensor, m2: Tensor) -> None:
    """Chan's merge of the moments of a few samples, shifted by the first of them, into the running ones."""
    own, second, apart = _room(tile, (3, *mean.shape)).unbind()
    for group in tile.transpose(0, 1).split(MEMBERS):
        b = len(group)
        _shifted_moments(group, own, second, apart)
        absolute = group[0].double().add_(own)
        if seen == 0:
            mean.copy_(absolute)
            m2.copy_(second)
        else:
            delta = absolute.sub_(mean)
            mean.add_(delta, alpha=b / (seen + b))
            apart.copy_(delta)
            m2.add_(second).addcmul_(apart, apart, value=seen * b / (seen + b))
        seen += b


def sum_of_columns(m2: Tensor, root: bool) -> Tensor:
    """See `interface.Backend.sum_of_columns`."""
    total = torch.empty(m2.shape[1], dtype=torch.float64, device=m2.device)
    for part in _ranges(m2, m2.shape[1], len(m2)):
        squares = m2[:, part].double().clamp_(min=0)
        total[part] = (squares.sqrt_() if root else squares).sum(0)
    return total


def between_columns(mean: Tensor) -> Tensor:
    """See `interface.Backend.between_columns`."""
    total = torch.empty_like(mean[0])
    for part in _ranges(mean, mean.shape[1], len(mean)):
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
    """See `interface.Backend.exceedances`."""
    _, b, U = values.shape
    local, untransformed = counts
    for part in _ranges(values, U, b):
        tile = values[..., part]
        fires, count, finite = _room(tile, (3, *tile.shape[1:])).unbind()
        finite.zero_()
        for column in tile:
            finite.add_(column, alpha=0)
        broken[part] += finite.sum(0)
        for a, sign in enumerate(signs.tolist()):
            level = thresholds[a, part] * sign
            exceeds = torch.gt if sign > 0 else torch.lt
            count.zero_()
            for column in tile:
                count.add_(exceeds(column, level, out=fires))
            local[a, part] += count.sum(0, dtype=torch.float64).int()
            untransformed[a, part] += exceeds(reference[:, part], level).sum(0, dtype=torch.int32)


def activation_distances(
    values: Tensor, block: int, rows: Tensor | None, columns: Tensor | None, halves: Tensor | None
) -> None:
    """See `interface.Backend.activation_distances`."""
    M, b, U = values.shape
    if rows is not None:
        for part in _ranges(values, U, b * ceil(M / ROWS)):
            rows[part] += _sum_of_pair_distances(values[..., part])
    if columns is not None:
        for part in _ranges(values, U, M):
            for k, few in enumerate(values[..., part].split(block, dim=1)):
                columns[k, part] += _sum_of_pair_distances(few.transpose(0, 1))
                if halves is not None:
                    for half in _halves(few, block):
                        halves[k, part] += _sum_of_pair_distances(half.transpose(0, 1))


def _halves(few: Tensor, block: int) -> list[Tensor]:
    """The first ``block // 2`` samples (second axis) of a block and the others, where there are two or more."""
    both = few[:, : block // 2], few[:, block // 2 :]
    return [half for half in both if half.shape[1] > 1]


def _sum_of_pair_distances(items: Tensor) -> Tensor:
    """Sum over pairs of the n items, and over the second axis, of |a - b|: (n, k, u) -> (u)."""
    n = len(items)
    room = _room(items, (n + 1, *items.shape[1:]))
    for item, shifted in zip(items, room, strict=False):
        torch.sub(item, items[0], out=shifted)
    if n > FEW:
        weight = torch.arange(1 - n, n, 2, dtype=items.dtype, device=items.device)
        total = torch.einsum("n,nku->u", weight, room[:n].sort(dim=0).values)
        return total + 0 * room[:n].sum((0, 1))  # NaN or infinity somewhere: NaN here
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
    columns: Tensor, sums: MapDistanceSums, *, M: int, block: int, reference: int, normalize: bool, pivot: Tensor
) -> None:
    """See `interface.Backend.map_distances`."""
    if normalize:
        columns = unit_norm(columns, pivot)
    values = columns[:M]
    if sums.transformations is not None:
        sums.transformations.add_(_sum_of_map_distances(values))
    if sums.samples is not None:
        for k, few in enumerate(values.split(block, dim=1)):
            sums.samples[k] += _sum_of_map_distances(few.transpose(0, 1))
            if sums.halves is not None:
                for half in _halves(few, block):
                    sums.halves[k] += _sum_of_map_distances(half.transpose(0, 1))
    if sums.untransformed is not None:
        add_distances_to_untransformed(columns, M, reference, sums.untransformed)


def unit_norm(columns: Tensor, pivot: Tensor) -> Tensor:
    """The maps with the pivot added back, each scaled to unit norm; a zero map stays zero."""
    columns = columns + pivot
    squares = _room(columns, columns.shape[1:])
    norm = torch.stack([torch.mul(maps, maps, out=squares).sum(1, keepdim=True).sqrt_() for maps in columns])
    return columns.div_(norm.masked_fill_(norm == 0, 1))


def add_distances_to_untransformed(columns: Tensor, M: int, reference: int, total: Tensor) -> None:
    """Add the distances between each column and the untransformed one, over samples."""
    for column in columns[:M]:
        apart = torch.sub(column, columns[reference], out=_room(column, column.shape))
        total += apart.square_().sum(1).sqrt_().sum(0)


def _sum_of_map_distances(items: Tensor) -> Tensor:
    """Sum over pairs of the n items, and over the second axis, of the distance of maps: (n, k, P, C) -> (C)."""
    total = items.new_zeros(items.shape[-1], dtype=torch.float64)
    for part in _ranges(items, items.shape[1], items[:, 0].numel() // ROWS):
        few = items[:, part]
        for n in range(1, len(items)):
            apart = torch.sub(few[:n], few[n], out=_room(few, few[:n].shape))
            total += apart.square_().sum(2).sqrt_().sum((0, 1))
    return total


def undo(values: Tensor, index: Tensor, fraction: Tensor, exact: Tensor, pivot: Tensor, out: Tensor) -> Tensor:
    """See `interface.Backend.undo`."""
    _, b, P, C = values.shape
    taps = index.transpose(1, 2).flatten(1)
    first = torch.arange(0, b * P, P, dtype=taps.dtype, device=taps.device).unsqueeze(1)  # position of each sample
    base, x, y = (values.new_empty(P, C) for _ in range(3))
    base.copy_(pivot)
    for j, still in enumerate(exact.tolist()):
        if still:
            torch.sub(values[j], base, out=out[j])
            continue
        for way, k in ((x, 0), (y, 1)):
            way.copy_(fraction[j, :, k, None])
        for part in _ranges(values, b, P * C):
            maps = values[j, part]
            room = _room(maps, (1 + TAPS, *maps.shape))
            shifted = torch.sub(maps, base, out=room[0])
            here = (first[: len(maps)] + taps[j]).flatten()
            around = torch.index_select(shifted.flatten(0, 1), 0, here, out=room[1:].view(-1, C))
            above_left, above_right, below_left, below_right = around.view(-1, TAPS, P, C).unbind(1)
            above, below = above_left.lerp_(above_right, x), below_left.lerp_(below_right, x)
            torch.lerp(above, below, y, out=out[j, part])
    return out

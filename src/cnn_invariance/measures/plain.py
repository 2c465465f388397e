"""The statistics of a tile as torch operations, for any device.

What ``native.py`` does in compiled loops, with the same arguments and results. A tile is the activations of one
layer, ``values``: float32 (M, b, U), M transformations x b samples x U units. Every function adds one tile to
running results that it is given, in place.
"""

import torch
from torch import Tensor

MEMBERS = 16  # transformations between merges
FEW = 64  # values up to which all pairs are faster than sorting
SLICE = 1 << 16  # values of one temporary on a CPU: stays in the second-level cache
GPU_SLICE = 1 << 28
DOUBLES = 4  # a value of a temporary in float64, and of a second one beside it, counts as so many


def _slices(values: Tensor, per_unit: int) -> list[slice]:
    """Ranges of units small enough that ``per_unit`` values a unit stay in the cache."""
    width = max(1, (SLICE if values.device.type == "cpu" else GPU_SLICE) // per_unit)
    return [slice(start, start + width) for start in range(0, values.shape[-1], width)]


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
    mean, m2 = torch.zeros_like(tile[0]), torch.zeros_like(tile[0])
    seen = 0
    for group in tile.split(MEMBERS):
        n = len(group)
        shifted = group - group[0]
        first = shifted.sum(0)
        second = shifted.square_().sum(0) - first.square() / n
        delta = (group[0] - tile[0]) + first / n - mean
        mean += delta * (n / (seen + n))
        m2 += second + delta.square() * (seen * n / (seen + n))
        seen += n
    return m2.clamp_(min=0) / max(len(tile) - 1, 1)


def _merge_columns(tile: Tensor, seen: int, mean: Tensor, m2: Tensor) -> None:
    """Chan's merge of a tile's column moments, shifted by the tile's first sample, into the running ones."""
    b = tile.shape[1]
    shifted = tile[:, 1:] - tile[:, :1]
    first = shifted.sum(1)
    second = shifted.square_().sum(1) - first.square() / b
    own = tile[:, 0].double() + first / b
    if seen == 0:
        mean.copy_(own)
        m2.copy_(second)
        return
    delta = own - mean
    mean += delta * (b / (seen + b))
    m2 += second + delta.float().square() * (seen * b / (seen + b))


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
        broken[part] += (0 * values[..., part]).sum((0, 1))
        for a, sign in enumerate(signs.tolist()):
            level = thresholds[a, part] * sign
            for tile, count in (
                (values[..., part].flatten(0, 1), local),
                (reference[:, part], untransformed),
            ):
                fires = tile > level if sign > 0 else tile < level
                count[a, part] += fires.sum(0, dtype=torch.int32)


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
    if n <= FEW:
        total = torch.zeros_like(items[1:])
        room = torch.empty_like(total)
        for apart in range(1, n):
            torch.sub(items[apart:], items[:-apart], out=room[: n - apart])
            total[: n - apart] += room[: n - apart].abs_()
        return total.sum((0, 1), dtype=torch.float64)
    shifted = items - items[0]
    weight = torch.arange(1 - n, n, 2, dtype=items.dtype, device=items.device)
    total = torch.einsum("n,nku->u", weight, shifted.sort(dim=0).values)
    return total + 0 * shifted.sum((0, 1))  # NaN or infinity somewhere: NaN here


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
    norm = columns.norm(dim=2, keepdim=True)
    return torch.where(norm == 0, columns, columns / norm)


def add_simple_distances(columns: Tensor, M: int, reference: int, simple: Tensor) -> None:
    """Add the distances between each column and the untransformed one, over samples."""
    for column in columns[:M]:
        simple += (column - columns[reference]).norm(dim=1).sum(0)


def _sum_of_map_distances(items: Tensor) -> Tensor:
    """Sum over pairs of the n items, and over the second axis, of the distance of maps: (n, k, P, C) -> (C)."""
    total = items.new_zeros(items.shape[-1], dtype=torch.float64)
    for n in range(1, len(items)):
        total += (items[:n] - items[n]).norm(dim=2).sum((0, 1))
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
    for j, still in enumerate(exact.tolist()):
        if still:
            torch.sub(values[j], pivot, out=out[j])
            continue
        taps = [values[j].index_select(1, index[j, :, k]) for k in range(4)]
        x, y = fraction[j, :, 0, None], fraction[j, :, 1, None]
        above = taps[0] - pivot + x * (taps[1] - taps[0])
        below = taps[2] - pivot + x * (taps[3] - taps[2])
        torch.add(above, y * (below - above), out=out[j])
    return out

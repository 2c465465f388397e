"""The loops of `interface.Backend` as kernels for a GPU, in Triton, the compiler that comes with PyTorch for CUDA.

As torch operations each statistic is a chain, and each link reads and writes the whole tile; here an activation is read
once for all that one loop makes of it. A program owns some units (or feature maps of a sample) and goes through their
samples and transformations in a fixed order: no atomic operations, so the same tile gives the same bits.

What is rare or small stays with torch operations: the finishing, distances of more members than `MOST`, the scaling to
unit norm. Without a GPU, Triton's interpreter runs the same kernels for the tests (``TRITON_INTERPRET=1``).
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from cnn_invariance.measures.backends import torch_operations
from cnn_invariance.measures.backends.interface import MapDistanceSums

between_columns, sum_of_columns = torch_operations.between_columns, torch_operations.sum_of_columns

UNITS = 128  # of one program
ROWS = 8  # samples at once
GROUP = 8  # members, or samples, whose pairs are taken at once
MAPS = 16  # channels of one program
PIXELS = 32  # positions of one program that undoes
MOST = 64
"""Members beyond which pairs are not taken one by one."""
OPTIONS = {"enable_fp_fusion": True}
"""Of every launch: ``a * b + c`` rounded once. Triton's own default differs between its versions."""


def grid_moments(
    values: Tensor,
    seen: int,
    columns: tuple[Tensor, Tensor] | None,
    sum_std: Tensor | None,
    sum_var: Tensor | None,
) -> None:
    """See `interface.Backend.grid_moments`."""
    M, b, U = values.shape
    mean, m2 = columns or (None, None)
    width = _width(U, UNITS)
    _grid_moments[(triton.cdiv(U, width),)](
        values, _given(mean, values), _given(m2, values), _given(sum_std, values), _given(sum_var, values),
        M, b, U, max(M - 1, 1), seen, columns is not None, sum_std is not None, sum_var is not None, ROWS, width,
        **OPTIONS,
    )  # fmt: skip


@triton.jit
def _grid_moments(
    values, mean, m2, sum_std, sum_var, M, b, U, degrees, seen,
    ALONG_SAMPLES: tl.constexpr, STD: tl.constexpr, VAR: tl.constexpr, B: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """Row variances by Welford's update of values less the row's first; columns by Chan's merge, B samples at once."""
    u = tl.program_id(0) * W + tl.arange(0, W)
    there = u < U
    total_std = tl.zeros((W,), dtype=tl.float64)
    total_var = tl.zeros((W,), dtype=tl.float64)
    for start in range(0, b, B):
        i = start + tl.arange(0, B)
        inside = (i[:, None] < b) & there[None, :]
        count = tl.minimum(b - start, B)
        origin = tl.load(values + i[:, None].to(tl.int64) * U + u[None, :], mask=inside, other=0.0)
        row_mean = tl.zeros((B, W), dtype=tl.float32)
        row_m2 = tl.zeros((B, W), dtype=tl.float32)
        at, state = values, u  # of the member: its activations, its state
        for j in range(M):
            x = tl.load(at + i[:, None].to(tl.int64) * U + u[None, :], mask=inside, other=0.0)
            if STD or VAR:
                shifted = x - origin
                delta = shifted - row_mean
                row_mean += delta / (j + 1)
                row_m2 += delta * (shifted - row_mean)
            if ALONG_SAMPLES:
                first = tl.load(at + start * U + u, mask=there, other=0.0)
                apart = tl.where(inside, x - first[None, :], 0.0)
                sum1 = tl.sum(apart, 0)
                sum2 = tl.sum(apart * apart, 0) - sum1 * sum1 / count
                own = first.to(tl.float64) + sum1 / count
                before = seen + start
                if before == 0:
                    tl.store(mean + state, own, mask=there)
                    tl.store(m2 + state, sum2, mask=there)
                else:
                    old = tl.load(mean + state, mask=there, other=0.0)
                    away = own - old
                    share = count / (before + count)
                    tl.store(mean + state, old + away * share, mask=there)
                    between = away.to(tl.float32) * away.to(tl.float32) * (before * share)
                    tl.store(m2 + state, tl.load(m2 + state, mask=there, other=0.0) + sum2 + between, mask=there)
            at += b * U
            state += U
        if ALONG_SAMPLES:
            tl.debug_barrier()  # the next samples are merged into what was stored
        variance = tl.where(inside, tl.maximum(row_m2, 0.0) / degrees, 0.0)
        if STD:
            total_std += tl.sum(tl.sqrt(variance).to(tl.float64), 0)
        if VAR:
            total_var += tl.sum(variance.to(tl.float64), 0)
    if STD:
        tl.store(sum_std + u, tl.load(sum_std + u, mask=there, other=0.0) + total_std, mask=there)
    if VAR:
        tl.store(sum_var + u, tl.load(sum_var + u, mask=there, other=0.0) + total_var, mask=there)


def exceedances(
    values: Tensor,
    reference: Tensor,
    signs: Tensor,
    thresholds: Tensor,
    counts: tuple[Tensor, Tensor],
    broken: Tensor,
) -> None:
    """See `interface.Backend.exceedances`."""
    M, b, U = values.shape
    A = len(signs)
    width = _width(U, UNITS // 2)
    local, untransformed = counts
    _exceedances[(triton.cdiv(U, width),)](
        values, reference, signs, thresholds, local, untransformed, broken,
        M, b, U, A, triton.next_power_of_2(A), ROWS, width, **OPTIONS,
    )  # fmt: skip


@triton.jit
def _exceedances(
    values, reference, signs, thresholds, local, untransformed, broken, M, b, U, A,
    LEVELS: tl.constexpr, B: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """Every activation against all levels at once; the reference column once more by itself."""
    u = tl.program_id(0) * W + tl.arange(0, W)
    there = u < U
    a = tl.arange(0, LEVELS)
    known = (a[:, None] < A) & there[None, :]
    sign = tl.load(signs + a, mask=a < A, other=1.0)
    level = tl.load(thresholds + a[:, None] * U + u[None, :], mask=known, other=0.0)
    all_pairs = tl.zeros((LEVELS, W), dtype=tl.int32)
    plain_ones = tl.zeros((LEVELS, W), dtype=tl.int32)
    nothing = tl.zeros((W,), dtype=tl.float32)
    for start in range(0, b, B):
        i = start + tl.arange(0, B)
        inside = (i[:, None] < b) & there[None, :]
        place = i[:, None].to(tl.int64) * U + u[None, :]
        at = values
        for _ in range(M):
            x = tl.load(at + place, mask=inside, other=0.0)
            fires = (x[None, :, :] * sign[:, None, None] > level[:, None, :]) & inside[None, :, :]
            all_pairs += tl.sum(fires.to(tl.int32), 1)
            nothing += tl.sum(x * 0.0, 0)
            at += b * U
        x = tl.load(reference + place, mask=inside, other=0.0)
        fires = (x[None, :, :] * sign[:, None, None] > level[:, None, :]) & inside[None, :, :]
        plain_ones += tl.sum(fires.to(tl.int32), 1)
    counts = a[:, None] * U + u[None, :]
    tl.store(local + counts, tl.load(local + counts, mask=known, other=0) + all_pairs, mask=known)
    tl.store(untransformed + counts, tl.load(untransformed + counts, mask=known, other=0) + plain_ones, mask=known)
    tl.store(broken + u, tl.load(broken + u, mask=there, other=0.0) + nothing, mask=there)


def activation_distances(
    values: Tensor, block: int, rows: Tensor | None, columns: Tensor | None, halves: Tensor | None
) -> None:
    """See `interface.Backend.activation_distances`."""
    M, b, U = values.shape
    if max(M, min(block, b)) > MOST:
        torch_operations.activation_distances(values, block, rows, columns, halves)
        return
    width = _width(U, MAPS * 2)
    programs = triton.cdiv(U, width)
    if rows is not None:  # of each sample its M members, b U apart
        lists = M, b * U, M, 0, 1, 0, b, U
        _pair_distances[(programs,)](values, rows, values, *lists, U, 0, False, GROUP, width, **OPTIONS)
    if columns is not None:  # of each block of samples its part of each column, U apart
        lists = b, U, block, block, triton.cdiv(b, block), block * U, M, b * U
        own, given = _given(halves, values), halves is not None
        _pair_distances[(programs,)](values, columns, own, *lists, U, block // 2, given, GROUP, width, **OPTIONS)


@triton.jit
def _pair_distances(
    values, total, same_half, n, step, size, advance, lists, next_list, outers, next_outer, U, half,
    HALVES: tl.constexpr, G: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """Sums of |a - b| over the pairs inside lists, a row of ``total`` for each list of at most ``size`` items.

    The items of a list are ``step`` apart, and there are ``outers`` such lists, ``next_outer`` apart, which a row sums.
    ``advance``: by how many of n items a list starts after the one before; the last may be shorter. ``same_half``: of
    them the pairs with both items before ``half``, or neither.
    """
    u = tl.program_id(0) * W + tl.arange(0, W)
    there = u < U
    k = tl.arange(0, G)
    first = values
    row = u
    for index in range(lists):
        length = tl.minimum(size, n - index * advance)
        result = tl.zeros((W,), dtype=tl.float64)
        within = tl.zeros((W,), dtype=tl.float64)
        at = first
        for _ in range(outers):
            for p in range(0, length, G):
                i = p + k
                known = (i[:, None] < length) & there[None, :]
                x = tl.load(at + i[:, None].to(tl.int64) * step + u[None, :], mask=known, other=0.0)
                for q in range(p, length, G):
                    j = q + k
                    known = (j[:, None] < length) & there[None, :]
                    y = tl.load(at + j[:, None].to(tl.int64) * step + u[None, :], mask=known, other=0.0)
                    pair = (i[:, None] < j[None, :]) & (j[None, :] < length)
                    apart = tl.where(pair[:, :, None], tl.abs(x[:, None, :] - y[None, :, :]), 0.0)
                    result += tl.sum(tl.sum(apart, 1), 0).to(tl.float64)
                    if HALVES:
                        together = (i[:, None] < half) == (j[None, :] < half)
                        apart = tl.where(together[:, :, None], apart, 0.0)
                        within += tl.sum(tl.sum(apart, 1), 0).to(tl.float64)
            at += next_outer
        tl.store(total + row, tl.load(total + row, mask=there, other=0.0) + result, mask=there)
        if HALVES:
            tl.store(same_half + row, tl.load(same_half + row, mask=there, other=0.0) + within, mask=there)
        first += next_list
        row += U


def map_distances(
    columns: Tensor, sums: MapDistanceSums, *, M: int, block: int, reference: int, normalize: bool, pivot: Tensor
) -> None:
    """See `interface.Backend.map_distances`."""
    _, b, P, C = columns.shape
    if max(M, min(block, b)) > MOST:
        torch_operations.map_distances(
            columns, sums, M=M, block=block, reference=reference, normalize=normalize, pivot=pivot
        )
        return
    if normalize:
        columns = torch_operations.unit_norm(columns, pivot)
    width = _width(C, MAPS)
    programs = triton.cdiv(C, width)
    if sums.transformations is not None:
        found = torch.empty(b, C, dtype=torch.float64, device=columns.device)
        lists = M, b * P * C, M, 0, P * C, 0, 1
        _map_pairs[(b, 1, programs)](columns, found, found, *lists, P, C, 0, False, GROUP, width, **OPTIONS)
        sums.transformations.add_(found.sum(0))
    if sums.samples is not None:
        blocks = triton.cdiv(b, block)
        found, within = torch.empty(2, blocks, M, C, dtype=torch.float64, device=columns.device)
        lists = b, P * C, block, block, block * P * C, b * P * C, M
        given = sums.halves is not None
        _map_pairs[(blocks, M, programs)](
            columns, found, within, *lists, P, C, block // 2, given, GROUP, width, **OPTIONS
        )
        sums.samples.add_(found.sum(1))
        if sums.halves is not None:
            sums.halves.add_(within.sum(1))
    if sums.untransformed is not None:
        torch_operations.add_distances_to_untransformed(columns, M, reference, sums.untransformed)


@triton.jit
def _map_pairs(
    columns, sums, same_half, n, step, size, advance, next_list, next_outer, outers, P, C, half,
    HALVES: tl.constexpr, G: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """Of one list of maps, the sum over its pairs of the root of the summed squared differences of P positions.

    ``same_half``: the sum over those pairs with both maps before ``half``, or neither.
    """
    index, outer = tl.program_id(0), tl.program_id(1)
    c = tl.program_id(2) * W + tl.arange(0, W)
    there = c < C
    k = tl.arange(0, G)
    at = columns + index.to(tl.int64) * next_list + outer.to(tl.int64) * next_outer
    length = tl.minimum(size, n - index * advance)
    result = tl.zeros((W,), dtype=tl.float64)
    within = tl.zeros((W,), dtype=tl.float64)
    for p in range(0, length, G):
        i = p + k
        left = (i[:, None] < length) & there[None, :]
        for q in range(p, length, G):
            j = q + k
            right = (j[:, None] < length) & there[None, :]
            first = at + i[:, None].to(tl.int64) * step + c[None, :]
            second = at + j[:, None].to(tl.int64) * step + c[None, :]
            squares = tl.zeros((G, G, W), dtype=tl.float32)
            for _ in range(P):
                x = tl.load(first, mask=left, other=0.0)
                y = tl.load(second, mask=right, other=0.0)
                apart = x[:, None, :] - y[None, :, :]
                squares += apart * apart
                first += C
                second += C
            pair = (i[:, None] < j[None, :]) & (j[None, :] < length)
            distance = tl.where(pair[:, :, None], tl.sqrt(squares), 0.0)
            result += tl.sum(tl.sum(distance, 1), 0).to(tl.float64)
            if HALVES:
                together = (i[:, None] < half) == (j[None, :] < half)
                distance = tl.where(together[:, :, None], distance, 0.0)
                within += tl.sum(tl.sum(distance, 1), 0).to(tl.float64)
    place = (index * outers + outer).to(tl.int64) * C + c
    tl.store(sums + place, result, mask=there)
    if HALVES:
        tl.store(same_half + place, within, mask=there)


def undo(values: Tensor, index: Tensor, fraction: Tensor, exact: Tensor, pivot: Tensor, out: Tensor) -> Tensor:
    """See `interface.Backend.undo`."""
    M, b, P, C = values.shape
    width = _width(C, UNITS)
    _undo[(M * b, triton.cdiv(P, PIXELS), triton.cdiv(C, width))](
        values, index, fraction, exact, pivot, out, b, P, C, PIXELS, width, **OPTIONS
    )
    return out


@triton.jit
def _undo(values, index, fraction, exact, pivot, out, b, P, C, S: tl.constexpr, W: tl.constexpr):  # fmt: skip
    """Bilinear, by differences, less the pivot; a member that is the identity is copied, less the pivot."""
    image = tl.program_id(0)
    member = image // b
    p = tl.program_id(1) * S + tl.arange(0, S)
    c = tl.program_id(2) * W + tl.arange(0, W)
    in_map, in_channels = p < P, c < C
    inside = in_map[:, None] & in_channels[None, :]
    at = values + image.to(tl.int64) * P * C
    zero = tl.load(pivot + c, mask=in_channels, other=0.0)[None, :]
    taps = index + (member * P + p) * 4
    above_left = tl.load(at + tl.load(taps, mask=in_map, other=0)[:, None] * C + c[None, :], mask=inside, other=0.0)
    above_right = tl.load(
        at + tl.load(taps + 1, mask=in_map, other=0)[:, None] * C + c[None, :], mask=inside, other=0.0
    )
    below_left = tl.load(at + tl.load(taps + 2, mask=in_map, other=0)[:, None] * C + c[None, :], mask=inside, other=0.0)
    below_right = tl.load(
        at + tl.load(taps + 3, mask=in_map, other=0)[:, None] * C + c[None, :], mask=inside, other=0.0
    )
    x = tl.load(fraction + (member * P + p) * 2, mask=in_map, other=0.0)[:, None]
    y = tl.load(fraction + (member * P + p) * 2 + 1, mask=in_map, other=0.0)[:, None]
    above = above_left - zero + x * (above_right - above_left)
    below = below_left - zero + x * (below_right - below_left)
    moved = above + y * (below - above)
    still = tl.load(at + p[:, None] * C + c[None, :], mask=inside, other=0.0) - zero
    brought = tl.where(tl.load(exact + member) > 0, still, moved)
    tl.store(out + image.to(tl.int64) * P * C + p[:, None] * C + c[None, :], brought, mask=inside)


def _width(length: int, most: int) -> int:
    """Units of one program: a power of two, not more than there are."""
    return min(most, triton.next_power_of_2(length))


def _given(tensor: Tensor | None, instead: Tensor) -> Tensor:
    """A pointer for an argument that the kernel does not touch."""
    return instead if tensor is None else tensor

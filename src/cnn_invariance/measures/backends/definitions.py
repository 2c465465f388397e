"""What the loops of the back ends compute, in plain torch operations of double precision: the reference of their tests.

Each function has the arguments of the loop of the same name in `interface.Backend` and returns the sums that the loop
adds. They are written to be read: they keep whole tiles in memory, and no pass calls them.
"""

from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor


def grid_moments(values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``mean``, ``m2`` (M, U) along samples; the sums over samples of std and var over transformations (U)."""
    values = values.double()
    variance = values.var(0, unbiased=True) if len(values) > 1 else torch.zeros_like(values[0])  # (b, U)
    mean = values.mean(1)
    return mean, (values - mean[:, None]).square().sum(1), variance.sqrt().sum(0), variance.sum(0)


def sum_of_columns(m2: Tensor, root: bool) -> Tensor:
    """The sum over transformations of ``m2``, or of its root (U)."""
    return (m2.double().sqrt() if root else m2.double()).sum(0)


def between_columns(mean: Tensor) -> Tensor:
    """The sum over transformations of the squared distance of their means from the mean of all (U)."""
    return (mean - mean.mean(0)).square().sum(0)


def exceedances(values: Tensor, reference: Tensor, signs: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
    """How often ``sign * activation > threshold``: over all pairs, and untransformed samples (A, U)."""
    signed = signs[:, None, None, None] * values  # (A, M, b, U)
    local = (signed > thresholds[:, None, None]).sum((1, 2))
    untransformed = (signs[:, None, None] * reference > thresholds[:, None]).sum(1)
    return local.int(), untransformed.int()


def activation_distances(values: Tensor, block: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sums of ``|a - b|``: over samples and pairs of transformations (U); over pairs of samples in each block, and over
    those in the same half of it (blocks, U).
    """
    values = values.double()
    distance = lambda a, b: (a - b).abs().sum(0)  # noqa: E731  (k, U) twice -> (U)
    return sum_over_pairs(values, distance), *in_blocks(values, block, distance)


def map_distances(
    columns: Tensor, *, M: int, block: int, reference: int, normalize: bool, pivot: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The sums of `interface.MapDistanceSums`."""
    maps = columns.double() + pivot.double() * normalize  # (M', b, P, C)
    if normalize:
        norm = maps.norm(dim=2, keepdim=True)
        maps = maps / norm.where(norm > 0, torch.ones_like(norm))
    distance = lambda a, b: (a - b).norm(dim=-2).sum(0)  # noqa: E731  (k, P, C) twice -> (C)
    rows = sum_over_pairs(maps[:M], distance)
    return rows, *in_blocks(maps[:M], block, distance), (maps[:M] - maps[reference]).norm(dim=2).sum((0, 1))


def undo(values: Tensor, index: Tensor, fraction: Tensor, exact: Tensor, pivot: Tensor) -> Tensor:
    """Every member brought back by bilinear interpolation, less the pivot (M, b, P, C)."""
    back = []
    for maps, taps, way, still in zip(values.double(), index.long(), fraction.double(), exact, strict=True):
        left_above, right_above, left_below, right_below = (maps[:, taps[:, k]] for k in range(4))  # (b, P, C) each
        x, y = way[:, 0, None], way[:, 1, None]
        above, below = left_above + x * (right_above - left_above), left_below + x * (right_below - left_below)
        back.append(maps if still else above + y * (below - above))
    return torch.stack(back) - pivot


def in_blocks(values: Tensor, block: int, distance: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Of each block of samples (second axis), the sum over its pairs, and over those in one half of it."""
    blocks = values.transpose(0, 1).split(block)
    whole = torch.stack([sum_over_pairs(few, distance) for few in blocks])
    halves = torch.zeros_like(whole)
    for k, few in enumerate(blocks):
        for half in (few[: block // 2], few[block // 2 :]):
            halves[k] += sum_over_pairs(half, distance) if len(half) else 0
    return whole, halves


def sum_over_pairs(items: Tensor, distance: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The sum of a distance over all pairs along the first axis; zeros where there is no pair."""
    zero = distance(items[0], items[0])
    return sum((distance(a, b) for a, b in combinations(items, 2)), torch.zeros_like(zero))

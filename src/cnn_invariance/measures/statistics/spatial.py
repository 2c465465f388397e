"""How the positions of a layer's feature maps go over into one another under a transformation.

A layer is seen as d = H W variables x n = b C observations: a channel of a sample is one observation of all positions.
Larger maps are first averaged over disjoint windows of ``ceil(side / largest)`` pixels.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_invariance.measures.statistics import samples_of_positions
from cnn_invariance.measures.statistics.base import Accumulator, Context, NoValueError, Statistic, Tile
from cnn_invariance.measures.statistics.cross_moments import CrossMoments

KEPT = 0.99
"""The share of the variance that the kept principal components have."""

TIED = 1e-6
"""Canonical correlations that differ by less are tied."""

MOST_BYTES = 1 << 30
"""A layer whose moments would take more has no value."""


def canonical(moments: CrossMoments, j: int) -> tuple[Tensor, Tensor, Tensor]:
    """Canonical correlations of a and b_j, falling, (r), and the projection vectors of both as columns, (d, r)."""
    of_a, of_b = _whitening(moments.aa), _whitening(moments.bb[j])
    left, values, right = torch.linalg.svd(of_a.T @ moments.ab[j] @ of_b, full_matrices=False)
    return values.clamp(max=1), of_a @ left, of_b @ right.mT


def invariance(values: Tensor, w: Tensor, v: Tensor) -> float:
    """``S_inv``: the mean of ``rho_i |cos(w_i, v_i)|``.

    Errors: NoValueError where correlations tie and another basis of the tied directions gives another value.
    """
    found = _weighted(values, w, v)
    turned = [(w[:, tied] @ turn, v[:, tied] @ turn, tied) for tied, turn in _ties(values)]
    for w_tied, v_tied, tied in turned:
        w, v = w.clone(), v.clone()
        w[:, tied], v[:, tied] = w_tied, v_tied
    if turned and abs(_weighted(values, w, v) - found) > TIED:
        raise NoValueError(
            f"{max(len(range(*tied.indices(len(values)))) for *_, tied in turned)} canonical correlations tie, and "
            "any basis of their directions is as good: SEIS_invariance is not identified here"
        )
    return found


def _weighted(values: Tensor, w: Tensor, v: Tensor) -> float:
    cosine = F.cosine_similarity(w, v, dim=0, eps=1e-300).abs()
    return float((values * cosine).mean())


def _ties(values: Tensor) -> list[tuple[slice, Tensor]]:
    """The runs of tied correlations, and a fixed rotation of each."""
    cuts = [0, *(k + 1 for k in range(len(values) - 1) if values[k] - values[k + 1] > TIED), len(values)]
    runs = [slice(start, end) for start, end in pairwise(cuts) if end - start > 1]
    found = []
    for run in runs:
        size = run.stop - run.start
        draw = torch.randn(size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        found.append((run, torch.linalg.qr(draw).Q.to(values.device)))
    return found


def _whitening(moments: Tensor) -> Tensor:
    """(d, r): columns that bring the kept components of the variables to unit variance."""
    values, vectors = torch.linalg.eigh(moments)
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    if values.sum() <= 0:
        raise NoValueError("no position of this layer varies over samples and channels: there is nothing to compare")
    share = values.cumsum(0) / values.sum()
    r = int((share < KEPT - 1e-12).sum()) + 1
    return vectors[:, :r] / values[:r].sqrt()


class PositionMoments(Accumulator):
    """Cross-moments of positions: ``16 m d^2`` bytes."""

    def __init__(self, context: Context, statistics: frozenset[Statistic]) -> None:
        super().__init__(context, statistics)
        first = next(iter(statistics))
        assert isinstance(first, Positions)
        self.side = first.side
        self.members = samples_of_positions.chosen(context.M, first.members)
        self.moments: CrossMoments | None = None

    @classmethod
    def group(cls, statistic: Statistic) -> object:
        """Both values of one choice come from the same moments."""
        assert isinstance(statistic, Positions)
        return statistic.side, statistic.members

    @property
    def bytes_of_pairs(self) -> int:
        """Of positions after pooling."""
        _, H, W = self.context.layer.shape
        positions = min(H, self.side) * min(W, self.side)
        return CrossMoments.bytes_of_pairs(positions, positions, len(self.members), whole_bb=True)

    def add(self, tile: Tile) -> None:
        """Each channel of each sample is an observation."""
        a = self._pooled(tile, tile.reference)  # (b C, d)
        if self.moments is None:
            d = a.shape[1]
            self.moments = CrossMoments.empty(d, d, len(self.members), a.device, whole_bb=True)
        self.moments.add(a, torch.stack([self._pooled(tile, j) for j in self.members]))

    def _pooled(self, tile: Tile, member: int) -> Tensor:
        """Float64 (b C, d)."""
        _, H, W = self.context.layer.shape
        maps = tile.as_maps(tile.columns)[member].double()  # (b, P, C)
        maps = maps.mT.unflatten(2, (H, W))
        windows = (ceil(H / self.side), ceil(W / self.side))
        if windows != (1, 1):
            maps = F.avg_pool2d(maps, windows, ceil_mode=True, count_include_pad=False)
        return maps.flatten(2).flatten(0, 1)

    def value(self, statistic: Statistic) -> Tensor:
        """(m): for each transformation that is looked at."""
        assert isinstance(statistic, Positions)
        moments, m = self.moments, len(self.members)
        assert moments is not None
        if not moments.finite:
            return torch.full((m,), torch.nan, dtype=torch.float64)
        d = len(moments.mean_a)
        if moments.n <= d:
            raise NoValueError(
                f"{d} positions, and {moments.n} observations (samples x channels): canonical correlations of so few "
                "are 1 whatever the network does; give more samples, or a smaller side"
            )
        found = [canonical(moments, j) for j in range(m)]
        if statistic.kind == "equivariance":
            return torch.stack([values.mean() for values, _, _ in found])
        return torch.tensor([invariance(*one) for one in found], dtype=torch.float64)


@dataclass(frozen=True)
class Positions(Statistic):
    """Canonical correlations of the positions of f(x) and of f(t_j x), for each transformation: float64 (m)."""

    kind: Literal["equivariance", "invariance"]
    side: int
    members: int
    spatial: ClassVar[bool] = True  # type: ignore[misc]
    whole: ClassVar[bool] = True
    untransformed: ClassVar[bool] = True
    degree: ClassVar[int] = 0  # type: ignore[misc]
    accumulator: ClassVar[type[Accumulator]] = PositionMoments

"""How the channels of a layer go over into one another when a transformation is undone.

With ``a = f(x_i)`` and ``b_j = A'_ij = t_j^-1 f(t_j x_i)`` at one position, C numbers each, observed at the positions
and samples of `samples_of_positions`: the cross-moments of a and each b_j, from which all values here follow. Samples
with an even number among the images are one half, the others the other half.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from cnn_invariance.measures.statistics import samples_of_positions
from cnn_invariance.measures.statistics.base import Accumulator, Context, NoValueError, Statistic, Tile
from cnn_invariance.measures.statistics.cross_moments import CrossMoments

NEGLIGIBLE = 1e-12
"""Directions of a whose variance is below this share of the largest are rounding of float32, and no map is fitted on
them."""

CONSTANT = 1e-13
"""A channel with a variance below this share of its mean square varies by rounding of float32, and is constant."""

NOTHING_VARIES = "no channel of this layer varies over samples and positions: there is nothing to compare"

Kind = Literal["fitted", "procrustes", "cka", "match", "partner", "correlation"]


def fitted_residual(fit: CrossMoments, report: CrossMoments, centred: bool) -> Tensor:
    """(m): the relative residual on one half of the linear map E of channels that is the best on the other half.

    ``E = C_ba C_aa^+`` from ``fit``; ``|| b - E a || / || b ||`` on ``report``. Centred: E may add a constant, and
    ``|| b ||`` is about the mean of the half that E was fitted on.
    """
    if not centred:
        fit, report = fit.about_zero(), report.about_zero()
    values, vectors = torch.linalg.eigh(fit.aa)
    kept = values > NEGLIGIBLE * values[-1].clamp(min=0)
    vectors, values = vectors[:, kept], values[kept]
    E = vectors @ ((vectors.T @ fit.ab) / values[:, None])  # (m, C, C), the transpose of the map: b = E^T a
    shift_a, shift_b = report.mean_a - fit.mean_a, report.mean_b - fit.mean_b  # zero about zero
    explained = 2 * (E * report.ab).sum((1, 2)) - ((report.aa @ E) * E).sum((1, 2))
    error = report.squares_b.sum(1) - explained + report.n * (shift_b - shift_a @ E).square().sum(1)
    total = report.squares_b.sum(1) + report.n * shift_b.square().sum(1)
    return _root_of_share(error, total)


def procrustes_residual(moments: CrossMoments, centred: bool) -> Tensor:
    """(m): ``sqrt((tr C_aa + tr C_bb - 2 || C_ab ||_*) / tr C_bb)``, the residual of the best orthogonal map."""
    if not centred:
        moments = moments.about_zero()
    nuclear = torch.linalg.svdvals(moments.ab).sum(1)
    of_b = moments.squares_b.sum(1)
    return _root_of_share(moments.squares_a.sum() + of_b - 2 * nuclear, of_b)


def linear_cka(moments: CrossMoments) -> Tensor:
    """(m): ``|| C_ab ||_F^2 / (|| C_aa ||_F || C_bb ||_F)``, centred."""
    norms = torch.linalg.matrix_norm(moments.aa) * torch.linalg.matrix_norm(moments.bb)
    if bool((norms == 0).any()):
        raise NoValueError(NOTHING_VARIES)
    return moments.ab.square().sum((1, 2)) / norms


def correlations(moments: CrossMoments) -> Tensor:
    """(m, C, C): Pearson's correlation of a_c' (second axis) and b_c (third); 0 with a constant, 1 of two of them."""
    a, b = moments.squares_a, moments.squares_b
    still_a = a <= CONSTANT * (a + moments.n * moments.mean_a.square())
    still_b = b <= CONSTANT * (b + moments.n * moments.mean_b.square())
    if bool(still_a.all() & still_b.all()):
        raise NoValueError(NOTHING_VARIES)
    norms = (a[None, :, None] * b[:, None]).sqrt()
    still = still_a[None, :, None] | still_b[:, None]
    found = torch.where(still, 0.0, moments.ab / norms.where(~still, torch.ones_like(norms)))
    return torch.where(still_a[None, :, None] & still_b[:, None], 1.0, found)


def _root_of_share(error: Tensor, total: Tensor) -> Tensor:
    if bool((total <= 0).any()):
        raise NoValueError(NOTHING_VARIES)
    return (error.clamp(min=0) / total).sqrt()


class ChannelMoments(Accumulator):
    """Cross-moments of channels, of each half of the samples; ``16 m C^2`` bytes, twice that for CKA."""

    def __init__(self, context: Context, statistics: frozenset[Statistic]) -> None:
        super().__init__(context, statistics)
        asked = [s for s in statistics if isinstance(s, Channels)]
        first, layer = asked[0], context.layer
        self.members = samples_of_positions.chosen(context.M, first.members)
        places = samples_of_positions.drawn(layer.shape[1] * layer.shape[2], first.positions)
        self.positions = torch.tensor(places, device=context.device)
        self.whole_bb = any(s.kind == "cka" for s in asked)
        self.halves: list[CrossMoments] = []

    @classmethod
    def group(cls, statistic: Statistic) -> object:
        """All values of one choice of positions and transformations come from the same moments."""
        assert isinstance(statistic, Channels)
        return statistic.positions, statistic.members

    @property
    def bytes_of_pairs(self) -> int:
        """Of both halves."""
        C, m = self.context.layer.maps, len(self.members)
        return 2 * CrossMoments.bytes_of_pairs(C, C, m, whole_bb=self.whole_bb)

    def add(self, tile: Tile) -> None:
        """The even samples of the tile to one half, the odd ones to the other."""
        assert tile.undo is not None
        assert tile.numbers is not None
        C, m = self.context.layer.maps, len(self.members)
        if not self.halves:
            empty = (C, C, m, self.context.device)
            self.halves = [CrossMoments.empty(*empty, whole_bb=self.whole_bb) for _ in range(2)]
        own = slice(tile.reference, tile.reference + 1)
        (a,) = samples_of_positions.as_they_came(tile, own, self.positions)  # (b, S, C)
        undone = (samples_of_positions.moved(tile, tile.undo, j, slice(j, j + 1), self.positions) for j in self.members)
        b = torch.cat([*undone])
        for half, moments in enumerate(self.halves):
            mine = (tile.numbers % 2 == half).nonzero().flatten().to(a.device)
            moments.add(a[mine].flatten(0, 1), b[:, mine].flatten(1, 2))

    def value(self, statistic: Statistic) -> Tensor:
        """One value for each transformation that is looked at, (m) or (m, C)."""
        assert isinstance(statistic, Channels)
        C, m = self.context.layer.maps, len(self.members)
        if not all(half.finite for half in self.halves):
            shape = (m,) if statistic.kind in ("fitted", "procrustes", "cka") else (m, C)
            return torch.full(shape, torch.nan, dtype=torch.float64)
        if statistic.kind == "fitted":
            return self._fitted(statistic.centred)
        moments = self.halves[0].merged(self.halves[1])
        if statistic.kind == "procrustes":
            return procrustes_residual(moments, statistic.centred)
        if statistic.kind == "cka":
            return linear_cka(moments)
        found = correlations(moments)
        if statistic.kind == "correlation":
            return found.diagonal(dim1=1, dim2=2)
        best = found.max(1)
        return best.values if statistic.kind == "match" else best.indices.double()

    def _fitted(self, centred: bool) -> Tensor:
        C, observations = self.context.layer.maps, [half.n for half in self.halves]
        if min(observations) <= C:
            raise NoValueError(
                f"{C} channels, and {min(observations)} observations (samples x positions) in a half of the samples: a "
                "map fitted on them would fit anything; give more samples or more positions"
            )
        return fitted_residual(self.halves[0], self.halves[1], centred)


@dataclass(frozen=True)
class Channels(Statistic):
    """A comparison of a and b_j, for each transformation that is looked at: float64 (m), or (m, C) of channels."""

    kind: Kind
    positions: int
    members: int
    centred: bool = False
    undone: bool = True
    spatial: ClassVar[bool] = True  # type: ignore[misc]
    whole: ClassVar[bool] = True
    untransformed: ClassVar[bool] = True
    degree: ClassVar[int] = 0  # type: ignore[misc]
    accumulator: ClassVar[type[Accumulator]] = ChannelMoments

"""Spread along transformations or samples, and the analysis of variance that follows from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cnn_invariance.measures.statistics import Accumulator, Axis, Context, Statistic, Tile, quotient


class Moments(Accumulator):
    """Sums over samples of the spread along transformations; moments along samples of every transformation.

    Memory: 12 bytes per transformation and unit if someone looks along samples, 8 or 16 bytes a unit for rows.
    """

    def __init__(self, context: Context, statistics: frozenset[Statistic]) -> None:
        super().__init__(context, statistics)
        units = context.layer.units
        rows = {s.statistic for s in statistics if isinstance(s, Spread) and s.axis == "transformations"}
        self.undone = next(iter(statistics)).undone
        self.sums = {
            kind: context.zeros(units, dtype=torch.float64) if kind in rows else None for kind in ("std", "var")
        }
        along_samples = any(
            isinstance(s, FRatio) or (isinstance(s, Spread) and s.axis == "samples") for s in statistics
        )
        self.columns: tuple[Tensor, Tensor] | None = None
        if along_samples:
            self.columns = context.zeros(context.M, units, dtype=torch.float64), context.zeros(context.M, units)

    def add(self, tile: Tile) -> None:
        """One pass over the tile for both directions."""
        values = tile.values(self.undone)
        tile.kernels.grid_moments(values, self.samples, self.columns, self.sums["std"], self.sums["var"])

    def value(self, statistic: Statistic) -> Tensor:
        """The mean spread, or F."""
        if isinstance(statistic, FRatio):
            return self._f_ratio()
        assert isinstance(statistic, Spread)
        if statistic.axis == "transformations":
            total = self.sums[statistic.statistic]
            assert total is not None
            return total / self.samples
        total = self.context.zeros(self.context.layer.units, dtype=torch.float64)
        for _, variance in self.columns_of_moments():
            total += variance.sqrt() if statistic.statistic == "std" else variance
        return total / self.context.M

    def columns_of_moments(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Mean and unbiased variance of each column, float64 (U) each; one column at a time bounds the memory."""
        assert self.columns is not None
        for mean, m2 in zip(*self.columns, strict=True):
            yield mean, m2.double().clamp(min=0) / max(self.samples - 1, 1)

    def _f_ratio(self) -> Tensor:
        """``F = [N sum_j (m_j - m)^2 / (M - 1)] / [sum_j var_j / M]``, columns as groups."""
        M, N = self.context.M, self.samples
        grand = sum(mean for mean, _ in self.columns_of_moments()) / M
        between = self.context.zeros(self.context.layer.units, dtype=torch.float64)
        within = torch.zeros_like(between)
        for mean, variance in self.columns_of_moments():
            between += (mean - grand).square() * (N / max(M - 1, 1))
            within += variance / M
        return quotient(between, within)


@dataclass(frozen=True)
class Spread(Statistic):
    """Mean over one axis of the unbiased standard deviation (or variance) along the other.

    ``axis``: along ``transformations`` (TV: the mean is over samples) or along ``samples`` (SV: over
    transformations). A single sample or transformation gives 0.
    """

    axis: Axis
    statistic: str = "std"
    undone: bool = False
    accumulator: ClassVar[type[Accumulator]] = Moments

    @property
    def spatial(self) -> bool:  # type: ignore[override]
        """Undoing needs feature maps."""
        return self.undone


@dataclass(frozen=True)
class FRatio(Statistic):
    """One-way ANOVA's F with the columns as groups; degrees of freedom M - 1 and M (N - 1)."""

    accumulator: ClassVar[type[Accumulator]] = Moments

"""Spread along transformations or samples, and the analysis of variance that follows from it."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from cnn_invariance.measures.backends import backend_of
from cnn_invariance.measures.statistics.base import Accumulator, Axis, Context, Statistic, Tile, quotient


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
            room = (context.M, units)  # the first tile writes all of it
            self.columns = (
                torch.empty(room, dtype=torch.float64, device=context.device),
                torch.empty(room, dtype=torch.float32, device=context.device),
            )

    def add(self, tile: Tile) -> None:
        """One pass over the tile for both directions."""
        values = tile.values(self.undone)
        tile.backend.grid_moments(values, self.samples, self.columns, self.sums["std"], self.sums["var"])

    def value(self, statistic: Statistic) -> Tensor:
        """The mean spread, or F."""
        if isinstance(statistic, FRatio):
            return self._f_ratio()
        assert isinstance(statistic, Spread)
        if statistic.axis == "transformations":
            total = self.sums[statistic.statistic]
            assert total is not None
            return total / self.samples
        return self._sum_along_samples(root=statistic.statistic == "std") / self.context.M

    def _sum_along_samples(self, root: bool) -> Tensor:
        """The sum over columns of the unbiased variance, or of its root."""
        assert self.columns is not None
        degrees = max(self.samples - 1, 1)
        total = backend_of(self.context.device).sum_of_columns(self.columns[1], root)
        return total / (degrees**0.5 if root else degrees)

    def _f_ratio(self) -> Tensor:
        """``F = [N sum_j (m_j - m)^2 / (M - 1)] / [sum_j var_j / M]``, columns as groups."""
        assert self.columns is not None
        M, N = self.context.M, self.samples
        between = backend_of(self.context.device).between_columns(self.columns[0]) * (N / max(M - 1, 1))
        return quotient(between, self._sum_along_samples(root=False) / M)

    def single_column(self) -> tuple[Tensor, Tensor]:
        """Mean and unbiased variance of the only column, float64 (U) each."""
        assert self.columns is not None
        assert self.context.M == 1
        return self.columns[0][0], self._sum_along_samples(root=False)


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
    no_interval: ClassVar[str] = ""  # type: ignore[misc]

    @property
    def average(self) -> tuple[Statistic, float]:
        """The variance along samples is a mean over them, and its root goes with it."""
        root = self.axis == "samples" and self.statistic == "std"
        return (replace(self, statistic="var"), 0.5) if root else (self, 1.0)

    @property
    def compares_samples(self) -> bool:  # type: ignore[override]
        """Along them."""
        return self.axis == "samples"

    @property
    def paired(self) -> bool:  # type: ignore[override]
        """A spread along samples is of one transformation."""
        return self.axis == "transformations"

    @property
    def spatial(self) -> bool:  # type: ignore[override]
        """Undoing needs feature maps."""
        return self.undone

    @property
    def degree(self) -> int:  # type: ignore[override]
        """A variance is of squares."""
        return 2 if self.statistic == "var" else 1


@dataclass(frozen=True)
class FRatio(Statistic):
    """One-way ANOVA's F with the columns as groups; degrees of freedom M - 1 and M (N - 1)."""

    compares_samples: ClassVar[bool] = True  # type: ignore[misc]
    paired: ClassVar[bool] = False  # type: ignore[misc]
    degree: ClassVar[int] = 0  # type: ignore[misc]
    accumulator: ClassVar[type[Accumulator]] = Moments
    no_interval: ClassVar[str] = (  # type: ignore[misc]
        "F grows with the number of samples: it tells whether an effect is there, not how large it is"
    )

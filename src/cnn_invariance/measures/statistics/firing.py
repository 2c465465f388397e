"""Firing rates: how often an activation is above a threshold that the samples set, untransformed or all of them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from itertools import count
from math import floor
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor

from cnn_invariance.measures.statistics.base import Accumulator, Context, Statistic, Tile
from cnn_invariance.measures.statistics.moments import Moments, Spread


class Exceedances(Accumulator):
    """How often an activation is above its threshold: over all pairs (L) and untransformed samples (G).

    The threshold comes from the untransformed samples, or from all samples under all transformations, seen once before
    the pass. Memory: 4 bytes a unit and 12 for each pair of level and sign, and during the look before 12 more, or
    ``TAIL`` values for each percentile level.
    """

    def __init__(self, context: Context, statistics: frozenset[Statistic]) -> None:
        super().__init__(context, statistics)
        self.levels = sorted({(s.alpha, s.sign, s.threshold) for s in statistics if isinstance(s, Firing)})
        self.reference = cast(Firing, next(iter(statistics))).reference
        units = context.layer.units
        signs = [float(sign) for _, sign, _ in self.levels]
        self.signs = torch.tensor(signs, dtype=torch.float32, device=context.device)
        self.thresholds = context.zeros(len(self.levels), units)
        counts = (context.zeros(len(self.levels), units, dtype=torch.int32) for _ in range(2))
        self.counts = (next(counts), next(counts))
        self.broken = context.zeros(units)  # NaN where an activation was not finite
        n = context.N * (context.M if self.reference == "all" else 1)
        self.before: list[Threshold] | None = [
            Normal(context, alpha, sign) if form == "normal" else Percentile(context, alpha, sign, n)
            for alpha, sign, form in self.levels
        ]

    @classmethod
    def group(cls, statistic: Statistic) -> object:
        """All levels of one reference in one."""
        return cast(Firing, statistic).reference

    @property
    def needs_untransformed_first(self) -> bool:
        """Thresholds come before the pass."""
        return self.reference == "untransformed"

    @property
    def needs_all_first(self) -> bool:
        """Thresholds come before the pass."""
        return self.reference == "all"

    def prepare(self, columns: Tensor) -> None:
        """Show the samples to every threshold: one column of them, whatever they are transformed by."""
        for threshold in self.before or ():
            threshold.see(columns.reshape(1, -1, columns.shape[-1]))

    def add(self, tile: Tile) -> None:
        """Count."""
        if self.before is not None:
            for row, threshold in zip(self.thresholds, self.before, strict=True):
                row.copy_(threshold.value())
            self.before = None
        values, untransformed = tile.values(undone=False), tile.unit_columns[tile.reference]
        tile.backend.exceedances(values, untransformed, self.signs, self.thresholds, self.counts, self.broken)

    def value(self, statistic: Statistic) -> Tensor:
        """A rate between 0 and 1."""
        assert isinstance(statistic, Firing)
        a = self.levels.index((statistic.alpha, statistic.sign, statistic.threshold))
        local, untransformed = self.counts
        unknown = 0 * self.thresholds[a].double()  # NaN where the threshold is not finite
        if statistic.rate == "local":
            return local[a].double() / (self.samples * self.context.M) + unknown + self.broken
        if self.reference == "all":
            return unknown + (1 - statistic.alpha)
        return untransformed[a].double() / self.samples + unknown


class Threshold(ABC):
    """The level of ``sign * activation`` that an activation must pass to fire."""

    def __init__(self, context: Context, alpha: float, sign: int) -> None:
        self.context, self.alpha, self.sign = context, alpha, sign

    @abstractmethod
    def see(self, columns: Tensor) -> None:
        """Some values of every unit, (1, b, U)."""

    @abstractmethod
    def value(self) -> Tensor:
        """(U)."""


class Normal(Threshold):
    """``mean + z(alpha) * std`` of the signed activation, z the standard normal quantile."""

    def __init__(self, context: Context, alpha: float, sign: int) -> None:
        super().__init__(context, alpha, sign)
        self.moments = Moments(replace(context, M=1, scale=None), frozenset({Spread("samples")}))

    def see(self, columns: Tensor) -> None:
        """Add to the moments."""
        self.moments.update(Tile(columns, 1, 0, self.moments.context))

    def value(self) -> Tensor:
        """From the moments."""
        z = torch.special.ndtri(torch.tensor(self.alpha, dtype=torch.float64, device="cpu")).item()
        mean, variance = self.moments.single_column()
        return (self.sign * mean + z * variance.sqrt()).float()


class Percentile(Threshold):
    """The order statistic ``floor(alpha n)`` (from 0, ascending) of the signed activation over n values.

    Only the largest values are kept, at most ``TAIL`` a unit. It is exact while ``n - floor(alpha n) <= TAIL``;
    beyond, every k-th value is looked at, with the smallest k that fits. The rank is then that of a systematic
    sample: the share of values above the threshold has a standard error of about ``(1 - alpha) / sqrt(TAIL)``.
    """

    TAIL = 64

    def __init__(self, context: Context, alpha: float, sign: int, n: int) -> None:
        super().__init__(context, alpha, sign)
        self.step, self.rank = next(
            (step, rank) for step in count(1) if (rank := self._rank(-(-n // step))) <= self.TAIL
        )
        self.seen = 0
        self.largest = context.zeros(0, context.layer.units)

    def _rank(self, n: int) -> int:
        return n - floor(self.alpha * n)

    def see(self, columns: Tensor) -> None:
        """Keep the largest values."""
        chosen = [i for i in range(columns.shape[1]) if (self.seen + i) % self.step == 0]
        self.seen += columns.shape[1]
        together = torch.cat([self.largest, self.sign * columns[0, chosen]])
        self.largest = together.topk(min(self.rank, len(together)), dim=0).values

    def value(self) -> Tensor:
        """The smallest of the largest; NaN if one of them is not finite."""
        return self.largest[-1] + 0 * self.largest[0]


@dataclass(frozen=True)
class Firing(Statistic):
    """The share of pairs (``rate="local"``, L) or of untransformed samples (``"global"``, G) above the threshold.

    ``reference``: the threshold is set by the ``untransformed`` samples, or by ``all`` samples under all
    transformations (the author's library at publication); G is then ``1 - alpha`` by definition.
    """

    rate: Literal["local", "global"]
    alpha: float = 0.99
    sign: int = 1
    threshold: str = "normal"
    reference: str = "untransformed"
    untransformed: ClassVar[bool] = True
    compares_samples: ClassVar[bool] = True  # type: ignore[misc]
    paired: ClassVar[bool] = False  # type: ignore[misc]
    degree: ClassVar[int] = 0  # type: ignore[misc]
    accumulator: ClassVar[type[Accumulator]] = Exceedances
    no_interval: ClassVar[str] = ""  # type: ignore[misc]

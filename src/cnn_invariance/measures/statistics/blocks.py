"""The mean distance over pairs of samples, from the pairs inside blocks of consecutive samples, and its error.

The samples come in some order and are cut into blocks of ``B``; the last block holds the rest. ``d(i, l)`` is the
distance of two samples in one column, averaged over the columns; ``n_b`` the size of block ``b``, ``d_b`` the mean of d
over its pairs.

In a **random** order (ours) the estimate is the mean over samples of the mean distance to the others of its block::

    SD = sum_b n_b d_b / sum_b n_b        over the blocks of two samples or more

Every pair of samples is equally likely to be every pair of places, so its expectation is the mean over all pairs,
whatever N is and whatever order the samples were given in. The **class** order (the author's library) has the samples
sorted by class, and weighs all blocks alike::

    SD = mean_b d_b                       over the blocks of two samples or more

**The standard error** of the first is that of the estimate of the mean over all pairs of these N samples. With ``d(i,
l) = mean + g(i) + g(l) + e(i, l)``, where ``g`` sums to 0 over all samples and ``e`` over the others of each, all ``g``
cancel in the weighted sum above. So the error is of the ``e`` alone, which the halves of a block show: the mean over
the pairs inside its halves less the mean over the pairs across them, ``T_b``, has no mean, no ``g``, and the variance::

    var T_b = var e (N - 1) / (N - 3) (1 / p + 1 / q)       p = B/2 (B/2 - 1) pairs inside halves, q = (B/2)^2 across

The mean of ``T_b^2`` over the blocks of B samples gives ``var e``, and ``var e`` times `PairsInBlocks.share` is the
variance of the estimate: exactly, for a random order of finitely many samples. A sample that is left over alone
(N = 1 modulo B) has no pair; that it is missing, of the order of 1 / N, is no part of the error. Source: ours.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from cnn_invariance.measures.statistics.base import Context, SampleOrder


@dataclass(frozen=True)
class BlocksOf:
    """How samples are paired: the order in which they come, and the samples in a block (even, at least 4)."""

    order: SampleOrder
    size: int

    def sizes(self, samples: int) -> list[int]:
        """The sizes of the blocks of so many samples.

        >>> BlocksOf("random", 4).sizes(10)
        [4, 4, 2]
        """
        full, rest = divmod(samples, self.size)
        return [self.size] * full + [rest] * (rest > 0)

    def weight(self, n: int) -> int:
        """What a block of n samples weighs; without a pair, nothing."""
        return 0 if n < 2 else n if self.order == "random" else 1


class PairsInBlocks:
    """Running sums over blocks; 8 bytes a value, 16 with the error.

    ``N``: samples in the whole pass; ``width``: units or feature maps.
    """

    def __init__(self, context: Context, blocks: BlocksOf, width: int, error: bool) -> None:
        self.N, self.blocks = context.N, blocks
        self.total = context.zeros(width, dtype=torch.float64)
        self.squares = context.zeros(width, dtype=torch.float64) if error else None
        self.weight = 0.0  # of all blocks and columns
        self.contrasts = 0

    def room(self, samples: int) -> tuple[Tensor, Tensor | None]:
        """Zeros for the sums of a tile's blocks, and of the pairs inside their halves: (blocks, width)."""
        shape = (len(self.blocks.sizes(samples)), len(self.total))
        columns = self.total.new_zeros(shape)
        return columns, None if self.squares is None else torch.zeros_like(columns)

    def add(self, columns: Tensor, halves: Tensor | None, samples: int, members: int) -> None:
        """Add the sums of a tile of whole blocks under so many transformations."""
        sizes = self.blocks.sizes(samples)
        scale = [self.blocks.weight(n) / max(n * (n - 1) // 2, 1) for n in sizes]
        self.total += columns.new_tensor(scale) @ columns
        self.weight += sum(map(self.blocks.weight, sizes)) * members
        if self.squares is not None and halves is not None:
            full = samples // self.blocks.size
            inside, across = self._pairs()
            contrast = halves[:full] / (inside * members) - (columns - halves)[:full] / (across * members)
            self.squares += contrast.square().sum(0)
            self.contrasts += full

    def mean(self) -> Tensor:
        """(width): the mean distance; 0 where there is no pair."""
        return self.total / max(self.weight, 1) + 0 * self.total  # infinity somewhere: NaN, as in every other statistic

    def error(self) -> Tensor:
        """(width): the standard error of the mean distance as an estimate of that of all pairs."""
        assert self.squares is not None
        if self.blocks.size >= self.N:  # all pairs
            return 0 * self.total
        inside, across = self._pairs()
        of_contrast = (1 / inside + 1 / across) * (self.N - 1) / (self.N - 3)
        return (self.squares / self.contrasts / of_contrast * self.share()).sqrt() + 0 * self.total

    def share(self) -> float:
        """The variance of the estimate in a random order, where the variance of ``e`` is 1.

        Two ``e`` of a random order have the covariance ``-1 / (N - 2)`` if they share a sample, and
        ``2 / ((N - 2) (N - 3))`` if not, as those of a sample sum to 0.

        >>> pairs = PairsInBlocks(Context(None, 8, 1, torch.device("cpu")), BlocksOf("random", 8), 1, error=True)
        >>> round(pairs.share(), 12)  # all pairs: no error
        0.0
        """
        sizes = [n for n in self.blocks.sizes(self.N) if n > 1]
        weights = [2 / ((n - 1) * sum(sizes)) for n in sizes]  # of each pair
        same = sum(w * w * n * (n - 1) / 2 for w, n in zip(weights, sizes, strict=True))
        shared = sum(w * w * n * (n - 1) * (n - 2) for w, n in zip(weights, sizes, strict=True))
        apart = 1 - same - shared
        return max(same - shared / (self.N - 2) + 2 * apart / ((self.N - 2) * (self.N - 3)), 0.0)

    def _pairs(self) -> tuple[int, int]:
        """The pairs of a whole block that are inside its halves, and across them."""
        half = self.blocks.size // 2
        return half * (half - 1), half * half

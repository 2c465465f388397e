"""The interface of the back ends: the inner loops of the statistics, which add one tile to running results.

A tile is the activations of one layer for b samples under all transformations: ``values``, float32 (M, b, U),
contiguous, M transformations x b samples x U units. For feature maps U = P x C, P positions x C channels, channels
last. Every loop adds to results that it is given, in place; a result that is None is not wanted. `definitions` has what
each loop computes in a few lines; the tests hold every back end to it.
"""

from typing import NamedTuple, Protocol

from torch import Tensor


class MapDistanceSums(NamedTuple):
    """Sums of distances between feature maps, float64; None where nobody asks.

    transformations: (C), over samples and pairs of transformations
    samples:         (blocks, C), of each block of samples, over transformations and pairs of samples in the block
    halves:          (blocks, C), those of ``samples`` whose two samples are in the same half of the block
    untransformed:   (C), over samples and transformations, of the distance to the untransformed sample's map
    """

    transformations: Tensor | None = None
    samples: Tensor | None = None
    halves: Tensor | None = None
    untransformed: Tensor | None = None


class Backend(Protocol):
    """The loops of one back end. They agree with `definitions` to the rounding of float32."""

    def grid_moments(
        self,
        values: Tensor,
        seen: int,
        columns: tuple[Tensor, Tensor] | None,
        sum_std: Tensor | None,
        sum_var: Tensor | None,
    ) -> None:
        """Add a tile to the moments along samples and to the spread along transformations.

        values:  (M, b, U)
        seen:    the number of samples in ``columns`` before this tile
        columns: ``mean``, float64, and ``m2``, float32, each (M, U): of each transformation the mean over samples, and
                 the sum of squared deviations from it
        sum_std, sum_var: float64 (U): sums over samples of the unbiased standard deviation, and variance, over
                 transformations
        """

    def sum_of_columns(self, m2: Tensor, root: bool) -> Tensor:
        """The sum over transformations of ``m2``, or of its root: float32 (M, U) -> float64 (U)."""

    def between_columns(self, mean: Tensor) -> Tensor:
        """``sum_j (mean_j - mean of all)^2``: float64 (M, U) -> float64 (U)."""

    def exceedances(
        self,
        values: Tensor,
        reference: Tensor,
        signs: Tensor,
        thresholds: Tensor,
        counts: tuple[Tensor, Tensor],
        broken: Tensor,
    ) -> None:
        """Count the activations above their thresholds.

        values:     (M, b, U)
        reference:  (b, U), the activations for the untransformed samples: a column of the memory of ``values``
        signs:      float32 (A), 1 or -1; an activation fires where ``sign * activation > threshold``
        thresholds: float32 (A, U)
        counts:     int32 (A, U) twice: over all pairs of sample and transformation, and over the untransformed samples
        broken:     float32 (U), becomes NaN where an activation is not finite
        """

    def activation_distances(
        self, values: Tensor, block: int, rows: Tensor | None, columns: Tensor | None, halves: Tensor | None
    ) -> None:
        """Add sums of ``|a - b|`` over pairs of activations.

        values:  (M, b, U)
        block:   samples in a block; pairs of samples are taken inside consecutive blocks, of which the last may be
                 shorter: there are ``blocks``, b / block rounded up
        rows:    float64 (U), over samples and pairs of transformations
        columns: float64 (blocks, U), of each block, over transformations and pairs of samples in the block
        halves:  float64 (blocks, U), those of ``columns`` whose two samples are in the same half: both among the first
                 ``block // 2`` samples of the block, or both among the others; not without ``columns``
        """

    def map_distances(
        self,
        columns: Tensor,
        sums: MapDistanceSums,
        *,
        M: int,
        block: int,
        reference: int,
        normalize: bool,
        pivot: Tensor,
    ) -> None:
        """Add sums of the euclidean distances between feature maps over pairs.

        columns:   (M', b, P, C); the first M of the M' columns are those of the transformation set
        block:     samples in a block; blocks and halves as in `activation_distances`
        reference: the column of the untransformed samples
        normalize: whether each map is scaled to unit norm first (a zero map stays zero)
        pivot:     (C), what was taken from the values; unit norm is that of the maps with it added back
        """

    def undo(
        self, values: Tensor, index: Tensor, fraction: Tensor, exact: Tensor, pivot: Tensor, out: Tensor
    ) -> Tensor:
        """Bring the feature maps of every member back: ``t_j^{-1}`` on the columns of the tile, bilinear.

        Interpolation is by differences from the first tap, less a pivot: equal taps give exactly their value, so a
        constant map stays constant, and an offset that all values of a channel share costs no digits.

        values:   (M, b, P, C)
        index:    int32 (M, P, 4), the taps of each member's inverse at this map's size: above left, above right, below
                  left, below right
        fraction: float32 (M, P, 2), the way from left to right and from above to below
        exact:    uint8 (M), the members that are the identity
        pivot:    (C), taken from every value
        out:      (M, b, P, C), overwritten and returned
        """

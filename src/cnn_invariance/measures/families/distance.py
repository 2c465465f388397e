"""The distance family: mean pairwise distances along transformations, against along samples.

For an activation (``per=activation``) the distance of two entries of the ST matrix is ``|a - b|``; for a feature map
(``per=map``) it is the euclidean distance of two H x W maps, optionally scaled to unit norm first (``normalize``)::

    TD = mean_i mean_{j<k} d(A[i, j], A[i, k])      SD = mean_j mean over pairs in a block d(A[i, j], A[l, j])
    ND = TD / SD      DSES = mean_{i, j} d(f(x_i), t_j^{-1}(f(t_j(x_i))))

Along samples the column is cut into consecutive blocks, and pairs are taken inside blocks: all pairs of all blocks
weigh the same. A single sample or transformation gives 0. Quiroga 2021, sections on distance-based measures.
"""

from collections.abc import Sequence

from torch import Tensor

from cnn_invariance.measures.aggregation import normalized, single
from cnn_invariance.measures.requests import Measure
from cnn_invariance.measures.statistics.base import Axis, Context, Statistic
from cnn_invariance.measures.statistics.distances import DistanceToUntransformed, MapDistance, PairDistance

MEASURES = {
    "TD": "transformation distance: mean over samples of the mean distance between transformations",
    "SD": "sample distance: mean over transformations of the mean distance between samples in blocks",
    "ND": "normalized distance: TD / SD",
    "TDSE": "transformation distance after the transformation is undone on the feature maps",
    "SDSE": "sample distance after the transformation is undone on the feature maps",
    "NDSE": "normalized distance same-equivariance: TDSE / SDSE",
    "DSES": "simple distance same-equivariance: mean distance between f(x) and t^-1(f(t(x))), per feature map",
}
OPTIONS = {
    "per": ["activation", "map"],
    "normalize": [False, True],
    "aggregate": ["none", "mean", "max", "sum"],
    "order": ["before", "after"],
    "stratified": [False, True],
}
LIMITED = {
    "per": ("TD", "SD", "ND", "TDSE", "SDSE", "NDSE"),
    "aggregate": ("TD", "SD", "ND", "TDSE", "SDSE", "NDSE"),
    "order": ("ND", "NDSE"),
}
UNDONE = ("TDSE", "SDSE", "NDSE", "DSES")

AXES: dict[str, tuple[Axis, ...]] = {
    "TD": ("transformations",),
    "SD": ("samples",),
    "ND": ("transformations", "samples"),
    "TDSE": ("transformations",),
    "SDSE": ("samples",),
    "NDSE": ("transformations", "samples"),
}
"""Of each measure the axes along which it looks; of two, the second normalises the first."""


def statistics(request: Measure, context: Context) -> Sequence[Statistic]:
    """The distances a measure reads; a layer without feature maps has activations only."""
    undone = request.name in UNDONE
    if undone and not context.layer.spatial:
        return []
    if request.name == "DSES":
        return [DistanceToUntransformed(request["normalize"])]
    if request["per"] == "map" and context.layer.spatial:
        return [MapDistance(axis, undone, request["normalize"]) for axis in AXES[request.name]]
    return [PairDistance(axis, undone) for axis in AXES[request.name]]


def combine(request: Measure, context: Context, *values: Tensor) -> Tensor:
    """The measure, (C, H, W), (K,), or one value a map."""
    if request.name == "DSES":
        return values[0]
    return normalized(request, *values) if len(values) == 2 else single(request, *values)

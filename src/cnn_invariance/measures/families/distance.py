"""The distance family: mean pairwise distances along transformations, against along samples.

On a layer of feature maps the distance of two entries of the ST matrix is, by default, that of two H x W maps as
vectors (``per=map``): euclidean, optionally of maps scaled to unit norm (``normalize``). Of units (``per=unit``, and on
layers without feature maps) it is ``|a - b|``::

    TD = mean_i mean_{j<k} d(A[i, j], A[i, k])      SD = mean_j mean_{i<l} d(A[i, j], A[l, j])      ND = TD / SD

Same-equivariance takes the same of ``A'[i, j] = t_j^{-1}(f(t_j(x_i)))``, on layers with feature maps. A single sample
or transformation gives 0. Shapes: (C) of maps, (C, H, W) or (K) of units.

**SD is of all pairs of samples**, estimated without bias from the pairs inside blocks of ``block_size`` samples, in a
random order of the samples that `measure` draws by its ``order_seed``, whatever order they are given in. ``SD_error``
is the standard error of that estimate, for each map or unit, 0 where all pairs are in one block (`statistics.blocks`
has the equations); the relative error of ND is about ``SD_error / SD``. Errors of units are not independent: the mean
over a layer, as in a profile, is an upper bound of the error of the layer's SD, as is the mean over classes where it is
stratified.

**The author's order**, ``order=class,block_size=64``: the samples sorted by class, pairs inside blocks of 64
consecutive samples, mostly of one class, all blocks weighing the same; and pairs of transformations inside blocks of
64, which matters for sets of more. A last block of a single sample, of which his library makes not-a-number, is left
out. It needs labels, and a pass of its own. Source: the author's library and the author's code.

**The simple form** compares without a normaliser, per feature map::

    DSES = mean_{i, j} d(f(x_i), t_j^{-1}(f(t_j(x_i))))                     form=inverse, ours
    DSES = mean_{i, j} d(f(t_j(x_i)), t_j(f(x_i))) / sqrt(H W)              form=forward, the author's library

so that the forward form is the root of the mean square over the map where the other one is the root of the sum.

``aggregate`` takes distances of units to one value a map, ``aggregated`` before or after the quotient.
"""

from collections.abc import Sequence

from torch import Tensor

from cnn_invariance.measures.aggregation import normalized, single
from cnn_invariance.measures.requests import Measure
from cnn_invariance.measures.statistics.base import Axis, Context, Statistic
from cnn_invariance.measures.statistics.distances import (
    DistanceToTransformed,
    DistanceToUntransformed,
    MapDistance,
    PairDistance,
)

MEASURES = {
    "TD": "transformation distance: mean over samples of the mean distance between transformations",
    "SD": "sample distance: mean over transformations of the mean distance between samples",
    "ND": "normalised distance: TD / SD",
    "SD_error": "standard error of SD as an estimate of the mean distance of all pairs of samples",
    "TDSE": "transformation distance after the transformation is undone on the feature maps",
    "SDSE": "sample distance after the transformation is undone on the feature maps",
    "NDSE": "normalised distance same-equivariance: TDSE / SDSE",
    "SDSE_error": "standard error of SDSE as an estimate of the mean distance of all pairs of samples",
    "DSES": "simple distance same-equivariance: mean distance between f(x) and t^-1(f(t(x))), per feature map",
}
OPTIONS = {
    "per": ["map", "unit"],
    "normalize": [False, True],
    "order": ["random", "class"],
    "block_size": [8, 4, 16, 32, 64, 128, 256, 512, 1024],
    "form": ["inverse", "forward"],
    "aggregate": ["none", "mean", "max", "sum"],
    "aggregated": ["before", "after"],
    "stratified": [False, True],
}
LIMITED = {
    "per": ("TD", "SD", "ND", "SD_error", "TDSE", "SDSE", "NDSE", "SDSE_error"),
    "order": ("TD", "SD", "ND", "TDSE", "SDSE", "NDSE"),
    "block_size": ("TD", "SD", "ND", "SD_error", "TDSE", "SDSE", "NDSE", "SDSE_error"),
    "form": ("DSES",),
    "aggregate": ("TD", "SD", "ND", "TDSE", "SDSE", "NDSE"),
    "aggregated": ("ND", "NDSE"),
}
BETTER = {
    "TD": "lower",
    "SD": None,
    "ND": "lower",
    "SD_error": None,
    "TDSE": "lower",
    "SDSE": None,
    "NDSE": "lower",
    "SDSE_error": None,
    "DSES": "lower",
}
UNDONE = ("TDSE", "SDSE", "NDSE", "SDSE_error", "DSES")
OF_MAPS = ("DSES",)

AXES: dict[str, tuple[Axis, ...]] = {
    "TD": ("transformations",),
    "SD": ("samples",),
    "ND": ("transformations", "samples"),
    "SD_error": ("samples",),
    "TDSE": ("transformations",),
    "SDSE": ("samples",),
    "NDSE": ("transformations", "samples"),
    "SDSE_error": ("samples",),
}
"""Of each measure the axes along which it looks; of two, the second normalises the first."""


def statistics(request: Measure, context: Context) -> Sequence[Statistic]:
    """The distances a measure reads; a layer without feature maps has activations only."""
    undone = request.name in UNDONE
    if undone and not context.layer.spatial:
        return []
    if request.name == "DSES":
        form = DistanceToTransformed if request["form"] == "forward" else DistanceToUntransformed
        return [form(request["normalize"])]
    maps = request["per"] == "map" and context.layer.spatial
    return [_along(axis, request, undone, maps) for axis in AXES[request.name]]


def _along(axis: Axis, request: Measure, undone: bool, maps: bool) -> Statistic:
    """The distance along one axis; the order and the blocks are named where they matter, so that others share it."""
    options = dict(request.options)
    error = "order" not in options
    order = options.get("order", "random")
    how = {} if axis == "transformations" and order == "random" else {"order": order, "block": options["block_size"]}
    if maps:
        return MapDistance(axis, undone, request["normalize"], error=error, **how)  # type: ignore[arg-type]
    return PairDistance(axis, undone, error=error, **how)  # type: ignore[arg-type]


def combine(request: Measure, context: Context, *values: Tensor) -> Tensor:
    """The measure, (C, H, W), (K,), or one value a map."""
    if "aggregate" not in dict(request.options):
        return values[0]
    return normalized(request, *values) if len(values) == 2 else single(request, *values)

"""The variance family: how far an activation spreads along transformations, against along samples.

With the ST matrix ``A[i, j] = a(t_j(x_i))`` of an activation, N samples x M transformations, and the unbiased standard
deviation (0 for a single value)::

    TV = 1/N sum_i std_j A[i, j]      SV = 1/M sum_j std_i A[i, j]      NV = TV / SV

Same-equivariance takes the same of ``A'[i, j] = t_j^{-1}(f(t_j(x_i)))``, on layers with feature maps. Shapes: (C, H, W)
or (K), a value for each unit; (C) where feature maps are aggregated. Source: the author's library.
"""

from collections.abc import Sequence

from torch import Tensor

from cnn_invariance.measures.aggregation import normalized, single
from cnn_invariance.measures.requests import Measure
from cnn_invariance.measures.statistics.base import Axis, Context, Statistic
from cnn_invariance.measures.statistics.moments import Spread

MEASURES = {
    "TV": "transformation variance: mean over samples of the standard deviation over transformations",
    "SV": "sample variance: mean over transformations of the standard deviation over samples",
    "NV": "normalised variance: TV / SV",
    "TVSE": "transformation variance after the transformation is undone on the feature maps",
    "SVSE": "sample variance after the transformation is undone on the feature maps",
    "NVSE": "normalised variance same-equivariance: TVSE / SVSE",
}
OPTIONS = {
    "statistic": ["std", "var"],
    "aggregate": ["none", "mean", "max", "sum"],
    "order": ["before", "after"],
    "stratified": [False, True],
}
LIMITED = {"order": ("NV", "NVSE")}
BETTER = {"TV": "lower", "SV": None, "NV": "lower", "TVSE": "lower", "SVSE": None, "NVSE": "lower"}
UNDONE = ("TVSE", "SVSE", "NVSE")

AXES: dict[str, tuple[Axis, ...]] = {
    "TV": ("transformations",),
    "SV": ("samples",),
    "NV": ("transformations", "samples"),
    "TVSE": ("transformations",),
    "SVSE": ("samples",),
    "NVSE": ("transformations", "samples"),
}
"""Of each measure the axes along which it looks; of two, the second normalises the first."""


def statistics(request: Measure, context: Context) -> Sequence[Statistic]:
    """The spreads a measure reads; none where undoing is asked of a layer without feature maps."""
    undone = request.name in UNDONE
    if undone and not context.layer.spatial:
        return []
    return [Spread(axis, request["statistic"], undone) for axis in AXES[request.name]]


def combine(request: Measure, context: Context, *values: Tensor) -> Tensor:
    """The measure, (C, H, W), (K,), or one value a map if aggregated."""
    return normalized(request, *values) if len(values) == 2 else single(request, *values)

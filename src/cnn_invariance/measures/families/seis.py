"""SEIS: do the positions of a layer keep what they say under a transformation, and do they keep it in their places?

A layer is d = H W variables x n = samples x C observations. Both the untransformed and the transformed activations are
reduced to the principal components of 99 % of their variance; with their canonical correlations ``rho_i`` and the
projection vectors ``w_i`` and ``v_i`` in the basis of positions::

    SEIS_equivariance = mean_i rho_i        SEIS_invariance = mean_i rho_i |cos(w_i, v_i)|

Means over the transformations that are looked at (`statistics.samples_of_positions`); ``per=member`` gives one for
each. Maps with a side above ``side`` are averaged over disjoint windows first: moments of d positions take d^2 numbers
for each transformation, and d is at most ``side^2``.

``SEIS_invariance`` is not identified where canonical correlations tie, as they do for an exactly equivariant layer: any
rotation of the tied directions is as good. Such a layer has no value, unless another basis gives the same one. A layer
has no value either without feature maps, with no more observations than positions, or with moments above 1 GiB.

Shapes: (1), or (m) of ``per=member``. Source: arXiv 2602.04054.
"""

from collections.abc import Sequence
from math import ceil

from torch import Tensor

from cnn_invariance.measures.requests import Measure
from cnn_invariance.measures.statistics.base import Context, Statistic, over_members
from cnn_invariance.measures.statistics.samples_of_positions import chosen
from cnn_invariance.measures.statistics.spatial import MOST_BYTES, Positions

MEASURES = {
    "SEIS_equivariance": "mean canonical correlation of the positions of f(x) and of f(t(x))",
    "SEIS_invariance": "the same, each correlation times the cosine of its two projection vectors",
}
BETTER = {"SEIS_equivariance": "higher", "SEIS_invariance": "higher"}
OPTIONS = {
    "per": ["layer", "member"],
    "side": [8, 4, 16, 32, 64],
    "members": [8, 1, 2, 4, 16, 32, 64, 128, 256, 512],
}
LEVEL = {"SEIS_equivariance": "layer", "SEIS_invariance": "layer"}
EQUIVARIANCE = ("SEIS_equivariance",)
BY_NAME_ONLY = True


def absent(request: Measure, context: Context) -> str:
    """Why a layer has no value, where its shape says so; empty where it does not."""
    if not context.layer.spatial:
        return f"{context.layer.form}, not feature maps: there are no positions"
    _, H, W = context.layer.shape
    side = request["side"]
    d = ceil(H / ceil(H / side)) * ceil(W / ceil(W / side))
    if (needed := 16 * len(chosen(context.M, request["members"])) * d * d) > MOST_BYTES:
        return f"its moments of {d} positions would take {needed >> 20:,} MiB; choose a smaller side or fewer members"
    return ""


def statistics(request: Measure, context: Context) -> Sequence[Statistic]:
    """The canonical correlations, or their products with the cosines."""
    if absent(request, context):
        return []
    kind = request.name.removeprefix("SEIS_")
    return [Positions(kind, request["side"], request["members"])]  # type: ignore[arg-type]


def combine(request: Measure, context: Context, *values: Tensor) -> Tensor:
    """The mean over transformations (1), or one for each (m)."""
    (found,) = values
    return over_members(found, request["per"])

"""G-EED: the group empirical equivariance deviation of Kvinge et al., of whole layers.

::

    GEED            = mean_{i,j} m(f(t_j x_i), t_j f(x_i))
    GEED_invariance = mean_{i,j} m(f(t_j x_i), mean_k f(t_k x_i))

``metric`` is euclidean, over all activations of the layer, or ``cosine``: one less the cosine. On layers without
feature maps t acts on nothing. Of feature maps with more than ``positions`` positions that many are looked at
(`statistics.samples_of_positions`), and the euclidean distance is enlarged by the root of the share.

The euclidean form has the unit of the activations: a network that is multiplied by a small number looks more
equivariant. Shapes: (1), or (M) of ``per=member``. Source: H. Kvinge et al., "In what ways are deep neural networks
invariant and how should we measure this?", 2022.
"""

from collections.abc import Sequence

from torch import Tensor

from cnn_invariance.measures.requests import Measure
from cnn_invariance.measures.statistics.base import Context, Statistic, over_members
from cnn_invariance.measures.statistics.orbits import Orbit

MEASURES = {
    "GEED": "mean distance of whole layers between f(t(x)) and t(f(x))",
    "GEED_invariance": "mean distance of whole layers between f(t(x)) and its mean over the transformations",
}
BETTER = {"GEED": "lower", "GEED_invariance": "lower"}
OPTIONS = {
    "metric": ["euclidean", "cosine"],
    "per": ["layer", "member"],
    "positions": [64, 16, 32, 128, 256, 1024, 4096],
}
UNDONE = ("GEED",)
LEVEL = {"GEED": "layer", "GEED_invariance": "layer"}
BY_NAME_ONLY = True


def statistics(request: Measure, context: Context) -> Sequence[Statistic]:
    """The distances of each transformation."""
    return [Orbit(request["metric"], request["positions"], request.name == "GEED")]


def combine(request: Measure, context: Context, *values: Tensor) -> Tensor:
    """The mean over transformations (1), or one for each (M)."""
    (found,) = values
    return over_members(found, request["per"])

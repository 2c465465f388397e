"""The ANOVA family: does the transformation have a significant effect on the mean activation?

One-way analysis of variance with the columns of the ST matrix (the transformations) as groups::

    F = [N sum_j (m_j - m)^2 / (M - 1)] / [sum_ij (A[i, j] - m_j)^2 / (M (N - 1))]

``ANOVA`` is 1 where F is above the critical value at confidence ``alpha``, else 0. With Bonferroni's correction the
significance level ``1 - alpha`` is divided by the number K of activations of the layer. Shapes: (C, H, W) or (K).

Source: the author's library, apart from the correction: his divides the confidence, and takes the critical value at
``alpha / K``, which nearly every unit passes. Ours is the correction that the name means.
"""

from collections.abc import Sequence
from math import inf

from scipy.stats import f as f_distribution
from torch import Tensor

from cnn_invariance.measures.aggregation import aggregate
from cnn_invariance.measures.requests import Measure
from cnn_invariance.measures.statistics.base import Context, Statistic
from cnn_invariance.measures.statistics.moments import FRatio

MEASURES = {
    "ANOVA_F": "one-way ANOVA's F with the transformations as groups",
    "ANOVA": "1 where F is significant (Bonferroni over the layer's activations), else 0",
}
BETTER = {"ANOVA_F": "lower", "ANOVA": "lower"}
OPTIONS = {
    "alpha": [0.99, "between", 0, 1],
    "bonferroni": [True, False],
    "aggregate": ["none", "mean", "max", "sum"],
    "stratified": [False, True],
}
LIMITED = {"alpha": ("ANOVA",), "bonferroni": ("ANOVA",)}


def statistics(request: Measure, context: Context) -> Sequence[Statistic]:
    """F alone."""
    return [FRatio()]


def combine(request: Measure, context: Context, *values: Tensor) -> Tensor:
    """F, or its verdict; with a single transformation or sample there is no test, and the verdict is 0."""
    (ratio,) = values
    if request.name == "ANOVA_F":
        return aggregate(ratio, request["aggregate"])
    between, within = context.M - 1, context.M * (context.N - 1)
    critical = inf
    if between > 0 and within > 0:
        level = (1 - request["alpha"]) / (context.layer.units if request["bonferroni"] else 1)
        critical = float(f_distribution.isf(level, between, within))
    verdict = (ratio > critical).double()
    return aggregate(verdict.where(~ratio.isnan(), ratio), request["aggregate"])

"""Goodfellow's measure: does an activation that is selective for samples keep firing under transformation?

An activation fires where ``sign * a`` is above a threshold that few untransformed samples pass: mean + z(alpha) std of
the untransformed samples (``threshold=normal``, z the standard normal quantile), or their empirical alpha-quantile, the
order statistic floor(alpha n) (``threshold=percentile``)::

    G = share of untransformed samples that fire      L = share of all (sample, transformation) pairs that fire
    Goodfellow = L / G

Higher is more invariant. With ``reference=all`` the threshold is set by all samples under all transformations, and G is
``1 - alpha`` by definition; the transformed samples are then seen twice. Shapes: (C, H, W) or (K), a value for each
unit. Intervals over samples take the threshold as given, and are somewhat wide.

Sources: I. Goodfellow, Q. Le, A. Saxe, H. Lee and A. Ng, "Measuring invariances in deep networks", NIPS 2009; the
normal threshold of the untransformed samples is that of the author's library since March 2022, ``reference=all`` that
of the author's library at publication. His percentile form sets G to the share and takes the threshold from at most 20
samples (whole first batches) a transformation; ours counts G, and looks at all samples as long as
`statistics.firing.Percentile` can keep what it needs of them.
"""

from collections.abc import Sequence

from torch import Tensor

from cnn_invariance.measures.aggregation import aggregate
from cnn_invariance.measures.requests import Measure
from cnn_invariance.measures.statistics.base import Context, Statistic, quotient
from cnn_invariance.measures.statistics.firing import Firing

MEASURES = {
    "Goodfellow": "local over global firing rate, L / G",
    "Goodfellow_L": "local firing rate: share of (sample, transformation) pairs above the threshold",
    "Goodfellow_G": "global firing rate: share of untransformed samples above the threshold",
}
BETTER = {"Goodfellow": "higher", "Goodfellow_L": None, "Goodfellow_G": None}
OPTIONS = {
    "alpha": [0.99, "between", 0, 1],
    "sign": [1, -1],
    "threshold": ["normal", "percentile"],
    "reference": ["untransformed", "all"],
    "aggregate": ["none", "mean", "max", "sum"],
    "stratified": [False, True],
}


def statistics(request: Measure, context: Context) -> Sequence[Statistic]:
    """The firing rates a measure reads."""
    level = (request["alpha"], request["sign"], request["threshold"], request["reference"])
    local, untransformed = Firing("local", *level), Firing("global", *level)
    return {
        "Goodfellow": [local, untransformed],
        "Goodfellow_L": [local],
        "Goodfellow_G": [untransformed],
    }[request.name]


def no_interval(request: Measure) -> str:
    """A rate by itself has none, because the threshold that the same samples set holds it near ``1 - alpha``."""
    return "" if request.name == "Goodfellow" else "the threshold, which the same samples set, holds the rate in place"


def combine(request: Measure, context: Context, *values: Tensor) -> Tensor:
    """A rate, or the quotient of both."""
    return aggregate(quotient(*values) if len(values) == 2 else values[0], request["aggregate"])

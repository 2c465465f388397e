"""Goodfellow's measure at several thresholds of firing."""

from cnn_invariance.experiments.framework.goodfellow import NETWORKS, GoodfellowExperiment, unstable


class GoodfellowAlpha(GoodfellowExperiment):
    """The quotient of the two firing rates."""

    question = "How does Goodfellow's measure depend on the threshold above which an activation fires?"
    title = "Goodfellow's measure of {model} by threshold"
    setting = f"One line for each threshold. {NETWORKS}"
    claims = (unstable("unstable_at_extremes", "Goodfellow's measure", "Goodfellow"),)
    drawing = {
        "ordered": True,
        "line_column": "threshold",
        "ylabel": "Goodfellow of units",
        "explained": ["Goodfellow"],
    }

"""The two firing rates whose quotient is Goodfellow's measure, at several thresholds."""

from collections.abc import Mapping, Sequence

from cnn_invariance.experiments.framework import Line
from cnn_invariance.experiments.framework.goodfellow import NETWORKS, GoodfellowExperiment, unstable
from cnn_invariance.study import Study


class GoodfellowParts(GoodfellowExperiment):
    """The local and the global firing rate."""

    question = "Which part of Goodfellow's measure, the local or the global firing rate, depends on the threshold?"
    title = "Firing rates of {model} by threshold"
    setting = (
        "Above, local firing rates: the share of pairs of sample and transformation that fire; below, global ones: the "
        "share of untransformed samples (logarithmic scale, without place for a rate of 0). One line for each "
        f"threshold. {NETWORKS}"
    )
    claims = (unstable("unstable_global", "The global firing rate", "Goodfellow_G"),)
    drawing = {
        "ordered": True,
        "log_y": True,
        "line_column": "threshold",
        "panel_column": "panel",
        "rows": 2,
        "ylabel": "firing rate",
        "meanings": "Rates of each unit, mean over the layer; Goodfellow's measure is the local over the global one.",
    }

    def panels(self, study: Study, dataset: str) -> Mapping[str, Sequence[Line]]:
        """A panel for each rate and set."""
        return {
            f"{at.label}, {part}": list(self.thresholds(at, rate))
            for part, rate in (("local", "Goodfellow_L"), ("global", "Goodfellow_G"))
            for at in self.at(study, dataset)
        }

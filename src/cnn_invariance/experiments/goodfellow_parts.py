"""The two firing rates whose quotient is Goodfellow's measure, at several thresholds."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnn_invariance.experiments.framework import Line, Panel
from cnn_invariance.experiments.framework.goodfellow import NETWORKS, GoodfellowExperiment
from cnn_invariance.experiments.framework.profiles import Lines, ProfilePlan
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
    rate, claim, subject = "Goodfellow_G", "unstable_global", "The global firing rate"
    drawing = {
        "ordered": True,
        "log_y": True,
        "line_column": "threshold",
        "panel_column": "panel",
        "ylabel": "firing rate",
        "meanings": "Rates of each unit, mean over the layer; Goodfellow's measure is the local over the global one.",
    }

    def requests(self, study: Study) -> Sequence[str]:
        """The measure of the panels; each line has its own rate and threshold."""
        return ["Goodfellow_L"]

    def panels(self, study: Study, dataset: str) -> Mapping[str, Sequence[Line]]:
        """A panel for each rate and set."""
        return {
            f"{label}, {part}": list(self.thresholds(Panel(study, self, dataset, label), rate))
            for part, rate in (("local", "Goodfellow_L"), ("global", "Goodfellow_G"))
            for label in self.sets(study)
        }

    def plan(self, study: Study, lines: Lines, **changes: Any) -> ProfilePlan:
        """A row of panels for each rate."""
        return super().plan(study, lines, columns=len(self.sets(study)), **changes)

"""The two firing rates whose quotient is Goodfellow's measure, at several thresholds."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from cnn_invariance.experiments.framework import Line, Panel, choices
from cnn_invariance.experiments.framework.goodfellow import NETWORKS, GoodfellowExperiment, unstable
from cnn_invariance.study import Study


class GoodfellowParts(GoodfellowExperiment):
    """The local and the global firing rate."""

    question = "Which part of Goodfellow's measure, the local or the global firing rate, depends on the threshold?"
    title = "Firing rates of {model} by threshold"
    setting = (
        "Above, local firing rates: the share of pairs of sample and transformation that fire; in the middle, global "
        "ones: the share of untransformed samples (logarithmic scale, without place for a rate of 0); below, local "
        "rates as in the author's code before publication, with a threshold of all samples under all transformations: "
        "there, the global rate is 1 - alpha by definition. Rates of each unit, mean over the layer; Goodfellow's "
        f"measure is the local over the global one. One line for each threshold. {NETWORKS}"
    )
    claims = (unstable("unstable_global", "The global firing rate", "Goodfellow_G"),)
    drawing = {
        "ordered": True,
        "log_y": True,
        "line_column": "threshold",
        "panel_column": "panel",
        "rows": 3,
        "ylabel": "firing rate",
        "explained": [],
    }

    def panels(self, study: Study, dataset: str) -> Mapping[str, Sequence[Line]]:
        """A panel for each rate and set."""
        before = {alpha: choices.form(f"Goodfellow_L[alpha={alpha},reference=all]") for alpha in self.alphas}

        def author(at: Panel) -> Iterator[Line]:
            for alpha, measure in before.items():
                yield at.line(f"alpha = {alpha:g}", measure=measure, measures=list(before.values()))

        rows: dict[str, Callable[[Panel], Iterator[Line]]] = {
            "local": lambda at: self.thresholds(at, "Goodfellow_L"),
            "global": lambda at: self.thresholds(at, "Goodfellow_G"),
            "local, author": author,
        }
        return {f"{at.label}, {row}": list(of(at)) for row, of in rows.items() for at in self.at(study, dataset)}

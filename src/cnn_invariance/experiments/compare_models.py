"""The layer profiles of different designs, side by side by relative depth."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cnn_invariance.experiments.framework import ALIKE, DEPTH, Line, Models, Panel, ProfilePlan, ProfilesOfModels
from cnn_invariance.experiments.framework.choices import label as name_of
from cnn_invariance.paper.words import enumerated
from cnn_invariance.statistics.profiles import layer_mean
from cnn_invariance.study import Study

if TYPE_CHECKING:
    from cnn_invariance.results import Results


class CompareModels(ProfilesOfModels, Models):
    """``models``: labels of the preset (None: all)."""

    question = "Which network is more invariant, and at which depth?"
    group = "characterisation"
    in_overview = (1, "Designs")
    title = "profiles of different networks"
    setting = f"{ALIKE}. {DEPTH} The strips show the kinds of each network's layers."
    drawing = {"axis": "depth", "family": "network"}

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each model."""
        return (at.line(model, at.networks(model=model)) for model in self.compared(at.study))

    def described(self, study: Study, results: "Results") -> str:
        """The mean over layers, sets and seeds of each design, the lowest first, on each dataset."""
        (plan,) = self.once(study, self.plans)
        means = "; ".join(f"{_means(plan, dataset, results)} on {dataset}" for dataset in plan.lines)
        measure = name_of(plan.measures[0])
        return f"{measure}, mean over layers, sets and seeds, the lowest first: {means} (described, not tested)."


def _means(plan: ProfilePlan, dataset: str, results: "Results") -> str:
    """Each design with its mean, the lowest first."""
    found: dict[str, list[float]] = {}
    for line in plan.all_lines(dataset):
        found.setdefault(line.label, []).extend(map(layer_mean, line.values(results, plan.measures[0])))
    means = {label: layer_mean(values) for label, values in found.items()}  # without those that are not known
    known = sorted((value, label) for label, value in means.items() if math.isfinite(value))
    return enumerated([f"{label} ({value:.2g})" for value, label in known]) or "none known"

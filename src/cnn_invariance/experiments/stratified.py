"""The same measure of all samples together, and of each class by itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import (
    CORRELATION,
    Line,
    Lines,
    MeasuredPanel,
    Panel,
    ProfileExperiment,
    ProfilePlan,
    choices,
    claim,
)
from cnn_invariance.measures import requests
from cnn_invariance.statistics.profiles import correlation
from cnn_invariance.study import Study


def _correlations(panel: MeasuredPanel) -> list[float]:
    """Of the first measure."""
    if panel.lines[0].measure != panel.measure:
        return []
    return [correlation(pooled, by_class) for pooled, by_class in panel.by_seed()]


class Stratified(ProfileExperiment):
    """``measures``: those of the preset that are taken both ways."""

    question = "Does it matter whether all samples are measured together, or each class by itself?"
    group = "stability"
    title = "Pooled and per-class profiles of {model}"
    setting = (
        "Each network is trained with the transformation set of the panel as augmentation, and measured under the same "
        "set: with the samples of all classes pooled, and with those of each class by themselves, averaged over "
        "classes. The strips show the kinds of layers."
    )
    drawing = {"line_column": "samples", "panel_column": "panel", "share_y": False}
    tests = (
        claim(
            "similar_shape",
            "Pooled and per class, profiles have a similar shape.",
            "correlation over layers of the pooled and the per-class NV profile",
            _correlations,
            above=0.9,
            within=CORRELATION,
        ),
    )

    def panels(self, study: Study, dataset: str) -> Mapping[str, Sequence[Line]]:
        """A panel for each measure and set."""
        by_class = {measure: _by_class(measure) for measure in self.requests(study)}
        together = [*by_class, *by_class.values()]
        return {
            f"{choices.label(measure)}, {label}": [
                at.line("all samples pooled", measure=measure, measures=together),
                at.line("per class, averaged", measure=stratified, measures=together),
            ]
            for measure, stratified in by_class.items()
            for label in self.sets(study)
            for at in [Panel(study, self, dataset, label)]
        }

    def plan(self, study: Study, lines: Lines, **changes: Any) -> ProfilePlan:
        """Each panel has its own measure."""
        measures = self.requests(study)
        ylabel = ", ".join(map(choices.label, measures))
        return super().plan(study, lines, measures=measures[:1], ylabel=ylabel, **changes)


def _by_class(measure: str) -> str:
    """The measure taken per class (InputError for a distance: its pooled form wants the samples in another order)."""
    request = requests.check(measure)
    if requests.family(request.full_name).name == "distance":
        raise InputError(f"{measure} cannot be measured pooled and per class in one pass; leave it out of 'measures'")
    options = ",".join(f"{key}={str(value).lower()}" for key, value in request.options if key != "stratified")
    return str(requests.check(f"{request.full_name}[{options},stratified=true]"))

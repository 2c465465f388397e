"""The same measure of all samples together, and of each class by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import Field

from cnn_invariance.experiments.framework import ALIKE, STRIPS, Line, ProfileExperiment, ProfilePlan, Source, choices
from cnn_invariance.experiments.framework.panels import MeasuredPanel, claimed
from cnn_invariance.statistics.evidence import FISHER
from cnn_invariance.statistics.profiles import correlation
from cnn_invariance.study import SampleSpec, Study


@claimed(
    "Pooled and per class, profiles have a similar shape.",
    Source.OURS,
    above=0.9,
    scale=FISHER,
    because="the two then share four fifths of their variance over layers",
    primary=True,
)
def similar_shape(panel: MeasuredPanel) -> list[float]:
    """correlation over layers of the pooled and the per-class NV profile."""
    if panel.lines[0].measure != panel.plan.measures[0]:
        return []
    return [correlation(pooled, by_class) for pooled, by_class in panel.by_seed()]


class Stratified(ProfileExperiment):
    """``measures``: those of the preset that are taken both ways; ``per_class``: samples of all classes (None: all)."""

    question = "Does it matter whether all samples are measured together, or each class by itself?"
    group = "stability"
    title = "Pooled and per-class profiles of {model}"
    setting = (
        f"{ALIKE}: with the samples of all classes pooled, as many of the training split as other experiments measure "
        "of the test split; and with those of each class by themselves, averaged over classes, on {many} of the "
        f"training split. {STRIPS}"
    )
    drawing = {"line_column": "samples", "panel_column": "panel", "share_y": False, "ylabel": "mean over the layer"}
    claims = (similar_shape,)

    per_class: int | None = Field(None, ge=1)

    def words(self, study: Study) -> Mapping[str, object]:
        """How many samples are measured per class, too."""
        return {**super().words(study), "many": f"{self.per_class:,} samples" if self.per_class else "all samples"}

    def plans(self, study: Study) -> Sequence[ProfilePlan]:
        """A plan, with a row of panels for each measure."""
        return [replace(plan, rows=len(self.requests(study))) for plan in super().plans(study)]

    def panels(self, study: Study, dataset: str) -> Mapping[str, Sequence[Line]]:
        """A panel for each measure and set."""
        by_class = {measure: choices.by_class(measure) for measure in self.requests(study)}
        few, many = (
            SampleSpec(split="train", count=count, seed=study.preset.samples.seed)
            for count in (study.preset.samples.count, self.per_class)
        )
        alone = list(by_class.values())
        return {
            f"{choices.label(measure)}, {at.label}": [
                at.line("all samples pooled", measure=measure, measures=list(by_class), samples=few),
                at.line("per class, averaged", measure=stratified, measures=alone, samples=many),
            ]
            for measure, stratified in by_class.items()
            for at in self.at(study, dataset)
        }

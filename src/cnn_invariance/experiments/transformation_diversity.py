"""Networks trained with one kind of transformations, measured under another."""

from collections.abc import Iterator, Mapping, Sequence

from cnn_invariance.experiments.framework import STRIPS, Line, ProfileExperiment, Source, choices
from cnn_invariance.experiments.framework.charts import crossed
from cnn_invariance.experiments.framework.panels import MeasuredPanel, claimed
from cnn_invariance.statistics.evidence import LOG
from cnn_invariance.statistics.intervals import mean, quotient
from cnn_invariance.statistics.lines import matrix
from cnn_invariance.statistics.profiles import layer_mean
from cnn_invariance.study import Study

SPECIFIC = "Invariance is specific: a network is more invariant to what it was trained with than others are."


@claimed(SPECIFIC, Source.OURS, below=0.95, scale=LOG, because="a twentieth below the others", primary=True)
def specific(panel: MeasuredPanel) -> Iterator[float]:
    """NV (mean over layers) of the network trained with the measured set, as a share of the others' mean."""
    for profiles in panel.by_seed():
        others = [layer_mean(profile) for profile in profiles]
        own = others.pop(panel.place)  # the line of the panel's own set stands at the panel's place
        yield quotient(own, mean(others))


class TransformationDiversity(ProfileExperiment):
    """``transformation_sets``: two at least; networks are trained with each, and measured under all of them."""

    question = "Is a network trained with one kind of transformations invariant to another?"
    group = "stability"
    title = "profiles of {model} trained with one set and measured under another"
    setting = (
        "Each network is trained with one transformation set as augmentation, and measured under each set, that of the "
        f"panel. {STRIPS}"
    )
    drawing = {"panel_column": "measured", "chart": crossed("trained with ", "under ")}
    claims = (specific,)
    further = (matrix,)

    def check(self, study: Study) -> None:
        """Raise InputError for one set alone."""
        choices.several("networks are measured under another set", self.sets(study))

    def panels(self, study: Study, dataset: str) -> Mapping[str, Sequence[Line]]:
        """A panel for each set that is measured, with a line for each set that is trained with."""
        sets = self.sets(study)
        return {
            f"under {at.label}": [at.line(f"trained with {one}", at.networks(augmentation=one)) for one in sets]
            for at in self.at(study, dataset)
        }

"""The same networks measured on samples of their own dataset, and of datasets they have never seen."""

from collections.abc import Iterator

from pydantic import Field

from cnn_invariance.experiments.framework import ALIKE, STRIPS, Line, ProfileExperiment, Source, choices
from cnn_invariance.experiments.framework.panels import MARGIN, TENTH, MeasuredPanel, Panel, claimed, differences
from cnn_invariance.statistics.evidence import LOG
from cnn_invariance.study import Study

CHANGES = "The profile changes on the samples of another dataset."


@claimed(CHANGES, Source.SUCCESSOR, above=MARGIN, scale=LOG, because=TENTH, primary=True)
def profile_changes(panel: MeasuredPanel) -> dict[str, list[float]]:
    """relative difference of the NV profiles on the network's own dataset and on another."""
    return {line.label: list(differences(0, line.label)(panel)) for line in panel.lines[1:]}


class DatasetTransfer(ProfileExperiment):
    """``datasets``: two at least; networks are trained on each, and measured on all of them."""

    question = "Does a network keep its profile on the samples of another dataset?"
    group = "stability"
    title = "profiles of {model} on its own and other samples"
    setting = (
        f"{ALIKE.replace('trained', 'trained on its own dataset')} on samples of each dataset. Those of another "
        "dataset are resized to the network's input (bilinear), grey images repeated for each colour, coloured ones "
        "reduced to the mean of their channels, and normalised with the mean and standard deviation of their own "
        f"training split. {STRIPS}"
    )
    shown, combined = choices.WITH_DISTANCE, True
    drawing = {"line_column": "measured_on"}
    claims = (profile_changes,)

    seeds: int = Field(3, ge=1)

    def check(self, study: Study) -> None:
        """Raise InputError for one dataset alone."""
        choices.several("a network is measured on another dataset", self.on(study))

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each dataset, the network's own first."""
        yield at.line(f"{at.dataset} (own)", dataset=at.dataset)
        for other in self.on(at.study):
            if other != at.dataset:
                yield at.line(f"{other} (other)", dataset=other)

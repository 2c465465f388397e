"""The same networks measured on samples of their own dataset, and of datasets they have never seen."""

from collections.abc import Iterator

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import (
    Line,
    MeasuredPanel,
    Panel,
    ProfileExperiment,
    choices,
    claim,
    differences,
)
from cnn_invariance.study import Study


def _others(panel: MeasuredPanel) -> list[float]:
    return [value for place in range(1, len(panel.lines)) for value in differences(0, place)(panel)]


class DatasetTransfer(ProfileExperiment):
    """``datasets``: two at least; networks are trained on each, and measured on all of them."""

    question = "Does a network keep its profile on the samples of another dataset?"
    group = "stability"
    title = "profiles of {model} on its own and other samples"
    setting = (
        "Each network is trained on its own dataset with the transformation set of the panel as augmentation, and "
        "measured under the same set on samples of each dataset. Those of another dataset are resized to the network's "
        "input, grey images repeated for each colour, coloured ones reduced to their luma, and normalised with the "
        "mean and standard deviation of their own training split. The strips show the kinds of layers."
    )
    shown, combined = choices.WITH_DISTANCE, True
    drawing = {"line_column": "measured_on"}
    tests = (
        claim(
            "profile_changes",
            "The profile changes on the samples of another dataset.",
            "relative difference of the NV profiles on the network's own dataset and on another",
            _others,
            above=0.1,
            over="sets, seeds and other datasets",
        ),
    )

    seeds: int = Field(3, ge=1)

    def check(self, study: Study) -> None:
        """Raise InputError for one dataset alone."""
        if len(datasets := self.on(study)) < 2:
            received = ", ".join(datasets)
            raise InputError(f"a network is measured on another dataset: two are needed; received {received}")

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each dataset, the network's own first."""
        yield at.line(f"{at.dataset} (own)", dataset=at.dataset)
        for other in self.on(at.study):
            if other != at.dataset:
                yield at.line(f"{other} (other)", dataset=other)

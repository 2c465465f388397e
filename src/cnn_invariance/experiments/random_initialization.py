"""The profiles of one design from many random initializations."""

from collections.abc import Iterator

from pydantic import Field

from cnn_invariance.experiments.framework import STRIPS, Line, ProfileExperiment, Source, choices
from cnn_invariance.experiments.framework.panels import MARGIN, TENTH, MeasuredPanel, Panel, apart, claimed
from cnn_invariance.statistics.lines import differences

COINCIDE = "The profiles of a design nearly coincide, whatever the random initialization."


@claimed(COINCIDE, Source.ABSTRACT, below=MARGIN, because=TENTH, primary=True)
def nearly_coincide(panel: MeasuredPanel) -> list[float]:
    """relative difference of the NV profiles of two seeds, mean over all pairs (jackknife over seeds)."""
    return apart(panel)


class RandomInitialization(ProfileExperiment):
    """``seeds``: how many of the preset's seeds are compared."""

    question = "Is the profile of a network a property of its design, whatever its random initialization?"
    group = "stability"
    in_overview = (2, "Random initializations")
    title = "profiles of {model} from {seeds} random initializations"
    setting = (
        "The network is trained from several random initializations with the transformation set of the panel as "
        f"augmentation, and measured under the same set. {STRIPS}"
    )
    shown = choices.WITH_DISTANCE
    drawing = {"line_column": "networks"}
    claims = (nearly_coincide,)
    further = (differences,)

    seeds: int = Field(8, ge=2)

    def panel(self, at: Panel) -> Iterator[Line]:
        """One line of all seeds."""
        yield at.line(f"{self.seeds} seeds")

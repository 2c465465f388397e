"""The profiles of one design from many random initializations."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from cnn_invariance.experiments.framework import FurtherTable, Line, Panel, ProfileExperiment, apart, choices, claim
from cnn_invariance.statistics.intervals import mean
from cnn_invariance.statistics.profiles import pairs

if TYPE_CHECKING:
    from cnn_invariance.plotting import Series


def _differences(measure: str, panels: Mapping[str, Sequence["Series"]]) -> Iterator[dict[str, object]]:
    for label, (line,) in panels.items():
        found = pairs(list(line.values()))
        place = {"transformations": label, "measure": measure}
        yield place | {"pairs": len(found), "mean": mean(found), "largest": max(found)}


class RandomInitialization(ProfileExperiment):
    """``seeds``: how many of the preset's seeds are compared."""

    question = "Is the profile of a network a property of its design, whatever its random initialization?"
    group = "stability"
    overview_row = (2, "Random initializations")
    title = "profiles of {model} from {seeds} random initializations"
    setting = (
        "The network is trained from several random initializations with the transformation set of the panel as "
        "augmentation, and measured under the same set. The strips show the kinds of layers."
    )
    shown = choices.WITH_DISTANCE
    drawing = {"line_column": "networks"}
    tests = (
        claim(
            "nearly_coincide",
            "The profiles of a design nearly coincide, whatever the random initialization.",
            "relative difference of the NV profiles of two seeds, mean over all pairs",
            apart,
            below=0.1,
            over="sets",  # pairs of seeds are not independent of each other
        ),
    )
    further = (
        FurtherTable(
            "differences",
            "The relative difference of two profiles is the mean of |P - Q| over layers, as a share of their mean.",
            _differences,
        ),
    )

    seeds: int = Field(8, ge=2)

    def panel(self, at: Panel) -> Iterator[Line]:
        """One line of all seeds."""
        yield at.line(f"{self.seeds} seeds")

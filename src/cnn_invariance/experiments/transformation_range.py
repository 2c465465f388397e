"""Networks trained over a part of a set's range, measured below and beyond it."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from cnn_invariance.experiments.framework import (
    STRIPS,
    Line,
    MeasuredPanel,
    Panel,
    ProfileExperiment,
    Source,
    choices,
    claimed,
)
from cnn_invariance.statistics.intervals import quotient
from cnn_invariance.statistics.profiles import layer_mean
from cnn_invariance.study import Study
from cnn_invariance.study.intensity import scaled

Share = Annotated[float, Field(gt=0, le=1)]
FULL = 1.0
TRAINED = " (trained with)"


@claimed("NV rises beyond the range that the network was trained with.", Source.OURS, above=1.05)
def rises_beyond(panel: MeasuredPanel) -> list[float]:
    """NV (mean over layers) measured at the full range, as a share of that at the trained range."""
    trained = next(line.label for line in panel.lines if line.label.endswith(TRAINED))
    both = zip(panel.profiles(trained), panel.profiles(-1), strict=True)
    return [quotient(layer_mean(full), layer_mean(inside)) for inside, full in both]


class TransformationRange(ProfileExperiment):
    """``trained_share``: the part of a set's range that networks are trained with; ``shares``: those measured."""

    question = "Is a network invariant beyond the range of transformations it was trained with?"
    group = "stability"
    title = "profiles of {model} by measured range"
    setting = (
        "Each network is trained with the transformation set of the panel over {trained} of its range, and measured "
        "under the set over shares of its range below, at and beyond that. "
    ) + STRIPS
    drawing = {"ordered": True, "line_column": "measured_at"}
    reference = -1
    claims = (rises_beyond,)

    trained_share: Share = 0.5
    shares: tuple[Share, ...] = (0.25, 0.5, 0.75, FULL)

    def check(self, study: Study) -> None:
        """Raise InputError for shares that do not rise, or lack one that the claim compares."""
        choices.rising("shares", self.shares, needed=dict.fromkeys((self.trained_share, FULL)))

    def words(self, study: Study) -> Mapping[str, object]:
        """The share trained with in per cent, too."""
        return {**super().words(study), "trained": f"{100 * self.trained_share:g} %"}

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each share that is measured."""
        own, samples = at.study.set(at.label), at.study.samples(at.label)
        networks = at.networks(augmentation=scaled(own, self.trained_share))
        for share in self.shares:
            name = f"{100 * share:g} % of the range" + (TRAINED if share == self.trained_share else "")
            yield at.line(name, networks, under=scaled(own, share) or own, samples=samples)

"""The same networks measured on few and on many samples."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from cnn_invariance.experiments.framework import ALIKE, STRIPS, Line, ProfileExperiment, Source, choices
from cnn_invariance.experiments.framework.charts import convergence
from cnn_invariance.experiments.framework.panels import MARGIN, Panel, same_profile
from cnn_invariance.study import Study

TENTH, ALL = 0.1, 1.0
FEW, MANY = "10 % of the samples", "100 % of the samples"
STABLE = ("stable_from_tenth", "A tenth of the samples gives the profile of all samples.", Source.ABSTRACT)


class DatasetSize(ProfileExperiment):
    """``shares`` of twice the samples that the preset measures under a set; at half of them, cells are shared."""

    question = "How many samples are enough to measure invariance?"
    group = "stability"
    title = "profiles of {model} by number of samples"
    setting = (
        f"{ALIKE} on a share of samples: of twice as many as the other experiments measure under the set. Smaller "
        f"shares are part of larger ones. {STRIPS}"
    )
    shown, combined = choices.WITH_DISTANCE, True
    drawing = {"line_column": "measured_on", "chart": convergence("samples", MARGIN)}
    claims = (same_profile(*STABLE, f"on {FEW} and on {MANY}", FEW, MANY),)

    shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.01, 0.05, TENTH, 0.5, ALL)
    seeds: int = Field(3, ge=1)

    def check(self, study: Study) -> None:
        """Raise InputError for shares that do not rise, or lack one that the claim compares."""
        choices.rising("shares", self.shares, needed=(TENTH, ALL))

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each share."""
        usual = at.study.samples(at.label)
        for share in self.shares:
            samples = choices.share_of(usual, share, at.label)
            yield at.line(f"{100 * share:g} % of the samples", samples=samples, at=samples.count)

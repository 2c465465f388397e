"""The same networks measured on few and on many samples."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import Line, Panel, ProfileExperiment, choices, claim, differences
from cnn_invariance.study import SampleSpec, Study

USUAL, TENTH, ALL = 0.5, 0.1, 1.0


class DatasetSize(ProfileExperiment):
    """``shares`` of twice the samples that the preset measures under a set; at half of them, cells are shared."""

    question = "How many samples are enough to measure invariance?"
    group = "stability"
    title = "profiles of {model} by number of samples"
    setting = (
        "Each network is trained with the transformation set of the panel as augmentation, and measured under the same "
        "set on a share of samples: of twice as many as the other experiments measure under the set. Smaller shares "
        "are part of larger ones. The strips show the kinds of layers."
    )
    shown, combined = choices.WITH_DISTANCE, True
    drawing = {"ordered": True, "line_column": "measured_on"}
    reference = "preset"
    tests = (
        claim(
            "stable_from_tenth",
            "A tenth of the samples gives the profile of all samples.",
            "relative difference of the NV profiles on 10 % and on 100 % of the samples",
            differences("10 % of the samples", "100 % of the samples"),
            below=0.1,
        ),
    )

    shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.01, 0.05, TENTH, USUAL, ALL)
    seeds: int = Field(3, ge=1)

    def check(self, study: Study) -> None:
        """Raise InputError for shares that do not rise, or lack one that the claim compares."""
        choices.rising("shares", self.shares, needed=(TENTH, ALL))

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each share."""
        for share in self.shares:
            yield at.line(f"{100 * share:g} % of the samples", samples=_samples(at.study.samples(at.label), share, at))


def _samples(usual: SampleSpec, share: float, at: Panel) -> SampleSpec:
    """A share of twice the usual samples (InputError if they are fewer than two, or their number is not known)."""
    if usual.count is None:
        raise InputError("a share of the samples needs their number; give the preset's 'samples' a 'count'")
    if (count := round(usual.count / USUAL * share)) < 2:
        raise InputError(
            f"{100 * share:g} % of {2 * usual.count} samples under {at.label!r} is {count}, and a measure needs 2; "
            "leave out the share, or measure more"
        )
    return SampleSpec(split=usual.split, count=count, seed=usual.seed)

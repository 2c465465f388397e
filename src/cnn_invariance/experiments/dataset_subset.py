"""The same networks measured on samples they were trained on, and on others."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from cnn_invariance.experiments.framework import ALIKE, STRIPS, Line, ProfileExperiment, Source, choices
from cnn_invariance.experiments.framework.panels import Panel, same_profile
from cnn_invariance.study import SampleSpec

SPLITS: tuple[Literal["train", "test"], ...] = ("train", "test")
STATEMENT = "Training and test samples give the same profile."


class DatasetSubset(ProfileExperiment):
    """Training samples against test samples."""

    question = "Does it matter whether a network is measured on training or on test samples?"
    group = "stability"
    title = "profiles of {model} on training and test samples"
    setting = f"{ALIKE} on as many samples of the training split as of the test split. {STRIPS}"
    shown, combined = choices.WITH_DISTANCE, True
    drawing = {"line_column": "measured_on"}
    claims = (same_profile("same_profile", STATEMENT, Source.ABSTRACT, "on training and on test samples", 0, 1),)

    seeds: int = Field(3, ge=1)

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each split."""
        usual = at.study.samples(at.label)
        for split in SPLITS:
            yield at.line(f"{split} samples", samples=SampleSpec(split=split, count=usual.count, seed=usual.seed))

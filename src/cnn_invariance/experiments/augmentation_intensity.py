"""One network trained with augmentations of rising range, all measured at the full range."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from pydantic import Field

from cnn_invariance.experiments.framework import STRIPS, Line, ProfileExperiment, Source, choices
from cnn_invariance.experiments.framework.panels import MeasuredPanel, Panel, claimed
from cnn_invariance.statistics.evidence import LOG
from cnn_invariance.statistics.lines import trend
from cnn_invariance.statistics.profiles import layer_mean
from cnn_invariance.study.intensity import scaled

FALLS = "NV falls as the range of the augmentation grows."
FULL = "Trained with the full range, a network is more invariant than trained without augmentation."


def steps(panel: MeasuredPanel) -> list[list[float]]:
    """NV (mean over layers) at each share of the range, seed by seed."""
    return [list(map(layer_mean, profiles)) for profiles in panel.by_seed()]


@claimed(
    FALLS, Source.OURS, below=0.0, because="no trend; the order of the steps is tested by Page's test", ordered=steps
)
def monotone(panel: MeasuredPanel) -> Iterator[float]:
    """change of the logarithm of NV (mean over layers) from one share of the range to the next: slope over all."""
    for values in steps(panel):
        yield float(np.polynomial.Polynomial.fit(range(len(values)), np.log(values), 1).convert().coef[1])


@claimed(FULL, Source.ABSTRACT, below=0.95, scale=LOG, because="a twentieth less is seen in a figure", primary=True)
def lower(panel: MeasuredPanel) -> Iterator[float]:
    """NV (mean over layers) of the augmented network, as a share of that of the network without augmentation."""
    return (layer_mean(full) / layer_mean(plain) for plain, *_, full in panel.by_seed())


class AugmentationIntensity(ProfileExperiment):
    """``steps`` equal steps lead from no augmentation to the full range."""

    question = "Does a network become more invariant as the range of its augmentation grows?"
    group = "validation"
    in_overview = (4, "Intensity of augmentation")
    title = "profiles of {model} by intensity of augmentation"
    setting = (
        "The network is trained with the transformation set of the panel over a share of its range, and measured under "
        f"the set at its full range; without augmentation, it is trained for as many epochs as with it. {STRIPS}"
    )
    shown = (choices.HEADLINE, "Goodfellow", "ANOVA", "SV", "TV")
    drawing = {"ordered": True, "line_column": "trained_with"}
    reference = -1
    claims = (lower, monotone)
    further = (trend,)

    steps: int = Field(3, ge=1, le=7)

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each share of the range."""
        for step in range(self.steps + 1):
            share = Fraction(step, self.steps)
            name = "no augmentation" if not share else "full range" if share == 1 else f"{share} of the range"
            augmentation = scaled(at.study.set(at.label), float(share))
            yield at.line(name, at.networks(augmentation=augmentation, epochs_for=at.label))

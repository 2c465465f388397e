"""Experiments on the threshold above which an activation fires, in Goodfellow's measure."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import Source, choices
from cnn_invariance.experiments.framework.claims import UntestableError
from cnn_invariance.experiments.framework.panels import MeasuredPanel, Panel, ProfileClaim
from cnn_invariance.experiments.framework.profile_experiment import ProfileExperiment
from cnn_invariance.experiments.framework.profiles import Line, values
from cnn_invariance.measures.requests import check
from cnn_invariance.statistics.evidence import Rule, jackknife
from cnn_invariance.statistics.profiles import variation
from cnn_invariance.study import Study

USUAL = 0.9
"""The alpha that the extreme one is compared with."""
FIRING = 5
"""How many samples must be expected to fire above a threshold for a rate to be more than counting noise."""

NETWORKS = (
    "An activation fires above its mean + z(alpha) standard deviations, over untransformed samples. The network is "
    "trained with the transformation set it is measured under."
)


class GoodfellowExperiment(ProfileExperiment):
    """Lines for several thresholds; ``alphas``: those shown, in order."""

    group = "validation"
    combined = True

    alphas: tuple[float, ...] = Field((0.5, 0.9, 0.95, 0.99, 0.999), min_length=1)
    measures: None = None
    seeds: int = Field(5, ge=2)

    def check(self, study: Study) -> None:
        """Raise InputError for an alpha that repeats."""
        if len(set(self.alphas)) < len(self.alphas):
            raise InputError(f"each alpha once; received {', '.join(map(str, self.alphas))}")

    def requests(self, study: Study) -> Sequence[str]:
        """The measure of the panels; each line has its own threshold."""
        return ["Goodfellow"]

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line of Goodfellow's measure for each threshold."""
        return self.thresholds(at, "Goodfellow")

    def thresholds(self, at: Panel, name: str) -> Iterator[Line]:
        """A line of a measure for each threshold."""
        for alpha in self.alphas:
            yield at.line(f"alpha = {alpha:g}", measure=choices.measure(at.study, request(name, alpha)))


def unstable(name: str, subject: str, rate: str) -> ProfileClaim:
    """The claim that a rate varies more from seed to seed at the extreme alpha than at the usual one."""
    words = (
        f"log2 of the coefficient of variation of {rate} over seeds (mean over layers) at the largest alpha at which "
        f"{FIRING} of the samples are expected to fire, less that at {USUAL:g} (jackknife over seeds)"
    )

    def ratio(panel: MeasuredPanel) -> list[float]:
        cells = panel.line(0).cells
        if check(str(panel.line(0).measure)).name != rate:  # the same networks stand in another panel
            return []
        both = [extreme(panel, rate), request(rate, USUAL)]
        if missing := [measure for measure in both if measure not in cells[0].measures]:
            raise UntestableError(f"not measured: {', '.join(missing)}")
        seeds = zip(*(values(panel.results, cells, measure) for measure in both), strict=True)

        def gain(seeds: Sequence[np.ndarray]) -> float:
            above, below = (variation(list(one)) for one in zip(*seeds, strict=True))
            return math.log2(above / below) if above > 0 and below > 0 else math.nan

        return jackknife(gain, list(map(np.array, seeds)))

    rule, because = Rule("above", math.log2(1.5)), "half as much again; the null is 0"
    return ProfileClaim(
        name, f"{subject} is unstable at extreme alpha.", words, rule, Source.OURS, because, True, of=ratio
    )


def extreme(panel: MeasuredPanel, rate: str) -> str:
    """A rate at the largest alpha shown at which enough samples are expected to fire (UntestableError if none is)."""
    count = panel.lines[0].cells[0].samples.count
    alphas = [dict(check(str(line.measure)).options)["alpha"] for line in panel.lines]
    enough = [float(alpha) for alpha in alphas if count is None or round(count * (1 - float(alpha)), 9) >= FIRING]
    if not (found := max(enough, default=0.0)) > USUAL:
        raise UntestableError(f"of {count} samples fewer than {FIRING} are expected to fire above alpha {USUAL:g}")
    return request(rate, found)


def request(name: str, alpha: float) -> str:
    """A measure at a threshold, as results name it.

    >>> request("Goodfellow", 0.9), request("Goodfellow_G", 0.99)
    ('Goodfellow[alpha=0.9]', 'Goodfellow_G')
    """
    return str(check(f"{name}[alpha={alpha}]"))

"""Experiments on the threshold above which an activation fires, in Goodfellow's measure."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.claims import Claim, Finding
from cnn_invariance.experiments.framework.profile_experiment import Panel, ProfileExperiment
from cnn_invariance.experiments.framework.profiles import Line, values
from cnn_invariance.measures.requests import check
from cnn_invariance.statistics.intervals import over, quotient, unknown
from cnn_invariance.statistics.profiles import variation
from cnn_invariance.study import MeasureSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.results import Results

USUAL, EXTREME = 0.9, 0.999
"""The two alphas that the claims compare."""

NETWORKS = (
    "An activation fires above its mean + z(alpha) standard deviations, over untransformed samples. The network is "
    "trained with the transformation set it is measured under."
)


class GoodfellowExperiment(ProfileExperiment):
    """Lines for several thresholds; ``alphas``: those shown, in order.

    rate:     the measure that the claim is about, whose id and subject are ``claim`` and ``subject``
    """

    group = "validation"
    combined = True
    rate: ClassVar[str]
    claim: ClassVar[str]
    subject: ClassVar[str]

    alphas: tuple[float, ...] = Field((0.5, 0.9, 0.95, 0.99, 0.999), min_length=1)
    measures: None = None
    seeds: int = Field(3, ge=2)

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

    @property
    def claims(self) -> tuple[Claim, ...]:
        """That the rate varies more from seed to seed at the extreme alpha than at the usual one."""
        statistic = (
            f"coefficient of variation of {self.rate} over seeds (mean over layers) at alpha = {EXTREME:g}, divided by "
            f"the same at {USUAL:g}"
        )
        return (Claim(self.claim, f"{self.subject} is unstable at extreme alpha.", statistic, "above", 1.5),)

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset, over the sets."""
        (plan,), (claim,) = self.plans(study), self.claims
        measures = [request(self.rate, alpha) for alpha in (EXTREME, USUAL)]
        missing = [measure for measure in measures if measure not in study.measures]
        for dataset, panels in plan.lines.items():
            if missing:
                reason = f"not measured: {', '.join(missing)}"
                yield Finding(claim, (dataset,), unknown("no pair of alphas"), plan.cells(dataset), reason=reason)
                continue
            networks = dict.fromkeys(tuple(line.cells) for panel in panels.values() for line in panel)
            ratios = (_ratio(results, cells, measures) for cells in networks)
            yield Finding(claim, (dataset,), over(ratios, "sets"), plan.cells(dataset))


def request(name: str, alpha: float) -> str:
    """A measure at a threshold, as results name it.

    >>> request("Goodfellow", 0.9), request("Goodfellow_G", 0.99)
    ('Goodfellow[alpha=0.9]', 'Goodfellow_G')
    """
    return str(check(f"{name}[alpha={alpha}]"))


def _ratio(results: "Results", cells: Sequence[MeasureSpec], measures: Sequence[str]) -> float:
    return quotient(*(variation(values(results, cells, measure)) for measure in measures))

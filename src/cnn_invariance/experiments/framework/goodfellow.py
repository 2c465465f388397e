"""Experiments on the threshold above which an activation fires, in Goodfellow's measure."""

from collections.abc import Iterator, Sequence

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import Source, choices
from cnn_invariance.experiments.framework.claims import UntestableError
from cnn_invariance.experiments.framework.panels import MeasuredPanel, Panel, ProfileClaim
from cnn_invariance.experiments.framework.profile_experiment import ProfileExperiment
from cnn_invariance.experiments.framework.profiles import Line, values
from cnn_invariance.measures.requests import check
from cnn_invariance.statistics.intervals import ANY, quotient
from cnn_invariance.statistics.profiles import variation
from cnn_invariance.study import Study

USUAL, EXTREME = 0.9, 0.999
"""The two alphas that the claims compare."""

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


def unstable(name: str, subject: str, rate: str) -> ProfileClaim:
    """The claim that a rate varies more from seed to seed at the extreme alpha than at the usual one."""
    both = [request(rate, alpha) for alpha in (EXTREME, USUAL)]
    words = (
        f"coefficient of variation of {rate} over seeds (mean over layers) at alpha = {EXTREME:g}, divided by the same "
        f"at {USUAL:g}"
    )

    def ratio(panel: MeasuredPanel) -> list[float]:
        cells = panel.line(0).cells
        if missing := [measure for measure in both if measure not in cells[0].measures]:
            raise UntestableError(f"not measured: {', '.join(missing)}", "no pair of alphas")
        if check(str(panel.line(0).measure)).name != rate:  # the same networks stand in another panel
            return []
        return [quotient(*(variation(values(panel.results, cells, measure)) for measure in both))]

    return ProfileClaim(
        name, f"{subject} is unstable at extreme alpha.", words, "above", 1.5, Source.OURS, ratio, "sets", ANY
    )


def request(name: str, alpha: float) -> str:
    """A measure at a threshold, as results name it.

    >>> request("Goodfellow", 0.9), request("Goodfellow_G", 0.99)
    ('Goodfellow[alpha=0.9]', 'Goodfellow_G')
    """
    return str(check(f"{name}[alpha={alpha}]"))

"""The profiles of untrained networks, beside that of a trained one."""

from collections.abc import Iterator

from pydantic import Field

from cnn_invariance.experiments.framework import (
    STRIPS,
    Line,
    MeasuredPanel,
    Panel,
    ProfileExperiment,
    Source,
    apart,
    choices,
    claimed,
)
from cnn_invariance.experiments.framework.panels import MARGIN, TENTH
from cnn_invariance.statistics.evidence import LOG
from cnn_invariance.statistics.profiles import difference

AS_TRAINED = "The structure does not depend on the training: untrained networks have that of trained ones."
OWN = "Untrained networks have a structure of their own, other than trained ones."


@claimed("Untrained networks have a stable structure.", Source.OURS, below=MARGIN, because=TENTH)
def stable(panel: MeasuredPanel) -> list[float]:
    """relative difference of the NV profiles of two untrained networks, mean over all pairs (jackknife over seeds)."""
    return apart(panel)


def before_and_after(panel: MeasuredPanel) -> list[float]:
    """The difference of the NV profiles of each network before and after its training."""
    trained = dict(zip((cell.network.seed for cell in panel.lines[1].cells), panel.profiles(1), strict=True))
    untrained = zip((cell.network.seed for cell in panel.lines[0].cells), panel.profiles(0), strict=True)
    return [difference(profile, trained[seed]) for seed, profile in untrained if seed in trained]


@claimed(AS_TRAINED, Source.ABSTRACT, below=MARGIN, scale=LOG, because=TENTH, primary=True)
def as_trained(panel: MeasuredPanel) -> list[float]:
    """relative difference of the NV profiles of a network before and after its training."""
    return before_and_after(panel)


@claimed(OWN, Source.OURS, above=MARGIN, scale=LOG, because=TENTH)
def own_structure(panel: MeasuredPanel) -> list[float]:
    """relative difference of the NV profiles of a network before and after its training."""
    return before_and_after(panel)


class RandomWeights(ProfileExperiment):
    """``networks``: how many untrained ones; ``seeds``: how many of them are trained."""

    question = "What structure does a network have before it is trained?"
    group = "stability"
    title = "profiles of {model} before training"
    setting = (
        "Untrained networks, whose weights are random, and the same networks after their training with the set of "
        f"the panel as augmentation; all are measured under the set. {STRIPS}"
    )
    drawing = {"line_column": "networks"}
    reference = 1
    claims = (as_trained, stable, own_structure)

    networks: int = Field(10, ge=2, le=1000)
    seeds: int = Field(5, ge=1)

    def panel(self, at: Panel) -> Iterator[Line]:
        """The untrained networks, and the trained one."""
        own = choices.seeds(at.study, min(self.networks, len(at.study.seeds)))
        more = range(max(own) + 1, max(own) + 1 + self.networks - len(own))  # of seeds that the preset does not have
        untrained = at.networks([*own, *more], augmentation=None, epochs=0)
        yield at.line(f"{self.networks} untrained networks", untrained)
        yield at.line("trained networks" if self.seeds > 1 else "trained network")

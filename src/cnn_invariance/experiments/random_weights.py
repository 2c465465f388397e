"""The profiles of untrained networks, beside that of a trained one."""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from cnn_invariance.experiments.framework import STRIPS, Line, ProfileExperiment, Source
from cnn_invariance.experiments.framework.panels import MeasuredPanel, Panel, apart, claimed
from cnn_invariance.statistics.profiles import difference

AS_TRAINED = "The structure does not depend on the training: untrained networks have that of trained ones."
OWN = "Untrained networks have a structure of their own, other than trained ones."


@claimed("Untrained networks have a stable structure.", Source.OURS, below=0.1, over="sets")
def stable(panel: MeasuredPanel) -> list[float]:
    """relative difference of the NV profiles of two untrained networks, mean over all pairs."""
    return apart(panel)  # the same networks stand under each set


@claimed(AS_TRAINED, Source.ABSTRACT, below=0.1, over="sets")
def as_trained(panel: MeasuredPanel) -> list[float]:
    """relative difference of the untrained networks' mean NV profile and the trained network's."""
    return [difference(np.mean(panel.profiles(0), axis=0), panel.profiles(1)[0])]


@claimed(OWN, Source.OURS, above=0.1, over="sets")
def own_structure(panel: MeasuredPanel) -> list[float]:
    """relative difference of the untrained networks' mean NV profile and the trained network's."""
    return list(as_trained.of(panel))


class RandomWeights(ProfileExperiment):
    """``networks``: how many untrained ones, from seeds 0, 1, 2, ...; ``seeds``: how many trained ones."""

    question = "What structure does a network have before it is trained?"
    group = "stability"
    title = "profiles of {model} before training"
    setting = (
        "Untrained networks, whose weights are random, and one network that was trained with the transformation set of "
        f"the panel as augmentation; all measured under the set. {STRIPS}"
    )
    drawing = {"line_column": "networks"}
    reference = 1
    claims = (as_trained, stable, own_structure)

    networks: int = Field(10, ge=2)

    def panel(self, at: Panel) -> Iterator[Line]:
        """The untrained networks, and the trained one."""
        untrained = at.networks(range(self.networks), augmentation=None, epochs=0)
        yield at.line(f"{self.networks} untrained networks", untrained)
        yield at.line("trained network")

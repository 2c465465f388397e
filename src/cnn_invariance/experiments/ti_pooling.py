"""A network that is invariant by design, trained plain, against one that has learnt it from augmented data."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import Line, MeasuredPanel, Panel, ProfileExperiment, Source, claimed
from cnn_invariance.statistics.profiles import layer_mean
from cnn_invariance.study import Study
from cnn_invariance.transformations import sets
from cnn_invariance.transformations.affine import AffineSet

if TYPE_CHECKING:
    import pandas as pd


@claimed("TI-pooling is invariant after the pooling over transformations.", Source.ABSTRACT, below=0.5)
def invariant_after(panel: MeasuredPanel) -> Iterator[float]:
    """NV of TI-pooling's layers from the pooling over transformations on, divided by that of those before."""
    for design in panel.tables(0):
        pooled = _first(design, "PathMaxPool")
        yield layer_mean(design["value"][pooled:]) / layer_mean(design["value"][:pooled])


@claimed("Invariance by design is stronger than invariance by data.", Source.OURS, below=1)
def more_than_data(panel: MeasuredPanel) -> Iterator[float]:
    """NV of TI-pooling's layers from the pooling over transformations on, divided by that of the augmented network's
    layers after its flattening.
    """
    for design, data in zip(panel.tables(0), panel.tables(1), strict=True):
        invariant = layer_mean(design["value"][_first(design, "PathMaxPool") :])
        yield invariant / layer_mean(data["value"][_first(data, "Flatten") + 1 :])


def _first(profile: "pd.DataFrame", kind: str) -> int:
    """The position of the first layer of a kind; behind the last layer, if there is none."""
    return [*profile["kind"], kind].index(kind)


class TIPooling(ProfileExperiment):
    """``ti_model``: the label of a TIPoolingSimpleConv."""

    question = "Is invariance by design another than invariance by data?"
    group = "characterisation"
    title = "profiles of {ti_model} and of {model} trained with augmentation"
    setting = (
        "TI-pooling takes the maximum over the transformations of the set of the panel, and is trained without "
        "augmentation; its layers before the pooling are averaged over the transformed paths. Its flattening is left "
        "out, so that its pooling lies on the flattening of the other network, which is trained with the set. Both are "
        "measured under the set. The strips show the kinds of each network's layers."
    )
    claims = (invariant_after, more_than_data)

    ti_model: str = "TIPooling"

    def compared(self, study: Study) -> Sequence[str]:
        """The augmented model, and TI-pooling."""
        return (self.model, self.ti_model)

    def panel(self, at: Panel) -> Iterator[Line]:
        """TI-pooling over the set, trained plain; and the network trained with the set."""
        spec = at.study.set(at.label)
        if not isinstance(spec.build(), AffineSet):
            raise InputError(f"TI-pooling needs an affine transformation set; {at.label!r} has other members")
        over_set = {"transformations": sets.text_of(spec.name, spec.parameters)}
        by_design = at.networks(model=self.ti_model, augmentation=None, arguments=over_set, epochs_for=at.label)
        yield at.line("TI-pooling, trained plain", by_design, without="Flatten")
        yield at.line(f"{self.model}, augmented")

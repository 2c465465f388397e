"""A network that is invariant by design, trained plain, against one that has learnt it from augmented data."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import Line, MeasuredPanel, Panel, ProfileExperiment, Source, claimed
from cnn_invariance.statistics.evidence import LOG
from cnn_invariance.statistics.profiles import layer_mean
from cnn_invariance.study import Study
from cnn_invariance.transformations import sets
from cnn_invariance.transformations.affine import AffineSet

AFTER = "Over a set that is closed under composition, TI-pooling is invariant after its pooling."
MORE = "Over such a set, invariance by design is stronger than invariance by data."

if TYPE_CHECKING:
    import pandas as pd


@claimed(AFTER, Source.ABSTRACT, below=0.5, scale=LOG, because="half of what enters the pooling", primary=True)
def invariant_after(panel: MeasuredPanel) -> Iterator[float]:
    """NV of TI-pooling's layers from the pooling over transformations on, divided by that of those before."""
    for design in panel.tables(0) if closed(panel) else ():
        pooled = _first(design, "PathMaxPool")
        yield layer_mean(design["value"][pooled:]) / layer_mean(design["value"][:pooled])


@claimed(MORE, Source.OURS, below=1, scale=LOG, because="no difference")
def more_than_data(panel: MeasuredPanel) -> Iterator[float]:
    """NV of the dense layers of TI-pooling, divided by that of the same layers of the augmented network."""
    for design, data in zip(panel.tables(0), panel.tables(1), strict=True) if closed(panel) else ():
        dense = [table["value"][_first(table, "Linear") :] for table in (design, data)]
        yield layer_mean(dense[0]) / layer_mean(dense[1])


def closed(panel: MeasuredPanel) -> bool:
    """Whether the set holds every product of two of its members: for others, the maximum is not invariant."""
    spec = panel.lines[0].cells[0].transformations
    built = spec.build() if spec.undoable else None
    return isinstance(built, AffineSet) and built.closed_under_composition


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
        if not spec.undoable:
            raise InputError(f"TI-pooling needs an affine transformation set; {at.label!r} has other members")
        over_set = {"transformations": sets.text_of(spec.name, spec.parameters)}
        by_design = at.networks(model=self.ti_model, augmentation=None, arguments=over_set, epochs_for=at.label)
        yield at.line("TI-pooling, trained plain", by_design, without="Flatten")
        yield at.line(f"{self.model}, augmented")

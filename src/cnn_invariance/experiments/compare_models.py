"""The layer profiles of different designs, side by side by relative depth."""

from collections.abc import Iterator, Sequence

from cnn_invariance.experiments.framework import Line, Panel, ProfilesOfModels, choices
from cnn_invariance.study import Study


class CompareModels(ProfilesOfModels):
    """``models``: labels of the preset (None: all)."""

    question = "Which network is more invariant, and at which depth?"
    group = "characterisation"
    overview_row = (1, "Designs")
    title = "profiles of different networks"
    setting = (
        "Each network is trained with the transformation set of the panel as augmentation, and measured under the same "
        "set. Layers by relative depth: the first at 0 %, the last at 100 %. The strips show the kinds of each "
        "network's layers."
    )
    drawing = {"axis": "depth"}

    models: choices.Labels = None

    def compared(self, study: Study) -> Sequence[str]:
        """The models chosen."""
        return choices.choose("model", self.models, study.models)

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each model."""
        return (at.line(model, at.networks(model=model)) for model in self.compared(at.study))

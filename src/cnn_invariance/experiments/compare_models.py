"""The layer profiles of different designs, side by side by relative depth."""

from collections.abc import Iterator

from cnn_invariance.experiments.framework import ALIKE, DEPTH, Line, Models, Panel, ProfilesOfModels


class CompareModels(ProfilesOfModels, Models):
    """``models``: labels of the preset (None: all)."""

    question = "Which network is more invariant, and at which depth?"
    group = "characterisation"
    in_overview = (1, "Designs")
    title = "profiles of different networks"
    setting = f"{ALIKE}. {DEPTH} The strips show the kinds of each network's layers."
    drawing = {"axis": "depth", "family": "network"}

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each model."""
        return (at.line(model, at.networks(model=model)) for model in self.compared(at.study))

"""Networks trained with one kind of transformations, measured under another."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import FurtherTable, Line, MeasuredPanel, Panel, ProfileExperiment, claim
from cnn_invariance.statistics.intervals import mean, quotient
from cnn_invariance.statistics.profiles import layer_mean
from cnn_invariance.study import Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Series


def _own_share(panel: MeasuredPanel) -> Iterator[float]:
    """The line of the panel's own set stands at the panel's place."""
    for profiles in panel.by_seed():
        means = [layer_mean(profile) for profile in profiles]
        others = mean(value for place, value in enumerate(means) if place != panel.place)
        yield quotient(means[panel.place], others)


def _matrix(measure: str, panels: Mapping[str, Sequence["Series"]]) -> Iterator[dict[str, object]]:
    """A row for each network, with a column for each measured set."""
    for row, network in enumerate(next(iter(panels.values()))):
        means = {name: lines[row].mean() for name, lines in panels.items()}
        yield {"measure": measure, "network": network.label, **means}


class TransformationDiversity(ProfileExperiment):
    """``transformation_sets``: two at least; networks are trained with each, and measured under all of them."""

    question = "Is a network trained with one kind of transformations invariant to another?"
    group = "stability"
    title = "profiles of {model} trained with one set and measured under another"
    setting = (
        "Each network is trained with one transformation set as augmentation, and measured under each set, that of the "
        "panel. The strips show the kinds of layers."
    )
    drawing = {"panel_column": "measured"}
    tests = (
        claim(
            "specific",
            "Invariance is specific: a network is more invariant to what it was trained with than others are.",
            "NV (mean over layers) of the network trained with the measured set, as a share of the others' mean",
            _own_share,
            below=0.95,
            over="measured sets and seeds",
        ),
    )
    further = (
        FurtherTable(
            "matrix",
            "Mean over layers (and seeds) of networks trained with the set of the row, measured under that of the "
            "column.",
            _matrix,
        ),
    )

    def check(self, study: Study) -> None:
        """Raise InputError for one set alone."""
        if len(sets := self.sets(study)) < 2:
            raise InputError(f"networks are measured under another set: two are needed; received {', '.join(sets)}")

    def panels(self, study: Study, dataset: str) -> Mapping[str, Sequence[Line]]:
        """A panel for each set that is measured, with a line for each set that is trained with."""
        sets = self.sets(study)
        return {
            f"under {at.label}": [at.line(f"trained with {one}", at.networks(augmentation=one)) for one in sets]
            for at in (Panel(study, self, dataset, label) for label in sets)
        }

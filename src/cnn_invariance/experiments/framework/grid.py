"""Experiments on a grid of datasets, models and transformation sets."""

from collections.abc import Sequence
from typing import NamedTuple

from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.experiment import Experiment
from cnn_invariance.study import Study


class Grid(NamedTuple):
    """Labels of a preset, in order."""

    datasets: Sequence[str]
    models: Sequence[str]
    sets: Sequence[str]


class GridExperiment(Experiment):
    """Datasets, models and transformation sets by their labels in the preset (None: all of them)."""

    datasets: choices.Labels = None
    models: choices.Labels = None
    transformation_sets: choices.Labels = None

    def grid(self, study: Study) -> Grid:
        """The datasets, models and sets chosen, in the order given.

        Errors: InputError for a label that the preset does not have, a repeated one, or none.
        """
        return Grid(
            choices.choose("dataset", self.datasets, study.datasets),
            choices.choose("model", self.models, study.models),
            choices.choose("transformation set", self.transformation_sets, study.sets),
        )


class OneModelExperiment(Experiment):
    """One model, on datasets and under transformation sets by their labels in the preset (None: see the experiment)."""

    model: str = "SimpleConv"
    datasets: choices.Labels = None
    transformation_sets: choices.Labels = None

    def places(self, study: Study, *, combined: bool) -> list[tuple[str, str]]:
        """Each dataset with each set, checked; ``combined``: by default the set "combined", too."""
        choices.choose("model", (self.model,), study.models)
        datasets = choices.choose("dataset", self.datasets, study.datasets)
        if combined:
            sets = choices.choose("transformation set", self.transformation_sets, study.sets)
        else:
            sets = choices.simple_sets(study, self.transformation_sets)
        return [(dataset, label) for dataset in datasets for label in sets]

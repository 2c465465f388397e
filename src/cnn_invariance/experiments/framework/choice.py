"""Experiments that choose datasets, models and transformation sets among those of a preset."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.experiment import Experiment
from cnn_invariance.study import Study


class Grid(NamedTuple):
    """Labels of a preset, in order."""

    datasets: Sequence[str]
    models: Sequence[str]
    sets: Sequence[str]


class Choice(Experiment):
    """Datasets and transformation sets by their labels in the preset (None: all; of sets, see ``combined``).

    combined: whether the set "combined" is chosen where the option ``transformation_sets`` names none
    """

    combined: ClassVar[bool] = False

    datasets: choices.Labels = None
    transformation_sets: choices.Labels = None

    @abstractmethod
    def compared(self, study: Study) -> Sequence[str]:
        """The labels of the models."""

    def on(self, study: Study) -> Sequence[str]:
        """The labels of the datasets chosen, checked."""
        return choices.choose("dataset", self.datasets, study.datasets)

    def sets(self, study: Study) -> Sequence[str]:
        """The labels of the sets chosen, checked."""
        usual = [label for label in study.sets if self.combined or study.set(label).name != "combined"]
        chosen = usual if self.transformation_sets is None else self.transformation_sets
        return choices.choose("transformation set", chosen, study.sets)

    def grid(self, study: Study) -> Grid:
        """The datasets, models and sets chosen, in the order given.

        Errors: InputError for a label that the preset does not have, a repeated one, or none.
        """
        models = choices.choose("model", self.compared(study), study.models)
        return Grid(self.on(study), models, self.sets(study))

    def places(self, study: Study) -> list[tuple[str, str]]:
        """Each dataset with each set, checked."""
        datasets, _, sets = self.grid(study)
        return [(dataset, label) for dataset in datasets for label in sets]


class OneModel(Choice):
    """One model, whose label in the preset is the field ``model``."""

    model: str = "SimpleConv"

    def compared(self, study: Study) -> Sequence[str]:
        """The model."""
        return (self.model,)


class Models(Choice):
    """``models``: labels of the preset (None: all)."""

    models: choices.Labels = None

    def compared(self, study: Study) -> Sequence[str]:
        """The models chosen."""
        return choices.choose("model", self.models, study.models)

"""The layer profiles of different designs, side by side by relative depth."""

from typing import TYPE_CHECKING

from pydantic import Field

from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, of_plan
from cnn_invariance.study import Study

if TYPE_CHECKING:
    pass

QUESTION = "Which network is more invariant, and at which depth?"

SETTING = (
    "Each network is trained with the transformation set of the panel as augmentation, and measured "
    "under the same set. Layers by relative depth: the first at 0 %, "
    "the last at 100 %. The strips show the kinds of each network's layers."
)


class Options(choices.Choice):
    """``measures``: whose profiles; ``seeds``: how many of the preset's seeds (several: a band)."""

    measures: choices.Labels = None
    seeds: int = Field(1, ge=1)


def profile_plan(study: Study, options: Options) -> ProfilePlan:
    """The lines of its figures; the overview shows some of them, too."""
    datasets, models, _ = options.of(study)
    sets = choices.simple_sets(study, options.transformation_sets)
    return ProfilePlan(
        experiment="compare_models",
        title="profiles of different networks",
        question=QUESTION,
        setting=SETTING,
        measures=choices.measures(study, options.measures),
        lines={
            dataset: {label: [_line(study, options, dataset, label, model) for model in models] for label in sets}
            for dataset in datasets
        },
        axis="depth",
    )


def _line(study: Study, options: Options, dataset: str, label: str, model: str) -> Line:
    networks = (
        study.network(dataset=dataset, model=model, augmentation=label, seed=seed)
        for seed in choices.seeds(study, options.seeds)
    )
    return Line(model, [study.measurement(network, label) for network in networks])


cells, outputs, draw = of_plan(profile_plan)

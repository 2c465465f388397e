"""How a measure is spread inside the layers of a network, trained plain and augmented."""

from typing import TYPE_CHECKING

import numpy as np

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import captions, choices
from cnn_invariance.measures import requests as measure_names
from cnn_invariance.study import Cell, Closed, MeasureSpec, Outputs, Study

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results

QUESTION = "How is invariance spread inside a layer?"

SETTING = (
    "One column for each layer, one cell for each feature map (in layers without maps, for each unit), "
    "sorted by its {measure}, the smallest at the bottom. {meaning} "
    "Left: trained without augmentation; right: trained with the set; both measured under the set, on "
    "one colour scale. The strips show the kinds of layers."
)


class Options(Closed):
    """``measure`` must be one that results keep for feature maps; one seed, the preset's first."""

    model: str = "SimpleConv"
    datasets: choices.Labels = None
    transformation_sets: choices.Labels = None
    measure: str = choices.HEADLINE


def cells(study: Study, options: Options) -> list[Cell]:
    """The network trained plain and with each set, both measured under the set."""
    measure = choices.measure(study, options.measure)
    if measure not in measure_names.HEADLINE:
        kept = ", ".join(measure_names.HEADLINE)
        raise InputError(f"results keep no values of feature maps for {measure}; a heatmap can show: {kept}")
    found = [cell for dataset, label in _places(study, options) for cell in _pair(study, options, dataset, label)]
    choices.check_held(measure, found)
    return list(found)


def outputs(study: Study, options: Options) -> Outputs:
    """A heatmap for each dataset and set."""
    return Outputs([f"heatmap_{dataset}_{label}" for dataset, label in _places(study, options)])


def draw(study: Study, options: Options, results: "Results", canvas: "Canvas") -> None:
    """Draw the heatmaps."""
    from cnn_invariance.plotting import heatmap_figure

    measure = choices.measure(study, options.measure)
    for dataset, label in _places(study, options):
        pair = _pair(study, options, dataset, label)
        plain, augmented = (results.measure(cell).maps(measure) for cell in pair)
        panels = {"trained without augmentation": plain, f"trained with {label}": augmented}
        text = captions.caption(
            study,
            "heatmap",
            pair,
            title=f"{choices.label(measure)} of the feature maps of {options.model}, {dataset}, {label}",
            question=QUESTION,
            setting=SETTING.format(measure=choices.label(measure), meaning=captions.of_measure(measure)),
            counts=_counted([plain, augmented]),
        )
        canvas.figure(f"heatmap_{dataset}_{label}", heatmap_figure(panels, label=choices.label(measure)), text)


def _places(study: Study, options: Options) -> list[tuple[str, str]]:
    """Datasets and sets, checked."""
    choices.choose("model", (options.model,), study.models)
    datasets = choices.choose("dataset", options.datasets, study.datasets)
    sets = choices.simple_sets(study, options.transformation_sets)
    return [(dataset, label) for dataset in datasets for label in sets]


def _pair(study: Study, options: Options, dataset: str, label: str) -> list[MeasureSpec]:
    networks = (
        study.network(dataset=dataset, model=options.model, augmentation=augmentation) for augmentation in (None, label)
    )
    return [study.measurement(network, label) for network in networks]


def _counted(tables: list["pd.DataFrame"]) -> str:
    """How many maps have no finite value."""
    values = np.concatenate([table["value"].to_numpy(dtype=float) for table in tables])
    infinite, undefined = int(np.isinf(values).sum()), int(np.isnan(values).sum())
    if not infinite + undefined:
        return f"None of the {values.size:,} maps is infinite or undefined."
    return f"Of {values.size:,} maps, {infinite:,} are infinite and {undefined:,} undefined (hatched)."

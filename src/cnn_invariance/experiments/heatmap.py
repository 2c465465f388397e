"""How a measure is spread inside the layers of a network, trained plain and augmented."""

from typing import TYPE_CHECKING

import numpy as np

from cnn_invariance.experiments.framework import OneModelExperiment, Outputs, captions, choices
from cnn_invariance.study import Cell, MeasureSpec, Study

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results

SETTING = (
    "One column for each layer, one cell for each feature map (in layers without maps, for each unit), sorted by its "
    "{measure}, the smallest at the bottom. {meaning} Left: trained without augmentation; right: trained with the set; "
    "both measured under the set, on one colour scale. The strips show the kinds of layers."
)


class Heatmap(OneModelExperiment):
    """``measure`` must be one that results keep for feature maps; of one seed, the preset's first."""

    question = "How is invariance spread inside a layer?"
    group = "characterisation"

    measure: str = choices.HEADLINE

    def cells(self, study: Study) -> list[Cell]:
        """The network trained plain and with each set, both measured under the set."""
        measure = choices.kept_for_maps(study, self.measure)
        found = [cell for place in self.places(study, combined=False) for cell in self._pair(study, *place)]
        choices.check_held(measure, found)
        return list(found)

    def outputs(self, study: Study) -> Outputs:
        """A heatmap for each dataset and set."""
        places = self.places(study, combined=False)
        return Outputs([f"{self.name}_{dataset}_{label}" for dataset, label in places])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the heatmaps."""
        from cnn_invariance.plotting import heatmap_figure

        measure = choices.measure(study, self.measure)
        name = choices.label(measure)
        for dataset, label in self.places(study, combined=False):
            pair = self._pair(study, dataset, label)
            plain, augmented = (results.measure(cell).maps(measure) for cell in pair)
            caption = captions.caption(
                study,
                self.name,
                pair,
                title=f"{name} of the feature maps of {self.model}, {dataset}, {label}",
                question=self.question,
                setting=SETTING.format(measure=name, meaning=captions.measure_in_words(measure)),
                counts=_counted([plain, augmented]),
            )
            panels = {"trained without augmentation": plain, f"trained with {label}": augmented}
            canvas.figure(f"{self.name}_{dataset}_{label}", heatmap_figure(panels, label=name), caption)

    def _pair(self, study: Study, dataset: str, label: str) -> list[MeasureSpec]:
        networks = (study.network(dataset=dataset, model=self.model, augmentation=one) for one in (None, label))
        return [study.measurement(network, label) for network in networks]


def _counted(tables: list["pd.DataFrame"]) -> str:
    """How many maps have no finite value."""
    values = np.concatenate([table["value"].to_numpy(dtype=float) for table in tables])
    infinite, undefined = int(np.isinf(values).sum()), int(np.isnan(values).sum())
    if not infinite + undefined:
        return f"None of the {values.size:,} maps is infinite or undefined."
    return f"Of {values.size:,} maps, {infinite:,} are infinite and {undefined:,} undefined (hatched)."

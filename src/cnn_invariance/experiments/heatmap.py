"""How a measure is spread inside the layers of a network, trained plain and augmented."""

from typing import TYPE_CHECKING

import numpy as np

from cnn_invariance.experiments.framework import OneModel, Outputs, captions, choices
from cnn_invariance.statistics.lines import counted_maps
from cnn_invariance.study import Cell, MeasureSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results


class Heatmap(OneModel):
    """``measure`` must be one that results keep for feature maps; of one seed, the preset's first."""

    question = "How is invariance spread inside a layer?"
    group = "characterisation"
    setting = (
        "One column for each layer, one cell for each feature map (in layers without maps, for each unit), sorted by "
        "its {measure}, the smallest at the bottom. {meaning} Left: trained without augmentation; right: trained with "
        "the set; both measured under the set, on one colour scale. The strips show the kinds of layers."
    )

    measure: str = choices.HEADLINE

    def cells(self, study: Study) -> list[Cell]:
        """The network trained plain and with each set, both measured under the set."""
        measure = choices.kept_for_maps(study, self.measure)
        found = [cell for place in self.places(study) for cell in self._pair(study, *place)]
        choices.check_held(measure, found)
        return list(found)

    def outputs(self, study: Study) -> Outputs:
        """A heatmap for each dataset and set."""
        return Outputs([f"{self.name}_{dataset}_{label}" for dataset, label in self.places(study)])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the heatmaps."""
        from cnn_invariance.plotting import heatmap_figure

        measure = choices.measure(study, self.measure)
        name = choices.label(measure)
        for dataset, label in self.places(study):
            pair = self._pair(study, dataset, label)
            plain, augmented = (results.measure(cell).maps(measure) for cell in pair)
            figure = heatmap_figure(
                {"trained without augmentation": plain, f"trained with {label}": augmented}, label=name
            )
            caption = captions.caption(
                study,
                self.name,
                pair,
                title=f"{name} of the feature maps of {self.model}, {dataset}, {label}",
                question=self.question,
                setting=self.setting.format(measure=name, meaning=captions.measure_in_words(measure)),
                counts=counted_maps(np.concatenate([plain["value"], augmented["value"]])),
            )
            canvas.figure(f"{self.name}_{dataset}_{label}", figure, caption)

    def _pair(self, study: Study, dataset: str, label: str) -> list[MeasureSpec]:
        networks = (study.network(dataset=dataset, model=self.model, augmentation=one) for one in (None, label))
        return [study.measurement(network, label) for network in networks]

"""How a measure is spread inside the layers of a network, trained plain and augmented."""

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnn_invariance.experiments.framework import Models, Outputs, captions, choices
from cnn_invariance.experiments.framework.profiles import slug
from cnn_invariance.measures.requests import KEPT_FOR_MAPS, QUOTIENTS, check
from cnn_invariance.statistics.lines import counted_maps
from cnn_invariance.study import Cell, MeasureSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results


class One(NamedTuple):
    """One heatmap: of the network trained plain and of that trained with the set, by one measure."""

    dataset: str
    model: str
    label: str
    measure: str
    pair: list[MeasureSpec]

    @property
    def figure(self) -> str:
        """What its name ends with."""
        return "_".join([self.dataset, self.model, self.label, slug(self.measure)])


class Heatmap(Models):
    """``measures``: those that results keep for feature maps; of one seed, the preset's first."""

    question = "How is invariance spread inside a layer?"
    group = "characterisation"
    setting = (
        "One column for each layer, one cell for each feature map (of a measure of units: their mean) or each unit of "
        "a layer without maps: above in the order of the maps, the first at the bottom; below sorted by the "
        "{measure}, the smallest at the bottom. "
        "{meaning} Left: trained without augmentation; right: trained with the set; both measured under the set, on "
        "one colour scale. The strips show the kinds of layers."
    )

    measures: choices.Labels = None

    def cells(self, study: Study) -> list[Cell]:
        """Each network trained plain and with each set, both measured under the set."""
        return list(dict.fromkeys(cell for one in self._all(study) for cell in one.pair))

    def outputs(self, study: Study) -> Outputs:
        """A heatmap for each dataset, network, set and measure."""
        return Outputs([f"{self.name}_{one.figure}" for one in self._all(study)])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the heatmaps."""
        from cnn_invariance.plotting import heatmap_figure

        for one in self._all(study):
            name = choices.label(one.measure)
            plain, augmented = (results.measure(cell).maps(one.measure) for cell in one.pair)
            panels = {"trained without augmentation": plain, f"trained with {one.label}": augmented}
            caption = captions.caption(
                study,
                self.name,
                one.pair,
                title=f"{name}, {one.model}, {one.dataset}, {one.label}",
                question=self.question,
                setting=self.setting.format(measure=name, meaning=captions.measure_in_words(one.measure)),
                counts=counted_maps(np.concatenate([plain["value"], augmented["value"]])),
            )
            quotient = check(one.measure).name in QUOTIENTS
            figure = heatmap_figure(panels, label=name, unsorted=True, quotient=quotient)
            canvas.figure(f"{self.name}_{one.figure}", figure, caption)

    def _all(self, study: Study) -> Iterator[One]:
        measures = [choices.kept_for_maps(study, one) for one in choices.measures(study, self.measures, KEPT_FOR_MAPS)]
        for dataset, model, label in product(*self.grid(study)):
            networks = (study.network(dataset=dataset, model=model, augmentation=one) for one in (None, label))
            pair = [study.measurement(network, label) for network in networks]
            for measure in measures:
                if measure not in pair[0].measures and self.measures is None:
                    continue  # what cannot be undone has no same-equivariance
                choices.check_held(measure, pair)
                yield One(dataset, model, label, measure, pair)

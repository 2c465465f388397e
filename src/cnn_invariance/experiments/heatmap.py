"""How a measure is spread inside the layers of a network, trained plain and augmented."""

import math
from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnn_invariance.experiments.framework import Models, Outputs, captions, choices
from cnn_invariance.measures.requests import KEPT_FOR_MAPS, QUOTIENTS, check
from cnn_invariance.paper.words import enumerated
from cnn_invariance.statistics.lines import counted_maps
from cnn_invariance.statistics.profiles import layer_mean
from cnn_invariance.study import Cell, MeasureSpec, Study

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results


class Pair(NamedTuple):
    """One figure: the network trained plain and that trained with the set, and the measures of its rows."""

    dataset: str
    model: str
    label: str
    cells: list[MeasureSpec]
    measures: list[str]

    @property
    def figure(self) -> str:
        """What its name ends with."""
        return "_".join([self.dataset, self.model, self.label])


class Heatmap(Models):
    """``measures``: those that results keep for feature maps; of one seed, the preset's first."""

    question = "How is invariance spread inside a layer?"
    group = "characterisation"
    setting = (
        "A row for each measure: quotients on one colour scale, from 0 to 2 and white at 1; ANOVA from 0 to 1; others "
        "up to a value that most cells lie below. One column for each layer, one cell for each feature "
        "map (of a measure of units: their mean) or each unit of a layer without maps: on the left in the order of "
        "the maps, the first at the bottom; on the right sorted, the smallest at the bottom. Both networks, that "
        "trained without augmentation and that trained with the set, are measured under the set. The strip shows the "
        "kinds of layers. "
    )

    measures: choices.Labels = None

    def cells(self, study: Study) -> list[Cell]:
        """Each network trained plain and with each set, both measured under the set."""
        return list(dict.fromkeys(cell for pair in self._pairs(study) for cell in pair.cells))

    def outputs(self, study: Study) -> Outputs:
        """A figure for each dataset, network and set."""
        return Outputs([f"{self.name}_{pair.figure}" for pair in self._pairs(study)])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the heatmaps."""
        from cnn_invariance.plotting import heatmap_figure

        for pair in self._pairs(study):
            names = {measure: choices.label(measure) for measure in pair.measures}
            plain, augmented = (results.measure(cell) for cell in pair.cells)
            rows = {
                name: {"without augmentation": plain.maps(measure), f"with {pair.label}": augmented.maps(measure)}
                for measure, name in names.items()
            }
            counts = [
                f"{name}: {counted_maps(np.concatenate([table['value'] for table in tables.values()]))}"
                for name, tables in rows.items()
            ]
            caption = captions.caption(
                study,
                self.name,
                pair.cells,
                title=f"{pair.model}, {pair.dataset}, {pair.label}",
                question=self.question,
                setting=[self.setting, *(captions.measure_in_words(measure) + " " for measure in pair.measures)],
                counts=" ".join(counts),
                finding=_medians(pair, *next(iter(rows.items()))),
            )
            quotients = [name for measure, name in names.items() if check(measure).name in QUOTIENTS]
            figure = heatmap_figure(rows, quotients=quotients, unsorted=True)
            canvas.figure(f"{self.name}_{pair.figure}", figure, caption)

    def _pairs(self, study: Study) -> Iterator[Pair]:
        measures = [choices.kept_for_maps(study, one) for one in choices.measures(study, self.measures, KEPT_FOR_MAPS)]
        for dataset, model, label in product(*self.grid(study)):
            networks = (study.network(dataset=dataset, model=model, augmentation=one) for one in (None, label))
            cells = [study.measurement(network, label) for network in networks]
            # What cannot be undone has no same-equivariance: left out of the usual measures, refused where it is named.
            held = [one for one in measures if self.measures is not None or one in cells[0].measures]
            for measure in held:
                choices.check_held(measure, cells)
            yield Pair(dataset, model, label, cells, held)


def _medians(pair: Pair, measure: str, tables: Mapping[str, "pd.DataFrame"]) -> str:
    """What is seen of the first measure: the mean over layers of its median inside a layer, of each network."""
    means = {how: layer_mean(_medians_of(table)) for how, table in tables.items()}
    if any(map(math.isnan, means.values())):
        return ""
    said = enumerated([f"{value:.2f} {how}" for how, value in means.items()])
    return (
        f"{pair.model} on {pair.dataset}: the median of {measure} inside a layer is {said}, mean over layers "
        "(described, not tested)."
    )


def _medians_of(table: "pd.DataFrame") -> list[float]:
    """The median of each layer's finite values; NaN of a layer without one."""
    finite = table["value"].where(np.isfinite(table["value"]))
    return finite.groupby(table["layer_index"]).median().tolist()

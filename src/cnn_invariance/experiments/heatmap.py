"""How a measure is spread inside the layers of a network, trained plain and augmented."""

import math
from collections.abc import Iterator, Mapping, Sequence
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

    from cnn_invariance.plotting import Canvas, Caption
    from cnn_invariance.results import Results

    Rows = Mapping[str, Mapping[str, pd.DataFrame]]


ORDERS = {
    "": "Inside a layer, cells are sorted: the smallest at the bottom.",
    "in_order": "Inside a layer, cells are in the order of the maps: the first at the bottom.",
}
"""By the ends of names of figures, how cells are ordered, in words."""


class Shown(NamedTuple):
    """What the figures of a dataset and a set show: of each model the cells of the network trained plain and with it.

    measures: of the rows
    """

    dataset: str
    label: str
    cells: Mapping[str, Sequence[MeasureSpec]]
    measures: Sequence[str]

    @property
    def trainings(self) -> list[str]:
        """How the two networks are trained, in words."""
        return ["plain", self.label]


class Heatmap(Models):
    """``measures``: those that results keep for feature maps; of one seed, the preset's first."""

    question = "How is invariance spread inside a layer?"
    group = "characterisation"
    setting = (
        "A row for each measure: quotients on one colour scale, from 0 to 2 and white at 1; ANOVA from 0 to 1; others "
        "up to a value that most cells lie below. One column for each layer, one cell for each feature "
        "map (of a measure of units: their mean) or each unit of a layer without maps. Both networks of a design, that "
        "trained plain and that trained with the set, are measured under the set. The strip shows the kinds of layers."
    )

    measures: choices.Labels = None

    def cells(self, study: Study) -> list[Cell]:
        """Each network trained plain and with each set, both measured under the set."""
        return list(dict.fromkeys(cell for one in self._shown(study) for both in one.cells.values() for cell in both))

    def outputs(self, study: Study) -> Outputs:
        """For each dataset and set a figure with sorted cells, and one with the cells in order."""
        return Outputs([self._figure(one, order) for one in self._shown(study) for order in ORDERS])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the heatmaps."""
        from cnn_invariance.plotting import heatmap_figure

        for one in self._shown(study):
            rows = {choices.label(measure): _maps(one, measure, results) for measure in one.measures}
            quotients = [choices.label(measure) for measure in one.measures if check(measure).name in QUOTIENTS]
            for order, in_words in ORDERS.items():
                caption = self._caption(study, one, rows, in_words)
                figure = heatmap_figure(rows, quotients=quotients, in_order=bool(order))
                canvas.figure(self._figure(one, order), figure, caption)

    def _figure(self, one: Shown, order: str) -> str:
        return "_".join(filter(None, [self.name, one.dataset, one.label, order]))

    def _caption(self, study: Study, one: Shown, rows: "Rows", order: str) -> "Caption":
        counts = (
            f"{name}: {counted_maps(np.concatenate([table['value'] for table in tables.values()]))}"
            for name, tables in rows.items()
        )
        return captions.caption(
            study,
            self.name,
            [cell for both in one.cells.values() for cell in both],
            title=f"Measures inside the layers of {enumerated(list(one.cells))}, {one.dataset}, {one.label}",
            question=self.question,
            setting=[self.setting, order],
            measures=one.measures,
            counts=" ".join(counts),
            finding=_medians(one, *next(iter(rows.items()))),
        )

    def _shown(self, study: Study) -> Iterator[Shown]:
        measures = [choices.kept_for_maps(study, one) for one in choices.measures(study, self.measures, KEPT_FOR_MAPS)]
        datasets, models, sets = self.grid(study)
        for dataset, label in product(datasets, sets):
            cells = {
                model: [
                    study.measurement(study.network(dataset=dataset, model=model, augmentation=one), label)
                    for one in (None, label)
                ]
                for model in models
            }
            first = next(iter(cells.values()))
            # What cannot be undone has no same-equivariance: left out of the usual measures, refused where it is named.
            held = [one for one in measures if self.measures is not None or one in first[0].measures]
            for measure in held:
                choices.check_held(measure, first)
            yield Shown(dataset, label, cells, held)


def _maps(one: Shown, measure: str, results: "Results") -> dict[str, "pd.DataFrame"]:
    """The values of a measure of each network, by the title of its panel."""
    return {
        f"{model}\n{trained}": results.measure(cell).maps(measure)
        for model, both in one.cells.items()
        for trained, cell in zip(one.trainings, both, strict=True)
    }


def _medians(one: Shown, measure: str, tables: Mapping[str, "pd.DataFrame"]) -> str:
    """What is seen of the first measure: the mean over layers of its median inside a layer, of each network."""
    means = [layer_mean(_medians_of(table)) for table in tables.values()]
    if any(map(math.isnan, means)):
        return ""
    said = [
        f"{model} {plain:.2f} and {augmented:.2f}"
        for model, plain, augmented in zip(one.cells, means[::2], means[1::2], strict=True)
    ]
    return (
        f"Median of {measure} inside a layer, mean over layers, trained plain and with {one.label}, on {one.dataset}: "
        f"{enumerated(said)} (described, not tested)."
    )


def _medians_of(table: "pd.DataFrame") -> list[float]:
    """The median of each layer's finite values; NaN of a layer without one."""
    finite = table["value"].where(np.isfinite(table["value"]))
    return finite.groupby(table["layer_index"]).median().tolist()

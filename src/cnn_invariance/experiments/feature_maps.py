"""What the most and the least invariant feature maps of each layer respond to samples under transformations."""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from cnn_invariance.experiments.framework import Claim, Finding, OneModel, Outputs, Source, captions, choices
from cnn_invariance.paper.words import enumerated
from cnn_invariance.statistics.evidence import Rule
from cnn_invariance.statistics.profiles import layer_mean
from cnn_invariance.statistics.responses import contrast
from cnn_invariance.study import Cell, ResponseSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.plotting.responses import Rows
    from cnn_invariance.results import Responses, Results

VISIBLY = Claim(
    "visibly",
    "Feature maps that the measure calls invariant look invariant, also on samples not measured.",
    "log10 of the relative variation over transformations of the least invariant maps' responses, less that of the "
    "most invariant maps', pair by pair; relative variation: standard deviation over transformations, mean over "
    "pixels, divided by the standard deviation of all the map's responses",
    Rule("above", 0.0),
    Source.OURS,
    "no contrast",
    primary=True,
)
DRAWN = 3
"""So many transformations are drawn of each of several samples."""
SEVERAL = 2
"""So many maps at either end are drawn where a figure shows several sets."""
ENDS = {"most": "lowest", "least": "highest"}


class FeatureMaps(OneModel):
    """``shown`` transformations, evenly spread over the set, of ``samples``; ``maps`` at either end; ``kind`` of layer.

    ``measures``: by which maps are ranked; None: NV and NVSE, where the preset has them. ``seed`` of the draw of
    samples. ``seeds``: how many networks are tested, of which the first is drawn.
    """

    question = "Do invariant feature maps look invariant?"
    group = "characterisation"
    combined = True
    of_profiles = False
    claims = (VISIBLY,)
    setting = (
        "Samples of the validation split, which were not measured, side by side (top), and below them, for each layer "
        "of this kind, the responses of the feature maps with the lowest and with the highest values of the measure, a "
        "row each, with that value. Of each sample: some transformations of the set, evenly spread, then the mean and "
        "the standard deviation of the responses to {shown} of them. Grey levels: from the smallest to the largest "
        "response of each map to a sample; of a deviation, from 0. The network is trained with the set."
    )

    measures: choices.Labels = None
    shown: int = Field(5, ge=2, le=12)
    samples: int = Field(2, ge=1, le=4)
    maps: int = Field(4, ge=1, le=8)
    kind: str = "ELU"
    seed: int = Field(0, ge=0)
    seeds: int = Field(5, ge=1)

    def cells(self, study: Study) -> list[Cell]:
        """The response cells; of the networks after the first, without pictures."""
        networks = product(choices.seeds(study, self.seeds), self.places(study))
        return list(
            dict.fromkeys(cell for seed, place in networks for cell in self._responses(study, *place, seed=seed))
        )

    def outputs(self, study: Study) -> Outputs:
        """A figure for each dataset."""
        return Outputs(list(map(self._figure, self._drawn(study))))

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the responses to the samples, by each measure."""
        from cnn_invariance.plotting.responses import response_figure

        for dataset, by_set in self._drawn(study).items():
            several = len(by_set) > 1
            blocks = {
                f"{label}, {ENDS[role]} {choices.label(cell.by)}"
                if several
                else f"{ENDS[role]} {choices.label(cell.by)}": _block(
                    results.responses(cell), role, min(SEVERAL, self.maps) if several else self.maps
                )
                for label, cells in by_set.items()
                for cell, role in product(cells, ENDS)
            }
            shown = [cell for cells in by_set.values() for cell in cells]
            measures = list(dict.fromkeys(cell.by for cell in shown))
            names = enumerated(list(map(choices.label, measures)))
            caption = captions.caption(
                study,
                self.name,
                list(dict.fromkeys(cell.measured for cell in shown)),
                title=f"Responses of feature maps of {self.model} by {names}, {dataset}",
                question=self.question,
                setting=self.setting.format(shown=self.shown),
                measures=measures,
            )
            beside = len(ENDS) * max(map(len, by_set.values()))
            canvas.figure(self._figure(dataset), response_figure(blocks, beside=beside), caption)

    def _figure(self, dataset: str) -> str:
        return f"{self.name}_{dataset}"

    def _drawn(self, study: Study) -> dict[str, dict[str, list[ResponseSpec]]]:
        """The response cells by dataset and set; none of a set under which no measure can be taken."""
        found: dict[str, dict[str, list[ResponseSpec]]] = {}
        for dataset, label in self.places(study):
            if cells := self._responses(study, dataset, label):
                found.setdefault(dataset, {})[label] = cells
        return found

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset; a condition is a set and a measure, a replicate a network: the mean over its layers."""
        seeds = choices.seeds(study, self.seeds)
        for dataset in self.on(study):
            values, cells = dict[str, list[float]](), list[Cell]()
            for label in self.sets(study):
                for by_seed in zip(*(self._responses(study, dataset, label, seed) for seed in seeds), strict=True):
                    name = f"{by_seed[0].measured.transformations.name}, {choices.label(by_seed[0].by)}"
                    values[name] = [layer_mean(_contrasts(results.responses(cell))) for cell in by_seed]
                    cells += by_seed
            yield Finding(VISIBLY, (dataset,), values, cells)

    def _responses(self, study: Study, dataset: str, label: str, seed: int | None = None) -> list[ResponseSpec]:
        """The response cells of a network, one for each measure; ``seed`` None: the first, which is drawn."""
        found = []
        network = study.network(dataset=dataset, model=self.model, augmentation=label, seed=seed)
        measured = study.measurement(network, label)
        for measure in (choices.measure(study, one) for one in choices.measures(study, self.measures)):
            if measure not in measured.measures and self.measures is None:
                continue  # what cannot be undone has no same-equivariance
            asked: dict[str, Any] = {"samples": self.samples, "seed": self.seed, "shown": self.shown, "maps": self.maps}
            asked |= {"pictures": network.seed == study.seeds[0]}
            found.append(choices.response(measured, measure, kind=self.kind, **asked))
        return found


def _block(found: "Responses", role: str, most: int) -> "list[Rows]":
    """The pictures of the samples, and below them, layer by layer, what the first maps of one role respond."""
    from cnn_invariance.plotting.responses import Rows, with_moments

    samples = range(found.spec.sample.count or 1)
    blocks = [Rows("samples" if len(samples) > 1 else "sample", [_beside(_inputs(found, one) for one in samples)])]
    for index in _layers(found):
        rows = found.frame[(found.frame["layer_index"] == index) & (found.frame["role"] == role)]
        values = rows.drop_duplicates("rank").set_index("rank")["value"].sort_index().head(most)
        text = f"{rows['layer'].iloc[0]}: {', '.join(f'{value:.2g}' for value in values)}"
        responses = ((with_moments(found.maps(index, role, rank, one)) for one in samples) for rank in values.index)
        blocks.append(Rows(text, [_beside(of_map) for of_map in responses]))
    return blocks


def _inputs(found: "Responses", sample: int) -> np.ndarray:
    """A sample under the transformations, in its colours, and the mean and the deviation of its grey levels."""
    from cnn_invariance.plotting.responses import coloured, with_moments

    images = found.maps(0, "input", sample=sample)
    pictures, inputs = with_moments(images.mean(axis=1)), coloured(images)
    if inputs.ndim == 4:
        pictures = np.repeat(pictures[..., None], 3, axis=-1)
    pictures[: len(inputs)] = inputs
    return pictures


def _beside(samples: Iterable[np.ndarray]) -> np.ndarray:
    """A row of pictures: those of each sample, of several only some, with their mean and deviation."""
    rows = list(samples)
    if len(rows) > 1:
        drawn = [*np.linspace(0, len(rows[0]) - 3, min(DRAWN, len(rows[0]) - 2)).round().astype(int), -2, -1]
        rows = [row[drawn] for row in rows]
    return np.concatenate(rows)


def _layers(found: "Responses") -> list[int]:
    return sorted(set(found.frame["layer_index"]) - {0})


def _contrasts(found: "Responses") -> Iterator[float]:
    """Of each layer, the mean over samples and pairs of maps that have one."""
    for index in _layers(found):
        ends = found.variations(index).pivot(index=["rank", "sample"], columns="role", values="variation")
        yield layer_mean([contrast(*pair) for pair in zip(ends["most"], ends["least"], strict=True)])

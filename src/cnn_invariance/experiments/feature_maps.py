"""What the most and the least invariant feature maps of each layer respond to samples under transformations."""

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from cnn_invariance.experiments.framework import Claim, Finding, OneModel, Outputs, Source, captions, choices
from cnn_invariance.experiments.framework.profiles import slug
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
ENDS = {"most": "most invariant maps", "least": "least invariant maps"}


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
        "Samples of the validation split, which were not measured, under some transformations of the set (top), and "
        "below them, for each layer of this kind, the responses of the feature maps with the lowest and with the "
        "highest {measure}, a row each, with that value. The two last columns: the mean and the standard deviation of "
        "the responses to the transformations shown. Grey levels: from the smallest to the largest response of each "
        "map; of a deviation, from 0. {meaning} The network is trained with the set."
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
        seeds = choices.seeds(study, self.seeds)
        return list(dict.fromkeys(cell for seed in seeds for cell in self._responses(study, seed).values()))

    def outputs(self, study: Study) -> Outputs:
        """A figure for each dataset, set and measure."""
        return Outputs(list(self._responses(study)))

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the responses."""
        from cnn_invariance.plotting.responses import response_figure

        for figure, cell in self._responses(study).items():
            found, name = results.responses(cell), choices.label(cell.by)
            blocks = {
                f"sample {sample + 1}, {ENDS[role]}": _block(found, role, sample)
                for sample, role in product(range(self.samples), ENDS)
            }
            caption = captions.caption(
                study,
                self.name,
                [cell.measured],
                title=f"Responses of feature maps of {self.model} by {name}, {cell.measured.title}",
                question=self.question,
                setting=self.setting.format(measure=name, meaning=captions.measure_in_words(cell.by)),
            )
            canvas.figure(figure, response_figure(blocks), caption)

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset; a condition is a set and a measure, a replicate a network: the mean over its layers."""
        seeds = [self._responses(study, seed) for seed in choices.seeds(study, self.seeds)]
        for dataset in self.on(study):
            cells = [[cell for cell in of_seed.values() if cell.dataset.name == dataset] for of_seed in seeds]
            values = {
                f"{each[0].measured.transformations.name}, {choices.label(each[0].by)}": [
                    layer_mean(_contrasts(results.responses(cell))) for cell in each
                ]
                for each in zip(*cells, strict=True)
            }
            yield Finding(VISIBLY, (dataset,), values, [cell for of_seed in cells for cell in of_seed])

    def _responses(self, study: Study, seed: int | None = None) -> dict[str, ResponseSpec]:
        """The response cells of a network by the names of their figures; None: of the first seed, which is drawn."""
        found = {}
        for (dataset, label), request in product(self.places(study), choices.measures(study, self.measures)):
            measure = choices.measure(study, request)
            network = study.network(dataset=dataset, model=self.model, augmentation=label, seed=seed)
            measured = study.measurement(network, label)
            if measure not in measured.measures and self.measures is None:
                continue  # what cannot be undone has no same-equivariance
            asked: dict[str, Any] = {"samples": self.samples, "seed": self.seed, "shown": self.shown, "maps": self.maps}
            asked |= {"pictures": network.seed == study.seeds[0]}
            name = f"{self.name}_{dataset}_{label}_{slug(measure)}"
            found[name] = choices.response(measured, measure, kind=self.kind, **asked)
        return found


def _block(found: "Responses", role: str, sample: int) -> "list[Rows]":
    """The pictures of one sample, and below them, layer by layer, what the maps of one role respond."""
    from cnn_invariance.plotting.responses import Rows, coloured, with_moments

    pictures = with_moments(found.maps(0, "input", sample=sample).mean(axis=1))
    inputs = coloured(found.maps(0, "input", sample=sample))
    if inputs.ndim == 4:
        pictures = np.repeat(pictures[..., None], 3, axis=-1)
    pictures[: len(inputs)] = inputs
    blocks = [Rows("sample", [pictures])]
    for index in _layers(found):
        rows = found.frame[(found.frame["layer_index"] == index) & (found.frame["role"] == role)]
        values = rows.drop_duplicates("rank").set_index("rank")["value"]
        text = f"{rows['layer'].iloc[0]}: {', '.join(f'{value:.2g}' for value in values)}"
        blocks.append(Rows(text, [with_moments(found.maps(index, role, rank, sample)) for rank in values.index]))
    return blocks


def _layers(found: "Responses") -> list[int]:
    return sorted(set(found.frame["layer_index"]) - {0})


def _contrasts(found: "Responses") -> Iterator[float]:
    """Of each layer, the mean over samples and pairs of maps that have one."""
    for index in _layers(found):
        ends = found.variations(index).pivot(index=["rank", "sample"], columns="role", values="variation")
        yield layer_mean([contrast(*pair) for pair in zip(ends["most"], ends["least"], strict=True)])

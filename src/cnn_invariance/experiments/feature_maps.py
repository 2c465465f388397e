"""What the most and the least invariant feature map of each layer respond to one sample under transformations."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import Claim, Finding, OneModelExperiment, Outputs, captions, choices, over
from cnn_invariance.study import Cell, ResponseSpec, SampleSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Responses, Results

SETTING = (
    "One sample of the validation split, which was not measured, under some transformations of the set (top), and "
    "below it, for each layer of this kind, the responses of the feature map with the lowest {measure} (left) and of "
    "the one with the highest (right), with that value. Grey levels: from the smallest to the largest response of each "
    "map over these transformations. {meaning} The network is trained with the set."
)


class FeatureMaps(OneModelExperiment):
    """``shown``: how many transformations, evenly spread over the set; ``kind``: the class of the layers drawn."""

    question = "Do invariant feature maps look invariant?"
    group = "characterisation"

    measure: str = choices.HEADLINE
    shown: int = Field(7, ge=2, le=12)
    kind: str = "ELU"
    seed: int = Field(0, ge=0)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """That the ranking by the measure holds for what is seen on another sample."""
        return (
            Claim(
                "visibly",
                "Feature maps that the measure calls invariant look invariant, also on a sample not measured.",
                "log10 of the relative variation over transformations of the least invariant map's response, less that "
                "of the most invariant map's; relative variation: standard deviation over transformations, mean over "
                "pixels, divided by the standard deviation of all the map's responses",
                "above",
                0.0,
            ),
        )

    def cells(self, study: Study) -> list[Cell]:
        """A response cell for each dataset and set, and the measure cell that ranks its maps."""
        found = [self._response(study, *place) for place in self.places(study, combined=True)]
        return [*found, *(cell.measured for cell in found)]

    def outputs(self, study: Study) -> Outputs:
        """A figure for each dataset and set."""
        return Outputs([f"{self.name}_{dataset}_{label}" for dataset, label in self.places(study, combined=True)])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the responses."""
        from cnn_invariance.plotting import response_figure

        measure = choices.measure(study, self.measure)
        name = choices.label(measure)
        for dataset, label in self.places(study, combined=True):
            cell = self._response(study, dataset, label)
            found = results.responses(cell)
            rows = _drawn(found, self.kind)
            if not rows:
                raise InputError(f"no layer of {self.model} of kind {self.kind!r} has responses; set 'kind'")
            figure = response_figure(found.maps(0, "input"), rows, label=name)
            caption = captions.caption(
                study,
                self.name,
                [cell.measured],
                title=f"Responses of feature maps of {self.model}, {dataset}, {label}",
                question=self.question,
                setting=SETTING.format(measure=name, meaning=captions.measure_in_words(measure)),
            )
            canvas.figure(f"{self.name}_{dataset}_{label}", figure, caption)

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset, over its sets and the layers with maps."""
        places = self.places(study, combined=True)
        for dataset in dict.fromkeys(dataset for dataset, _ in places):
            cells = [self._response(study, name, label) for name, label in places if name == dataset]
            contrasts = [contrast for cell in cells for contrast in _contrasts(results.responses(cell))]
            yield Finding(self.claims[0], (dataset,), over(contrasts, "sets and layers"), cells)

    def _response(self, study: Study, dataset: str, label: str) -> ResponseSpec:
        measure = choices.kept_for_maps(study, self.measure)
        measured = study.measurement(study.network(dataset=dataset, model=self.model, augmentation=label), label)
        choices.check_held(measure, [measured])
        size = measured.transformations.size
        members = dict.fromkeys(round(k * (size - 1) / (self.shown - 1)) for k in range(self.shown))
        sample = SampleSpec(split="validation", count=1, seed=self.seed)
        return ResponseSpec(measured=measured, by=measure, sample=sample, members=tuple(members))


def relative_variation(responses: np.ndarray) -> float:
    """Of (members, H, W): the standard deviation over members, mean over pixels, by that of all; NaN if constant.

    >>> relative_variation(np.array([[[0.0, 1.0]], [[0.0, 1.0]]]))
    0.0
    """
    spread = float(responses.std())
    return float(responses.std(axis=0).mean()) / spread if spread else math.nan


def _contrasts(found: "Responses") -> list[float]:
    values = []
    for index in sorted(set(found.frame["layer_index"]) - {0}):
        most, least = (relative_variation(found.maps(index, role)) for role in ("most", "least"))
        values.append(math.log10(least / most) if least > 0 and most > 0 else math.nan)
    return values


def _drawn(found: "Responses", kind: str) -> list[tuple[str, Sequence[tuple[np.ndarray, float]]]]:
    """Of each layer of a kind: its name, and the responses and value of its most and least invariant map."""
    table = found.frame[found.frame["kind"] == kind].drop_duplicates(["layer_index", "role"])
    return [
        (
            str(rows["layer"].iloc[0]),
            [
                (found.maps(index, role), float(rows.loc[rows["role"] == role, "value"].iloc[0]))
                for role in ("most", "least")
            ],
        )
        for index in sorted(set(table["layer_index"]))
        for rows in [table[table["layer_index"] == index]]
    ]

"""What the most and the least invariant feature map of each layer respond to one sample under transformations."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import captions, choices
from cnn_invariance.experiments.framework.claims import Claim, Finding, over
from cnn_invariance.measures import requests as measure_names
from cnn_invariance.study import Cell, Closed, Outputs, ResponseSpec, SampleSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Responses, Results

QUESTION = "Do invariant feature maps look invariant?"

SETTING = (
    "One sample of the validation split, which was not measured, under some transformations of the set (top), and "
    "below it, for each layer of this kind, the responses of the feature map with the lowest {measure} (left) and of "
    "the one with the highest (right), with that value. Grey levels: from the smallest to the largest response of each "
    "map over these transformations. {meaning} The network is trained with the set."
)

CLAIMS = (
    Claim(
        name="visibly",
        statement="Feature maps that the measure calls invariant look invariant, also on a sample not measured.",
        statistic="log10 of the relative variation over transformations of the least invariant map's response, less "
        "that of the most invariant map's; relative variation: standard deviation over transformations, mean over "
        "pixels, divided by the standard deviation of all the map's responses",
        side="above",
        threshold=0.0,
    ),
)


class Options(Closed):
    """``shown``: how many transformations, evenly spread over the set; ``kind``: the class of the layers drawn."""

    model: str = "SimpleConv"
    datasets: choices.Labels = None
    transformation_sets: choices.Labels = None
    measure: str = choices.HEADLINE
    shown: int = Field(7, ge=2, le=12)
    kind: str = "ELU"
    seed: int = Field(0, ge=0)


def cells(study: Study, options: Options) -> list[Cell]:
    """A response cell for each dataset and set, and the measure cell that ranks its maps."""
    found = [_response(study, options, dataset, label) for dataset, label in _places(study, options)]
    return [*found, *(cell.measured for cell in found)]


def outputs(study: Study, options: Options) -> Outputs:
    """A figure for each dataset and set."""
    return Outputs([f"feature_maps_{dataset}_{label}" for dataset, label in _places(study, options)])


def draw(study: Study, options: Options, results: "Results", canvas: "Canvas") -> None:
    """Draw the responses."""
    from cnn_invariance.plotting import response_figure

    measure = choices.measure(study, options.measure)
    name = choices.label(measure)
    for dataset, label in _places(study, options):
        cell = _response(study, options, dataset, label)
        found = results.responses(cell)
        rows = _drawn(found, options.kind)
        if not rows:
            raise InputError(f"no layer of {options.model} of kind {options.kind!r} has responses; set 'kind'")
        figure = response_figure(found.maps(0, "input"), rows, label=name)
        text = captions.caption(
            study,
            "feature_maps",
            [cell.measured],
            title=f"Responses of feature maps of {options.model}, {dataset}, {label}",
            question=QUESTION,
            setting=SETTING.format(measure=name, meaning=captions.of_measure(measure)),
        )
        canvas.figure(f"feature_maps_{dataset}_{label}", figure, text)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over its sets and the layers with maps."""
    for dataset in choices.choose("dataset", options.datasets, study.datasets):
        cells = [_response(study, options, name, label) for name, label in _places(study, options) if name == dataset]
        contrasts = [contrast for cell in cells for contrast in _contrasts(results.responses(cell))]
        yield Finding(CLAIMS[0], dataset, over(contrasts, "sets and layers"), cells)


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


def _places(study: Study, options: Options) -> list[tuple[str, str]]:
    """Datasets and sets, checked."""
    choices.choose("model", (options.model,), study.models)
    datasets = choices.choose("dataset", options.datasets, study.datasets)
    sets = choices.choose("transformation set", options.transformation_sets, study.sets)
    return [(dataset, label) for dataset in datasets for label in sets]


def _response(study: Study, options: Options, dataset: str, label: str) -> ResponseSpec:
    measure = choices.measure(study, options.measure)
    if measure not in measure_names.HEADLINE:
        kept = ", ".join(measure_names.HEADLINE)
        raise InputError(f"results keep no values of feature maps for {measure}; maps can be ranked by: {kept}")
    network = study.network(dataset=dataset, model=options.model, augmentation=label)
    measured = study.measurement(network, label)
    choices.check_held(measure, [measured])
    size = study.set(label).size
    members = dict.fromkeys(round(k * (size - 1) / (options.shown - 1)) for k in range(options.shown))
    return ResponseSpec(
        measured=measured,
        by=measure,
        sample=SampleSpec(split="validation", count=1, seed=options.seed),
        members=tuple(members),
    )

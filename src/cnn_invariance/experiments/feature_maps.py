"""What the most and the least invariant feature map of each layer respond to one sample under transformations."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import Claim, Finding, OneModel, Outputs, Source, captions, choices
from cnn_invariance.statistics.intervals import over
from cnn_invariance.statistics.responses import contrast
from cnn_invariance.study import Cell, ResponseSpec, SampleSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Responses, Results

VISIBLY = Claim(
    "visibly",
    "Feature maps that the measure calls invariant look invariant, also on a sample not measured.",
    "log10 of the relative variation over transformations of the least invariant map's response, less that of the most "
    "invariant map's; relative variation: standard deviation over transformations, mean over pixels, divided by the "
    "standard deviation of all the map's responses",
    "above",
    0.0,
    Source.OURS,
)


class FeatureMaps(OneModel):
    """``shown``: how many transformations, evenly spread over the set; ``kind``: the class of the layers drawn."""

    question = "Do invariant feature maps look invariant?"
    group = "characterisation"
    combined = True
    claims = (VISIBLY,)
    setting = (
        "One sample of the validation split, which was not measured, under some transformations of the set (top), and "
        "below it, for each layer of this kind, the responses of the feature map with the lowest {measure} (left) and "
        "of the one with the highest (right), with that value. Grey levels: from the smallest to the largest response "
        "of each map over these transformations. {meaning} The network is trained with the set."
    )

    measure: str = choices.HEADLINE
    shown: int = Field(7, ge=2, le=12)
    kind: str = "ELU"
    seed: int = Field(0, ge=0)

    def cells(self, study: Study) -> list[Cell]:
        """A response cell for each dataset and set, and the measure cell that ranks its maps."""
        found = [self._response(study, *place) for place in self.places(study)]
        return [*found, *(cell.measured for cell in found)]

    def outputs(self, study: Study) -> Outputs:
        """A figure for each dataset and set."""
        return Outputs([f"{self.name}_{dataset}_{label}" for dataset, label in self.places(study)])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the responses."""
        from cnn_invariance.plotting import response_figure

        measure = choices.measure(study, self.measure)
        name = choices.label(measure)
        for dataset, label in self.places(study):
            cell = self._response(study, dataset, label)
            found = results.responses(cell)
            if not (rows := _drawn(found, self.kind)):
                raise InputError(f"no layer of {self.model} of kind {self.kind!r} has responses; set 'kind'")
            figure = response_figure(found.maps(0, "input"), rows, label=name)
            caption = captions.caption(
                study,
                self.name,
                [cell.measured],
                title=f"Responses of feature maps of {self.model}, {dataset}, {label}",
                question=self.question,
                setting=self.setting.format(measure=name, meaning=captions.measure_in_words(measure)),
            )
            canvas.figure(f"{self.name}_{dataset}_{label}", figure, caption)

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset, over its sets and the layers with maps."""
        datasets, _, sets = self.grid(study)
        for dataset in datasets:
            cells = [self._response(study, dataset, label) for label in sets]
            contrasts = [value for cell in cells for value in _contrasts(results.responses(cell))]
            yield Finding(VISIBLY, (dataset,), over(contrasts, "sets and layers"), cells)

    def _response(self, study: Study, dataset: str, label: str) -> ResponseSpec:
        measure = choices.kept_for_maps(study, self.measure)
        measured = study.measurement(study.network(dataset=dataset, model=self.model, augmentation=label), label)
        choices.check_held(measure, [measured])
        size = measured.transformations.size
        members = dict.fromkeys(round(k * (size - 1) / (self.shown - 1)) for k in range(self.shown))
        sample = SampleSpec(split="validation", count=1, seed=self.seed)
        return ResponseSpec(measured=measured, by=measure, sample=sample, members=tuple(members))


def _contrasts(found: "Responses") -> list[float]:
    layers = sorted(set(found.frame["layer_index"]) - {0})
    return [contrast(found.maps(index, "most"), found.maps(index, "least")) for index in layers]


def _drawn(found: "Responses", kind: str) -> list[tuple[str, Sequence[Any]]]:
    """Of each layer of a kind: its name, and the responses and value of its most and least invariant map."""
    table = found.frame[found.frame["kind"] == kind].drop_duplicates(["layer_index", "role"])
    drawn: list[tuple[str, Sequence[Any]]] = []
    for index in sorted(set(table["layer_index"])):
        rows = table[table["layer_index"] == index]
        values = rows.set_index("role")["value"]
        maps = [(found.maps(index, role), float(values[role])) for role in ("most", "least")]
        drawn.append((str(rows["layer"].iloc[0]), maps))
    return drawn

"""Pictures of the transformation sets, and of the ST matrix of a unit: samples x transformations."""

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from cnn_invariance.experiments.framework import OneModel, Outputs, Overview, captions, choices
from cnn_invariance.paper.words import enumerated
from cnn_invariance.study import Cell, ResponseSpec, Study

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Responses, Results


class TransformationSets(OneModel):
    """``shown`` members of each set, evenly spread; ``samples``: the rows of the ST matrix; ``kind``: of the layer."""

    question = "What do the transformations do to an image, and to a unit?"
    group = "validation"
    combined = True
    setting = (
        "For each set, above: a sample of the validation split under some of its transformations ({shown}), in their "
        "order. Below: the ST matrix A[i, j] = a(t_j(x_i)) of two units, under these transformations, from low "
        "(black) to high (white): the units at the middle of the most and of the least invariant map, by {measure}, of "
        "the last layer of its kind. The network is trained with the set. A row is a sample, a column a "
        "transformation: a measure of invariance compares how much the values vary along a row with how much they vary "
        "along a column."
    )

    measure: str = choices.HEADLINE
    shown: int = Field(25, ge=2, le=50)
    samples: int = Field(8, ge=2, le=32)
    kind: str = "MaxPool2d"
    seed: int = Field(0, ge=0)

    def cells(self, study: Study) -> list[Cell]:
        """A response cell for each dataset and set."""
        return [self._response(study, *place) for place in self.places(study)]

    def outputs(self, study: Study) -> Outputs:
        """A figure for each dataset."""
        return Outputs([f"{self.name}_{dataset}" for dataset in self.on(study)])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the pictures and the matrices, set by set."""
        from cnn_invariance.plotting.matrices import OfSet, matrix_figure

        measure = choices.label(choices.measure(study, self.measure))
        for dataset in self.on(study):
            cells = {label: self._response(study, dataset, label) for label in self.sets(study)}
            shown, values = {}, []
            for label, cell in cells.items():
                found = results.responses(cell)
                units = self._units(found)
                matrices = {
                    f"{one['layer']}, unit of the {role} invariant map, {one['value']:.2g}": matrix
                    for role, (one, matrix) in units.items()
                }
                both = " and ".join(f"{one['value']:.2f}" for one, _ in units.values())
                values.append(f"{both} under {label}")
                shown[label] = OfSet(found.maps(0, "input"), matrices)
            members = ", ".join(f"{label}: {len(cell.members)}" for label, cell in cells.items())
            caption = captions.caption(
                study,
                self.name,
                [cell.measured for cell in cells.values()],
                title=f"Transformation sets, and ST matrices of {self.model}, {dataset}",
                question=self.question,
                setting=self.setting.format(shown=members, measure=measure),
                finding=f"{measure} of the most and of the least invariant map of the last {self.kind}: "
                f"{enumerated(values)} (described, not tested).",
            )
            canvas.figure(f"{self.name}_{dataset}", matrix_figure(shown), caption)

    def overview(self, study: Study, results: "Results") -> Overview:
        """Samples of the first dataset under its first set, and their ST matrices."""
        from cnn_invariance.plotting.summary import Explained

        found = results.responses(self._response(study, *self.places(study)[0]))
        pictures = [found.maps(0, "input", sample=k) for k in range(self.samples)]
        (_, most), (_, least) = self._units(found).values()
        return Overview(explained=Explained(pictures, most, least))

    def _units(self, found: "Responses") -> "dict[str, tuple[pd.Series, np.ndarray]]":
        """Of the most and of the least invariant map of the last layer: its row, and the ST matrix of its middle."""
        last = found.frame[found.frame["layer_index"] == found.frame["layer_index"].max()]
        units = {}
        for role in ("most", "least"):
            one = last[last["role"] == role].iloc[0]
            responses = (found.maps(one["layer_index"], role, sample=k) for k in range(self.samples))
            units[role] = one, np.stack([maps[:, one["height"] // 2, one["width"] // 2] for maps in responses])
        return units

    def _response(self, study: Study, dataset: str, label: str) -> ResponseSpec:
        measure = choices.measure(study, self.measure)
        measured = study.measurement(study.network(dataset=dataset, model=self.model, augmentation=label), label)
        asked: dict[str, Any] = {"samples": self.samples, "seed": self.seed, "shown": self.shown}
        return choices.response(measured, measure, kind=self.kind, **asked)

"""The forms of same-equivariance: variance or distance, normalised or not, and the simple form."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import (
    Claim,
    Finding,
    Line,
    Lines,
    Panel,
    ProfileExperiment,
    ProfilePlan,
    choices,
    over,
    unknown,
    values,
)
from cnn_invariance.measures.requests import check
from cnn_invariance.statistics.profiles import log_range
from cnn_invariance.study import Study

if TYPE_CHECKING:
    from cnn_invariance.results import Results

FORMS = ("TVSE", "SVSE", "NVSE", "TDSE", "SDSE", "NDSE", "DSES", "DSES[normalize=true]")
NAMES = tuple(name for name in FORMS if "[" not in name)
PAIRS = {"comparable": ("TVSE", "NVSE"), "comparable_distance": ("DSES", "NDSE")}
"""By the name of a claim, the raw and the normalised form that it compares."""


class SameEquivariance(ProfileExperiment):
    """``measures``: None means those of `FORMS` that the preset has."""

    question = "Which form of same-equivariance can be compared across layers?"
    group = "validation"
    title = "Forms of same-equivariance of {model}"
    setting = (
        "One panel for each form, each with its own scale; one line for each transformation set, of the network "
        "trained with it and measured under it. Layers without feature maps have no same-equivariance."
    )
    combined = True
    drawing = {
        "line_column": "transformations",
        "panel_column": "panel",
        "ylabel": "mean over the layer",
        "share_y": False,
    }

    def requests(self, study: Study) -> Sequence[str]:
        """The forms shown (InputError for a measure that is none of them)."""
        if self.measures is None:
            measures = choices.measured_forms(study, FORMS)
        else:
            measures = choices.measures(study, self.measures)
        if others := [one for one in measures if check(one).name not in NAMES]:
            raise InputError(f"{others[0]} is no form of same-equivariance; expected forms of {', '.join(NAMES)}")
        if not measures:
            raise InputError(f"no measure to show: the preset has none of {', '.join(FORMS)}")
        return measures

    def panels(self, study: Study, dataset: str) -> Mapping[str, Sequence[Line]]:
        """A panel for each form, with a line for each set."""
        return {
            choices.label(measure): [
                Panel(study, self, dataset, label).line(label, measure=measure) for label in self.sets(study)
            ]
            for measure in self.requests(study)
        }

    def plan(self, study: Study, lines: Lines, **changes: Any) -> ProfilePlan:
        """Each panel has its own measure."""
        measures = self.requests(study)
        columns = None if len(measures) < 4 else 4
        return super().plan(study, lines, measures=measures[:1], columns=columns, **changes)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """That the normalised form of each pair can be compared across layers."""
        return tuple(
            Claim(
                name,
                f"Normalised, the layers can be compared: {normalised} spans fewer orders of magnitude than {raw}.",
                f"log10 of the largest over the smallest layer of {raw}, less that of {normalised}",
                "above",
                0,
            )
            for name, (raw, normalised) in PAIRS.items()
        )

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset, over the sets and seeds."""
        (plan,) = self.plans(study)
        for dataset in plan.lines:
            cells = plan.cells(dataset)
            for claim, pair in zip(self.claims, PAIRS.values(), strict=True):
                measures = choices.measured_forms(study, pair)
                if len(measures) < 2:
                    reason = f"{' and '.join(pair)} are not both measured"
                    yield Finding(claim, (dataset,), unknown("no pair of forms"), cells, reason=reason)
                    continue
                raw, normalised = (map(log_range, values(results, cells, measure)) for measure in measures)
                less = (r - n for r, n in zip(raw, normalised, strict=True))
                yield Finding(claim, (dataset,), over(less, "sets and seeds"), cells)

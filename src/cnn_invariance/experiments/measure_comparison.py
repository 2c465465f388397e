"""A plain and an augmented network, seen by every family of measures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import (
    Claim,
    Finding,
    Line,
    Outputs,
    Panel,
    ProfileExperiment,
    ProfilePlan,
    captions,
    choices,
    over,
    unknown,
    values,
)
from cnn_invariance.measures.requests import check, rises
from cnn_invariance.statistics.intervals import mean
from cnn_invariance.statistics.profiles import separation
from cnn_invariance.study import Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results

SEPARATION = (
    "Separation: over the layers, the mean of the plain network's value less the augmented network's, divided by the "
    "standard deviation of this difference (mean over seeds); the sign is turned where higher is more invariant. "
    "plain, augmented: means over layers and seeds."
)
FAMILIES = ("TV", "SV", "TD", "SD", "ANOVA", "NV", "ND", "Goodfellow", "NVSE", "NDSE", "DSES")
"""The measures that are higher for a more invariant network."""
RIVALS = ("TV", "SV", "TD", "SD", "ANOVA", "Goodfellow")
"""What NV and ND are compared with by the claims."""


class MeasureComparison(ProfileExperiment):
    """``measures``: None means those of `FAMILIES` that the preset has."""

    question = "Do the measures tell an augmented network from a plain one?"
    group = "validation"
    title = "Measures of a plain and an augmented {model} under {set}"
    setting = (
        "One panel for each measure, each with its own scale. One network is trained without augmentation, the other "
        "with the transformation set; both are measured under the set."
    )
    combined = True
    drawing = {
        "line_column": "trained_with",
        "panel_column": "panel",
        "ylabel": "mean over the layer",
        "share_y": False,
    }

    def requests(self, study: Study) -> Sequence[str]:
        """The measures compared (InputError for fewer than two)."""
        if self.measures is None:
            measures = choices.measured_forms(study, FAMILIES)
        else:
            measures = choices.measures(study, self.measures)
        if len(measures) < 2:
            received = ", ".join(measures) or "none"
            raise InputError(f"two or more measures are compared; the preset has {received} of them")
        return measures

    def plans(self, study: Study) -> Sequence[ProfilePlan]:
        """A plan for each set."""
        choices.choose("model", self.compared(study), study.models)
        datasets, measures = self.on(study), self.requests(study)
        return [
            self.plan(
                study,
                {dataset: _panels(Panel(study, self, dataset, label), measures) for dataset in datasets},
                words={"set": label},
                measures=measures[:1],
                part=label,
            )
            for label in self.sets(study)
        ]

    def outputs(self, study: Study) -> Outputs:
        """A figure for each dataset and set, a table of profiles for each set, and a table of separations."""
        found = super().outputs(study)
        return Outputs(found.figures, [*found.tables, self.name])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the profiles and write the tables."""
        import pandas as pd

        rows = []
        for plan in self.plans(study):
            (drawn,) = plan.draw(study, results, canvas).values()
            for dataset, panels in drawn.items():
                found = _separations(plan, dataset, results)
                rows += [
                    {
                        "dataset": dataset,
                        "transformations": plan.part,
                        "measure": choices.label(measure),
                        "plain": plain.mean(),
                        "augmented": augmented.mean(),
                        "separation": mean(found[measure]),
                    }
                    for measure, (plain, augmented) in zip(found, panels.values(), strict=True)
                ]
        caption = captions.caption(
            study,
            self.name,
            self.cells(study),
            title=f"How clearly measures separate {self.model} trained with and without augmentation",
            question=self.question,
            setting=SEPARATION,
        )
        canvas.table(self.name, pd.DataFrame(rows), caption)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """That NV, and that ND, separates the two networks best."""
        return tuple(
            Claim(
                f"{measure}_separates_best",
                f"{measure} separates augmented from plain networks best.",
                f"separation of {measure} less the largest separation of {', '.join(RIVALS)}",
                "above",
                0,
            )
            for measure in ("NV", "ND")
        )

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset, over the sets and seeds."""
        plans = self.plans(study)
        for dataset in self.on(study):
            cells = [cell for plan in plans for cell in plan.cells(dataset)]
            found = [_by_name(_separations(plan, dataset, results)) for plan in plans]
            rivals = [name for name in RIVALS if name in found[0]]
            for claim, measure in zip(self.claims, ("NV", "ND"), strict=True):
                if measure not in found[0] or not rivals:
                    reason = f"{measure} is not measured" if rivals else f"none of {', '.join(RIVALS)} is measured"
                    yield Finding(claim, (dataset,), unknown("no pair of measures"), cells, reason=reason)
                    continue
                leads = [
                    own - max(others)
                    for each in found
                    for own, *others in zip(each[measure], *(each[name] for name in rivals), strict=True)
                ]
                yield Finding(claim, (dataset,), over(leads, "sets and seeds"), cells)


def _panels(at: Panel, measures: Sequence[str]) -> dict[str, list[Line]]:
    """For each measure the lines of the plain and of the augmented network."""
    lines = (
        at.line("trained without augmentation", at.networks(augmentation=None)),
        at.line(f"trained with {at.label}"),
    )
    return {choices.label(measure): [line._replace(measure=measure) for line in lines] for measure in measures}


def _separations(plan: ProfilePlan, dataset: str, results: "Results") -> dict[str, list[float]]:
    """By measure, the separation of each seed."""
    found = {}
    for plain, augmented in plan.lines[dataset].values():
        measure = str(plain.measure)
        sign = -1 if rises(check(measure)) else 1
        pairs = zip(values(results, plain.cells, measure), values(results, augmented.cells, measure), strict=True)
        found[measure] = [sign * separation(p, a) for p, a in pairs]
    return found


def _by_name(separations: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """By the name of the measure; of two forms of one measure, the first."""
    names = {check(measure).name: measure for measure in reversed(list(separations))}
    return {name: separations[measure] for name, measure in names.items()}

"""A plain and an augmented network, seen by every family of measures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import (
    Line,
    Outputs,
    ProfileExperiment,
    Source,
    UntestableError,
    captions,
    choices,
)
from cnn_invariance.experiments.framework.panels import MeasuredPanel, Panel, ProfileClaim
from cnn_invariance.experiments.framework.profiles import ProfilePlan, values
from cnn_invariance.measures.requests import check, rises
from cnn_invariance.statistics.intervals import ANY, mean
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
RIVALS = ("TV", "SV", "TD", "SD", "ANOVA", "Goodfellow")
"""What NV and ND are compared with by the claims."""


def separates_best(name: str) -> ProfileClaim:
    """The claim that a measure separates the two networks better than every rival."""

    def leads(panel: MeasuredPanel) -> list[float]:
        if panel.place:
            return []
        found = _separations(panel.plan, panel.dataset, panel.results)
        by_name = {check(measure).name: found[measure] for measure in reversed(list(found))}  # of two forms, the first
        rivals = [by_name[rival] for rival in RIVALS if rival in by_name]
        if name not in by_name or not rivals:
            reason = f"{name} is not measured" if rivals else f"none of {', '.join(RIVALS)} is measured"
            raise UntestableError(reason, "no pair of measures")
        return [own - max(others) for own, *others in zip(by_name[name], *rivals, strict=True)]

    statement = f"{name} separates augmented from plain networks best."
    words = f"separation of {name} less the largest separation of {', '.join(RIVALS)}"
    return ProfileClaim(f"{name}_separates_best", statement, words, "above", 0, Source.OURS, leads, within=ANY)


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
    claims = (separates_best("NV"), separates_best("ND"))

    def requests(self, study: Study) -> Sequence[str]:
        """The measures compared (InputError for fewer than two)."""
        if self.measures is None:
            measures = choices.measured_forms(study.measures, FAMILIES)
        else:
            measures = choices.measures(study, self.measures)
        if len(measures) < 2:
            received = ", ".join(measures) or "none"
            raise InputError(f"two or more measures are compared; the preset has {received} of them")
        return measures

    def plans(self, study: Study) -> Sequence[ProfilePlan]:
        """A plan for each set."""
        datasets, _, sets = self.grid(study)
        measures = self.requests(study)
        by_set = {
            label: {dataset: _panels(Panel(study, self, dataset, label), measures) for dataset in datasets}
            for label in sets
        }
        return [self.plan(study, lines, {"set": label}, part=label) for label, lines in by_set.items()]

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
        title = f"How clearly measures separate {self.model} trained with and without augmentation"
        caption = captions.caption(
            study, self.name, self.cells(study), title=title, question=self.question, setting=SEPARATION
        )
        canvas.table(self.name, pd.DataFrame(rows), caption)


def _panels(at: Panel, measures: Sequence[str]) -> Mapping[str, Sequence[Line]]:
    """For each measure the lines of the plain and of the augmented network."""
    plain = at.line("trained without augmentation", at.networks(augmentation=None))
    lines = (plain, at.line(f"trained with {at.label}"))
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

"""A plain and an augmented network, seen by every family of measures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cnn_invariance.experiments.framework import Line, Outputs, ProfileExperiment, Source, UntestableError, choices
from cnn_invariance.experiments.framework.panels import MeasuredPanel, Panel, ProfileClaim
from cnn_invariance.experiments.framework.profiles import ProfilePlan
from cnn_invariance.measures.requests import check, rises
from cnn_invariance.paper import captions
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
UNITS = ("TV", "SV", "TD[per=unit]", "SD[per=unit]")
RIVALS = (*UNITS, "ANOVA", "Goodfellow")
"""What NV and ND are compared with by the claims."""


def separates_best(name: str, measure: str) -> ProfileClaim:
    """The claim that a measure separates the two networks better than every rival."""

    def leads(panel: MeasuredPanel) -> list[float]:
        if panel.place:
            return []
        found = _separations(panel.plan, panel.dataset, panel.results)
        rivals = [found[rival] for rival in RIVALS if rival in found]
        if measure not in found or not rivals:
            reason = f"{measure} is not measured" if rivals else f"none of {', '.join(RIVALS)} is measured"
            raise UntestableError(reason, "no pair of measures")
        return [own - max(others) for own, *others in zip(found[measure], *rivals, strict=True)]

    statement = f"{name} separates augmented from plain networks best."
    words = f"separation of {name} less the largest separation of {', '.join(map(choices.label, RIVALS))}"
    return ProfileClaim(f"{name}_separates_best", statement, words, "above", 0, Source.OURS, leads, within=ANY)


class MeasureComparison(ProfileExperiment):
    """``measures``: None means those of the author's code that the preset has."""

    question = "Do the measures tell an augmented network from a plain one?"
    group = "validation"
    title = "Measures of a plain and an augmented {model} under {set}"
    setting = (
        "One panel for each measure, each with its own scale: variances and distances of units (top row), invariance "
        "(middle), same-equivariance (bottom). One network is trained without augmentation, the other with the "
        "transformation set; both are measured under the set."
    )
    combined = True
    shown = (
        *UNITS,
        *("ANOVA", choices.HEADLINE, "ND", "Goodfellow"),
        *(choices.HEADLINES[1], "NDSE[normalize=true]", "DSES[normalize=true]"),
    )
    drawing = {
        "line_column": "trained_with",
        "panel_column": "panel",
        "ylabel": "mean over the layer",
        "share_y": False,
        "columns": 4,
    }
    claims = (separates_best("NV", choices.HEADLINE), separates_best("ND", "ND"))

    def plans(self, study: Study) -> Sequence[ProfilePlan]:
        """A plan for each set."""
        choices.several("measures are compared", self.requests(study))
        return self.plans_by_set(study, self._panels)

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
                    for measure, (augmented, plain) in zip(found, panels.values(), strict=True)
                ]
        title = f"How clearly measures separate {self.model} trained with and without augmentation"
        caption = captions.caption(
            study, self.name, self.cells(study), title=title, question=self.question, setting=SEPARATION
        )
        canvas.table(self.name, pd.DataFrame(rows), caption)

    def _panels(self, at: Panel) -> Mapping[str, Sequence[Line]]:
        """For each measure the lines of the augmented network (solid) and of the plain one (dashed)."""
        plain = at.line("trained without augmentation", at.networks(augmentation=None))
        lines = (at.line(f"trained with {at.label}"), plain)
        names = {
            choices.label(one).replace("maps (normalize=true)", "unit norm"): one for one in self.requests(at.study)
        }
        return {name: [line._replace(measure=measure) for line in lines] for name, measure in names.items()}


def _separations(plan: ProfilePlan, dataset: str, results: "Results") -> dict[str, list[float]]:
    """By measure, the separation of each seed."""
    found = {}
    for place, lines in enumerate(plan.lines[dataset].values()):
        measure = str(lines[0].measure)
        sign = -1 if rises(check(measure)) else 1
        both = MeasuredPanel(plan, dataset, place, results).by_seed()
        found[measure] = [sign * separation(plain, augmented) for augmented, plain in both]
    return found

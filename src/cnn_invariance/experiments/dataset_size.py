"""The same networks measured on few and on many samples."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from cnn_invariance.experiments.framework import ALIKE, STRIPS, Line, Outputs, ProfileExperiment, Source, choices
from cnn_invariance.experiments.framework.charts import convergence
from cnn_invariance.experiments.framework.panels import MARGIN, Panel, same_profile
from cnn_invariance.experiments.framework.profiles import ProfilePlan
from cnn_invariance.statistics.evidence import Rule, evidence
from cnn_invariance.statistics.profiles import difference, rate
from cnn_invariance.study import Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results

TENTH, ALL = 0.1, 1.0
FEW, MANY = "10 % of the samples", "100 % of the samples"
RATE = (
    "Rate: r of c (1/N - 1/N_all)^r, fitted to the relative differences of the profiles on N samples and on all N_all, "
    "by least squares of logarithms; mean over seeds, with its 95 % interval over seeds. It is .5 for a mean over "
    "independent samples: then, four times as many samples halve the difference. All networks are measured on the same "
    "samples, so the interval says nothing about other samples."
)
STABLE = ("stable_from_tenth", "A tenth of the samples gives the profile of all samples.", Source.ABSTRACT)


class DatasetSize(ProfileExperiment):
    """``shares`` of twice the samples that the preset measures under a set; at half of them, cells are shared."""

    question = "How many samples are enough to measure invariance?"
    group = "stability"
    title = "profiles of {model} by number of samples"
    setting = (
        f"{ALIKE} on a share of samples: of twice as many as the other experiments measure under the set. Smaller "
        f"shares are part of larger ones. {STRIPS}"
    )
    shown, combined = choices.WITH_DISTANCE, True
    drawing = {"line_column": "measured_on", "chart": convergence("samples", MARGIN)}
    claims = (same_profile(*STABLE, f"on {FEW} and on {MANY}", FEW, MANY),)

    shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.01, 0.05, TENTH, 0.5, ALL)
    seeds: int = Field(3, ge=1)

    def check(self, study: Study) -> None:
        """Raise InputError for shares that do not rise, or lack one that the claim compares."""
        choices.rising("shares", self.shares, needed=(TENTH, ALL))

    def outputs(self, study: Study) -> Outputs:
        """The figure and the table of profiles, and the table of rates."""
        found = super().outputs(study)
        return Outputs(found.figures, [*found.tables, f"{self.name}_rate"])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the figure, and write the tables."""
        import pandas as pd

        (plan,) = self.plans(study)
        caption = plan.caption(study, plan.draw(study, results, canvas), more=RATE)
        canvas.table(f"{self.name}_rate", pd.DataFrame(_rates(plan, results)), caption)

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each share."""
        usual = at.study.samples(at.label)
        for share in self.shares:
            samples = choices.share_of(usual, share, at.label)
            yield at.line(f"{100 * share:g} % of the samples", samples=samples, at=samples.count)


def _rates(plan: ProfilePlan, results: "Results") -> Iterator[dict[str, object]]:
    """A row for each measure, dataset and set."""
    for measure in plan.measures:
        for dataset, panels in plan.shown(measure).items():
            for title, lines in panels.items():
                counts = [line.at or 0.0 for line in lines]
                by_seed = zip(*(line.values(results, measure) for line in lines), strict=True)
                rates = [rate(counts, [difference(few, all_) for few in fewer]) for *fewer, all_ in by_seed]
                found = evidence({title: rates}, Rule("above", 0.0)).pooled
                yield {
                    "dataset": dataset,
                    "transformations": title,
                    "measure": choices.label(measure),
                    "samples": f"{counts[0]:g} to {counts[-1]:g}",
                    "seeds": found.n,
                    "rate": found.estimate,
                    "low": found.low,
                    "high": found.high,
                }

"""A plain and an augmented network, seen by every family of measures."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from cnn_invariance.experiments.framework import BySet, Claim, Finding, Line, Outputs, Source, choices
from cnn_invariance.experiments.framework.panels import MeasuredPanel, Panel
from cnn_invariance.experiments.framework.profiles import ProfilePlan
from cnn_invariance.measures.requests import better, check
from cnn_invariance.paper import captions
from cnn_invariance.paper.words import enumerated
from cnn_invariance.statistics.evidence import TAIL, Estimate, Evidence, Rule, what_decides
from cnn_invariance.statistics.intervals import DRAWS, mean
from cnn_invariance.statistics.profiles import layer_mean
from cnn_invariance.study import MeasureSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results

SEPARATION = (
    "Separation: how clearly the measure tells the two networks apart, over networks and not over layers: the mean "
    "over layers of the plain network less that of the augmented one, mean over seeds, divided by its standard error "
    "(Welch's t); the sign is turned where higher is more invariant. plain, augmented: means over layers and seeds."
)
UNITS = ("TV", "SV", "TD[per=unit]", "SD[per=unit]")
RIVALS = (*UNITS, "ANOVA", "Goodfellow")
"""What NV and ND are compared with by the claims."""


def separates_best(name: str, measure: str, primary: bool = False) -> Claim:
    """The claim that a measure separates the two networks better than every rival."""
    return Claim(
        f"{name}_separates_best",
        f"{name} separates augmented from plain networks best.",
        f"rank of the separation by {name} among {', '.join(map(choices.label, (measure, *RIVALS)))} (1: the largest)",
        Rule("below", 1.5),
        Source.OURS,
        "between the first and the second rank",
        primary,
    )


class MeasureComparison(BySet):
    """``measures``: None means those of the author's code that the preset has."""

    question = "Do the measures tell an augmented network from a plain one?"
    group = "validation"
    title = "Measures of a plain and an augmented {model}"
    setting = (
        "A row for each measure, with its own scale: variances and distances of units, then invariance, then "
        "same-equivariance; a column for each transformation set. One network is trained without augmentation, the "
        "other with the transformation set; both are measured under the set."
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
    }
    claims = (separates_best("NV", choices.HEADLINE, primary=True), separates_best("ND", "ND"))

    seeds: int = Field(5, ge=1)

    def plans(self, study: Study) -> Sequence[ProfilePlan]:
        """A plan for each set."""
        choices.several("measures are compared", self.requests(study))
        return super().plans(study)

    def outputs(self, study: Study) -> Outputs:
        """Figures and tables of profiles, and both of the separations."""
        found = super().outputs(study)
        return Outputs([self.name, *found.figures], [self.name, *found.tables])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the profiles and the separations, and write their tables."""
        import pandas as pd

        from cnn_invariance.plotting import family_looks
        from cnn_invariance.plotting.marks import mark_figure

        rows = []
        shown: dict[str, dict[str, dict[str, float]]] = {}
        for plan, drawn in self.draw_sets(study, results, canvas):
            for dataset, panels in drawn.items():
                found = {name: separation(both) for name, both in _means(plan, dataset, results).items()}
                for name, value in found.items():
                    shown.setdefault(dataset, {}).setdefault(_name(name), {})[plan.part] = value
                rows += [
                    {
                        "dataset": dataset,
                        "transformations": plan.part,
                        "measure": choices.label(measure),
                        "plain": plain.mean(),
                        "augmented": augmented.mean(),
                        "separation": found[measure],
                    }
                    for measure, (augmented, plain) in zip(found, panels.values(), strict=True)
                ]
        title = f"How clearly measures separate {self.model} trained with and without augmentation"
        caption = captions.caption(
            study, self.name, self.cells(study), title=title, question=self.question, setting=SEPARATION
        )
        canvas.table(self.name, pd.DataFrame(rows), caption)
        looks = family_looks("set", study.sets)
        canvas.figure(self.name, mark_figure(shown, looks, xlabel="separation (Welch's t over networks)"), caption)

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset and claim; the conditions are the sets."""
        for dataset in self.on(study):
            plans = [plan for plan in self.once(study, self.plans) if dataset in plan.lines]
            cells = list(dict.fromkeys(cell for plan in plans for cell in plan.cells(dataset)))
            means = {plan.part: _means(plan, dataset, results) for plan in plans}
            for claim, measure in zip(self.claims, (choices.HEADLINE, "ND"), strict=True):
                yield _ranked(
                    claim, dataset, {part: found for part, found in means.items() if measure in found}, measure, cells
                )

    def panels_of_set(self, at: Panel) -> Mapping[str, Sequence[Line]]:
        """For each measure the lines of the augmented network (solid) and of the plain one (dashed)."""
        plain = at.line("trained without augmentation", at.networks(augmentation=None))
        lines = (at.line("trained with the set"), plain)
        names = {_name(one): one for one in self.requests(at.study)}
        return {name: [line._replace(measure=measure) for line in lines] for name, measure in names.items()}


def _name(measure: str) -> str:
    """A measure as the figures name it; tables and claims have its options."""
    return choices.label(measure).replace("maps (normalize=true)", "unit norm")


Means = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""By measure, the mean over layers of each plain and of each augmented network; higher is less invariant."""


def _means(plan: ProfilePlan, dataset: str, results: "Results") -> Means:
    found = {}
    for place, lines in enumerate(plan.lines[dataset].values()):
        measure, panel = str(lines[0].measure), MeasuredPanel(plan, dataset, place, results)
        sign = -1 if better(check(measure)) == "higher" else 1
        augmented, plain = (sign * np.array(list(map(layer_mean, panel.profiles(line)))) for line in (0, 1))
        found[measure] = plain, augmented
    return found


def separation(both: tuple[np.ndarray, np.ndarray]) -> float:
    """Welch's t of two samples of networks; NaN without a spread.

    >>> round(separation((np.array([3.0, 4.0, 5.0]), np.array([1.0, 2.0, 3.0]))), 3)
    2.449
    """
    return float(separations(*both))


def separations(plain: np.ndarray, augmented: np.ndarray) -> np.ndarray:
    """Welch's t of many pairs of samples of networks, (..., n) each, (...); NaN without a spread."""
    if min(plain.shape[-1], augmented.shape[-1]) < 2:
        return np.full(plain.shape[:-1], np.nan)
    error = np.sqrt(sum(one.var(axis=-1, ddof=1) / one.shape[-1] for one in (plain, augmented)))
    return (plain.mean(axis=-1) - augmented.mean(axis=-1)) / np.where(error == 0, np.nan, error)


def _ranked(
    claim: Claim, dataset: str, means: Mapping[str, Means], measure: str, cells: Sequence[MeasureSpec]
) -> Finding:
    """The rank of a measure among its rivals, mean over sets, with an interval by a bootstrap over seeds."""
    kept = {
        part: {name: both for name, both in found.items() if name in (measure, *RIVALS)}
        for part, found in means.items()
    }
    if not kept or min(map(len, kept.values())) < 2:
        reason = f"{measure} is not measured" if not kept else f"none of {', '.join(RIVALS)} is measured"
        return Finding(claim, (dataset,), cells=cells, reason=reason)
    seeds = min(len(both[0]) for found in kept.values() for both in found.values())
    if seeds < 2:
        return Finding(claim, (dataset,), cells=cells, reason="one seed; a separation over networks needs two")
    unknown = [part for part, found in kept.items() if math.isnan(separation(found[measure]))]
    if unknown:
        reason = f"{measure} does not vary between networks, or is not known, on {enumerated(unknown)}"
        return Finding(claim, (dataset,), cells=cells, reason=reason)
    generator = np.random.default_rng(0)
    drawn = [generator.integers(seeds, size=(2, seeds)) for _ in range(DRAWS)]
    chosen = {part: _ranks(found, measure, drawn) for part, found in kept.items()}
    estimates = {part: _estimate(claim, rank, ranks, 2 * seeds, seeds) for part, (rank, ranks) in chosen.items()}
    ranks = np.mean([ranks for _, ranks in chosen.values()], axis=0)
    pooled = _estimate(claim, mean(rank for rank, _ in chosen.values()), ranks, 2 * seeds * len(chosen), seeds)
    return Finding(claim, (dataset,), cells=cells, given=Evidence(pooled, estimates))


def _ranks(found: Means, measure: str, drawn: Sequence[np.ndarray]) -> tuple[float, np.ndarray]:
    """The rank of a measure, and its ranks with seeds drawn anew, plain and augmented networks by themselves.

    Of measures that separate as well, each has half of a rank; one without a spread is not ranked. A draw of a single
    network, of which the measure has no spread, has no rank (NaN).
    """

    def rank(plain: np.ndarray | slice, augmented: np.ndarray | slice) -> np.ndarray:
        apart = {name: separations(p[plain], a[augmented]) for name, (p, a) in found.items()}
        better = np.sum([value > apart[measure] for value in apart.values()], axis=0)
        alike = np.sum([value == apart[measure] for value in apart.values()], axis=0) - 1
        return np.where(np.isnan(apart[measure]), np.nan, 1 + better + alike / 2)

    return float(rank(slice(None), slice(None))), rank(*np.moveaxis(np.array(drawn), 1, 0))


def _estimate(claim: Claim, rank: float, ranks: np.ndarray, n: int, seeds: int) -> Estimate:
    ranks = ranks[np.isfinite(ranks)]
    low, high = (float(value) for value in np.quantile(ranks, [TAIL, 1 - TAIL]))
    verdict = claim.rule.verdict(low, high)
    undecided = verdict == "undecided"
    reason, wanted = what_decides(claim.rule, rank, seeds * float(ranks.var())) if undecided else ("", None)
    p = float((1 + (ranks > claim.rule.threshold).sum()) / (1 + len(ranks)))
    return Estimate(n, rank, low, high, p, verdict, reason, wanted)

"""A plain and an augmented network, seen by every family of measures."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import captions, choices
from cnn_invariance.experiments.framework.claims import Claim, Finding, over, unknown
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, cells_of, outputs_of, values
from cnn_invariance.experiments.framework.spread import separation
from cnn_invariance.experiments.framework.statistics import mean
from cnn_invariance.measures import requests as measure_names
from cnn_invariance.study import Cell, Closed, Outputs, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results

QUESTION = "Do the measures tell an augmented network from a plain one?"

SETTING = (
    "One panel for each measure, each with its own scale. One network is trained without augmentation, the other with "
    "the transformation set; both are measured under the set."
)
SEPARATION = (
    "Separation: over the layers, the mean of the plain network's value less the augmented network's, divided by the "
    "standard deviation of this difference (mean over seeds); the sign is turned where higher is more invariant. "
    "plain, augmented: means over layers and seeds."
)

FAMILIES = ("TV", "SV", "TD", "SD", "ANOVA", "NV", "ND", "Goodfellow", "NVSE", "NDSE", "DSES")
HIGHER = ("Goodfellow",)
"""The measures that are higher for a more invariant network."""
RIVALS = ("TV", "SV", "TD", "SD", "ANOVA", "Goodfellow")
"""What NV and ND are compared with by the claims."""


def _claim(name: str, measure: str) -> Claim:
    return Claim(
        name=name,
        statement=f"{measure} separates augmented from plain networks best.",
        statistic=f"separation of {measure} less the largest separation of {', '.join(RIVALS)}",
        side="above",
        threshold=0,
    )


CLAIMS = (_claim("NV_separates_best", "NV"), _claim("ND_separates_best", "ND"))


class Options(Closed):
    """``measures``: None means those of `FAMILIES` that the preset has; ``seeds``: how many of the preset's seeds."""

    model: str = "SimpleConv"
    datasets: choices.Labels = None
    transformation_sets: choices.Labels = None
    measures: choices.Labels = None
    seeds: int = Field(1, ge=1)


def cells(study: Study, options: Options) -> list[Cell]:
    """For each set, the plain and the augmented network, both measured under it."""
    return list(cells_of(_plans(study, options).values()))


def outputs(study: Study, options: Options) -> Outputs:
    """A figure for each dataset and set, a table of profiles for each set, and a table of separations."""
    return outputs_of(_plans(study, options).values(), "measure_comparison")


def draw(study: Study, options: Options, results: "Results", canvas: "Canvas") -> None:
    """Draw the profiles and write the tables."""
    import pandas as pd

    plans = _plans(study, options)
    rows = []
    for label, plan in plans.items():
        (drawn,) = plan.draw(study, results, canvas).values()
        for dataset, panels in drawn.items():
            found = _separations(plan, dataset, results)
            rows += [
                {
                    "dataset": dataset,
                    "transformations": label,
                    "measure": choices.label(measure),
                    "plain": plain.mean(),
                    "augmented": augmented.mean(),
                    "separation": mean(found[measure]),
                }
                for measure, (plain, augmented) in zip(found, panels.values(), strict=True)
            ]
    caption = captions.caption(
        study,
        "measure_comparison",
        cells_of(plans.values()),
        title=f"How clearly measures separate {options.model} trained with and without augmentation",
        question=QUESTION,
        setting=SEPARATION,
    )
    canvas.table("measure_comparison", pd.DataFrame(rows), caption)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets and seeds."""
    plans = _plans(study, options).values()
    for dataset in choices.choose("dataset", options.datasets, study.datasets):
        cells = [cell for plan in plans for cell in plan.cells(dataset)]
        found = [_by_name(_separations(plan, dataset, results)) for plan in plans]
        rivals = [name for name in RIVALS if name in found[0]]
        for claim, measure in zip(CLAIMS, ("NV", "ND"), strict=True):
            if measure not in found[0] or not rivals:
                reason = f"{measure} is not measured" if rivals else f"none of {', '.join(RIVALS)} is measured"
                yield Finding(claim, dataset, unknown("no pair of measures"), cells, reason=reason)
                continue
            leads = [
                own - max(others)
                for each in found
                for own, *others in zip(each[measure], *(each[name] for name in rivals), strict=True)
            ]
            yield Finding(claim, dataset, over(leads, "sets and seeds"), cells)


def _plans(study: Study, options: Options) -> dict[str, ProfilePlan]:
    """The plan of each set."""
    choices.choose("model", (options.model,), study.models)
    datasets = choices.choose("dataset", options.datasets, study.datasets)
    requests = options.measures
    measures = choices.measured_forms(study, FAMILIES) if requests is None else choices.measures(study, requests)
    if len(measures) < 2:
        raise InputError(f"two or more measures are compared; the preset has {', '.join(measures) or 'none'} of them")
    return {
        label: ProfilePlan(
            experiment="measure_comparison",
            title=f"Measures of a plain and an augmented {options.model} under {label}",
            question=QUESTION,
            setting=SETTING,
            measures=measures[:1],
            lines={dataset: _panels(study, options, dataset, label, measures) for dataset in datasets},
            line_column="trained_with",
            panel_column="panel",
            ylabel="mean over the layer",
            share_y=False,
            part=label,
        )
        for label in choices.choose("transformation set", options.transformation_sets, study.sets)
    }


def _panels(study: Study, options: Options, dataset: str, label: str, measures: list[str]) -> dict[str, list[Line]]:
    """For each measure the lines of the plain and of the augmented network."""
    cells = {
        name: [
            study.measurement(
                study.network(dataset=dataset, model=options.model, augmentation=augmentation, seed=seed), label
            )
            for seed in choices.seeds(study, options.seeds)
        ]
        for name, augmentation in (("trained without augmentation", None), (f"trained with {label}", label))
    }
    return {choices.label(measure): [Line(name, each, measure) for name, each in cells.items()] for measure in measures}


def _separations(plan: ProfilePlan, dataset: str, results: "Results") -> dict[str, list[float]]:
    """By measure, the separation of each seed."""
    found = {}
    for plain, augmented in plan.lines[dataset].values():
        measure = str(plain.measure)
        sign = -1 if measure_names.check(measure).name in HIGHER else 1
        pairs = zip(values(results, plain.cells, measure), values(results, augmented.cells, measure), strict=True)
        found[measure] = [sign * separation(p, a) for p, a in pairs]
    return found


def _by_name(separations: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """By the name of the measure; of two forms of one measure, the first."""
    names = {measure_names.check(measure).name: measure for measure in reversed(list(separations))}
    return {name: separations[measure] for name, measure in names.items()}

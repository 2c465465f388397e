"""The forms of same-equivariance: variance or distance, normalised or not, and the simple form."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.claims import Claim, Finding, over, unknown
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, of_plan, values
from cnn_invariance.experiments.framework.spread import log_range
from cnn_invariance.measures import requests as measure_names
from cnn_invariance.study import Closed, Study

if TYPE_CHECKING:
    from cnn_invariance.results import Results

QUESTION = "Which form of same-equivariance can be compared across layers?"

SETTING = (
    "One panel for each form, each with its own scale; one line for each transformation set, of the network trained "
    "with it and measured under it. Layers without feature maps have no same-equivariance."
)
FORMS = ("TVSE", "SVSE", "NVSE", "TDSE", "SDSE", "NDSE", "DSES", "DSES[normalize=true]")
NAMES = tuple(name for name in FORMS if "[" not in name)


def _claim(name: str, raw: str, normalised: str) -> Claim:
    return Claim(
        name=name,
        statement=f"Normalised, the layers can be compared: {normalised} spans fewer orders of magnitude than {raw}.",
        statistic=f"log10 of the largest over the smallest layer of {raw}, less that of {normalised}",
        side="above",
        threshold=0,
    )


CLAIMS = (_claim("comparable", "TVSE", "NVSE"), _claim("comparable_distance", "DSES", "NDSE"))
PAIRS = (("TVSE", "NVSE"), ("DSES", "NDSE"))


class Options(Closed):
    """``measures``: None means those of `FORMS` that the preset has; ``seeds``: how many (several: a band)."""

    model: str = "SimpleConv"
    datasets: choices.Labels = None
    transformation_sets: choices.Labels = None
    measures: choices.Labels = None
    seeds: int = Field(1, ge=1)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets and seeds."""
    plan = profile_plan(study, options)
    for dataset in plan.lines:
        cells = plan.cells(dataset)
        for claim, pair in zip(CLAIMS, PAIRS, strict=True):
            measures = choices.measured_forms(study, pair)
            if len(measures) < 2:
                reason = f"{' and '.join(pair)} are not both measured"
                yield Finding(claim, dataset, unknown("no pair of forms"), cells, reason=reason)
                continue
            raw, normalised = ([log_range(one) for one in values(results, cells, measure)] for measure in measures)
            less = (r - n for r, n in zip(raw, normalised, strict=True))
            yield Finding(claim, dataset, over(less, "sets and seeds"), cells)


def profile_plan(study: Study, options: Options) -> ProfilePlan:
    """The lines of its figures."""
    choices.choose("model", (options.model,), study.models)
    datasets = choices.choose("dataset", options.datasets, study.datasets)
    sets = choices.choose("transformation set", options.transformation_sets, study.sets)
    requests = options.measures
    measures = choices.measured_forms(study, FORMS) if requests is None else choices.measures(study, requests)
    if others := [one for one in measures if measure_names.check(one).name not in NAMES]:
        raise InputError(f"{others[0]} is no form of same-equivariance; expected forms of {', '.join(NAMES)}")
    if not measures:
        raise InputError(f"no measure to show: the preset has none of {', '.join(FORMS)}")
    return ProfilePlan(
        experiment="same_equivariance",
        title=f"Forms of same-equivariance of {options.model}",
        question=QUESTION,
        setting=SETTING,
        measures=measures[:1],
        lines={
            dataset: {
                choices.label(measure): [_line(study, options, dataset, label, measure) for label in sets]
                for measure in measures
            }
            for dataset in datasets
        },
        line_column="transformations",
        panel_column="panel",
        ylabel="mean over the layer",
        share_y=False,
        columns=None if len(measures) < 4 else 4,
    )


def _line(study: Study, options: Options, dataset: str, label: str, measure: str) -> Line:
    networks = (
        study.network(dataset=dataset, model=options.model, augmentation=label, seed=seed)
        for seed in choices.seeds(study, options.seeds)
    )
    return Line(label, [study.measurement(network, label) for network in networks], measure)


cells, outputs, draw = of_plan(profile_plan)

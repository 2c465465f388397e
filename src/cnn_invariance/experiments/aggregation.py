"""A feature map to one value: before or after the quotient, by mean, maximum or sum; and distances of whole maps."""

from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.claims import Claim, Finding, over, unknown
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, cells_of, outputs_of, values
from cnn_invariance.experiments.framework.spread import variation
from cnn_invariance.measures import requests as measure_names
from cnn_invariance.study import Cell, Closed, Outputs, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results

QUESTION = "How should a feature map be reduced to one value?"

SETTING = (
    "One line for each form. The network is trained with the transformation set of the panel and measured under it."
)
SCALE = "The scale is logarithmic, without place for 0. Before the quotient, the mean and the sum are one form."
FORMS = {
    "NV": {
        "NV": "of units",
        "NV[aggregate=mean]": "mean, before",
        "NV[aggregate=max]": "max, before",
        "NV[aggregate=sum]": "sum, before",
        "NV[aggregate=mean,order=after]": "mean, after",
        "NV[aggregate=max,order=after]": "max, after",
        "NV[aggregate=sum,order=after]": "sum, after",
    },
    "ND": {
        "ND": "of units",
        "ND[aggregate=mean]": "mean of units, before",
        "ND[per=map]": "of maps",
        "ND[per=map,normalize=true]": "of maps of unit norm",
    },
}
"""The forms and the names of their lines: what has a value, or how and when (before or after the quotient) a map is
reduced to one."""
BEFORE = "NV[aggregate=mean]"

CLAIMS = (
    Claim(
        name="mean_before_stable",
        statement="The mean over the feature map before the quotient is the stable form.",
        statistic=(
            "coefficient of variation over seeds (mean over layers) of NV with the mean before the quotient, divided "
            "by the median of those of the other forms of NV"
        ),
        side="below",
        threshold=1,
    ),
)


class Options(Closed):
    """``measures``: None means those of `FORMS` that the preset has; ``seeds``: how many of the preset's seeds."""

    model: str = "SimpleConv"
    datasets: choices.Labels = None
    transformation_sets: choices.Labels = None
    measures: choices.Labels = None
    seeds: int = Field(3, ge=2)


def cells(study: Study, options: Options) -> list[Cell]:
    """The networks of each set, measured under it."""
    return list(cells_of(_plans(study, options)))


def outputs(study: Study, options: Options) -> Outputs:
    """For NV and for ND, a figure of profiles for each dataset, and a table of their means and minima."""
    return outputs_of(_plans(study, options))


def draw(study: Study, options: Options, results: "Results", canvas: "Canvas") -> None:
    """Draw the profiles and write the tables."""
    for plan in _plans(study, options):
        plan.draw(study, results, canvas)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets."""
    plan = _plans(study, options)[0]
    for dataset, panels in plan.lines.items():
        ratios = []
        for lines in panels.values():
            found = {line.measure: variation(values(results, line.cells, str(line.measure))) for line in lines}
            before = found.pop(BEFORE, None)
            if before is not None and found and median(found.values()):
                ratios.append(before / median(found.values()))
        reason = "" if ratios else f"{BEFORE} and another form of NV are not both shown"
        interval = over(ratios, "sets") if ratios else unknown("no pair of forms")
        yield Finding(CLAIMS[0], dataset, interval, plan.cells(dataset), reason=reason)


def _plans(study: Study, options: Options) -> list[ProfilePlan]:
    """A plan for NV and one for ND, where there are two or more forms of it."""
    choices.choose("model", (options.model,), study.models)
    datasets = choices.choose("dataset", options.datasets, study.datasets)
    sets = choices.simple_sets(study, options.transformation_sets)
    usual = [form for forms in FORMS.values() for form in forms]
    measures = choices.measures(study, options.measures, usual)
    if others := [measure for measure in measures if measure_names.check(measure).name not in FORMS]:
        raise InputError(f"{others[0]} is no form of {' or '.join(FORMS)}")
    plans = [
        ProfilePlan(
            experiment="aggregation",
            title=f"Forms of {name} of {options.model}",
            question=QUESTION,
            setting=f"{SETTING} {SCALE}" if name == "NV" else SETTING,
            measures=forms[:1],
            lines={
                dataset: {label: [_line(study, options, dataset, label, form) for form in forms] for label in sets}
                for dataset in datasets
            },
            log_y=name == "NV",
            line_column="form",
            ylabel=name,
            part=name.lower(),
        )
        for name in FORMS
        if len(forms := [one for one in measures if measure_names.check(one).name == name]) > 1
    ]
    if not plans:
        raise InputError(f"two or more forms of NV or of ND are compared; received {', '.join(measures)}")
    return plans


def _line(study: Study, options: Options, dataset: str, label: str, form: str) -> Line:
    networks = (
        study.network(dataset=dataset, model=options.model, augmentation=label, seed=seed)
        for seed in choices.seeds(study, options.seeds)
    )
    name = FORMS[measure_names.check(form).name].get(form, choices.label(form))
    return Line(name, [study.measurement(network, label) for network in networks], form)

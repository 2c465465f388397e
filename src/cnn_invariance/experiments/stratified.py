"""The same measure of all samples together, and of each class by itself."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import augmented, choices
from cnn_invariance.experiments.framework.claims import CORRELATION, Claim, Finding, over
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, of_plan
from cnn_invariance.experiments.framework.similarity import correlation
from cnn_invariance.measures import requests as measure_names
from cnn_invariance.study import MeasureSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.results import Results

QUESTION = "Does it matter whether all samples are measured together, or each class by itself?"

SETTING = (
    "Each network is trained with the transformation set of the panel as augmentation, and measured under the same "
    "set: with the samples of all classes pooled, and with those of each class by themselves, averaged over classes. "
    "The strips show the kinds of layers."
)

CLAIMS = (
    Claim(
        name="similar_shape",
        statement="Pooled and per class, profiles have a similar shape.",
        statistic="correlation over layers of the pooled and the per-class NV profile",
        side="above",
        threshold=0.9,
    ),
)


class Options(augmented.Options):
    """``measures``: those of the preset that are taken both ways."""

    seeds: int = Field(1, ge=1)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets and seeds; of the first measure."""
    plan = profile_plan(study, options)
    for dataset, panels in plan.lines.items():
        values = []
        for pooled, by_class in panels.values():
            if pooled.measure == plan.measures[0]:
                lines = (augmented.profiles(plan, results, line) for line in (pooled, by_class))
                values += [correlation(p, q) for p, q in zip(*lines, strict=True)]
        yield Finding(CLAIMS[0], dataset, over(values, "sets and seeds", CORRELATION), plan.cells(dataset))


def profile_plan(study: Study, options: Options) -> ProfilePlan:
    """The lines of its figures."""
    measures = choices.measures(study, options.measures)
    by_class = {measure: _by_class(measure) for measure in measures}
    together = [*measures, *by_class.values()]

    def measured(dataset: str, label: str) -> list[MeasureSpec]:
        networks = augmented.networks(study, options, dataset, label)
        return [study.measurement(one, label, measures=together) for one in networks]

    def panel(measure: str, dataset: str, label: str) -> list[Line]:
        cells = measured(dataset, label)
        return [Line("all samples pooled", cells, measure), Line("per class, averaged", cells, by_class[measure])]

    sets = augmented.simple_sets(study, options)
    shown = {measure: augmented.lines(study, options, sets, partial(panel, measure)) for measure in measures}
    return ProfilePlan(
        experiment="stratified",
        title=f"Pooled and per-class profiles of {options.model}",
        question=QUESTION,
        setting=SETTING,
        measures=measures[:1],
        lines={
            dataset: {
                f"{choices.label(measure)}, {label}": lines
                for measure, datasets in shown.items()
                for label, lines in datasets[dataset].items()
            }
            for dataset in shown[measures[0]]
        },
        line_column="samples",
        panel_column="panel",
        ylabel=", ".join(map(choices.label, measures)),
        share_y=False,
    )


def _by_class(measure: str) -> str:
    """The measure taken per class (InputError for a distance: its pooled form wants the samples in another order)."""
    request = measure_names.check(measure)
    if measure_names.family(request.full_name).name == "distance":
        raise InputError(f"{measure} cannot be measured pooled and per class in one pass; leave it out of 'measures'")
    options = ",".join(f"{key}={str(value).lower()}" for key, value in request.options if key != "stratified")
    return str(measure_names.check(f"{request.full_name}[{options},stratified=true]"))


cells, outputs, draw = of_plan(profile_plan)

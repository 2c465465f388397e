"""A network that is invariant by design, trained plain, against one that has learnt it from augmented data."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.claims import POSITIVE, Claim, Finding, over
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, of_plan
from cnn_invariance.experiments.framework.statistics import layer_mean
from cnn_invariance.study import Closed, Study
from cnn_invariance.transformations import sets
from cnn_invariance.transformations.affine import AffineSet

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.results import Results

QUESTION = "Is invariance by design another than invariance by data?"

SETTING = (
    "TI-pooling takes the maximum over the transformations of the set of the panel, and is trained without "
    "augmentation; its layers before the pooling are averaged over the transformed paths. The other network is trained "
    "with the set. Both are measured under the set. Layers by relative depth: the first at 0 %, the last at 100 %. The "
    "strips show the kinds of each network's layers."
)

CLAIMS = (
    Claim(
        name="invariant_after",
        statement="TI-pooling is invariant after the pooling over transformations.",
        statistic="NV of TI-pooling's layers from the pooling over transformations on, divided by that of those before",
        side="below",
        threshold=0.5,
    ),
    Claim(
        name="more_than_data",
        statement="Invariance by design is stronger than invariance by data.",
        statistic=(
            "NV of TI-pooling's layers from the pooling over transformations on, divided by that of the augmented "
            "network's layers after its flattening"
        ),
        side="below",
        threshold=1,
    ),
)


class Options(Closed):
    """``ti_model``: the label of a TIPoolingSimpleConv; ``seeds``: how many of the preset's (several: a band)."""

    model: str = "SimpleConv"
    ti_model: str = "TIPooling"
    datasets: choices.Labels = None
    transformation_sets: choices.Labels = None
    measures: choices.Labels = None
    seeds: int = Field(1, ge=1)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets and seeds."""
    plan = profile_plan(study, options)
    for dataset, panels in plan.lines.items():
        after, more = [], []
        for by_design, by_data in panels.values():
            for cells in zip(by_design.cells, by_data.cells, strict=True):
                design, data = (results.profile(cell, plan.measures[0]) for cell in cells)
                pooled = _first(design, "PathMaxPool")
                invariant = layer_mean(design["value"][pooled:])
                after.append(invariant / layer_mean(design["value"][:pooled]))
                more.append(invariant / layer_mean(data["value"][_first(data, "Flatten") + 1 :]))
        for claim, values in zip(CLAIMS, (after, more), strict=True):
            yield Finding(claim, dataset, over(values, "sets and seeds", POSITIVE), plan.cells(dataset))


def _first(profile: "pd.DataFrame", kind: str) -> int:
    """The position of the first layer of a kind; behind the last layer, if there is none."""
    kinds = [*profile["kind"], kind]
    return kinds.index(kind)


def profile_plan(study: Study, options: Options) -> ProfilePlan:
    """The lines of its figures."""
    choices.choose("model", (options.model, options.ti_model), study.models)
    datasets = choices.choose("dataset", options.datasets, study.datasets)
    labels = choices.simple_sets(study, options.transformation_sets)
    return ProfilePlan(
        experiment="ti_pooling",
        title=f"profiles of {options.ti_model} and of {options.model} trained with augmentation",
        question=QUESTION,
        setting=SETTING,
        measures=choices.measures(study, options.measures),
        lines={dataset: {label: _lines(study, options, dataset, label) for label in labels} for dataset in datasets},
        axis="depth",
    )


def _lines(study: Study, options: Options, dataset: str, label: str) -> list[Line]:
    """TI-pooling over the set, trained plain; and the network trained with the set."""
    seeds = choices.seeds(study, options.seeds)
    over_set = {"transformations": _text(study, label)}
    by_design = [
        study.network(dataset=dataset, model=options.ti_model, arguments=over_set, seed=seed) for seed in seeds
    ]
    by_data = [study.network(dataset=dataset, model=options.model, augmentation=label, seed=seed) for seed in seeds]
    return [
        Line("TI-pooling, trained plain", [study.measurement(network, label) for network in by_design]),
        Line(f"{options.model}, augmented", [study.measurement(network, label) for network in by_data]),
    ]


def _text(study: Study, label: str) -> str:
    """A set as TI-pooling's argument (InputError if it is no affine one)."""
    spec = study.set(label)
    if not isinstance(spec.build(), AffineSet):
        raise InputError(f"TI-pooling needs an affine transformation set; {label!r} has other members")
    return sets.text_of(spec.name, spec.parameters)


cells, outputs, draw = of_plan(profile_plan)

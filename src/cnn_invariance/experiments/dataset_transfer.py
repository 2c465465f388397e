"""The same networks measured on samples of their own dataset, and of datasets they have never seen."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import augmented, choices
from cnn_invariance.experiments.framework.augmented import differences
from cnn_invariance.experiments.framework.claims import POSITIVE, Claim, Finding, over
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, of_plan
from cnn_invariance.study import Study

if TYPE_CHECKING:
    from cnn_invariance.results import Results

QUESTION = "Does a network keep its profile on the samples of another dataset?"

SETTING = (
    "Each network is trained on its own dataset with the transformation set of the panel as augmentation, and measured "
    "under the same set on samples of each dataset. Those of another dataset are resized to the network's input, grey "
    "images repeated for each colour, coloured ones reduced to their luma, and normalised with the mean and standard "
    "deviation of their own training split. The strips show the kinds of layers."
)

CLAIMS = (
    Claim(
        name="profile_changes",
        statement="The profile changes on the samples of another dataset.",
        statistic="relative difference of the NV profiles on the network's own dataset and on another",
        side="above",
        threshold=0.1,
    ),
)


class Options(augmented.Options):
    """``datasets``: two at least; networks are trained on each, and measured on all of them."""


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset trained on, over the sets, seeds and other datasets."""
    plan = profile_plan(study, options)
    for dataset in plan.lines:
        others = range(1, len(plan.lines))
        values = [value for other in others for value in differences(plan, results, dataset, 0, other)]
        yield Finding(CLAIMS[0], dataset, over(values, "sets, seeds and other datasets", POSITIVE), plan.cells(dataset))


def profile_plan(study: Study, options: Options) -> ProfilePlan:
    """The lines of its figures."""
    datasets = choices.choose("dataset", options.datasets, study.datasets)
    if len(datasets) < 2:
        raise InputError(f"a network is measured on another dataset: two are needed; received {', '.join(datasets)}")

    def panel(dataset: str, label: str) -> list[Line]:
        networks = augmented.networks(study, options, dataset, label)
        own_first = [dataset, *(other for other in datasets if other != dataset)]
        return [
            Line(
                f"{name} ({'own' if name == dataset else 'other'})",
                [study.measurement(network, label, dataset=name) for network in networks],
            )
            for name in own_first
        ]

    lines = augmented.lines(study, options, augmented.all_sets(study, options), panel)
    return ProfilePlan(
        experiment="dataset_transfer",
        title=f"profiles of {options.model} on its own and other samples",
        question=QUESTION,
        setting=SETTING,
        measures=choices.measures(study, options.measures, choices.WITH_DISTANCE),
        lines=lines,
        line_column="measured_on",
    )


cells, outputs, draw = of_plan(profile_plan)

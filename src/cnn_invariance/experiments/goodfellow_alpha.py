"""Goodfellow's measure at several thresholds of firing."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cnn_invariance.experiments.framework import captions, choices, goodfellow
from cnn_invariance.experiments.framework.claims import Finding
from cnn_invariance.experiments.framework.goodfellow import Options as Options
from cnn_invariance.experiments.framework.profiles import ProfilePlan, of_plan
from cnn_invariance.study import Study

if TYPE_CHECKING:
    from cnn_invariance.results import Results

QUESTION = "How does Goodfellow's measure depend on the threshold above which an activation fires?"

SETTING = f"One line for each threshold. {goodfellow.NETWORKS}"

CLAIMS = (goodfellow.unstable("Goodfellow", "unstable_at_extremes", "Goodfellow's measure"),)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets."""
    return goodfellow.findings(CLAIMS[0], "Goodfellow", study, profile_plan(study, options), results)


def profile_plan(study: Study, options: Options) -> ProfilePlan:
    """The lines of its figures."""
    datasets = choices.choose("dataset", options.datasets, study.datasets)
    sets = choices.choose("transformation set", options.transformation_sets, study.sets)
    return ProfilePlan(
        experiment="goodfellow_alpha",
        title=f"Goodfellow's measure of {options.model} by threshold",
        question=QUESTION,
        setting=SETTING,
        measures=["Goodfellow"],
        lines={
            dataset: {label: goodfellow.lines(study, options, dataset, label, "Goodfellow") for label in sets}
            for dataset in datasets
        },
        ordered=True,
        line_column="threshold",
        ylabel="Goodfellow of units",
        meanings=captions.of_measure("Goodfellow"),
    )


cells, outputs, draw = of_plan(profile_plan)

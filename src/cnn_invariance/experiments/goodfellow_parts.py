"""The two firing rates whose quotient is Goodfellow's measure, at several thresholds."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cnn_invariance.experiments.framework import choices, goodfellow
from cnn_invariance.experiments.framework.claims import Finding
from cnn_invariance.experiments.framework.goodfellow import Options as Options
from cnn_invariance.experiments.framework.profiles import ProfilePlan, of_plan
from cnn_invariance.study import Study

if TYPE_CHECKING:
    from cnn_invariance.results import Results

QUESTION = "Which part of Goodfellow's measure, the local or the global firing rate, depends on the threshold?"

SETTING = (
    "Above, local firing rates: the share of pairs of sample and transformation that fire; below, global ones: the "
    "share of untransformed samples (logarithmic scale, without place for a rate of 0). One line for each threshold. "
    f"{goodfellow.NETWORKS}"
)
PARTS = {"local": "Goodfellow_L", "global": "Goodfellow_G"}

CLAIMS = (goodfellow.unstable("Goodfellow_G", "unstable_global", "The global firing rate"),)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets."""
    return goodfellow.findings(CLAIMS[0], "Goodfellow_G", study, profile_plan(study, options), results)


def profile_plan(study: Study, options: Options) -> ProfilePlan:
    """The lines of its figures."""
    datasets = choices.choose("dataset", options.datasets, study.datasets)
    sets = choices.choose("transformation set", options.transformation_sets, study.sets)
    return ProfilePlan(
        experiment="goodfellow_parts",
        title=f"Firing rates of {options.model} by threshold",
        question=QUESTION,
        setting=SETTING,
        measures=["Goodfellow_L"],
        lines={
            dataset: {
                f"{label}, {part}": goodfellow.lines(study, options, dataset, label, name)
                for part, name in PARTS.items()
                for label in sets
            }
            for dataset in datasets
        },
        ordered=True,
        log_y=True,
        line_column="threshold",
        panel_column="panel",
        ylabel="firing rate",
        meanings="Rates of each unit, mean over the layer; Goodfellow's measure is the local over the global one.",
        columns=len(sets),
    )


cells, outputs, draw = of_plan(profile_plan)

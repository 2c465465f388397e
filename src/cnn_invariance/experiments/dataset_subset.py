"""The same networks measured on samples they were trained on, and on others."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from cnn_invariance.experiments.framework import augmented, choices
from cnn_invariance.experiments.framework.augmented import differences
from cnn_invariance.experiments.framework.claims import POSITIVE, Claim, Finding, over
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, of_plan
from cnn_invariance.study import SampleSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.results import Results

QUESTION = "Does it matter whether a network is measured on training or on test samples?"

SETTING = (
    "Each network is trained with the transformation set of the panel as augmentation, and measured under the same "
    "set on as many samples of the training split as of the test split. The strips show the kinds of layers."
)

CLAIMS = (
    Claim(
        name="same_profile",
        statement="Training and test samples give the same profile.",
        statistic="relative difference of the NV profiles on training and on test samples",
        side="below",
        threshold=0.1,
    ),
)

SPLITS: tuple[Literal["train", "test"], ...] = ("train", "test")


class Options(augmented.Options):
    """All of them are those of `augmented.Options`."""


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets and seeds."""
    plan = profile_plan(study, options)
    for dataset in plan.lines:
        interval = over(differences(plan, results, dataset, 0, 1), "sets and seeds", POSITIVE)
        yield Finding(CLAIMS[0], dataset, interval, plan.cells(dataset))


def profile_plan(study: Study, options: Options) -> ProfilePlan:
    """The lines of its figures."""

    def panel(dataset: str, label: str) -> list[Line]:
        networks = augmented.networks(study, options, dataset, label)
        usual = study.samples(label)
        samples = [SampleSpec(split=split, count=usual.count, seed=usual.seed) for split in SPLITS]
        return [
            Line(f"{one.split} samples", [study.measurement(network, label, samples=one) for network in networks])
            for one in samples
        ]

    lines = augmented.lines(study, options, augmented.all_sets(study, options), panel)
    return ProfilePlan(
        experiment="dataset_subset",
        title=f"profiles of {options.model} on training and test samples",
        question=QUESTION,
        setting=SETTING,
        measures=choices.measures(study, options.measures, choices.WITH_DISTANCE),
        lines=lines,
        line_column="measured_on",
        usual=[cell for panels in lines.values() for _, test in panels.values() for cell in test.cells],
    )


cells, outputs, draw = of_plan(profile_plan)

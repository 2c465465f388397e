"""The same networks measured on samples they were trained on, and on others."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from cnn_invariance.experiments import _augmented, _choices
from cnn_invariance.experiments._augmented import differences
from cnn_invariance.experiments._claims import Claim, Finding, over
from cnn_invariance.experiments._profiles import Line, ProfilePlan
from cnn_invariance.study import Cell, Outputs, SampleSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
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


class Options(_augmented.Options):
    """All of them are those of `_augmented.Options`."""


def cells(study: Study, options: Options) -> list[Cell]:
    """The network of each set, measured on samples of either split."""
    return list(_plan(study, options).cells())


def outputs(study: Study, options: Options) -> Outputs:
    """A figure of profiles for each dataset and measure, and a table of their means and minima."""
    return _plan(study, options).outputs()


def draw(study: Study, options: Options, results: "Results", canvas: "Canvas") -> None:
    """Draw the profiles and write the table."""
    _plan(study, options).draw(study, results, canvas)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets and seeds."""
    plan = _plan(study, options)
    for dataset in plan.lines:
        interval = over(differences(plan, results, dataset, 0, 1), "sets and seeds")
        yield Finding(CLAIMS[0], dataset, interval, plan.cells(dataset))


def _plan(study: Study, options: Options) -> ProfilePlan:
    def panel(dataset: str, label: str) -> list[Line]:
        networks = _augmented.networks(study, options, dataset, label)
        usual = study.samples(label)
        samples = [SampleSpec(split=split, count=usual.count, seed=usual.seed) for split in SPLITS]
        return [
            Line(f"{one.split} samples", [study.measurement(network, label, samples=one) for network in networks])
            for one in samples
        ]

    lines = _augmented.lines(study, options, _augmented.all_sets(study, options), panel)
    return ProfilePlan(
        experiment="dataset_subset",
        title=f"profiles of {options.model} on training and test samples",
        question=QUESTION,
        setting=SETTING,
        measures=_choices.measures(study, options.measures, _choices.WITH_DISTANCE),
        lines=lines,
        line_column="measured_on",
        usual=[cell for panels in lines.values() for _, test in panels.values() for cell in test.cells],
    )

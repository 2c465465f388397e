"""The profiles of one design from many random initializations."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from cnn_invariance.experiments.framework import augmented, choices
from cnn_invariance.experiments.framework.claims import POSITIVE, Claim, Finding, over
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan
from cnn_invariance.experiments.framework.similarity import pairs
from cnn_invariance.experiments.framework.statistics import mean
from cnn_invariance.study import Cell, Outputs, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results

QUESTION = "Is the profile of a network a property of its design, whatever its random initialization?"

SETTING = (
    "The network is trained from several random initializations with the transformation set of the panel as "
    "augmentation, and measured under the same set. The strips show the kinds of layers."
)
DIFFERENCES = "The relative difference of two profiles is the mean of |P - Q| over layers, as a share of their mean."

CLAIMS = (
    Claim(
        name="nearly_coincide",
        statement="The profiles of a design nearly coincide, whatever the random initialization.",
        statistic="relative difference of the NV profiles of two seeds, mean over all pairs",
        side="below",
        threshold=0.1,
    ),
)


class Options(augmented.Options):
    """``seeds``: how many of the preset's seeds are compared."""

    seeds: int = Field(8, ge=2)


def cells(study: Study, options: Options) -> list[Cell]:
    """The network of each set from each seed."""
    return list(profile_plan(study, options).cells())


def outputs(study: Study, options: Options) -> Outputs:
    """A figure of profiles for each dataset and measure; a table of them, and one of how much seeds differ."""
    return profile_plan(study, options).outputs("random_initialization_differences")


def draw(study: Study, options: Options, results: "Results", canvas: "Canvas") -> None:
    """Draw the profiles and write the tables."""
    import pandas as pd

    plan = profile_plan(study, options)
    found = plan.draw(study, results, canvas)
    rows = []
    for measure, drawn in found.items():
        for dataset, panels in drawn.items():
            for label, (line,) in panels.items():
                apart = pairs(list(line.values()))
                names = {"dataset": dataset, "transformations": label, "measure": choices.label(measure)}
                rows.append(names | {"pairs": len(apart), "mean": mean(apart), "largest": max(apart)})
    caption = plan.caption(study, found, more=DIFFERENCES)
    canvas.table("random_initialization_differences", pd.DataFrame(rows), caption)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets: pairs of seeds are not independent of each other."""
    plan = profile_plan(study, options)
    for dataset in plan.lines:
        interval = over(augmented.apart(plan, results, dataset), "sets", POSITIVE)
        yield Finding(CLAIMS[0], dataset, interval, plan.cells(dataset))


def profile_plan(study: Study, options: Options) -> ProfilePlan:
    """The lines of its figures; the overview shows some of them, too."""

    def panel(dataset: str, label: str) -> list[Line]:
        networks = augmented.networks(study, options, dataset, label)
        return [Line(f"{options.seeds} seeds", [study.measurement(one, label) for one in networks])]

    return ProfilePlan(
        experiment="random_initialization",
        title=f"profiles of {options.model} from {options.seeds} random initializations",
        question=QUESTION,
        setting=SETTING,
        measures=choices.measures(study, options.measures, choices.WITH_DISTANCE),
        lines=augmented.lines(study, options, augmented.simple_sets(study, options), panel),
        line_column="networks",
    )

"""Networks trained with one kind of transformations, measured under another."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import augmented, choices
from cnn_invariance.experiments.framework.claims import POSITIVE, Claim, Finding, over
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan
from cnn_invariance.experiments.framework.statistics import layer_mean, mean, quotient
from cnn_invariance.study import Cell, Outputs, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas, Series
    from cnn_invariance.results import Results

QUESTION = "Is a network trained with one kind of transformations invariant to another?"

SETTING = (
    "Each network is trained with one transformation set as augmentation, and measured under each set, that of the "
    "panel. The strips show the kinds of layers."
)
MATRIX = "Mean over layers (and seeds) of networks trained with the set of the row, measured under that of the column."

CLAIMS = (
    Claim(
        name="specific",
        statement="Invariance is specific: a network is more invariant to what it was trained with than others are.",
        statistic="NV (mean over layers) of the network trained with the measured set, as a share of the others' mean",
        side="below",
        threshold=0.95,
    ),
)


class Options(augmented.Options):
    """``transformation_sets``: two at least; networks are trained with each, and measured under all of them."""

    seeds: int = Field(1, ge=1)


def cells(study: Study, options: Options) -> list[Cell]:
    """The network trained with each set, measured under each set."""
    return list(_plan(study, options).cells())


def outputs(study: Study, options: Options) -> Outputs:
    """A figure of profiles for each dataset and measure; a table of the profiles, and a matrix of their means."""
    return _plan(study, options).outputs("transformation_diversity_matrix")


def draw(study: Study, options: Options, results: "Results", canvas: "Canvas") -> None:
    """Draw the profiles and write the tables."""
    import pandas as pd

    plan = _plan(study, options)
    found = plan.draw(study, results, canvas)
    rows = [
        {"dataset": dataset, "measure": choices.label(measure), **row}
        for measure, drawn in found.items()
        for dataset, panels in drawn.items()
        for row in _matrix(panels)
    ]
    caption = plan.caption(study, found, more=MATRIX)
    canvas.table("transformation_diversity_matrix", pd.DataFrame(rows), caption)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the measured sets and seeds."""
    plan = _plan(study, options)
    for dataset, panels in plan.lines.items():
        shares = []
        for own, lines in enumerate(panels.values()):
            by_seed = zip(*(augmented.profiles(plan, results, line) for line in lines), strict=True)
            shares += [_share([layer_mean(profile) for profile in profiles], own) for profiles in by_seed]
        yield Finding(CLAIMS[0], dataset, over(shares, "measured sets and seeds", POSITIVE), plan.cells(dataset))


def _plan(study: Study, options: Options) -> ProfilePlan:
    sets = augmented.simple_sets(study, options)
    if len(sets) < 2:
        raise InputError(f"networks are measured under another set: two are needed; received {', '.join(sets)}")

    def panel(dataset: str, measured: str) -> list[Line]:
        return [
            Line(
                f"trained with {trained}",
                [study.measurement(one, measured) for one in augmented.networks(study, options, dataset, trained)],
            )
            for trained in sets
        ]

    return ProfilePlan(
        experiment="transformation_diversity",
        title=f"profiles of {options.model} trained with one set and measured under another",
        question=QUESTION,
        setting=SETTING,
        measures=choices.measures(study, options.measures),
        lines={
            dataset: {f"under {measured}": lines for measured, lines in panels.items()}
            for dataset, panels in augmented.lines(study, options, sets, panel).items()
        },
        panel_column="measured",
    )


def _share(means: Sequence[float], own: int) -> float:
    """One of the means, as a share of the others' mean."""
    return quotient(means[own], mean(value for place, value in enumerate(means) if place != own))


def _matrix(panels: Mapping[str, Sequence["Series"]]) -> list[dict[str, object]]:
    """A row for each network, with a column for each measured set."""
    networks = next(iter(panels.values()))
    return [
        {"network": network.label, **{name: lines[row].mean() for name, lines in panels.items()}}
        for row, network in enumerate(networks)
    ]

"""One network trained with augmentations of rising range, all measured at the full range."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from pydantic import Field

from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.claims import CORRELATION, POSITIVE, Claim, Finding, over
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan
from cnn_invariance.experiments.framework.statistics import falls, layer_mean, rank_correlation
from cnn_invariance.study import Cell, Closed, Outputs, Study
from cnn_invariance.study.intensity import scaled

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas, Series
    from cnn_invariance.results import Results

QUESTION = "Does a network become more invariant as the range of its augmentation grows?"

SETTING = (
    "The network is trained with the transformation set of the panel over a share of its range, and "
    "measured under the set at its full range. The strips show the "
    "kinds of layers."
)
TREND = (
    "Of the mean over layers: Spearman's rho with the share of the range (-1: lower with every step), "
    "and whether it falls at every step. Rho also of the last layer. Of all layers: how many fall at "
    "every step, and how many are lower at the full range than without augmentation."
)

CLAIMS = (
    Claim(
        name="monotone",
        statement="NV falls as the range of the augmentation grows.",
        statistic="Spearman's rho of a network's NV (mean over layers) with the range it was trained on",
        side="below",
        threshold=-0.7,  # of four steps, at most two neighbours may change places
    ),
    Claim(
        name="lower",
        statement="Trained with the full range, a network is more invariant than trained without augmentation.",
        statistic="NV (mean over layers) of the augmented network, as a share of the plain network's",
        side="below",
        threshold=0.95,
    ),
)


class Options(Closed):
    """``steps`` equal steps lead from no augmentation to the full range.

    ``measures``: whose profiles; ``seeds``: how many of the preset's seeds (several: a band).
    """

    model: str = "SimpleConv"
    datasets: choices.Labels = None
    transformation_sets: choices.Labels = None
    steps: int = Field(3, ge=1, le=7)
    measures: choices.Labels = None
    seeds: int = Field(1, ge=1)


def cells(study: Study, options: Options) -> list[Cell]:
    """For each set and share of its range a network, measured under the full set."""
    return list(profile_plan(study, options).cells())


def outputs(study: Study, options: Options) -> Outputs:
    """A figure of profiles for each dataset; tables of their means and of the trends in these."""
    return profile_plan(study, options).outputs("augmentation_intensity_trend")


def draw(study: Study, options: Options, results: "Results", canvas: "Canvas") -> None:
    """Draw the profiles and write the tables."""
    import pandas as pd

    plan = profile_plan(study, options)
    found = plan.draw(study, results, canvas)
    rows = [
        {"dataset": dataset, "transformations": label, "measure": choices.label(measure), **_trend(lines)}
        for measure, drawn in found.items()
        for dataset, panels in drawn.items()
        for label, lines in panels.items()
    ]
    caption = plan.caption(study, found, more=TREND)
    canvas.table("augmentation_intensity_trend", pd.DataFrame(rows), caption)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets and seeds."""
    plan = profile_plan(study, options)
    for dataset, panels in plan.lines.items():
        trends = []
        for lines in panels.values():
            for cells in zip(*(line.cells for line in lines), strict=True):
                profiles = (results.profile(cell, plan.measures[0]) for cell in cells)
                trends.append([layer_mean(profile["value"]) for profile in profiles])
        rhos = over((rank_correlation(range(len(means)), means) for means in trends), "sets and seeds", CORRELATION)
        shares = over((means[-1] / means[0] for means in trends), "sets and seeds", POSITIVE)
        for claim, interval in zip(CLAIMS, (rhos, shares), strict=True):
            yield Finding(claim, dataset, interval, plan.cells(dataset))


def profile_plan(study: Study, options: Options) -> ProfilePlan:
    """The lines of its figures; the overview shows some of them, too."""
    choices.choose("model", (options.model,), study.models)
    datasets = choices.choose("dataset", options.datasets, study.datasets)
    sets = choices.simple_sets(study, options.transformation_sets)
    shares = [Fraction(step, options.steps) for step in range(options.steps + 1)]
    return ProfilePlan(
        experiment="augmentation_intensity",
        title=f"profiles of {options.model} by intensity of augmentation",
        question=QUESTION,
        setting=SETTING,
        measures=choices.measures(study, options.measures),
        lines={
            dataset: {label: [_line(study, options, dataset, label, share) for share in shares] for label in sets}
            for dataset in datasets
        },
        ordered=True,
        line_column="trained_with",
    )


def _line(study: Study, options: Options, dataset: str, label: str, share: Fraction) -> Line:
    augmentation = scaled(study.set(label), float(share))
    networks = (
        study.network(dataset=dataset, model=options.model, augmentation=augmentation, seed=seed)
        for seed in choices.seeds(study, options.seeds)
    )
    return Line(_name(share), [study.measurement(network, label) for network in networks])


def _name(share: Fraction) -> str:
    if share in (0, 1):
        return "full range" if share else "no augmentation"
    return f"{share} of the range"


def _trend(lines: Sequence["Series"]) -> dict[str, object]:
    """The trend of lines in the order of their share of the range."""
    means = [line.mean() for line in lines]
    layers = list(zip(*(line.middle() for line in lines), strict=True))
    return {
        "steps": len(lines) - 1,
        "mean_without": means[0],
        "mean_full": means[-1],
        "rho": rank_correlation(range(len(means)), means),
        "falls_throughout": falls(means),
        "last_without": layers[-1][0],
        "last_full": layers[-1][-1],
        "last_rho": rank_correlation(range(len(means)), layers[-1]),
        "layers": len(layers),
        "layers_falling": sum(falls(values) for values in layers),
        "layers_lower": sum(values[-1] < values[0] for values in layers),
    }

"""One network trained with augmentations of rising range, all measured at the full range."""

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from pydantic import Field

from cnn_invariance.experiments import _choices
from cnn_invariance.experiments._profiles import Line, ProfilePlan
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


class Options(Closed):
    """``steps`` equal steps lead from no augmentation to the full range.

    ``measure``: whose profile; ``seeds``: how many of the preset's seeds (several: a band).
    """

    model: str = "SimpleConv"
    datasets: _choices.Labels = None
    transformation_sets: _choices.Labels = None
    steps: int = Field(3, ge=1, le=7)
    measure: str = _choices.HEADLINE
    seeds: int = Field(1, ge=1)


def cells(study: Study, options: Options) -> list[Cell]:
    """For each set and share of its range a network, measured under the full set."""
    return list(_plan(study, options).cells())


def outputs(study: Study, options: Options) -> Outputs:
    """A figure of profiles for each dataset; tables of their means and of the trends in these."""
    return _plan(study, options).outputs("augmentation_intensity_trend")


def draw(study: Study, options: Options, results: "Results", canvas: "Canvas") -> None:
    """Draw the profiles and write the tables."""
    import pandas as pd

    plan = _plan(study, options)
    drawn = plan.draw(study, results, canvas)
    rows = [
        {"dataset": dataset, "transformations": label, **_trend(lines)}
        for dataset, panels in drawn.items()
        for label, lines in panels.items()
    ]
    caption = plan.caption(study, drawn, more=TREND)
    canvas.table("augmentation_intensity_trend", pd.DataFrame(rows), caption)


def _plan(study: Study, options: Options) -> ProfilePlan:
    _choices.choose("model", (options.model,), study.models)
    datasets = _choices.choose("dataset", options.datasets, study.datasets)
    sets = _choices.choose("transformation set", options.transformation_sets, study.sets)
    shares = [Fraction(step, options.steps) for step in range(options.steps + 1)]
    return ProfilePlan(
        experiment="augmentation_intensity",
        title=f"{_choices.label(options.measure)} of {options.model} by intensity of augmentation",
        question=QUESTION,
        setting=SETTING,
        measure=_choices.measure(study, options.measure),
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
        for seed in _choices.seeds(study, options.seeds)
    )
    return Line(_name(share), [study.measurement(network, label) for network in networks])


def _name(share: Fraction) -> str:
    if share in (0, 1):
        return "full range" if share else "no augmentation"
    return f"{share} of the range"


def _trend(lines: Sequence["Series"]) -> dict[str, object]:
    """The trend of lines in the order of their share of the range."""
    from cnn_invariance.experiments._statistics import falls, rank_correlation

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

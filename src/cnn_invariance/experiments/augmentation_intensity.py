"""One network trained with augmentations of rising range, all measured at the full range."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from pydantic import Field

from cnn_invariance.experiments.framework import (
    CORRELATION,
    FurtherTable,
    Line,
    MeasuredPanel,
    Panel,
    ProfileExperiment,
    claim,
)
from cnn_invariance.statistics.intervals import falls, rank_correlation
from cnn_invariance.statistics.profiles import layer_mean
from cnn_invariance.study.intensity import scaled

if TYPE_CHECKING:
    from cnn_invariance.plotting import Series


def _means(panel: MeasuredPanel) -> Iterator[list[float]]:
    return (list(map(layer_mean, profiles)) for profiles in panel.by_seed())


def _rho(panel: MeasuredPanel) -> list[float]:
    return [rank_correlation(range(len(means)), means) for means in _means(panel)]


def _share(panel: MeasuredPanel) -> list[float]:
    return [means[-1] / means[0] for means in _means(panel)]


def _trends(measure: str, panels: Mapping[str, Sequence["Series"]]) -> Iterator[dict[str, object]]:
    for label, lines in panels.items():
        means = [line.mean() for line in lines]
        layers = list(zip(*(line.middle() for line in lines), strict=True))
        yield {
            "transformations": label,
            "measure": measure,
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


class AugmentationIntensity(ProfileExperiment):
    """``steps`` equal steps lead from no augmentation to the full range."""

    question = "Does a network become more invariant as the range of its augmentation grows?"
    group = "validation"
    overview_row = (4, "Intensity of augmentation")
    title = "profiles of {model} by intensity of augmentation"
    setting = (
        "The network is trained with the transformation set of the panel over a share of its range, and measured under "
        "the set at its full range. The strips show the kinds of layers."
    )
    drawing = {"ordered": True, "line_column": "trained_with"}
    tests = (
        claim(
            "monotone",
            "NV falls as the range of the augmentation grows.",
            "Spearman's rho of a network's NV (mean over layers) with the range it was trained on",
            _rho,
            below=-0.7,  # of four steps, at most two neighbours may change places
            within=CORRELATION,
        ),
        claim(
            "lower",
            "Trained with the full range, a network is more invariant than trained without augmentation.",
            "NV (mean over layers) of the augmented network, as a share of the plain network's",
            _share,
            below=0.95,
        ),
    )
    further = (
        FurtherTable(
            "trend",
            "Of the mean over layers: Spearman's rho with the share of the range (-1: lower with every step), and "
            "whether it falls at every step. Rho also of the last layer. Of all layers: how many fall at every step, "
            "and how many are lower at the full range than without augmentation.",
            _trends,
        ),
    )

    steps: int = Field(3, ge=1, le=7)

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for each share of the range."""
        for step in range(self.steps + 1):
            share = Fraction(step, self.steps)
            augmentation = scaled(at.study.set(at.label), float(share))
            yield at.line(_name(share), at.networks(augmentation=augmentation))


def _name(share: Fraction) -> str:
    if share in (0, 1):
        return "full range" if share else "no augmentation"
    return f"{share} of the range"

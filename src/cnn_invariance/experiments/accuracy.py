"""Accuracy of networks trained plain or augmented, tested plain or transformed."""

import math
from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

from cnn_invariance.experiments.framework import Claim, Finding, Source, choices
from cnn_invariance.experiments.framework.accuracies import (
    OUTPUTS,
    AccuracyExperiment,
    Setting,
    accuracies,
    bracketed,
    outputs_of,
)
from cnn_invariance.statistics.evidence import Rule
from cnn_invariance.statistics.intervals import mean, with_interval
from cnn_invariance.study import Cell, Study

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.results import Results

KEPT = (
    "accuracy above chance under the transformations of the {} network, as a share of its accuracy above chance on "
    "plain samples; chance: one over the number of classes"
)
LONGER = "; augmented networks are trained for more epochs than plain ones, see augmentation_intensity for as many"
KEEP = Claim(
    "augmented_keep",
    "Networks trained with the transformations keep their accuracy under them.",
    KEPT.format("augmented"),
    Rule("above", 0.9),
    Source.OURS,
    f"a tenth of what was learnt{LONGER}",
    primary=True,
)
LOSE = Claim(
    "plain_lose",
    "Networks trained without the transformations lose accuracy under them.",
    KEPT.format("plain"),
    Rule("below", 0.9),
    Source.OURS,
    "a tenth of what was learnt",
)
COST = Claim(
    "little_cost",
    "Augmentation costs little accuracy on plain samples.",
    "accuracy on plain samples of the augmented network, less that of the plain network of the same seed",
    Rule("above", -0.05),
    Source.OURS,
    f"five points of accuracy{LONGER}",
)


class Accuracy(AccuracyExperiment):
    """Each network plain and with each set, tested under the identity and under all of the set."""

    question = "Does augmentation cost accuracy on plain samples, or pay on transformed ones?"
    claims = (KEEP, LOSE, COST)
    title = "Test accuracy, {on}"
    setting = (
        "Each network is trained plain, and with each transformation set as augmentation. Plain: "
        "accuracy under the identity. Transformed: mean accuracy over all transformations of the set, "
        "the identity included. Intervals: 95 % Wilson intervals, the samples being the independent units. "
        "Full test (in the table): plain accuracy on the whole test split (at most 10,000 samples)."
    )
    panel, ends = "tested_under", ("plain", "transformed")
    series = ("trained plain", "trained with the transformations")
    drawing = {"before": "plain test", "after": "transformed test"}

    def settings(self, study: Study) -> Iterator[Setting]:
        """Every network, plain and augmented, measured under the set it is compared on."""
        for dataset, model, under in product(*self.grid(study)):
            for augmentation in (None, under):
                networks = self.networks(study, dataset, model, augmentation)
                cells = [study.measurement(network, under) for network in networks]
                yield Setting(dataset, model, augmentation, cells, under)

    def cells(self, study: Study) -> list[Cell]:
        """The networks, and their measurements."""
        for label in self.sets(study):
            choices.identity(study, label)
        measured = [cell for one in self.settings(study) for cell in one.cells]
        return [*(cell.network for cell in measured), *measured]

    def row(self, study: Study, one: Setting, results: "Results") -> dict[str, object]:
        """Accuracies with their intervals."""
        plain, transformed = _means(study, one, results)
        trainings = [results.training(cell.network) for cell in one.cells]
        asked = one.cells[0].samples
        samples = asked.count or trainings[0]["samples"][asked.split]
        return {
            "dataset": one.dataset,
            "network": one.model,
            "trained_with": one.augmentation or "none",
            "tested_under": one.under,
            "epochs": one.cells[0].network.recipe.epochs,
            "seeds": len(one.cells),
            "samples": samples,
            **with_interval("plain", plain, samples),
            **with_interval("transformed", transformed, samples),
            "full_test": mean(each["accuracies"]["test"]["plain"] for each in trainings),
            "full_test_samples": trainings[0]["samples"]["test"],
            **outputs_of(one.cells, results),
        }

    def printed(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Intervals in brackets, without what the caption says."""
        shown = frame[["dataset", "network", "trained_with", "tested_under", "epochs"]]
        intervals = {name: bracketed(frame, name) for name in self.ends}
        outputs = {name: frame[name] for name in OUTPUTS if name in frame}
        return shown.assign(**intervals, full_test=frame["full_test"], **outputs)

    def place(self, row: Mapping[Any, Any]) -> int:
        """The plain networks, or the augmented ones."""
        return int(row["trained_with"] != "none")

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset; the conditions are its designs and sets, the replicates their seeds."""
        for dataset in self.on(study):
            tested = {
                (one.model, one.under, one.augmentation): one for one in self.settings(study) if one.dataset == dataset
            }
            kept, lost, cost = dict[str, list[float]](), dict[str, list[float]](), dict[str, list[float]]()
            for model, under in dict.fromkeys((model, under) for model, under, _ in tested):
                plain, augmented = (
                    _by_seed(study, tested[model, under, augmentation], results) for augmentation in (None, under)
                )
                name = f"{model}, {under}"
                kept[name], lost[name] = ([_share(*one) for one in each] for each in (augmented, plain))
                cost[name] = [a - p for (a, *_), (p, *_) in zip(augmented, plain, strict=True)]
            cells = [cell for one in tested.values() for cell in one.cells]
            for claim, values in zip(self.claims, (kept, lost, cost), strict=True):
                yield Finding(claim, (dataset,), values, cells)


def _share(plain: float, transformed: float, chance: float) -> float:
    """The accuracy above chance that is left under the transformations; NaN of a network no better than chance.

    >>> round(_share(0.9, 0.5, 0.1), 3), _share(0.1, 0.5, 0.1)
    (0.5, nan)
    """
    return (transformed - chance) / (plain - chance) if plain > chance else math.nan


def _by_seed(study: Study, one: Setting, results: "Results") -> list[tuple[float, float, float]]:
    """Of each network its accuracy on plain and on transformed samples, and that of chance."""
    identity = choices.identity(study, one.under)
    found = ((cell, accuracies(cell, results)) for cell in one.cells)
    return [(shares[identity], mean(shares), 1 / results.training(cell.network)["classes"]) for cell, shares in found]


def _means(study: Study, one: Setting, results: "Results") -> tuple[float, float]:
    """The accuracy on plain and on transformed samples, mean over seeds."""
    plain, transformed, _ = zip(*_by_seed(study, one, results), strict=True)
    return mean(plain), mean(transformed)

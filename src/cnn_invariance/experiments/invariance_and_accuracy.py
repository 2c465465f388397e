"""Whether the profile of a network predicts how much of its accuracy is left under transformations. Exploratory."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import Field

from cnn_invariance.experiments.framework import Models, Outputs, captions, choices
from cnn_invariance.experiments.framework.accuracies import accuracies
from cnn_invariance.statistics.evidence import Rule, evidence, jackknife
from cnn_invariance.statistics.intervals import mean, rank_correlation
from cnn_invariance.statistics.lines import counted
from cnn_invariance.statistics.profiles import layer_mean
from cnn_invariance.study import Cell, MeasureSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results

NV = choices.HEADLINE
PLAIN, AUGMENTED = "trained plain", "trained with the transformations"
KINDS = (PLAIN, AUGMENTED)
PREDICTORS = ("NV, mean over layers", "NV of the logits")
LOST = "change of accuracy (logit)"
BOUND = 1 - 1e-12
FEWEST = 3
"""Seeds of a jackknife."""


class Network(NamedTuple):
    """A trained network under one set: its NV by each of `PREDICTORS`, and the logits of accuracy that it loses."""

    seed: int
    training: str
    nv: tuple[float, float]
    lost: float


class InvarianceAndAccuracy(Models):
    """Has no cells of its own: those of `structure`, or of `accuracy` without batch normalisation.

    ``as_long``: whether plain networks are trained for as many epochs as augmented ones, as in `structure`; else for as
    many as the preset says, as in `accuracy`.
    """

    question = "Does the profile of a network predict its accuracy under transformations?"
    group = "characterisation"
    of_profiles = False
    setting = (
        "Exploratory: no claim was stated before looking. Each point is a network (design, seed, trained plain or with "
        "the set) under one transformation set. Accuracy: the logit of the mean accuracy over all transformations less "
        "that of plain accuracy, half a sample added to the right and to the wrong ones. NV of the logits: of the last "
        "layer before the softmax. Rho: Spearman's, over all networks of a dataset (in the table also over the plain "
        "and the augmented ones alone); its 95 % interval is over seeds, whose networks are left out together (by the "
        "jackknife, on Fisher's scale)."
    )

    seeds: int = Field(5, ge=1)
    as_long: bool = True

    def cells(self, study: Study) -> list[Cell]:
        """The measurements of all networks."""
        return [cell for dataset in self.on(study) for _, _, cell in self._measured(study, dataset)]

    def outputs(self, study: Study) -> Outputs:
        """A figure of all networks, and a table of correlations."""
        return Outputs([self.name], [self.name])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the networks, and write the table."""
        import pandas as pd

        from cnn_invariance.plotting.scatter import ScatterPanel, scatter_figure

        rows, panels = [], []
        for dataset in self.on(study):
            networks = list(self._networks(study, results, dataset))
            for k, predictor in enumerate(PREDICTORS):
                for of, kinds in {"all": KINDS, **{kind: (kind,) for kind in KINDS}}.items():
                    chosen = [one for one in networks if one.training in kinds]
                    rows.append({"dataset": dataset, "predictor": predictor, "of": of, **correlation(chosen, k)})
                points = {kind: [(one.nv[k], one.lost) for one in networks if one.training == kind] for kind in KINDS}
                panels.append(ScatterPanel(f"{dataset}, exploratory: rho = {_in_words(rows[-3])}", predictor, points))
        few = "" if self.seeds >= FEWEST else f"No interval: {FEWEST} seeds are needed, and there are {self.seeds}."
        caption = captions.caption(
            study,
            self.name,
            self.cells(study),
            title=f"Invariance and accuracy (exploratory), {' and '.join(self.on(study))}",
            question=self.question,
            setting=[self.setting, few],
            measures=[NV],
            counts=counted(
                results.profile(cell, NV) for on in self.on(study) for *_, cell in self._measured(study, on)
            ),
            finding=_described(rows),
        )
        canvas.figure(self.name, scatter_figure(panels, ylabel=LOST, columns=len(PREDICTORS)), caption)
        canvas.table(self.name, pd.DataFrame(rows), caption)

    def _networks(self, study: Study, results: "Results", dataset: str) -> Iterator[Network]:
        """The networks of a dataset, with what was measured of them."""
        for label, kind, cell in self._measured(study, dataset):
            profile, shares = results.profile(cell, NV), accuracies(cell, results)
            count = cell.samples.count or results.training(cell.network)["samples"][cell.samples.split]
            logits = profile["value"][profile["kind"] != "LogSoftmax"].iloc[-1]
            lost = _logit(mean(shares), count) - _logit(shares[choices.identity(study, label)], count)
            yield Network(cell.network.seed, kind, (layer_mean(profile["value"]), float(logits)), lost)

    def _measured(self, study: Study, dataset: str) -> Iterator[tuple[str, str, MeasureSpec]]:
        """Each network that is measured: the label of its set, how it was trained, and the cell."""
        choices.measure(study, NV)
        for model in self.compared(study):
            for label in self.sets(study):
                plain: dict[str, Any] = {"augmentation": None} | ({"epochs_for": label} if self.as_long else {})
                for kind, how in zip(KINDS, (plain, {"augmentation": label}), strict=True):
                    for seed in choices.seeds(study, self.seeds):
                        network = study.network(dataset=dataset, model=model, seed=seed, **how)
                        yield label, kind, study.measurement(network, label)


def correlation(networks: Sequence[Network], place: int) -> dict[str, object]:
    """Spearman's rho of a predictor, by its place, and of the accuracy lost, with its interval (NaN: unknown)."""
    seeds = list(dict.fromkeys(one.seed for one in networks))
    each = [np.array([(one.nv[place], one.lost) for one in networks if one.seed == seed]) for seed in seeds]

    def on_scale(chosen: Sequence[np.ndarray]) -> float:
        rho = rank_correlation(*np.concatenate(chosen).T.tolist())
        if math.isnan(rho):  # one of the two does not vary, or is not known
            return rho
        return math.atanh(max(-BOUND, min(BOUND, rho)))

    found = evidence({"rho": jackknife(on_scale, each)}, Rule("below", 0.0)).pooled
    estimate = on_scale(each) if math.isnan(found.estimate) else found.estimate
    numbers = zip(("rho", "low", "high"), map(math.tanh, (estimate, found.low, found.high)), strict=True)
    return {"networks": len(networks), "seeds": len(seeds), **dict(numbers), "reading": "exploratory"}


def _logit(share: float, count: int) -> float:
    return math.log((share * count + 0.5) / ((1 - share) * count + 0.5))


def _described(rows: Sequence[Mapping[str, Any]]) -> str:
    """The correlations over all networks, and over the augmented ones alone, of each predictor on each dataset."""
    known = [row for row in rows if not math.isnan(row["rho"])]
    said = {
        predictor: [
            f"{_in_words(row)} and {_in_words(alone)} on {row['dataset']}"
            for row, alone in product(known, known)
            if (row["of"], alone["of"]) == ("all", AUGMENTED)
            and row["predictor"] == alone["predictor"] == predictor
            and row["dataset"] == alone["dataset"]
        ]
        for predictor in PREDICTORS
    }
    shown = "; ".join(f"{predictor}, {', '.join(words)}" for predictor, words in said.items() if words)
    first = "Rho with the change of accuracy, over all networks and over the augmented ones alone"
    return f"{first}: {shown} (exploratory)." if shown else ""


def _in_words(row: Mapping[str, Any]) -> str:
    interval = "" if math.isnan(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]"
    return f"{row['rho']:.2f}{interval}".replace("-", "\N{MINUS SIGN}")

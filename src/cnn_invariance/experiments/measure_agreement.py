"""Whether measures agree on which network, and which layer of a network, is the more invariant one. Exploratory."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import Field

from cnn_invariance.experiments.framework import Models, Outputs, captions, choices
from cnn_invariance.experiments.framework.accuracies import OUTPUTS, accuracies, outputs_of
from cnn_invariance.measures.requests import better, check, level
from cnn_invariance.statistics.evidence import Rule, evidence
from cnn_invariance.statistics.intervals import CONFIDENCE, mean, rank_correlation
from cnn_invariance.statistics.profiles import layer_mean
from cnn_invariance.study import Cell, MeasureSpec, Study

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results

ASKED = (
    *choices.HEADLINES, "ND", "NDSE", "Goodfellow",
    "FittedResidual[centred=true]", "ProcrustesResidual[centred=true]", "CKA", "ChannelMatch", "Correlation",
    "GEED[metric=cosine]", "SEIS_equivariance",
    *OUTPUTS,
)  # fmt: skip
FEWEST = 4
"""Layers of an order, and networks."""
OVER = ("networks", "layers")


class Measured(NamedTuple):
    """A network and what was measured of it: of each measure the value of each layer, less invariant ones higher.

    layers: (L) by measure, NaN where a layer has no value; of a measure of the output one value
    """

    cell: MeasureSpec
    model: str
    training: str
    layers: Mapping[str, np.ndarray]


class MeasureAgreement(Models):
    """Cells of its own, with measures of other authors, of networks that other experiments train.

    ``measures``: requests, which the preset's ``measures`` need not have; None: those of `ASKED`.
    ``as_long``: whether plain networks are trained for as many epochs as augmented ones, as in `structure`; else for as
    many as the preset says, as in `accuracy`.
    """

    question = "Do measures agree on which network and which layer is the more invariant one?"
    group = "validation"
    of_profiles = False
    setting = (
        "Exploratory: no claim was stated before looking. Rank correlations (Spearman's, in hundredths) of the values "
        "of two measures, each turned so that the less invariant or equivariant value is the higher one. Networks: of "
        "the means over layers and seeds, over the designs, trained plain and with the set, with Bonett and Wright's "
        "95 % interval. Layers: of the layers of a network, mean over its seeds and over these networks on Fisher's "
        "scale, with Student's 95 % interval over networks. In italics: the interval holds 0, or there is none. "
        "Measures of the output have no layers."
    )

    measures: choices.Labels = None
    seeds: int = Field(5, ge=1)
    as_long: bool = True

    def requests(self) -> tuple[str, ...]:
        """The measures, as results name them."""
        found = tuple(dict.fromkeys(map(choices.form, ASKED if self.measures is None else self.measures)))
        choices.several("measures are compared", found)
        return found

    def cells(self, study: Study) -> list[Cell]:
        """The measurements of all networks."""
        return [cell for dataset, label in self.places(study) for *_, cell in self._measured(study, dataset, label)]

    def outputs(self, study: Study) -> Outputs:
        """A figure for each dataset and set, a table of correlations, and one of accuracies and outputs."""
        figures = [f"{self.name}_{dataset}_{label}" for dataset, label in self.places(study)]
        return Outputs(figures, [self.name, f"{self.name}_outputs"])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the correlations, and write the tables."""
        import pandas as pd

        from cnn_invariance.plotting.correlations import correlation_figure

        tables, outputs = [], []
        for dataset, label in self.places(study):
            networks = list(self._networks(study, results, dataset, label))
            where = {"dataset": dataset, "transformations": label}
            found = pd.DataFrame([where | row for row in agreement(networks)])
            outputs += [where | row for row in _outputs(study, networks, results)]
            tables.append(found)
            panels = {
                f"Over {over}": rows.assign(**{side: rows[side].map(_short) for side in ("first", "second")})
                for over in OVER
                if len(rows := found[(found["over"] == over) & found["rho"].notna()])
            }
            canvas.figure(
                f"{self.name}_{dataset}_{label}",
                correlation_figure(panels),
                self._caption(
                    study, f"Agreement of measures on {dataset} under {label} (exploratory)", networks, _counted(found)
                ),
            )
        caption = self._caption(study, "Agreement of measures (exploratory)", self.cells(study))
        canvas.table(self.name, pd.concat(tables), caption)
        canvas.table(
            f"{self.name}_outputs",
            pd.DataFrame(outputs),
            self._caption(study, "Accuracy under transformations, and measures of the output", self.cells(study)),
        )

    def _caption(self, study: Study, title: str, of: Sequence[Any], finding: str = "") -> Any:
        cells = [one.cell if isinstance(one, Measured) else one for one in of]
        return captions.caption(
            study, self.name, cells, title=title, question=self.question, setting=self.setting, finding=finding
        )

    def _networks(self, study: Study, results: "Results", dataset: str, label: str) -> Iterator[Measured]:
        """The networks of a dataset that are measured under a set."""
        for model, training, cell in self._measured(study, dataset, label):
            tables = {request: results.profile(cell, request) for request in self.requests()}
            last = max(int(table["layer_index"].max()) for table in tables.values())
            yield Measured(cell, model, training, {name: _turned(name, table, last) for name, table in tables.items()})

    def _measured(self, study: Study, dataset: str, label: str) -> Iterator[tuple[str, str, MeasureSpec]]:
        """Each network: the label of its design, how it was trained, and the cell; untrained ones are not augmented."""
        for model in self.compared(study):
            plain: dict[str, Any] = {"augmentation": None} | ({"epochs_for": label} if self.as_long else {})
            for training, how in {"plain": plain, "augmented": {"augmentation": label}}.items():
                for seed in choices.seeds(study, self.seeds):
                    network = study.network(dataset=dataset, model=model, seed=seed, **how)
                    if network.recipe.epochs or training == "plain":
                        yield model, training, study.measurement(network, label, measures=self.requests())


def _counted(rows: "pd.DataFrame") -> str:
    """How many pairs of measures agree, and how many disagree, over networks and over layers."""
    said = []
    for over, here in rows[rows["rho"].notna()].groupby("over", sort=False):
        agree, disagree = int((here["low"] > 0).sum()), int((here["high"] < 0).sum())
        pairs = f"{len(here)} pair{'s' if len(here) > 1 else ''}"
        said.append(f"of {pairs} of measures with a correlation over {over}, {agree} agree and {disagree} disagree")
    if not said:
        return ""
    counts = "; ".join(said)
    return (
        f"{counts[0].upper()}{counts[1:]}: the interval of rho lies above 0, or below (exploratory, each pair by "
        "itself)."
    )


def _short(label: str) -> str:
    """The label of a measure without what it has values of: pictures have little room, and the table has the whole."""
    name, _, rest = label.partition(" of ")
    return name + rest[rest.index(" (") :] if " (" in rest else name


def _turned(request: str, table: "pd.DataFrame", layers: int) -> np.ndarray:
    """The values of a measure, the less invariant ones higher: by layer (NaN where there is none), or of the output."""
    sign = -1.0 if better(check(request)) == "higher" else 1.0
    values = sign * table["value"].to_numpy(dtype=float)
    if level(check(request)) == "network":
        return values
    found = np.full(layers, np.nan)
    found[table["layer_index"].to_numpy(dtype=int) - 1] = values
    return found


def agreement(networks: Sequence[Measured]) -> Iterator[dict[str, object]]:
    """A row for each pair of measures, over networks and over layers: rho with its interval, NaN where unknown."""
    kinds: dict[tuple[str, str], list[Measured]] = {}
    for one in networks:
        kinds.setdefault((one.model, one.training), []).append(one)
    for both in combinations(networks[0].layers, 2):
        names = dict(zip(("first", "second"), map(choices.label, both), strict=True))
        of_kinds = [[[one.layers[name] for name in both] for one in seeds] for seeds in kinds.values()]
        means = [np.mean([list(map(layer_mean, seed)) for seed in seeds], axis=0) for seeds in of_kinds]
        yield names | {"over": "networks"} | over_networks(means)
        if "network" not in [level(check(name)) for name in both]:
            yield names | {"over": "layers"} | over_layers(of_kinds)


def over_networks(pairs: Sequence[np.ndarray]) -> dict[str, object]:
    """Spearman's rho over networks, from the two values of each (its mean over seeds), with an interval.

    On Fisher's scale its standard error is ``sqrt((1 + rho^2 / 2) / (n - 3))`` (D. Bonett and T. Wright, 2000).
    """
    known = [pair for pair in pairs if np.isfinite(pair).all()]
    n = len(known)
    rho = rank_correlation(*np.array(known).T.tolist()) if n >= FEWEST else math.nan
    if math.isnan(rho):
        return _numbers(n, rho, math.nan, math.nan)
    middle = _fisher(rho, n)
    half = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return _numbers(n, rho, min(rho, math.tanh(middle - half)), max(rho, math.tanh(middle + half)))


def over_layers(kinds: Sequence[Sequence[Sequence[np.ndarray]]]) -> dict[str, object]:
    """The mean over networks of Spearman's rho over their layers, with Student's interval over networks.

    kinds: of each network, a design and its training, the values of two measures by layer, of each seed
    """
    found = [np.mean(list(map(_of_layers, seeds))) for seeds in kinds]
    known = [float(value) for value in found if math.isfinite(value)]
    interval = evidence({"rho": known}, Rule("above", 0.0)).pooled
    numbers = (mean(known) if known else math.nan, interval.low, interval.high)
    return _numbers(len(known), *map(math.tanh, numbers))


def _of_layers(both: Sequence[np.ndarray]) -> float:
    """Spearman's rho over the layers that have both values, on Fisher's scale."""
    found = np.isfinite(both).all(axis=0)
    n = int(found.sum())
    return _fisher(rank_correlation(*(values[found].tolist() for values in both)), n) if n >= FEWEST else math.nan


def _numbers(networks: int, rho: float, low: float, high: float) -> dict[str, object]:
    return {"networks": networks, "rho": rho, "low": low, "high": high}


def _fisher(rho: float, n: int) -> float:
    """Of an order of n; where no two are exchanged, as if two neighbours were, because the scale has no end."""
    if math.isnan(rho):  # one of the two does not vary
        return rho
    most = 1 - 12 / (n * (n**2 - 1))
    return math.atanh(max(-most, min(most, rho)))


def _outputs(study: Study, networks: Sequence[Measured], results: "Results") -> Iterator[dict[str, object]]:
    """A row for each design and training, mean over seeds: accuracies, and measures of the output."""
    kinds = dict.fromkeys((one.model, one.training) for one in networks)
    for model, training in kinds:
        here = [one.cell for one in networks if (one.model, one.training) == (model, training)]
        yield {
            "network": model,
            "trained": training,
            "seeds": len(here),
            **_accuracies(study, here, results),
            **outputs_of(here, results),
        }


def _accuracies(study: Study, cells: Sequence[MeasureSpec], results: "Results") -> dict[str, float]:
    identity = choices.identity(study, study.label_of(cells[0].transformations))
    shares = [accuracies(cell, results) for cell in cells]
    return {"plain": mean(one[identity] for one in shares), "transformed": mean(map(mean, shares))}

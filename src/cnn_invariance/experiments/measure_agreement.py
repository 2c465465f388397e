"""Whether measures agree on which network, and which layer of a network, is the more invariant one. Exploratory."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import Field

from cnn_invariance.experiments.framework import Models, Outputs, captions, choices
from cnn_invariance.experiments.framework.accuracies import OUTPUTS, accuracies, outputs_of
from cnn_invariance.measures.requests import better, check, level
from cnn_invariance.statistics.evidence import Rule, evidence, jackknife
from cnn_invariance.statistics.intervals import mean, rank_correlation
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
BOUND = 1 - 1e-9
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
        "the means over layers, over all networks of a dataset under one set; the 95 % interval is over networks, each "
        "left out in turn (jackknife, on Fisher's scale). Layers: of the layers of a network, mean over networks on "
        "Fisher's scale, with Student's 95 % interval over networks. In italics: the interval holds 0, or there is "
        "none. Measures of the output have no layers."
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
                self._caption(study, f"Agreement of measures on {dataset} under {label} (exploratory)", networks),
            )
        caption = self._caption(study, "Agreement of measures (exploratory)", self.cells(study))
        canvas.table(self.name, pd.concat(tables), caption)
        canvas.table(
            f"{self.name}_outputs",
            pd.DataFrame(outputs),
            self._caption(study, "Accuracy under transformations, and measures of the output", self.cells(study)),
        )

    def _caption(self, study: Study, title: str, of: Sequence[Any]) -> Any:
        cells = [one.cell if isinstance(one, Measured) else one for one in of]
        return captions.caption(study, self.name, cells, title=title, question=self.question, setting=self.setting)

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
    for first, second in combinations(networks[0].layers, 2):
        names = {"first": choices.label(first), "second": choices.label(second)}
        pairs = [np.array([layer_mean(one.layers[name]) for name in (first, second)]) for one in networks]
        yield names | {"over": "networks"} | over_networks(pairs)
        if "network" not in (level(check(first)), level(check(second))):
            yield (
                names | {"over": "layers"} | over_layers([(one.layers[first], one.layers[second]) for one in networks])
            )


def over_networks(pairs: Sequence[np.ndarray]) -> dict[str, object]:
    """Spearman's rho over networks, from the two values of each; its interval by the jackknife over them."""
    known = [pair for pair in pairs if np.isfinite(pair).all()]
    if len(known) < FEWEST:
        return _numbers(len(known), [], lambda: math.nan)

    def on_scale(chosen: Sequence[np.ndarray]) -> float:
        return _fisher(rank_correlation(*np.array(chosen).T.tolist()))

    return _numbers(len(known), jackknife(on_scale, known), lambda: on_scale(known))


def over_layers(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, object]:
    """The mean over networks of Spearman's rho over their layers; its interval over networks."""
    found = []
    for first, second in pairs:
        both = np.isfinite(first) & np.isfinite(second)
        if both.sum() >= FEWEST:
            found.append(_fisher(rank_correlation(first[both].tolist(), second[both].tolist())))
    known = [value for value in found if math.isfinite(value)]
    return _numbers(len(known), known, lambda: mean(known) if known else math.nan)


def _numbers(networks: int, values: Sequence[float], estimate: Callable[[], float]) -> dict[str, object]:
    """The mean of values on Fisher's scale, with Student's interval; without an interval the estimate alone."""
    found = evidence({"rho": values}, Rule("above", 0.0)).pooled
    middle = estimate() if math.isnan(found.estimate) or math.isnan(found.low) else found.estimate
    numbers = zip(("rho", "low", "high"), map(math.tanh, (middle, found.low, found.high)), strict=True)
    return {"networks": networks, **dict(numbers)}


def _fisher(rho: float) -> float:
    return math.atanh(max(-BOUND, min(BOUND, rho)))


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

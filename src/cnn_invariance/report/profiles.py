"""The profiles of all measured cells of a preset: in words that tell cells apart, as a tidy table, and for the page."""

import base64
import json
import math
import zlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cnn_invariance.experiments.framework.profile_experiment import ProfilesOfModels
from cnn_invariance.measures.requests import HEADLINE, better, check, label
from cnn_invariance.results.measures import COUNTS
from cnn_invariance.study import MeasureSpec, SetSpec
from cnn_invariance.workflow.plan import Plan

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

CHOICES = ("trained on", "network", "trained with", "measured on", "under", "epoch", "samples", "seed")
"""What tells measured cells apart, in the order in which the page asks for it."""

COLUMNS = (
    "experiment", *CHOICES, "measure", "layer_index", "layer", "kind", "depth", "value", "units", "infinite", "dead",
    "nan", "cell",
)  # fmt: skip
"""Of the tidy table: a row for each layer, measure and cell."""

DIGITS = 4
"""Significant digits of the values on the page."""

FEW = 8
"""Cells with more measures have on the page only those of `on_page`."""

PLAIN = "no augmentation"


def names(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """What tells records apart: the fields that are not as in most of them.

    >>> names([{"width": 8, "batch_norm": False}, {"width": 8, "batch_norm": True}, {"width": 8, "batch_norm": False}])
    ['', 'batch_norm true', '']
    """
    fields = dict.fromkeys(name for record in records for name in record)
    usual = {name: Counter(_text(one.get(name)) for one in records).most_common(1)[0][0] for name in fields}
    return [
        ", ".join(f"{name} {text}" for name in fields if (text := _text(one.get(name))) != usual[name])
        for one in records
    ]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True).strip('"')


def on_page(plan: Plan) -> dict[MeasureSpec, frozenset[str]]:
    """The measures of each cell that the page has: of few all, else those of its experiments' figures and the usual."""
    found = {cell: set(HEADLINE if len(cell.measures) > FEW else cell.measures) for cell in plan.measurements}
    for name, cells in plan.study.cells.items():
        experiment = plan.study.experiments[name]
        drawn = experiment.requests(plan.study) if isinstance(experiment, ProfilesOfModels) else ()
        for cell in cells:
            if isinstance(cell, MeasureSpec):
                found[cell].update(drawn)
    return {cell: frozenset(measures) for cell, measures in found.items()}


class Words:
    """What cells are called: each network and each set by what it does not have in common with others of its name."""

    def __init__(self, cells: Sequence[MeasureSpec]) -> None:
        networks = list(dict.fromkeys(cell.network for cell in cells))
        used = [cell.transformations for cell in cells] + [one.augmentation for one in networks if one.augmentation]
        designs = _apart(networks, lambda one: one.model.name, lambda one: one.model.arguments)
        recipes = _apart(
            networks,
            lambda one: (designs[one], one.dataset, one.augmentation),
            lambda one: {**one.recipe.model_dump(), "weights": one.model.weights},
        )
        self._sets = _apart(used, lambda one: one.name, lambda one: one.parameters)
        self._networks = {
            one: ", ".join(filter(None, (one.model.name, designs[one], recipes[one]))) for one in networks
        }

    def of(self, cell: MeasureSpec) -> dict[str, str]:
        """The words of a cell, by `CHOICES`."""
        network, count = cell.network, cell.samples.count
        words = (
            network.dataset.name,
            self._networks[network],
            self._set(network.augmentation) if network.augmentation else PLAIN,
            cell.dataset.name,
            self._set(cell.transformations),
            "last" if cell.epoch == network.recipe.epochs else str(cell.epoch),
            f"{count or 'all'} {cell.samples.split}{f', draw {cell.samples.seed}' if cell.samples.seed else ''}",
            str(network.seed),
        )
        return dict(zip(CHOICES, words, strict=True))

    def _set(self, one: SetSpec) -> str:
        return ", ".join(filter(None, (one.name, self._sets[one])))


def _apart(things: Iterable[Any], alike: Callable[[Any], Hashable], fields: Callable[[Any], Mapping[str, Any]]) -> Any:
    """The words of each thing: what is not usual among those that are alike."""
    groups: dict[Hashable, list[Any]] = {}
    for one in things:
        groups.setdefault(alike(one), []).append(one)
    return {
        one: text for group in groups.values() for one, text in zip(group, names([*map(fields, group)]), strict=True)
    }


def tidy(plan: Plan, experiment: str) -> "pd.DataFrame":
    """The profiles of the computed measure cells of an experiment, with the columns `COLUMNS`, in full precision.

    ``value`` is the mean over the finite units of a layer, ``units`` how many units there are, and ``infinite``,
    ``dead`` and ``nan`` how many of them are infinite, dead and undefined; ``depth`` is that among all layers, in per
    cent.
    """
    import pandas as pd

    cells = plan.study.cells[plan.study.experiment(experiment).name]
    found = [cell for cell in cells if isinstance(cell, MeasureSpec) and plan.results.has(cell)]
    words = Words(plan.measurements)
    frames = [
        plan.results.profile(cell, measure).assign(
            experiment=experiment, **words.of(cell), measure=label(measure), cell=cell.key
        )
        for cell in found
        for measure in cell.measures
    ]
    return pd.concat(frames, ignore_index=True)[list(COLUMNS)] if frames else pd.DataFrame(columns=list(COLUMNS))


@dataclass
class Parts:
    """Things that many cells share, each kept once, in the order in which they were met."""

    places: dict[str, int] = field(default_factory=dict)

    def place(self, thing: Any) -> int:
        """The place of a thing."""
        return self.places.setdefault(json.dumps(thing, sort_keys=True, ensure_ascii=False), len(self.places))

    def all(self) -> list[Any]:
        """The things."""
        return [json.loads(text) for text in self.places]


class Gathered:
    """The profiles of cells that are added one by one, as the data of the page's explorer: JSON without repetitions.

    A preset has thousands of cells, which share layers and most of their specs, and the page is to stay small.
    """

    def __init__(self, words: Words) -> None:
        self._words = words
        self._layers, self._specs, self._made, self._units, self._measures = (Parts() for _ in range(5))
        self._choices = {name: Parts() for name in CHOICES}
        self._of: dict[str, list[int]] = {name: [] for name in CHOICES}
        self._cells: list[dict[str, Any]] = []
        self._experiments: dict[str, list[int]] = {}

    def add(self, cell: MeasureSpec, profiles: Mapping[str, Mapping[str, "np.ndarray"]], made: Mapping[str, Any],
            experiments: Iterable[str]) -> None:  # fmt: skip
        """Add a cell.

        profiles: of each measure that is shown, the columns of its profile, see `MeasureTable.numbers`
        made:     what is shown of its provenance
        """
        for name in experiments:
            self._experiments.setdefault(name, []).append(len(self._cells))
        for name, text in self._words.of(cell).items():
            self._of[name].append(self._choices[name].place(text))
        by_measure = {name: {row["layer_index"]: row for row in _rows(profile)} for name, profile in profiles.items()}
        layers = {place: (row["layer"], row["kind"]) for found in by_measure.values() for place, row in found.items()}
        order = sorted(layers)
        self._cells.append(
            {
                "key": cell.key,
                "layers": self._layers.place([layers[place] for place in order]),
                "spec": self._specs.place(self._spec(cell)),
                "made": self._made.place({name: made[name] for name in ("processor", "commit")}),
                "started": made["started"],
                "time": made["time"],
                "values": {
                    self._measures.place(name): [_shown(found.get(place)) for place in order]
                    for name, found in by_measure.items()
                },
                "units": {
                    self._measures.place(name): self._units.place(
                        [found[place]["units"] if place in found else None for place in order]
                    )
                    for name, found in by_measure.items()
                },
                "left": {
                    self._measures.place(name): left
                    for name, found in by_measure.items()
                    if (left := list(_left_out(found, order)))
                },
            }
        )

    def packed(self) -> str:
        """The data as JSON, deflated, in base64: text that can stand in a script element."""
        data = {
            "choices": {name: parts.all() for name, parts in self._choices.items()},
            "of": self._of,
            "measures": [
                {"label": label(name), "better": better(check(name)), "name": name} for name in self._measures.all()
            ],
            "layers": self._layers.all(),
            "units": self._units.all(),
            "specs": self._specs.all(),
            "made": self._made.all(),
            "cells": self._cells,
            "experiments": self._experiments,
        }
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return base64.b64encode(zlib.compress(text.encode(), 9)).decode()

    def _spec(self, cell: MeasureSpec) -> dict[str, Any]:
        """The spec of a cell, in which what other cells have, too, is a place among the specs: ``{"part": 3}``."""
        return {name: self._part(value) for name, value in cell.model_dump(mode="json").items()}

    def _part(self, value: Any) -> Any:
        if isinstance(value, list):
            return {"part": self._specs.place(value)}
        if not isinstance(value, dict):
            return value
        return {"part": self._specs.place({name: self._part(one) for name, one in value.items()})}


def _rows(profile: Mapping[str, "np.ndarray"]) -> Iterator[dict[str, Any]]:
    """The rows of a profile, of its columns those that the page shows."""
    whole = {name: profile[name].astype(int) for name in ("layer_index", *COUNTS)}
    columns = {name: profile[name] for name in ("layer", "kind", "value")} | whole
    for row in zip(*(column.tolist() for column in columns.values()), strict=True):
        yield dict(zip(columns, row, strict=True))


def _shown(row: Mapping[str, Any] | None) -> float | None:
    """The value of a layer to four digits; None: there is none, or it is not finite."""
    return float(f"{row['value']:.{DIGITS}g}") if row is not None and math.isfinite(row["value"]) else None


def _left_out(found: Mapping[int, Mapping[str, Any]], order: Sequence[int]) -> Iterator[list[int]]:
    """Of each layer that has some, how many units are infinite, dead and undefined, behind the place of the layer."""
    for place, index in enumerate(order):
        counts = [found[index][name] for name in ("infinite", "dead", "nan")] if index in found else [0]
        if any(counts):
            yield [place, *counts]

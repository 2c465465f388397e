"""What each departure from the author's form changes, one at a time, compared with what another seed changes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from statistics import stdev
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import Claim, Finding, Models, Outputs, Source, captions, choices
from cnn_invariance.experiments.framework.profiles import values
from cnn_invariance.paper import departures
from cnn_invariance.statistics.evidence import Rule, jackknife
from cnn_invariance.statistics.groups import log_ratio
from cnn_invariance.statistics.intervals import mean, quotient
from cnn_invariance.statistics.lines import counted
from cnn_invariance.statistics.profiles import difference, pairs
from cnn_invariance.study import Cell, MeasureSpec, SetSpec, Study, TrainSpec

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results

NV, ND = choices.HEADLINE, "ND"
AUTHOR = "author"
"""The value of an argument that stands for what the author has on this dataset."""
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "rotations in radians": {"instead": {"rotation": "rotation_reference"}},
    "samples sorted by class in SD": {"distance": "ND[order=class,block_size=64]"},
    "batches of 64": {"recipe": {"batch_size": 64}},
    "batches of 256": {"recipe": {"batch_size": 256}},
    "single precision": {"recipe": {"precision": "fp32"}},
    "bf16": {"recipe": {"precision": "bf16"}},
    "the held-out images too": {"recipe": {"images": "all"}},
    "original pixels": {"pixels": {"cifar10_jpeg": "cifar10"}},
    "1x1 convolution without padding": {"arguments": {"padding_1x1": 0}},
    "normalisation before the activation": {"arguments": {"norm_after_activation": False}, "where": "batch_norm"},
    "8 filters": {"arguments": {"width": 8}},
    "the author's width": {"arguments": {"width": AUTHOR}},
    "3,200 images an epoch": {"recipe": {"epoch_samples": 3200}},
    "all images in each epoch": {"recipe": {"epoch_samples": None}},
}
"""The changes by their names: arguments of `Study.network`; or another set ``instead``, another ``distance``, the label
of a dataset's original ``pixels``; only ``where`` a design has an argument. What a network has already is no change."""

SMALL = Claim(
    "small",
    "On average, a departure changes the NV profile no more than another seed does.",
    "log2 of the mean relative difference of NV profiles with and without the change over that of two seeds without it "
    "(jackknife over seeds)",
    Rule("below", math.log2(1.5)),
    Source.OURS,
    "half as much again as another seed",
    primary=True,
)


class Place(NamedTuple):
    """A network without the change, or with it, by labels; ``change`` empty: as the preset has it."""

    dataset: str
    model: str
    label: str
    change: str = ""


class Departures(Models):
    """``changes``: those of `CHANGES` that are made (None: all that change something); ``seeds``: of each network.

    only: the designs of which alone a change is made, by its name
    """

    question = "What do the departures from the author's form change, compared with what another seed changes?"
    group = "validation"
    alters = True
    claims = (SMALL,)
    setting = (
        "Networks as the preset has them against networks with one change. NV, ND: the difference between profiles "
        "(mean |P - Q| / mean (P + Q) / 2) with and without the change, divided by the mean difference between two "
        "seeds without it: 1 (dashed) is no more than another seed. Accuracy: the difference of the means, on the test "
        "split under the augmentation, in standard deviations over seeds; in the figure without its sign. Each point "
        "is a network and set."
    )

    seeds: int = Field(5, ge=2)
    changes: choices.Labels = None
    only: dict[str, tuple[str, ...]] = {}

    def cells(self, study: Study) -> list[Cell]:
        """Networks without and with each change, and their measurements."""
        measured = dict.fromkeys(cell for cells in self.once(study, self._cells).values() for cell in cells)
        return [*dict.fromkeys(cell.network for cell in measured), *measured]

    def outputs(self, study: Study) -> Outputs:
        """A figure and a table of all changes."""
        return Outputs([self.name], [self.name])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the changes and write their table."""
        import pandas as pd

        from cnn_invariance.plotting import spread_figure

        frame = pd.DataFrame(self._rows(study, results))
        panels = {
            title: {
                str(change): found
                for change, group in frame.groupby("change", sort=False)
                if (found := list(group[column].dropna().abs()))
            }
            for column, title in {"NV": "NV profile", "ND": "ND profile", "accuracy_in_sd": "accuracy"}.items()
        }
        caption = captions.caption(
            study,
            self.name,
            self.cells(study),
            title=f"Departures from the author's form, {' and '.join(self.on(study))}",
            question=self.question,
            setting=self.setting,
            measures=(NV, ND),
            counts=counted(
                results.profile(cell, NV)
                for each in self.once(study, self._cells).values()
                for cell in each
                if NV in cell.measures
            ),
            usual=[
                cell for place, cells in self.once(study, self._cells).items() if not place.change for cell in cells
            ],
        )
        figure = spread_figure(
            {title: rows for title, rows in panels.items() if rows}, xlabel="in spreads between seeds", reference=1
        )
        canvas.figure(self.name, figure, caption)
        canvas.table(self.name, frame, caption)

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset; a condition is a change of the training, of one design, under one set."""
        for dataset in self.on(study):
            cells = {place: each for place, each in self.once(study, self._cells).items() if place.dataset == dataset}
            found = {
                f"{place.change}, {place.model}, {place.label}": _by_seed(results, usual, changed)
                for place, changed in cells.items()
                if place.change and _networks(usual := cells[place._replace(change="")]) != _networks(changed)
            }
            used = [cell for each in cells.values() for cell in each]
            yield Finding(SMALL, (dataset,), found, used, reason="" if found else "no change is one of the training")

    def _cells(self, study: Study) -> dict[Place, list[MeasureSpec]]:
        """The cells of each place, one for each seed: without a change, and with each that changes something."""
        wanted = choices.choose("change", self.changes, list(CHANGES))
        for change, designs in self.only.items():
            choices.choose("change", (change,), wanted)
            choices.choose("model", designs, self.grid(study)[1])
        found: dict[Place, list[MeasureSpec]] = {}
        for dataset, model, label in product(*self.grid(study)):
            place = Place(dataset, model, label)
            found[place] = usual = self._measured(study, place)
            here = [one for one in wanted if model in self.only.get(one, (model,))]
            changed = ((place._replace(change=one), self._measured(study, place, CHANGES[one])) for one in here)
            found |= {one: cells for one, cells in changed if cells and cells != usual}
        made = {place.change for place in found}
        if nothing := [one for one in wanted if one not in made and (self.changes is not None or made == {""})]:
            raise InputError(
                f"departures: {', '.join(map(repr, nothing))} changes no network of this preset; leave it out of "
                "'changes', or add to 'models' one that it changes"
            )
        return found

    def _measured(self, study: Study, at: Place, change: Mapping[str, Any] = MappingProxyType({})) -> list[MeasureSpec]:
        """The cells of a place with a change; none, if the change does not concern it."""
        given, own = dict(change), study.set(at.label)
        measures = (NV, choices.form(given.pop("distance", ND)))
        dataset = given.pop("pixels", {at.dataset: at.dataset}).get(at.dataset)
        name = given.pop("instead", {own.name: own.name}).get(own.name)
        arguments = study.model(at.model, at.dataset).arguments
        if not arguments.get(given.pop("where", ""), True):
            return []
        asked: dict[str, Any] = dict(given.pop("arguments", {}))
        if asked.get("width") == AUTHOR:
            asked["width"] = _author_width(study, at)
        if (
            dataset not in study.datasets
            or name is None
            or not asked.keys() <= arguments.keys()
            or None in asked.values()
        ):
            return []
        under = own if name == own.name else study.set(SetSpec(name=name, parameters={"n": own.parameters["n"]}))
        given |= {"dataset": dataset, "model": at.model, "augmentation": under, "arguments": asked}
        networks = (study.network(seed=seed, **given) for seed in choices.seeds(study, self.seeds))
        samples = study.samples(at.label)
        return [study.measurement(one, under, samples=samples, measures=measures) for one in networks]

    def _rows(self, study: Study, results: "Results") -> Iterator[dict[str, Any]]:
        """What each change changes: profiles and accuracy, in spreads between seeds; NaN, where it concerns neither."""
        cells = self.once(study, self._cells)
        for place, changed in cells.items():
            if not place.change:
                continue
            usual = cells[place._replace(change="")]
            before, after = ([_accuracy(results, cell) for cell in each] for each in (usual, changed))
            same = _networks(usual) == _networks(changed)
            yield {
                "dataset": place.dataset,
                "network": place.model,
                "transformations": place.label,
                "change": place.change,
                "seeds": len(usual),
                "NV": math.nan if same else _ratio(results, usual, changed, of_distance=False),
                "ND": _ratio(results, usual, changed, of_distance=True),
                "accuracy": mean(before),
                "accuracy_changed": mean(after),
                "accuracy_in_sd": math.nan if same else quotient(mean(after) - mean(before), stdev(before)),
            }


def _author_width(study: Study, at: Place) -> int | None:
    """How many filters the author's network of a place has; None: he has no such network, or no such dataset."""
    source, design = study.preset.datasets[at.dataset].source, study.preset.models[at.model].model
    if source not in departures.DATASETS or not departures.known(design):
        return None
    return departures.sizes(design, departures.DATASETS[source].family)["width"]


def _networks(cells: Sequence[MeasureSpec]) -> list[TrainSpec]:
    return [cell.network for cell in cells]


def _by_seed(results: "Results", usual: Sequence[MeasureSpec], changed: Sequence[MeasureSpec]) -> list[float]:
    """The log2 of what a change of the training does to NV over what another seed does, as jackknife pseudo-values."""
    both = zip(values(results, usual, NV), values(results, changed, NV), strict=True)

    def ratio(seeds: Sequence[np.ndarray]) -> float:
        without, with_it = zip(*seeds, strict=True)
        return log_ratio([difference(p, q) for p, q in product(without, with_it)], pairs(without))

    return jackknife(ratio, list(map(np.array, both)))


def _accuracy(results: "Results", cell: MeasureSpec) -> float:
    return float(results.training(cell.network)["accuracies"]["test"]["augmented"])


def _ratio(
    results: "Results", usual: Sequence[MeasureSpec], changed: Sequence[MeasureSpec], of_distance: bool
) -> float:
    """The difference between profiles with and without a change, over that between two seeds without it."""
    without, with_it = (
        values(results, cells, next(one for one in cells[0].measures if (one != NV) == of_distance))
        for cells in (usual, changed)
    )
    if _networks(usual) == _networks(changed):
        apart = [difference(p, q) for p, q in zip(without, with_it, strict=True)]
    else:
        apart = [difference(p, q) for p, q in product(without, with_it)]
    return quotient(mean(apart), mean(pairs(without)))

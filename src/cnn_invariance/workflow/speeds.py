"""What a unit of work costs on this processor, timed before a campaign for designs of which no cell was computed on it.

``models/speeds/<processor>.json`` keeps it: seconds an image in training, seconds a sample and transformation in
measuring. No torch; `cnn_invariance.workflow.timing` fills it.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cnn_invariance.storage.files import read_plain, write_whole
from cnn_invariance.study import Cell, MeasureSpec, ResponseSpec, TrainSpec
from cnn_invariance.workflow.folders import Folders

START = 6.0
"""Seconds that a cell takes besides its work: Python and torch start, data and weights are read."""
FORWARD = 1 / 3
"""The cost of an image that is only looked at, in images that are trained on."""

Design = tuple[str, ...]
"""What the cost of a unit of work depends on, the coarsest part first."""


def design(cell: Cell) -> Design:
    """The stage, model, dataset and precision, then the details.

    Whether a training is under an augmentation is no part of it: it is timed under one if any cell has one.
    """
    network = cell.network
    arguments = json.dumps(network.model.arguments, sort_keys=True)
    named = (network.model.name, network.dataset.name)
    if isinstance(cell, TrainSpec):
        recipe = network.recipe
        return ("train", *named, recipe.precision, arguments, str(recipe.batch_size))
    measures = " ".join((cell.by,) if isinstance(cell, ResponseSpec) else cell.measures)
    return ("measure", *named, "fp32", arguments, hashlib.sha256(measures.encode()).hexdigest()[:10])


@dataclass(frozen=True)
class Speeds:
    """Seconds for a unit of work, by design, and the number of samples of each split, by dataset."""

    seconds: Mapping[Design, float] = field(default_factory=dict)
    samples: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Speeds":
        """What a file keeps; nothing if it is missing, damaged, or of another version of torch."""
        try:
            kept = json.loads(read_plain(path))
            if kept["torch"] != version("torch"):
                return cls()
            return cls(
                {tuple(map(str, one["design"])): float(one["seconds"]) for one in kept["speeds"]},
                {
                    str(name): {str(split): int(count) for split, count in sizes.items()}
                    for name, sizes in kept["samples"].items()
                },
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def write(self, path: Path) -> None:
        """Write a file, whole or not at all."""
        content = {
            "torch": version("torch"),
            "samples": self.samples,
            "speeds": [{"design": list(one), "seconds": seconds} for one, seconds in self.seconds.items()],
        }
        write_whole(path, json.dumps(content, indent=1) + "\n")

    def with_speed(self, cell: Cell, seconds: float, sizes: Mapping[str, int]) -> "Speeds":
        """The same, with the speed of the design of a cell, and the samples of its network's dataset."""
        samples = {**self.samples, cell.network.dataset.name: dict(sizes)}
        return Speeds({**self.seconds, design(cell): seconds}, samples)

    def unit(self, cell: Cell) -> float | None:
        """The seconds of a unit of work; of a design that was not timed, the most of those with most parts in common.

        These have its stage and model at least; None if there is none.
        """
        wanted = design(cell)
        for length in range(len(wanted), 1, -1):
            if found := [one for key, one in self.seconds.items() if key[:length] == wanted[:length]]:
                return max(found)
        return None

    def estimate(self, cell: Cell) -> float | None:
        """The seconds that a cell will take, alone on a core or a GPU; None if nothing like it was timed."""
        unit = self.unit(cell)
        sizes = self.samples.get(cell.dataset.name) or self.samples.get(cell.network.dataset.name)
        if unit is None or sizes is None:
            return None
        return START + unit * (_trained(cell, sizes) if isinstance(cell, TrainSpec) else _measured(cell, sizes))


def _trained(cell: TrainSpec, sizes: Mapping[str, int]) -> float:
    """The images of a training, those that are only looked at in proportion to their cost."""
    recipe, parts = cell.recipe, ("train", "validation") if cell.recipe.images == "all" else ("train",)
    images = recipe.epoch_samples or sum(sizes.get(part, 0) for part in parts)
    looked_at = sum(sizes.get(f"evaluated {split}", 0) for split in ("train", "validation", "test"))
    looked_at *= 1 if cell.augmentation is None else 2
    return recipe.epochs * images + FORWARD * (looked_at + recipe.epochs * sizes.get("validated", 0))


def _measured(cell: MeasureSpec | ResponseSpec, sizes: Mapping[str, int]) -> float:
    """Samples x transformations."""
    measured = cell.measured
    count = measured.samples.count or sizes.get(measured.samples.split, 1)
    return count * measured.transformations.size


def file(folders: Folders, processor: str) -> Path:
    """Where the speeds of a processor are kept."""
    digest = hashlib.sha256(processor.encode()).hexdigest()[:8]
    return folders.models / "speeds" / f"{re.sub('[^A-Za-z0-9]+', '_', processor).strip('_')}-{digest}.json"


def to_time(cells: Iterable[Cell], known: Mapping[Design, Any]) -> Iterator[tuple[Cell, bool]]:
    """A cell of each design that is not known, and whether it is the first of its stage, model, dataset and precision.

    The first ones come first, and of each design a training under an augmentation, where there is one.
    """
    chosen: dict[Design, Cell] = {}
    for cell in cells:
        if design(cell) not in known and (not isinstance(cell, TrainSpec) or cell.recipe.epochs):
            augmented = isinstance(cell, TrainSpec) and cell.augmentation is not None
            if design(cell) not in chosen or (augmented and chosen[design(cell)].network.augmentation is None):
                chosen[design(cell)] = cell
    seen = {one[:4] for one in known}
    later = []
    for one, cell in chosen.items():
        if one[:4] in seen:
            later.append(cell)
        else:
            seen.add(one[:4])
            yield cell, True
    yield from ((cell, False) for cell in later)

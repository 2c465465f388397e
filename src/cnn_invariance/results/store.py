"""The results of one preset, found by the specs of their cells."""

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cnn_invariance.errors import InputError
from cnn_invariance.results.integrity import DamagedResultError, NewerResultError
from cnn_invariance.results.measures import MeasureTable
from cnn_invariance.results.responses import Responses
from cnn_invariance.results.trainings import TrainingRecord
from cnn_invariance.study import Cell, MeasureSpec, ResponseSpec, TrainSpec

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.statistics.layouts import Layout


class Result(Protocol):
    """What the results of all kinds of cells have in common.

    provenance:     where, when and with what the result was made, and what it cost
    weights_sha256: of the network it was made from, as recorded: None or another value where the record is damaged
    """

    @property
    def spec(self) -> Any:
        """The spec of the cell."""

    @property
    def provenance(self) -> dict[str, Any]:
        """Where, when and with what it was made."""

    @property
    def weights_sha256(self) -> Any:
        """The SHA-256 of the network's weights."""

    def faults(self) -> Iterator[str]:
        """A message for each value that is missing, inconsistent with the spec, or not plausible."""

    @classmethod
    def read(cls, path: Path, spec: Any) -> "Result":
        """Read a file (DamagedResultError if it is not the whole result of this cell)."""

    @classmethod
    def check(cls, path: Path, spec: Any) -> None:
        """Raise the errors of `read`."""


RESULTS: dict[str, type[Result]] = {"train": TrainingRecord, "measure": MeasureTable, "respond": Responses}
"""The class of the results of each kind of cell, by its stage."""


@dataclass(frozen=True)
class Results:
    """The folder of a preset's results: ``training/<key>.json``, ``measures/`` and ``responses/<key>.parquet``.

    Whatever is read is checked first. A file with a changed byte, or of another spec than was asked for, raises
    DamagedResultError, which names it; a file that is not there raises InputError.
    """

    root: Path

    def path(self, cell: Cell) -> Path:
        """The file of a cell, whether it is there or not."""
        return self.root / cell.folder / f"{cell.key}{cell.suffix}"

    def has(self, cell: Cell) -> bool:
        """Whether there is a file for the cell; `check` tells whether it can be trusted."""
        return self.path(cell).is_file()

    def check(self, cells: Iterable[Cell]) -> None:
        """Check the files of all these cells that are there; one error names every damaged one.

        Files of a newer version of this package are reported in one line, however many there are.
        """
        damaged, newer = [], []
        for cell in filter(self.has, cells):
            try:
                self.check_file(self.path(cell), cell)
            except NewerResultError as error:
                newer.append(error)
            except DamagedResultError as error:
                damaged.append(str(error))
        if newer:
            others = f" (so are {len(newer) - 1} other results)" if len(newer) > 1 else ""
            damaged.append(f"{newer[-1]}{others}")
        if damaged:
            raise InputError("\n".join(damaged))

    @staticmethod
    def check_file(path: Path, cell: Cell) -> None:
        """Check a file that may lie anywhere (DamagedResultError if it is not the whole result of this cell)."""
        RESULTS[cell.stage].check(path, cell)

    def read(self, cell: Cell) -> Any:
        """The result of a cell: a `TrainingRecord`, a `MeasureTable` or `Responses`.

        Errors: InputError if there is none; DamagedResultError if it is not the whole result of this cell.
        """
        path = self.path(cell)
        if not path.is_file():
            raise InputError(f"{path}: not computed yet; run snakemake, or the cell's command")
        state = path.stat()
        return _read(path, cell, (state.st_ino, state.st_mtime_ns, state.st_size))

    def training(self, cell: TrainSpec) -> dict[str, Any]:
        """The record of a training: history, accuracies and so on (see `training.train`)."""
        found: dict[str, Any] = copy(self.read(cell).record)
        return found

    def failure(self, network: TrainSpec, floor: float) -> str | None:
        """Why a network is a failed run; None if it is none, or has no record. See `TrainingRecord.failure`."""
        if not self.path(network).is_file():
            return None
        record: TrainingRecord = self.read(network)
        return record.failure(floor)

    def measure(self, cell: MeasureSpec) -> MeasureTable:
        """A measure cell: its table, its accuracies, where it was made."""
        found: MeasureTable = self.read(cell)
        return found

    def responses(self, cell: ResponseSpec) -> Responses:
        """A response cell: feature maps of one sample under transformations."""
        found: Responses = self.read(cell)
        return found

    def profile(self, cell: MeasureSpec, measure: str, *, layers: "Layout | None" = None) -> "pd.DataFrame":
        """The layer profile of one measure: a row for each layer, in forward order; see `MeasureTable.profile`."""
        return self.measure(cell).profile(measure, layers=layers)

    def values(self, cell: MeasureSpec, measure: str) -> np.ndarray:
        """The values of the layer profile of one measure, in forward order, (L,)."""
        return self.numbers(cell, measure)["value"]

    def numbers(self, cell: MeasureSpec, measure: str) -> Mapping[str, np.ndarray]:
        """The columns of the layer profile of one measure as arrays; see `MeasureTable.numbers`."""
        return self.measure(cell).numbers(measure)

    def provenance(self, cell: Cell) -> dict[str, Any]:
        """Where, when and with what the result of a cell was made, and what it cost."""
        found: dict[str, Any] = copy(self.read(cell).provenance)
        return found


@lru_cache(maxsize=1024)
def _read(path: Path, cell: Cell, state: tuple[int, ...]) -> Result:
    """The file of a cell as it is in this ``state``: an experiment reads it again for each measure that it draws."""
    return RESULTS[cell.stage].read(path, cell)

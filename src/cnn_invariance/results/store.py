"""The results of one preset, found by the specs of their cells."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnn_invariance.errors import InputError
from cnn_invariance.results import files, responses
from cnn_invariance.study.spec import Cell, MeasureSpec, ResponseSpec, TrainSpec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Results:
    """The folder of a preset's results: ``training/<key>.json``, ``measures/`` and ``responses/<key>.parquet``.

    What is read is checked first: a file with a changed byte, or of another spec than was asked
    for, is a DamagedResultError that names it; one that is not there is an InputError.
    """

    root: Path

    def path(self, spec: Cell) -> Path:
        """The file of a cell, whether it is there or not."""
        if isinstance(spec, TrainSpec):
            return self.root / "training" / f"{spec.key}.json"
        if isinstance(spec, ResponseSpec):
            return self.root / "responses" / f"{spec.key}.parquet"
        return self.root / "measures" / f"{spec.key}.parquet"

    def has(self, spec: Cell) -> bool:
        """Whether there is a file for the cell; `check` tells if it can be trusted."""
        return self.path(spec).is_file()

    def check(self, specs: Iterable[Cell]) -> None:
        """Check the files of all these cells that are there; one error names every damaged one.

        Those of a newer version of this package are one line, however many there are.
        """
        damaged, newer = [], []
        for spec in filter(self.has, specs):
            try:
                files.check(self.path(spec), spec)
            except files.NewerResultError as error:
                newer.append(error)
            except files.DamagedResultError as error:
                damaged.append(str(error))
        if newer:
            others = f" (so are {len(newer) - 1} other results)" if len(newer) > 1 else ""
            damaged.append(f"{newer[-1]}{others}")
        if damaged:
            raise InputError("\n".join(damaged))

    def training(self, spec: TrainSpec) -> dict[str, Any]:
        """The record of a training: history, accuracies and so on (see `training.train`)."""
        return files.read_training(self._present(spec), spec)["record"]

    def measure(self, spec: MeasureSpec) -> files.MeasureTable:
        """A measure cell: its frame, its accuracies, where it was made."""
        path = self._present(spec)
        state = path.stat()
        return _read_measure(path, spec, (state.st_ino, state.st_mtime_ns, state.st_size))

    def profile(self, spec: MeasureSpec, measure: str) -> "pd.DataFrame":
        """The layer profile of one measure: a row for each layer, in forward order."""
        return self.measure(spec).profile(measure)

    def responses(self, spec: ResponseSpec) -> responses.Responses:
        """A response cell: feature maps of one sample under transformations."""
        return responses.read(self._present(spec), spec)

    def provenance(self, spec: Cell) -> dict[str, Any]:
        """Where, when and with what the result of a cell was made, and what it cost."""
        path = self._present(spec)
        if isinstance(spec, TrainSpec):
            return files.read_training(path, spec)["provenance"]
        if isinstance(spec, ResponseSpec):
            return responses.read(path, spec).provenance
        return self.measure(spec).provenance

    def _present(self, spec: Cell) -> Path:
        path = self.path(spec)
        if not path.is_file():
            raise InputError(f"{path}: not computed yet; run snakemake, or the cell's command")
        return path


@lru_cache(maxsize=128)
def _read_measure(path: Path, spec: MeasureSpec, state: tuple[int, ...]) -> files.MeasureTable:
    """The file of a measure cell as it is in this ``state``: an experiment reads it again for each measure it draws."""
    return files.read_measure(path, spec)

"""Runtime and memory to request for the job of a cell, estimated from similar finished cells.

The first attempt requests

    runtime = max(10 min, 1 min + 3 x estimated time)        at most a day
    memory  = max(2 GB, 0.6 GB + 1.5 x peak memory)          at most 64 GB

and each further attempt twice as much as the one before. The estimated time and the peak memory are those of the most
similar cells (`costs.Rates`) that were computed with a GPU, if the job requests one, else without: cells of the preset,
and of the presets in ``config/`` whose results are in ``results/``. Where there are none, the job requests an hour and
8 GB, which hold the libraries of CUDA.

With each of the 608 cells of the laptop preset estimated from the others, none took longer, or more memory, than its
first attempt would have requested. The fixed parts are for the processes of Snakemake around the cell's own, and for
the start of all of them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from math import ceil
from operator import or_
from pathlib import Path
from typing import TypeVar

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.results import Results
from cnn_invariance.study import Cell
from cnn_invariance.workflow.costs import Rates
from cnn_invariance.workflow.folders import DEFAULT_PRESET, Folders
from cnn_invariance.workflow.plan import Plan

T = TypeVar("T")
GB = 10**9
START_S, START_BYTES = 60, 0.6 * GB
TIME_MARGIN, MEMORY_MARGIN = 3, 1.5
LEAST_S, LEAST_BYTES = 600, 2 * GB
MOST_S, MOST_BYTES = 24 * 3600, 64 * GB
UNKNOWN_S, UNKNOWN_BYTES = 3600, 8 * GB


@dataclass(frozen=True)
class Resources:
    """What the jobs of a plan request; its two methods are what Snakemake calls for a resource of a rule.

    plan: None in a job that runs already, where nothing is looked up
    gpu:  whether the jobs run on a GPU
    """

    plan: Plan | None
    gpu: bool = False

    def runtime(self, wildcards: Sequence[str], attempt: int) -> int:
        """Minutes for the cell whose key is the only wildcard; ``attempt`` counts from 1."""
        return minutes(self._estimated(wildcards, Rates.estimate), attempt)

    def mem_mb(self, wildcards: Sequence[str], attempt: int) -> int:
        """Megabytes (10^6 bytes) for the cell whose key is the only wildcard; ``attempt`` counts from 1."""
        return megabytes(self._estimated(wildcards, Rates.peak_memory), attempt)

    @cached_property
    def rates(self) -> Rates:
        """What cells took; it is read when the first job asks. The preset's own cells count before those of others."""
        if self.plan is None:
            return Rates({}, 0)
        own = Rates.measured(self.plan.results, self.plan.cells, self.gpu)
        return reduce(or_, [*self._elsewhere(self.plan.results), own])

    def _elsewhere(self, own: Results) -> Iterator[Rates]:
        """The rates of the presets beside the default one that have results in the default folder."""
        folders = Folders()
        for path in sorted(DEFAULT_PRESET.parent.glob("*.yaml")):
            results = folders.cells(path.stem)
            if results.root.is_dir() and results != own:
                yield _rates(path, folders, self.gpu)

    def _estimated(self, wildcards: Sequence[str], estimate: Callable[[Rates, Cell], T]) -> T | None:
        (key,) = wildcards
        return estimate(self.rates, self._by_key[key]) if key in self._by_key else None

    @cached_property
    def _by_key(self) -> dict[str, Cell]:
        return {cell.key: cell for cell in self.plan.cells} if self.plan else {}


def minutes(seconds: float | None, attempt: int) -> int:
    """The time to ask for, for a cell estimated to take some seconds (None: unknown).

    >>> [minutes(seconds, 1) for seconds in (20, 600, 10**6, None)], [minutes(600, attempt) for attempt in (2, 3, 9)]
    ([10, 31, 1440, 60], [62, 124, 1440])
    """
    first = UNKNOWN_S if seconds is None else max(LEAST_S, START_S + TIME_MARGIN * seconds)
    return ceil(_grown(first, MOST_S, attempt) / 60)


def megabytes(peak: int | None, attempt: int) -> int:
    """The memory to ask for, for a cell of which the like took so many bytes at most (None: unknown).

    >>> [megabytes(peak, 1) for peak in (10**8, 4 * 10**9, 10**12, None)]
    [2000, 6600, 64000, 8000]
    >>> [megabytes(4 * 10**9, attempt) for attempt in (2, 3, 9)]
    [13200, 26400, 64000]
    """
    first = UNKNOWN_BYTES if peak is None else max(LEAST_BYTES, START_BYTES + MEMORY_MARGIN * peak)
    return ceil(_grown(first, MOST_BYTES, attempt) / 10**6)


def _grown(first: float, most: float, attempt: int) -> float:
    return min(most, first * 2 ** (attempt - 1))


def _rates(preset: Path, folders: Folders, gpu: bool) -> Rates:
    """The rates of a preset that is not the one that runs: where its files are not in order, it knows nothing."""
    try:
        plan = Plan(Programme.load(preset), folders)
        return Rates.measured(plan.results, plan.cells, gpu)
    except InputError:
        return Rates({}, 0)

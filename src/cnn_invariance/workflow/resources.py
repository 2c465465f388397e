"""What the job of a cell asks a scheduler for, from what cells like it took. No torch.

The first attempt asks for

    runtime = max(10 min, 1 min + 3 x estimated time)        at most a day
    memory  = max(2 GB, 0.6 GB + 1.5 x peak memory)          at most 64 GB

and each further one for twice as much. The estimated time and the peak memory are those of the cells most like it
(`costs.Rates`) that were computed with a GPU, if the job asks for one, else without: those of the preset, and those of
the presets in ``config/`` whose results are in ``results/``. Where there is none: an hour, and 8 GB, which hold the
libraries of CUDA.

Left out one by one, none of the 608 cells of the laptop preset took longer or more than its first attempt would have
asked for. The fixed parts are the processes of Snakemake around the cell's own, and the start of all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from math import ceil
from operator import or_
from pathlib import Path

from cnn_invariance.errors import InputError
from cnn_invariance.study.spec import Cell
from cnn_invariance.study.study import Study
from cnn_invariance.workflow.costs import Rates
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import DEFAULT_PRESET, Plan

GB = 10**9
START_S, START_BYTES = 60, 0.6 * GB
TIME_MARGIN, MEMORY_MARGIN = 3, 1.5
LEAST_S, LEAST_BYTES = 600, 2 * GB
MOST_S, MOST_BYTES = 24 * 3600, 64 * GB
UNKNOWN_S, UNKNOWN_BYTES = 3600, 8 * GB


@dataclass(frozen=True)
class Needs:
    """What the jobs of a plan ask for; its two methods are what Snakemake calls for a resource of a rule.

    gpu:  whether the jobs run on a GPU
    look: whether to look for costs at all; results are read when the first job asks
    """

    plan: Plan
    gpu: bool = False
    look: bool = True

    def runtime(self, wildcards: Sequence[str], attempt: int) -> int:
        """Minutes for the cell whose key is the only wildcard; ``attempt`` counts from 1."""
        return minutes(self.rates.estimate(self._cell(wildcards)), attempt)

    def mem_mb(self, wildcards: Sequence[str], attempt: int) -> int:
        """Megabytes (10^6 bytes) for the cell whose key is the only wildcard; ``attempt`` counts from 1."""
        return megabytes(self.rates.peak_memory(self._cell(wildcards)), attempt)

    @cached_property
    def rates(self) -> Rates:
        """What cells took: where two sources know the same group of cells, the preset's own count."""
        if not self.look:
            return Rates({}, 0)
        return reduce(or_, [*self._elsewhere(), Rates.measured(self.plan.results, self.plan.cells, self.gpu)])

    def _elsewhere(self) -> Iterator[Rates]:
        """The rates of the presets beside the default one that have results in the usual folder."""
        usual = Folders()
        for path in sorted(DEFAULT_PRESET.parent.glob("*.yaml")):
            results = usual.cells(path.stem)
            if results.root.is_dir() and results != self.plan.results:
                yield _rates(path, usual, self.gpu)

    def _cell(self, wildcards: Sequence[str]) -> Cell:
        (key,) = wildcards
        return self._by_key[key]

    @cached_property
    def _by_key(self) -> dict[str, Cell]:
        return {cell.key: cell for cell in self.plan.cells}


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
        plan = Plan(Study.load(preset), folders)
        return Rates.measured(plan.results, plan.cells, gpu)
    except InputError:
        return Rates({}, 0)

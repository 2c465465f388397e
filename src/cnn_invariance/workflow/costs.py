"""What cells cost: measured by those that are there, estimated for those that are missing. No torch."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Protocol

from cnn_invariance import machine
from cnn_invariance.results import Results, others
from cnn_invariance.study import Cell, ModelSpec
from cnn_invariance.workflow import speeds
from cnn_invariance.workflow.speeds import Speeds

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.workflow.plan import Plan

GIB = 2**30
Group = tuple[str, ...]


@dataclass(frozen=True)
class Rates:
    """The seconds that measured cells took for a unit of work, and the memory that they took.

    A missing cell is estimated from the measured cells most like it: of its stage, network and dataset, and under its
    set or with its precision and batches; else of its stage, network and dataset; else of its stage and network; else
    of its stage. Within a group, a cell's seconds are the median seconds per unit of work times
    its work: images seen in training, samples x transformations in measuring. Its memory is the most of any cell.
    """

    seconds: dict[Group, float]
    cells: int
    memory: dict[Group, int] = field(default_factory=dict)
    """Bytes of a process; what a GPU holds is not among them."""

    @classmethod
    def measured(
        cls, results: Results, cells: Iterable[Cell], gpu: bool | None = None, processor: str | None = None
    ) -> "Rates":
        """The rates of the cells that have a result; each is read.

        gpu:       whether to count cells computed on a GPU only, or those computed without; None: all
        processor: to count those computed on it only, see `processor_of`; None: all
        """
        return cls.of(((cell, results.provenance(cell)) for cell in cells if results.has(cell)), gpu, processor)

    @classmethod
    def known(cls, plan: "Plan", processor: str | None = None) -> "Rates":
        """The rates by every result in the folder of results, of other presets and of cells of no preset, too.

        What the cells of the plan took counts before what others did.
        """
        own = plan.results
        paths = {own.path(cell) for cell in plan.cells}
        files = (path for path in sorted(own.root.parent.glob("*/*/*")) if path not in paths)
        return cls.of(others.read_all(files), None, processor) | cls.measured(own, plan.cells, None, processor)

    @classmethod
    def of(
        cls, results: Iterable[tuple[Cell, Mapping[str, Any]]], gpu: bool | None = None, processor: str | None = None
    ) -> "Rates":
        """The rates of cells with the provenance of their results; the other arguments are those of `measured`."""
        found: dict[Group, list[float]] = defaultdict(list)
        memory: dict[Group, int] = defaultdict(int)
        count = 0
        for cell, made in results:
            if gpu not in (None, str(made.get("device")).startswith("cuda")):
                continue
            if processor not in (None, processor_of(made)):
                continue
            count += 1
            for group in _groups(cell):
                found[group].append(made["wall_s"] / cell.work)
                memory[group] = max(memory[group], made["peak_memory_bytes"])
        return cls({group: median(rates) for group, rates in found.items()}, count, dict(memory))

    def __or__(self, other: "Rates") -> "Rates":
        """Both; for groups that both know, the other's."""
        return Rates(self.seconds | other.seconds, self.cells + other.cells, self.memory | other.memory)

    def estimate(self, cell: Cell) -> float | None:
        """The seconds a cell will take on one such machine, alone; None if nothing like it was measured."""
        for group in _groups(cell):
            if group in self.seconds:
                return self.seconds[group] * cell.work
        return None

    def of_its_like(self, cell: Cell) -> float | None:
        """The seconds a cell will take by cells of its very design, set and precision alone; None if there is none."""
        closest = next(_groups(cell))
        return self.seconds[closest] * cell.work if closest in self.seconds else None

    def peak_memory(self, cell: Cell) -> int | None:
        """The most bytes that a process took for a cell like this; None if nothing like it was measured."""
        return next((self.memory[group] for group in _groups(cell) if group in self.memory), None)

    def total(self, cells: Sequence[Cell]) -> float | None:
        """The seconds of several cells one after the other; None if one cannot be estimated."""
        return total(self, cells)


class Estimates(Protocol):
    """What says how long cells will take."""

    def estimate(self, cell: Cell) -> float | None:
        """The seconds a cell will take on one such machine, alone; None if that is not known."""


@dataclass(frozen=True)
class Known:
    """What is known of one processor: what cells took on it before what was timed, and both before cells less alike."""

    rates: Rates
    speeds: Speeds

    @classmethod
    def of(cls, plan: "Plan", processor: str) -> "Known":
        """What all results, and the speeds beside the checkpoints of a plan, say of a processor; of others nothing."""
        rates = Rates.known(plan, processor)
        return cls(rates, Speeds.read(speeds.file(plan.folders, processor)))

    def estimate(self, cell: Cell) -> float | None:
        """The seconds a cell will take on the processor, alone; None if nothing like it was computed or timed."""
        for found in (self.rates.of_its_like(cell), self.speeds.estimate(cell)):
            if found is not None:
                return found
        return self.rates.estimate(cell)


def total(known: Estimates, cells: Sequence[Cell]) -> float | None:
    """The seconds of several cells one after the other; None if one cannot be estimated."""
    estimates = [known.estimate(cell) for cell in cells]
    return None if None in estimates else sum(estimate for estimate in estimates if estimate is not None)


def processor_here() -> str:
    """The processor of this machine, as `processor_of` names it."""
    return processor_of({"cpu": machine.cpu(), "cpu_id": machine.cpu_id()})


def processor_of(made: Mapping[str, Any]) -> str:
    """What a result was computed on, by its provenance: the GPU, or the model of the processor and its generation."""
    return str(made.get("gpu") or " ".join(str(made[name]) for name in ("cpu", "cpu_id") if made.get(name)))


def table(
    results: Results, cells: Sequence[Cell], called: Callable[[ModelSpec], str] = lambda model: model.name
) -> "pd.DataFrame":
    """What the cells that are there cost, a row for each stage, network, dataset and device.

    Columns: ``stage``, ``dataset``, ``network``, ``device``, ``cells``, ``mean_s``, ``total_s`` (wall time),
    ``peak_memory_gib`` (the most of any process), ``gpu_peak_memory_gib``.
    """
    import pandas as pd

    groups: dict[Group, list[dict[str, Any]]] = defaultdict(list)
    for cell in filter(results.has, cells):
        made = results.provenance(cell)
        device = made.get("gpu") or made.get("cpu") or made.get("device", "")
        network = cell.network
        groups[cell.stage, network.dataset.name, called(network.model), str(device)].append(made)
    return pd.DataFrame(
        [
            {
                **dict(zip(("stage", "dataset", "network", "device"), group, strict=True)),
                "cells": len(made),
                "mean_s": fmean(one["wall_s"] for one in made),
                "total_s": sum(one["wall_s"] for one in made),
                "peak_memory_gib": _peak(made, "peak_memory_bytes"),
                "gpu_peak_memory_gib": _peak(made, "gpu_peak_memory_bytes"),
            }
            for group, made in groups.items()
        ],
        columns=[
            *("stage", "dataset", "network", "device", "cells", "mean_s", "total_s"),
            *("peak_memory_gib", "gpu_peak_memory_gib"),
        ],
    )


def write(plan: "Plan") -> None:
    """Write the costs of a preset's cells as a table, ``costs``, in all formats of `plotting.Canvas.table`."""
    from cnn_invariance.plotting import Canvas, Caption

    frame = table(plan.results, plan.cells, plan.study.label_of)
    folder = plan.folders.table_folder(plan.study.name)
    total = readable(float(frame["total_s"].sum()))
    caption = Caption(
        title=f"What the {int(frame['cells'].sum())} cells of preset {plan.study.name} cost: wall time of one process, "
        "one thread on a CPU, reading data and starting Python included; the most memory of any process",
        setting=(f"In all {total} if one cell runs after the other.",),
        preset=plan.study.name,
    )
    Canvas(folder, folder).table("costs", frame, caption, decimals=2)


def readable(seconds: float) -> str:
    """A time for people.

    >>> readable(8.4), readable(130), readable(5400), readable(200000)
    ('8 s', '2 min 10 s', '1 h 30 min', '55 h 33 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _groups(cell: Cell) -> Iterator[Group]:
    """The groups a cell belongs to, the closest first."""
    network = cell.network
    kind = (cell.stage, cell.extent)
    arguments = str(sorted(network.model.arguments.items()))
    measured, recipe = cell.measured, network.recipe
    detail = (
        (recipe.precision, str(recipe.batch_size))
        if measured is None
        else (measured.transformations.name, str(len(measured.measures)))
    )
    yield (*kind, network.model.name, network.dataset.name, arguments, *detail)
    yield (*kind, network.model.name, network.dataset.name, arguments)
    yield (*kind, network.model.name, network.dataset.name)
    yield (*kind, network.model.name)
    yield kind


def _peak(made: Iterable[dict[str, Any]], name: str) -> float | None:
    known = [one[name] for one in made if one.get(name)]
    return max(known) / GIB if known else None

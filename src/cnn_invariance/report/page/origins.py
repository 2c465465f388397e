"""Where, when and with what the results of a preset were made, put together from the provenance of each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnn_invariance.study import Cell
from cnn_invariance.workflow.costs import readable

Provenance = Mapping[str, Any]
"""What is recorded with a result: see `cnn_invariance.results.provenance`."""

UNKNOWN = "not recorded"
MACHINE = ("device", "threads", "platform", "python", "torch", "numpy", "package")
"""What is shown of a machine, beside its processor."""


@dataclass(frozen=True)
class Origin:
    """Results that have the same facts recorded: how many they are, and between which times they were made."""

    facts: tuple[str, ...]
    cells: int
    first: str
    last: str


@dataclass(frozen=True)
class CellView:
    """A computed cell: its key, the folder of its file, the experiments that draw it, and how it was made."""

    id: str
    key: str
    folder: str
    experiments: tuple[str, ...]
    processor: str
    commit: str
    started: str
    time: str

    @property
    def made_by(self) -> str:
        """The processor and the commit, in words."""
        return f"{self.processor}, commit {self.commit}"


@dataclass(frozen=True)
class Origins:
    """How the results of a preset were made; the counts of ``machines`` and of ``commits`` add up to the cells."""

    machines: list[Origin]
    commits: list[Origin]
    cells: list[CellView]
    first: str
    last: str
    seconds: float
    machine_facts: tuple[str, ...] = MACHINE


def read(computed: Iterable[tuple[Cell, Sequence[str], Provenance]]) -> Origins:
    """The origins of computed cells, each with the experiments that draw it and with its provenance."""
    computed = list(computed)
    known = [provenance for _, _, provenance in computed]
    dates = sorted(one["started"] for one in known if one.get("started"))
    return Origins(
        machines=_same_origins(known, lambda one: (_processor(one), *(_text(one, name) for name in MACHINE))),
        commits=_same_origins(known, lambda one: (_text(one, "commit"),)),
        cells=[cell_view(*one) for one in computed],
        first=moment(dates[0]) if dates else UNKNOWN,
        last=moment(dates[-1]) if dates else UNKNOWN,
        seconds=sum(one.get("wall_s", 0.0) for one in known),
    )


def moment(text: str) -> str:
    """A time as people read it.

    >>> moment("2026-11-24T14:22:25+00:00")
    '2026-11-24 14:22 UTC'
    """
    day, _, time = text.partition("T")
    zone = "UTC" if time.endswith(("+00:00", "Z")) else time[8:]
    return f"{day} {time[:5]} {zone}".strip()


def anchor(key: str) -> str:
    """The id of a cell on the page: the ten digits of its hash."""
    return f"cell-{key.rpartition('-')[2]}"


def cell_view(cell: Cell, experiments: Sequence[str], provenance: Provenance) -> CellView:
    """A cell with the experiments that draw it."""
    return CellView(
        id=anchor(cell.key),
        key=cell.key,
        folder=cell.folder,
        experiments=tuple(experiments),
        processor=_processor(provenance),
        commit=_text(provenance, "commit"),
        started=moment(provenance["started"]) if provenance.get("started") else UNKNOWN,
        time=readable(provenance["wall_s"]) if "wall_s" in provenance else UNKNOWN,
    )


def _same_origins(known: Iterable[Provenance], facts: Callable[[Provenance], tuple[str, ...]]) -> list[Origin]:
    """The results by these facts, the most frequent first."""
    found: dict[tuple[str, ...], list[str]] = {}
    for one in known:
        found.setdefault(facts(one), []).append(str(one.get("started", "")))
    origins = [
        Origin(same, len(dates), *(moment(end) if end else UNKNOWN for end in (min(dates), max(dates))))
        for same, dates in found.items()
    ]
    return sorted(origins, key=lambda origin: (-origin.cells, origin.facts))


def _processor(provenance: Provenance) -> str:
    return str(provenance.get("gpu") or provenance.get("cpu") or UNKNOWN)


def _text(provenance: Provenance, name: str) -> str:
    return str(UNKNOWN if provenance.get(name) is None else provenance[name])

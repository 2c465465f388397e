"""Where, when and with what the results of a preset were made, put together from the provenance of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnn_invariance.study import Cell, MeasureSpec, ResponseSpec, TrainSpec
from cnn_invariance.workflow.costs import readable
from cnn_invariance.workflow.plan import Plan

UNKNOWN = "not recorded"
KINDS: Mapping[type, str] = {TrainSpec: "training", MeasureSpec: "measures", ResponseSpec: "responses"}
"""The folder of each kind of result."""
MACHINE = ("device", "threads", "platform", "python", "torch", "numpy", "package")
"""What is told of a machine, beside its processor."""


@dataclass(frozen=True)
class Group:
    """Cells that were made alike: what they have in common, how many they are, and between which times."""

    facts: tuple[str, ...]
    cells: int
    first: str
    last: str


@dataclass(frozen=True)
class Row:
    """A computed cell: its key, the folder of its file, who draws it, and how it was made."""

    id: str
    key: str
    kind: str
    experiments: tuple[str, ...]
    processor: str
    commit: str
    started: str
    time: str


@dataclass(frozen=True)
class Made:
    """All that is known of how the results of a preset came about; the counts add up to the computed cells."""

    machines: list[Group]
    commits: list[Group]
    rows: list[Row]
    first: str
    last: str
    seconds: float


def of(plan: Plan) -> Made:
    """From the results that are there; each is read, and a damaged one is an error."""
    known = [(cell, plan.results.provenance(cell)) for cell in plan.cells if plan.results.has(cell)]
    records = [made for _, made in known]
    dates = sorted(made["started"] for made in records if made.get("started"))
    return Made(
        machines=_groups(records, lambda made: (_processor(made), *(_text(made, name) for name in MACHINE))),
        commits=_groups(records, lambda made: (_text(made, "commit"),)),
        rows=[_row(cell, made, plan.users[cell]) for cell, made in known],
        first=moment(dates[0]) if dates else UNKNOWN,
        last=moment(dates[-1]) if dates else UNKNOWN,
        seconds=sum(made.get("wall_s", 0.0) for made in records),
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


def _row(cell: Cell, made: Mapping[str, Any], experiments: Sequence[str]) -> Row:
    return Row(
        id=anchor(cell.key),
        key=cell.key,
        kind=KINDS[type(cell)],
        experiments=tuple(experiments),
        processor=_processor(made),
        commit=_text(made, "commit"),
        started=moment(made["started"]) if made.get("started") else UNKNOWN,
        time=readable(made["wall_s"]) if "wall_s" in made else UNKNOWN,
    )


def _groups(records: Iterable[Mapping[str, Any]], facts: Any) -> list[Group]:
    """The records by some facts of theirs, the largest group first."""
    found: dict[tuple[str, ...], list[str]] = {}
    for made in records:
        found.setdefault(facts(made), []).append(str(made.get("started", "")))
    groups = [
        Group(key, len(dates), *(moment(end) if end else UNKNOWN for end in (min(dates), max(dates))))
        for key, dates in found.items()
    ]
    return sorted(groups, key=lambda group: (-group.cells, group.facts))


def _processor(made: Mapping[str, Any]) -> str:
    return str(made.get("gpu") or made.get("cpu") or UNKNOWN)


def _text(made: Mapping[str, Any], name: str) -> str:
    return str(UNKNOWN if made.get(name) is None else made[name])

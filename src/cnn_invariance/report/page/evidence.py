"""The claims of a preset as the page shows them: each with its findings, their intervals, and the cells behind."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnn_invariance.report import claims

if TYPE_CHECKING:
    import pandas as pd

VERDICTS = ("supported", "not supported", "undecided")
WIDTH = 200
"""Of the drawing of an interval, in its own units."""
MARGIN = 0.08


@dataclass(frozen=True)
class Drawing:
    """Places on a line of `WIDTH`: of the threshold, the claimed side, an interval and its estimate."""

    threshold: float
    claimed: tuple[float, float]
    interval: tuple[float, float]
    estimate: float


@dataclass(frozen=True)
class Finding:
    """A claim tested on something: a row of ``claims.csv``.

    datasets: those it is about; none: it was not tested, or is about something else
    cells:    the keys of the cells the statistic is from
    """

    about: str
    datasets: tuple[str, ...]
    verdict: str
    reason: str
    number: str
    source: str
    cells: tuple[str, ...]
    drawing: Drawing | None


@dataclass(frozen=True)
class Statement:
    """A claim of the paper, with all its findings, drawn on one scale."""

    id: str
    experiment: str
    statement: str
    statistic: str
    rule: str
    findings: tuple[Finding, ...]

    @property
    def cells(self) -> int:
        """How many cells its findings are from, a cell of several counted for each."""
        return sum(len(finding.cells) for finding in self.findings)


def read(path: Path) -> "pd.DataFrame":
    """The table of claims that a run left."""
    import pandas as pd

    text = dict.fromkeys((*claims.COLUMNS[:4], "rule", "reason", *claims.COLUMNS[10:]), str)
    frame = pd.read_csv(path, dtype=text)
    return frame.assign(**{name: frame[name].fillna("") for name in text})


def statements(frame: "pd.DataFrame", datasets: Sequence[str]) -> list[Statement]:
    """The claims in the order of the table; rows that differ in what they are about only are findings of one claim."""
    same = ["experiment", "claim", "statement", "statistic", "rule"]
    numbers = claims.printed(frame)["estimate [95 %]"]
    rows = frame.assign(number=numbers)
    found = []
    for place, (of, group) in enumerate(rows.groupby(same, sort=False, dropna=False), start=1):
        experiment, claim, statement, statistic, rule = map(str, of)
        findings = tuple(_findings(group.to_dict("records"), datasets, rule))
        name = re.sub(r"[^a-z0-9]+", "-", f"{experiment}-{claim}".lower()).strip("-")
        found.append(Statement(f"claim-{place}-{name}", experiment, statement, statistic, rule, findings))
    return found


def count(findings: Iterable[Finding]) -> dict[str, int]:
    """How many came out how."""
    verdicts = [finding.verdict for finding in findings]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS}


def _findings(rows: Sequence[dict[Any, Any]], datasets: Sequence[str], rule: str) -> Iterable[Finding]:
    side, threshold = _parsed(rule)
    known = [value for row in rows for name in ("estimate", "low", "high") if math.isfinite(value := float(row[name]))]
    ends = [*known, *([] if threshold is None else [threshold])]
    for row in rows:
        bounds = [float(row[name]) for name in ("low", "high", "estimate")]
        drawing = None
        if threshold is not None and all(map(math.isfinite, bounds)):
            low, high, estimate, at = (_place(value, ends) for value in (*bounds, threshold))
            claimed = (at, float(WIDTH)) if side == "above" else (0.0, at)
            drawing = Drawing(at, claimed, (low, high), estimate)
        yield Finding(
            about=row["about"],
            datasets=tuple(name for name in datasets if name in re.findall(r"[\w-]+", row["about"])),
            verdict=row["verdict"],
            reason=row["reason"],
            number="" if row["number"] == "-" else row["number"],
            source=row["interval_from"],
            cells=tuple(row["cells"].split()),
            drawing=drawing,
        )


def _parsed(rule: str) -> tuple[str, float | None]:
    """The side and the threshold that a rule names (see `Claim.rule`)."""
    found = re.fullmatch(r"supported if (above|below) (\S+)", rule)
    return (found[1], float(found[2])) if found else ("", None)


def _place(value: float, ends: Sequence[float]) -> float:
    """Where a value lies on the line that has room for all the ends."""
    low, high = min(ends), max(ends)
    span = (high - low) or 1.0
    return round(WIDTH * (MARGIN + (1 - 2 * MARGIN) * (value - low) / span), 1)

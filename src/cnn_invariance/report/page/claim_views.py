"""The claims of a preset as the page shows them: each with its findings, their intervals, and the cells behind."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnn_invariance.experiments.framework.claims import Claim
from cnn_invariance.paper.sources import Source, tests
from cnn_invariance.report import claims
from cnn_invariance.statistics.evidence import SCALES, Rule

WIDTH = 200
"""Of the drawing of an interval, in its own units."""
MARGIN = 0.08


@dataclass(frozen=True)
class IntervalView:
    """Places on a line of `WIDTH`: of the threshold, the claimed side, an interval and its estimate."""

    threshold: float
    claimed: tuple[float, float]
    interval: tuple[float, float]
    estimate: float


@dataclass(frozen=True)
class FindingView:
    """A test of a claim: a record of ``claims.json``.

    about:    what the test is about in words; empty: the claim was not tested
    datasets: those it is about
    number:   the estimate with its interval in words; empty: unknown
    source:   what the interval comes from
    reading:  confirmatory or exploratory, by the frozen statement of the claims
    robust:   how many specifications agree, in words; empty: it has no specification curve
    cells:    the keys of the cells the statistic is from
    """

    about: str
    datasets: tuple[str, ...]
    verdict: str
    reason: str
    number: str
    source: str
    reading: str
    robust: str
    cells: tuple[str, ...]
    drawing: IntervalView | None


@dataclass(frozen=True)
class ClaimView:
    """A claim with all its findings, drawn on one scale."""

    id: str
    experiment: str
    statement: str
    tests: str
    statistic: str
    rule: str
    findings: tuple[FindingView, ...]

    @property
    def cells(self) -> int:
        """How many cells its findings are from; a cell of several findings counts for each."""
        return sum(len(finding.cells) for finding in self.findings)


def claim_views(records: Iterable[Mapping[str, Any]]) -> list[ClaimView]:
    """The claims in the order of the records of ``claims.json``; a record is one finding of its claim."""
    tested: dict[tuple[str, Claim], list[Mapping[str, Any]]] = {}
    for record in records:
        if record["condition"]:
            continue
        rule = Rule(record["side"], record["threshold"], SCALES[record["scale"]])
        words = (record["statement"], record["statistic"])
        claim = Claim(record["claim"], *words, rule, Source(record["source"]), primary=record["primary"])
        tested.setdefault((record["experiment"], claim), []).append(record)
    views = []
    for place, ((experiment, claim), findings) in enumerate(tested.items(), start=1):
        name = re.sub(r"[^a-z0-9]+", "-", f"{experiment}-{claim.name}".lower()).strip("-")
        views.append(
            ClaimView(
                id=f"claim-{place}-{name}",
                experiment=experiment,
                statement=claim.statement,
                tests=tests(claim.source),
                statistic=claim.statistic,
                rule=claim.rule.in_words,
                findings=tuple(_finding_views(claim, findings)),
            )
        )
    return views


def statement_sha256(records: Iterable[Mapping[str, Any]]) -> str:
    """The SHA-256 of the statement that the claims were fixed in; empty if there was none."""
    return next((str(record["statement_sha256"]) for record in records), "")


def count_verdicts(findings: Iterable[FindingView]) -> dict[str, int]:
    """How many findings have which verdict."""
    verdicts = [finding.verdict for finding in findings]
    return {verdict: verdicts.count(verdict) for verdict in claims.VERDICTS}


def _finding_views(claim: Claim, records: Sequence[Mapping[str, Any]]) -> Iterable[FindingView]:
    bounds = [[_number(record, name) for name in ("low", "high", "estimate")] for record in records]
    scale = [value for values in [*bounds, claim.rule.bounds] for value in values if math.isfinite(value)]
    for record, (low, high, estimate) in zip(records, bounds, strict=True):
        known = all(map(math.isfinite, (low, high, estimate)))
        yield FindingView(
            about=record.get("about", ""),
            datasets=tuple(record["datasets"]),
            verdict=record["verdict"],
            reason=record["reason"],
            number=claims.in_words(estimate, low, high, _number(record, "p")),
            source=f"{record['n']} networks" if record.get("n") else "",
            reading=record["reading"],
            robust=claims.robustness(record),
            cells=tuple(record["cells"]),
            drawing=_interval_view(claim, low, high, estimate, scale) if known else None,
        )


def _number(record: Mapping[str, Any], name: str) -> float:
    """A number of a record, in which infinity and not-a-number are texts; NaN where there is none."""
    value = record.get(name)
    return math.nan if value is None else float(value)


def _interval_view(claim: Claim, low: float, high: float, estimate: float, scale: Sequence[float]) -> IntervalView:
    first, last = claim.rule.bounds
    return IntervalView(
        threshold=_place(last if math.isinf(first) else first, scale),
        claimed=(
            0.0 if math.isinf(first) else _place(first, scale),
            float(WIDTH) if math.isinf(last) else _place(last, scale),
        ),
        interval=(_place(low, scale), _place(high, scale)),
        estimate=_place(estimate, scale),
    )


def _place(value: float, scale: Sequence[float]) -> float:
    """Where a value lies on the line that has room for all values of the scale."""
    low, high = min(scale), max(scale)
    span = (high - low) or 1.0
    return round(WIDTH * (MARGIN + (1 - 2 * MARGIN) * (value - low) / span), 1)

"""The claims of a preset as the page shows them: each with its findings, their intervals, and the cells behind."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnn_invariance.experiments.framework.claims import Claim
from cnn_invariance.paper.sources import Source, tests
from cnn_invariance.report import claims
from cnn_invariance.statistics.evidence import SCALES, Rule

FURTHEST = 6.0
"""The axis of all claims ends here on both sides, in half-widths of an interval; an arrow stands for what is beyond."""
UNIT = 18.0
"""A half-width in the units of the drawing."""
EDGE = 6.6 * UNIT


@dataclass(frozen=True)
class IntervalView:
    """An interval on the axis that all claims share: how far its estimate is inside the claimed region, and outside.

    The unit is half the width of the interval, so that every interval reaches one to both sides. Places are those of
    the drawing, from -`EDGE` to `EDGE`, with the threshold at 0.
    """

    distance: float

    @property
    def estimate(self) -> float:
        """The place of the estimate, on the axis."""
        return round(UNIT * max(-FURTHEST, min(FURTHEST, self.distance)), 1)

    @property
    def interval(self) -> tuple[float, float]:
        """The places of both ends, on the drawing."""
        low, high = (max(-EDGE, min(EDGE, UNIT * (self.distance + side))) for side in (-1, 1))
        return round(low, 1), round(high, 1)

    @property
    def beyond(self) -> int:
        """1 or -1 where the estimate is beyond this end of the axis, else 0."""
        return (self.distance > FURTHEST) - (self.distance < -FURTHEST)

    @property
    def words(self) -> str:
        """The distance in words."""
        side = "inside" if self.distance > 0 else "outside"
        return f"{abs(self.distance):.2g} half-widths of the interval {side} the claimed region"


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

    @property
    def computed(self) -> bool:
        """Whether there are cells that it is from."""
        return bool(self.cells)


@dataclass(frozen=True)
class ClaimView:
    """A claim with all its findings.

    primary:  whether its experiment stands or falls by it
    same_as:  the id of an earlier claim whose findings are from the same cells, if there is one
    """

    id: str
    experiment: str
    primary: bool
    statement: str
    source: Source
    tests: str
    statistic: str
    rule: str
    findings: tuple[FindingView, ...]
    same_as: str = ""

    @property
    def cells(self) -> int:
        """How many cells its findings are from; a cell of several findings counts for each."""
        return sum(len(finding.cells) for finding in self.findings)

    @property
    def cells_by_finding(self) -> list[tuple[str, tuple[str, ...]]]:
        """The cells of each finding, by what it is about."""
        return [(finding.about, finding.cells) for finding in self.findings if finding.cells]


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
    views: list[ClaimView] = []
    for place, ((experiment, claim), findings) in enumerate(tested.items(), start=1):
        name = re.sub(r"[^a-z0-9]+", "-", f"{experiment}-{claim.name}".lower()).strip("-")
        view = ClaimView(
            id=f"claim-{place}-{name}",
            experiment=experiment,
            primary=claim.primary,
            statement=claim.statement,
            source=claim.source,
            tests=tests(claim.source),
            statistic=claim.statistic,
            rule=claim.rule.in_words,
            findings=tuple(_finding_views(claim, findings)),
        )
        views.append(
            replace(view, same_as=next((one.id for one in views if one.cells_by_finding == view.cells_by_finding), ""))
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
    for record in records:
        low, high, estimate = (_number(record, name) for name in ("low", "high", "estimate"))
        distance = claim.rule.distance(estimate, low, high)
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
            drawing=None if math.isnan(distance) else IntervalView(distance),
        )


def _number(record: Mapping[str, Any], name: str) -> float:
    """A number of a record, in which infinity and not-a-number are texts; NaN where there is none."""
    value = record.get(name)
    return math.nan if value is None else float(value)

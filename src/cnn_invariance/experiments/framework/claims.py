"""Claims: what is stated of an experiment before looking, as a test that can come out either way.

An experiment states its claims in its class: a `Claim` has a statistic and a `Rule`, which are fixed in the source and
in ``config/claims.yaml``. Its results give a `Finding` for each claim and dataset: values of the statistic by
condition, one for each independently trained network. The verdict follows from them, see
`cnn_invariance.statistics.evidence`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from cnn_invariance.paper.sources import Source
from cnn_invariance.statistics.evidence import TAIL, Evidence, Rule, Verdict, evidence
from cnn_invariance.study import Cell


@dataclass(frozen=True)
class Claim:
    """A statement that results can support or refute.

    name:      its id inside the experiment, such as "monotone"
    statement: what is claimed, a sentence
    statistic: what number is looked at, in words that name the measure
    rule:      where the number must lie for the claim to hold, chosen before looking at results
    source:    whose statement it is: the abstract's, the successor's, or a hypothesis of ours
    because:   why the threshold or the margin is what it is
    primary:   whether it is the one claim by which the experiment stands or falls; the others are secondary
    """

    name: str
    statement: str
    statistic: str
    rule: Rule
    source: Source
    because: str = ""
    primary: bool = False


class UntestableError(Exception):
    """Raised by the statistic of a claim that results cannot decide; its text says why, in words."""


@dataclass(frozen=True)
class Finding:
    """What the results say about a claim.

    datasets: those it is about, one or several together
    values:   of the statistic, by condition: one for each network that was trained independently
    cells:    those the statistic was computed from
    reason:   why the results cannot say, where they cannot
    trend:    the p of a test of order (Page's) that must be small too, where there is one
    given:    in place of ``values``, of a statistic that is not a mean over replicates: its estimate with an interval
    """

    claim: Claim
    datasets: tuple[str, ...]
    values: Mapping[str, Sequence[float]] = field(default_factory=dict)
    cells: Sequence[Cell] = ()
    reason: str = ""
    trend: float | None = None
    given: Evidence | None = None

    @property
    def about(self) -> str:
        """The datasets in words."""
        return " and ".join(self.datasets)

    @cached_property
    def evidence(self) -> Evidence:
        """The estimate of each condition, and of their mean."""
        if self.given is not None:
            return self.given
        return evidence(self.values, self.claim.rule)

    @property
    def verdict(self) -> Verdict:
        """Supported, not supported, depends on the set or undecided."""
        if self.reason or (self.evidence.verdict == "supported" and not self._ordered):
            return "undecided"
        return self.evidence.verdict

    @property
    def p(self) -> float:
        """One-sided, of the claim; NaN where there is none. Where there is a test of order, the larger of both."""
        if self.reason:
            return math.nan
        both = [self.evidence.pooled.p, *([] if self.trend is None else [self.trend])]
        return math.nan if any(map(math.isnan, both)) else max(both)

    @property
    def seeds(self) -> int | None:
        """How many seeds of each condition would decide the claim; None: it is decided, or no number would."""
        return self.evidence.pooled.seeds if self.verdict == "undecided" and not self.reason else None

    @property
    def why(self) -> str:
        """Why the verdict is "undecided", or on which sets it depends; nothing for another verdict."""
        if self.reason:
            return self.reason
        found = self.evidence
        match self.verdict:
            case "depends on the set":
                kinds: tuple[Verdict, ...] = ("supported", "not supported", "undecided")
                parts = ((kind, found.decided(kind)) for kind in kinds)
                return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in parts if names)
            case "undecided" if found.verdict == "supported":
                return f"the order of the steps is not seen: Page's p is {self.trend:.2g}, not below {TAIL:g}"
            case "undecided":
                return found.pooled.reason
        return ""

    @property
    def in_words(self) -> str:
        """Its datasets, with the estimate and its interval where there are some."""
        found = self.evidence.pooled
        if self.reason or math.isnan(found.estimate):
            return self.about
        interval = "" if math.isnan(found.low) else f" [{found.low:.2g}, {found.high:.2g}]"
        return f"{self.about} ({found.estimate:.2g}{interval})"

    @property
    def _ordered(self) -> bool:
        return self.trend is None or self.trend < TAIL


def headline(findings: Iterable[Finding]) -> str:
    """The claim by which an experiment stands or falls, or its first, with the verdict on each dataset; "" for none.

    The verdict stands first unless the claim is supported on all of them: nobody shall read as found what was not.
    """
    found = sorted(findings, key=lambda one: not one.claim.primary)
    by_verdict: dict[str, list[str]] = {}
    for one in found:
        if one.claim.name == found[0].claim.name:
            by_verdict.setdefault(one.verdict, []).append(one.in_words)
    if not by_verdict:
        return ""
    statement, rule = found[0].claim.statement.removesuffix("."), found[0].claim.rule.in_words
    verdicts = "; ".join(f"{verdict} on {' and '.join(where)}" for verdict, where in by_verdict.items())
    if set(by_verdict) == {"supported"}:
        return f"{statement}: {verdicts} ({rule})."
    return f"{verdicts[0].upper()}{verdicts[1:]} ({rule}): {statement}."

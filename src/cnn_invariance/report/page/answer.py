"""The first screen of the page: what was found in three sentences, and what to keep in mind."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnn_invariance.paper.sources import Source
from cnn_invariance.paper.words import enumerated
from cnn_invariance.report.page.claim_views import ClaimView, count_verdicts

if TYPE_CHECKING:
    from cnn_invariance.report.page.contents import Contents

FIRST = (Source.ABSTRACT, Source.SUCCESSOR)
"""Whose claims are named before others."""
NAMED = 2
"""So many claims are named in a sentence."""


@dataclass(frozen=True)
class Answer:
    """The first screen.

    sentences: what was done, what is supported, and what is not
    claims:    the primary claims, which the forest shows; all claims where none is primary
    caveat:    what to keep in mind, a sentence each
    """

    sentences: tuple[str, str, str]
    claims: Sequence[ClaimView]
    caveat: tuple[str, ...]


def of(contents: "Contents") -> Answer:
    """The first screen of these contents."""
    primary = [claim for claim in contents.claims if claim.primary] or list(contents.claims)
    kind = "primary claims" if any(claim.primary for claim in primary) else "claims"
    by_verdict = _by_verdict(primary)
    return Answer(
        (_done(contents), _supported(by_verdict, len(primary), kind), _others(by_verdict)),
        primary,
        tuple(filter(None, _caveat(contents))),
    )


def _done(contents: "Contents") -> str:
    preset = contents.preset
    return (
        f"{contents.networks:,} networks ({_listed(preset.models)}) were trained on {_listed(preset.datasets)} "
        f"and measured under {_listed(preset.transformation_sets)}."
    )


def _by_verdict(claims: Sequence[ClaimView]) -> dict[str, list[ClaimView]]:
    """The claims by what became of them: the verdict of all that was computed, "mixed", or "not computed"."""
    found: dict[str, list[ClaimView]] = {}
    for claim in claims:
        verdicts = {finding.verdict for finding in claim.findings if finding.computed}
        verdict = "mixed" if len(verdicts) > 1 else verdicts.pop() if verdicts else "not computed"
        found.setdefault(verdict, []).append(claim)
    return found


def _supported(by_verdict: Mapping[str, Sequence[ClaimView]], count: int, kind: str) -> str:
    left = len(by_verdict.get("not computed", []))
    if left == count:
        return "No claim was tested."
    which = f"{count - left} {kind}{' that could be tested so far' if left else ''}"
    supported = by_verdict.get("supported", [])
    if not supported:
        return f"None of the {which} is supported."
    return f"Of the {which}, {len(supported)} {_are(supported)} supported{_examples(supported)}."


def _others(by_verdict: Mapping[str, Sequence[ClaimView]]) -> str:
    refuted, mixed = by_verdict.get("not supported", []), by_verdict.get("mixed", [])
    varied = by_verdict.get("depends on the set", [])
    undecided, left = by_verdict.get("undecided", []), by_verdict.get("not computed", [])
    parts = [
        f"{len(refuted)} {_are(refuted)} not supported{_examples(refuted)}" if refuted else "",
        f"{len(mixed)} came out differently on different datasets" if mixed else "",
        f"{len(varied)} {'depend' if len(varied) > 1 else 'depends'} on the set of transformations" if varied else "",
        f"{len(undecided)} {_are(undecided)} undecided{_reasons(undecided)}" if undecided else "",
        f"{len(left)} {_are(left)} not tested yet, because cells are missing" if left else "",
    ]
    said = "; ".join(filter(None, parts))
    if not said:
        return "No other verdict occurs."
    return f"{'Of the others' if by_verdict.get('supported') else 'Of them'}, {said}."


def _reasons(claims: Sequence[ClaimView]) -> str:
    """What most often keeps claims undecided."""
    findings = [one for claim in claims for one in claim.findings if one.computed and one.reason]
    reasons = [finding.reason.rpartition(": ")[2] for finding in findings]  # behind the name of a condition
    several = "most of them because" if len(claims) > 1 else "for instance because"
    most = several if len(set(reasons)) > 1 else "because"
    return f", {most}: {max(reasons, key=reasons.count)}" if reasons else ""


def _examples(claims: Sequence[ClaimView]) -> str:
    """Some of the claims by name: first those that the paper's abstract states, then those of its successor."""
    first = sorted(claims, key=lambda claim: FIRST.index(claim.source) if claim.source in FIRST else len(FIRST))
    named = [f"“{claim.statement.removesuffix('.')}”" for claim in first[:NAMED]]
    return f", {'among them ' if len(claims) > NAMED else ''}{' and '.join(named)}"


def _caveat(contents: "Contents") -> Sequence[str]:
    findings = [finding for claim in contents.claims for finding in claim.findings]
    missing = [one for one in contents.experiments if one.missing]
    exploratory = sum(finding.reading != "confirmatory" for finding in findings)
    departures = {phrase for phrases in contents.departures_by_dataset.values() for phrase in phrases}
    undecided = count_verdicts(findings)["undecided"]
    return (
        f"{len(missing)} of {len(contents.experiments)} experiments {_are(missing)} not computed in full."
        if missing
        else "",
        f"Of {len(findings)} tests, {undecided} {'are' if undecided != 1 else 'is'} undecided, and {exploratory} "
        f"{'are' if exploratory != 1 else 'is'} exploratory: claimed after somebody had looked at such networks, or "
        "without a fixed statement."
        if findings
        else "",
        f"{len(departures)} departures from the author's code are named at the experiments, and nobody here has the "
        "text of the paper."
        if departures
        else "",
    )


def _are(some: Sequence[object]) -> str:
    return "are" if len(some) > 1 else "is"


def _listed(names: Iterable[str]) -> str:
    return enumerated(list(names)) or "nothing"

"""What the page shows of captions, claims, groups and Markdown, each by itself."""

import math
import re

from cnn_invariance.plotting import Caption
from cnn_invariance.report.page import claim_views, markdown
from cnn_invariance.report.page.experiment_views import ExperimentView, grouped
from cnn_invariance.report.page.shared_caption import SharedCaption, count_departures

FIRST = Caption("A", "Q?", ("Same here.", "Only 1."), {"d": "s"}, "None is dead.", {"d": ("x", "y")}, "a", "p")
OTHER = Caption("B", "Q?", ("Same here.", "Only 2."), {"d": "s", "e": "t"}, "1 is dead.", {"d": ("y", "z")}, "a", "p")


def test_captions_share_what_all_say_and_lose_nothing():
    shared = SharedCaption.from_captions([FIRST, OTHER])
    assert shared == SharedCaption(("Same here.",), {"d": ("s",), "e": ("t",)}, {"d": ("x", "y", "z")})
    assert shared.rest(FIRST) == "Only 1. None is dead."
    assert shared.rest(OTHER) == "Only 2. 1 is dead."
    assert SharedCaption.from_captions([]) == SharedCaption((), {}, {})


def test_a_departure_is_counted_once_for_each_experiment():
    experiments = [SharedCaption.from_captions(captions) for captions in ([FIRST, OTHER], [OTHER])]
    counts = count_departures(experiments)
    assert counts == {"d": {"y": 2, "z": 2, "x": 1}}
    assert list(counts["d"]) == ["y", "z", "x"]


def test_groups_are_in_order_and_a_group_of_ones_own_comes_last():
    def view(name, group):
        return ExperimentView(name, group, False, "Why?", 1, 0, [], [], [])

    members = [view("a", "mine"), view("b", "stability"), view("c", "validation"), view("d", "stability")]
    found = {group: [one.name for one in views] for group, views in grouped(members).items()}
    assert list(found.items()) == [("validation", ["c"]), ("stability", ["b", "d"]), ("mine", ["a"])]


RECORD = {
    "experiment": "some",
    "claim": "falls",
    "source": "abstract",
    "statement": "It falls.",
    "statistic": "slope",
    "side": "above",
    "threshold": 5.0,
    "scale": "identity",
    "primary": True,
    "condition": "",
    "reading": "confirmatory",
    "statement_sha256": "abc",
    "datasets": ["mnist"],
    "about": "mnist",
    "verdict": "supported",
    "reason": "",
    "n": 15,
    "p": None,
    "cells": ["a-0123456789", "b-0123456789"],
}


def numbers(estimate, low, high):
    return {"estimate": estimate, "low": low, "high": high}


def test_the_records_of_a_claim_become_one_claim_with_their_findings():
    second = {**RECORD, **numbers(7.0, 6.0, 8.0), "datasets": ["d-2"], "about": "d-2", "p": 0.002}
    changed = {**RECORD, **numbers(7.0, 6.0, 8.0), "threshold": 4.0}
    single = {**second, "condition": "rotation"}  # is in claims.csv alone
    records = [{**RECORD, **numbers(6.0, 5.5, 6.5)}, second, single, changed]
    claim, other = claim_views.claim_views(records)
    assert claim_views.statement_sha256(records) == "abc"
    assert (claim.id, other.id) == ("claim-1-some-falls", "claim-2-some-falls")
    assert (claim.rule, other.rule) == ("supported if above 5", "supported if above 4")
    assert [one.number for one in claim.findings] == ["6 [5.5, 6.5]", "7 [6, 8], p = 0.002"]
    assert [one.datasets for one in claim.findings] == [("mnist",), ("d-2",)]
    assert [one.source for one in claim.findings] == ["15 networks", "15 networks"]
    assert {one.reading for one in claim.findings} == {"confirmatory"}
    assert claim.cells == 4
    assert claim_views.count_verdicts(claim.findings) == {
        "supported": 2,
        "not supported": 0,
        "depends on the set": 0,
        "undecided": 0,
    }


def test_a_claim_that_was_not_tested_has_no_number_and_no_drawing():
    untested = {name: value for name, value in RECORD.items() if name not in ("about", "n", "p")}
    (claim,) = claim_views.claim_views([{**untested, "datasets": [], "cells": [], "reason": "not yet computed"}])
    (finding,) = claim.findings
    assert (finding.about, finding.number, finding.source, finding.cells) == ("", "", "", ())
    assert finding.drawing is None
    assert finding.reason == "not yet computed"


def test_intervals_of_a_claim_are_drawn_on_one_scale():
    records = [{**RECORD, **numbers(1.0, 0.0, 2.0)}, {**RECORD, **numbers(9.0, 8.0, 10.0)}]
    unknown = {**RECORD, **numbers(1.0, "nan", "inf")}
    (claim,) = claim_views.claim_views([*records, unknown])
    first, other, none = (finding.drawing for finding in claim.findings)
    assert none is None
    assert first.interval[0] < first.estimate < first.interval[1] < first.threshold
    assert other.threshold < other.interval[0]
    assert first.threshold == other.threshold == claim_views.WIDTH / 2
    assert first.claimed == (claim_views.WIDTH / 2, claim_views.WIDTH)


def test_the_claimed_side_below_a_threshold_begins_at_the_left():
    (claim,) = claim_views.claim_views([{**RECORD, **numbers(1.0, 0.0, 2.0), "side": "below"}])
    assert claim.findings[0].drawing.claimed == (0.0, claim.findings[0].drawing.threshold)


def test_a_margin_is_drawn_with_both_its_bounds():
    within = {**RECORD, **numbers(0.0, -1.0, 1.0), "side": "within"}
    (claim,) = claim_views.claim_views([within])
    drawing = claim.findings[0].drawing
    assert claim.rule == "supported if within ± 5"
    assert 0 < drawing.claimed[0] < drawing.interval[0] < drawing.interval[1] < drawing.claimed[1] < claim_views.WIDTH


def test_equal_values_are_drawn_at_one_place():
    (claim,) = claim_views.claim_views([{**RECORD, **numbers(5.0, 5.0, 5.0)}])
    drawing = claim.findings[0].drawing
    assert drawing.estimate == drawing.threshold == drawing.interval[0]
    assert math.isfinite(drawing.estimate)


def test_markdown_reaches_nothing_outside():
    html = markdown.html("![x](https://a.example/x.png) [y](https://a.example) <https://a.example> <b>")
    assert re.findall(r"<\w+", html) == ["<p"]

"""What the page shows of captions, claims, groups and Markdown, each by itself."""

import base64
import io
import re
from types import SimpleNamespace

import numpy as np
from PIL import Image

from cnn_invariance.plotting import Caption
from cnn_invariance.report.page import answer, claim_views, inline_svg, markdown
from cnn_invariance.report.page.experiment_views import ExperimentView, grouped
from cnn_invariance.report.page.shared_caption import SharedCaption, count_departures

FIRST = Caption("A", "Q?", ("Same here.", "Only 1."), {"d": "s"}, "None is dead.", {"d": ("x", "y")}, "a", "p")
OTHER = Caption("B", "Q?", ("Same here.", "Only 2."), {"d": "s", "e": "t"}, "1 is dead.", {"d": ("y", "z")}, "a", "p")


def test_captions_share_what_all_say_and_lose_nothing():
    shared = SharedCaption.from_captions([FIRST, OTHER])
    assert shared == SharedCaption(("Same here.",), (), {"d": ("s",), "e": ("t",)}, {"d": ("x", "y", "z")})
    assert shared.rest(FIRST) == "Only 1. None is dead."
    assert shared.rest(OTHER) == "Only 2. 1 is dead."
    assert SharedCaption.from_captions([]) == SharedCaption((), (), {}, {})


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


def drawing_of(estimate, low, high, side="above"):
    (claim,) = claim_views.claim_views([{**RECORD, **numbers(estimate, low, high), "side": side}])
    return claim.findings[0].drawing


def test_all_intervals_are_drawn_on_one_axis_by_their_distance_from_the_threshold():
    """The threshold is 5; whichever side is claimed, what is inside lies at the right."""
    for side, inside, outside in (("above", (9, 8, 10), (1, 0, 2)), ("below", (1, 0, 2), (9, 8, 10))):
        right, left = drawing_of(*inside, side), drawing_of(*outside, side)
        assert right.distance == 4
        assert right.estimate == -left.estimate == 4 * claim_views.UNIT
        assert right.interval == (3 * claim_views.UNIT, 5 * claim_views.UNIT)
        assert right.words == "4 half-widths of the interval inside the claimed region"
        assert left.words == "4 half-widths of the interval outside the claimed region"
    assert drawing_of(0, -1, 1, "within").distance == 5
    assert drawing_of(5.5, 4.5, 6.5).interval == (-0.5 * claim_views.UNIT, 1.5 * claim_views.UNIT)


def test_an_interval_that_is_unknown_or_has_no_width_is_not_drawn():
    assert drawing_of(1.0, "nan", "inf") is None
    assert drawing_of(5.0, 5.0, 5.0) is None


def test_what_is_beyond_the_axis_is_an_arrow_at_its_end():
    far, near = drawing_of(50, 49, 51), drawing_of(-50, -51, -49)
    assert (far.beyond, near.beyond, drawing_of(6, 5, 7).beyond) == (1, -1, 0)
    assert far.estimate == -near.estimate == claim_views.FURTHEST * claim_views.UNIT
    assert far.interval == (claim_views.EDGE, claim_views.EDGE)


def test_markdown_reaches_nothing_outside():
    html = markdown.html("![x](https://a.example/x.png) [y](https://a.example) <https://a.example> <b>")
    assert re.findall(r"<\w+", html) == ["<p"]


def test_a_picture_has_the_same_pixels_in_fewer_bytes():
    def encoded(image):
        kept = io.BytesIO()
        image.save(kept, format="PNG")
        return inline_svg.PNG + base64.b64encode(kept.getvalue()).decode()

    colours = np.random.default_rng(0).integers(0, 8, (60, 40, 3), dtype=np.uint8) * 30
    for mode in ("RGB", "L"):
        given = Image.fromarray(colours).convert(mode)
        found = inline_svg.smaller(encoded(given))
        kind, _, data = found.partition(",")
        assert kind == "data:image/webp;base64"
        assert len(found) < len(encoded(given))
        with Image.open(io.BytesIO(base64.b64decode(data))) as shown:
            assert np.array_equal(np.asarray(shown.convert("RGB")), np.asarray(given.convert("RGB")))
    dot = encoded(Image.new("L", (1, 1)))
    assert len(inline_svg.smaller(dot)) <= len(dot)


def answered(*records):
    preset = SimpleNamespace(models=["SimpleConv"], datasets=["mnist", "d-2"], transformation_sets=["rotation"])
    views = claim_views.claim_views(records)
    contents = SimpleNamespace(
        networks=2, preset=preset, claims=views, experiments=[], departures_by_dataset={}, study="quick"
    )
    return answer.of(contents).sentences


def test_the_answer_counts_what_was_tested_and_names_what_was_not():
    known = {**RECORD, "primary": True, "reason": "", "verdict": "supported", **numbers(6.0, 5.5, 6.5)}
    missing = {**known, "cells": [], "datasets": ["d-2"], "verdict": "undecided", "reason": "not yet computed: 3 of 3"}
    doubted = {**known, "claim": "b", "verdict": "undecided", "reason": "rotation: one seed has a value"}
    done, supported, others = answered(known, missing, doubted, {**missing, "claim": "c"})
    assert done == "2 networks (SimpleConv) were trained on mnist and d-2 and measured under rotation."
    assert supported.startswith("Of the 2 primary claims that could be tested so far, 1 is supported, “")
    assert others == (
        "Of the others, 1 is undecided, because: one seed has a value; 1 is not tested yet, because cells are missing."
    )
    ours, theirs = ({**known, "claim": name, "statement": f"{name}.", "source": name} for name in ("ours", "successor"))
    assert "3 are supported, among them “It falls” and “successor”." in answered(ours, theirs, known)[1]
    other = {**known, "datasets": ["d-2"], "verdict": "not supported"}
    assert answered(known, other)[1:] == (
        "None of the 1 primary claims is supported.",
        "Of them, 1 came out differently on different datasets.",
    )
    assert answered(missing)[1] == "No claim was tested."

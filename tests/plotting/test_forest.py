"""The forest of claims: each estimate lies where its verdict says."""

import math

import numpy as np
import pytest

from cnn_invariance.plotting import family_looks
from cnn_invariance.plotting.forest import FURTHEST, Place, forest_figure
from cnn_invariance.statistics.evidence import IDENTITY, LOG, Rule

LOOKS = family_looks("dataset", ["a", "b"])


def points(figure):
    return [line for line in figure.axes[0].lines if line.get_marker() not in ("None", None, "")]


@pytest.mark.parametrize("scale", [IDENTITY, LOG])
@pytest.mark.parametrize("side", ["above", "below", "within"])
def test_beyond_one_the_verdict_is_that_of_the_rule(side, scale):
    """An interval that is symmetric on the scale, anywhere: its distance and its verdict say the same."""
    random, rule = np.random.default_rng(0), Rule(side, 1.5, scale)
    seen = set()
    for middle, half in zip(random.normal(0, 2, 500), random.uniform(0.01, 2, 500), strict=True):
        verdict = rule.verdict(middle - half, middle + half)
        distance = rule.distance(*(scale.back(value) for value in (middle, middle - half, middle + half)))
        seen.add(verdict)
        assert (distance > 1) == (verdict == "supported")
        if side != "within":
            assert (distance < -1) == (verdict == "not supported")
    assert seen == {"supported", "not supported", "undecided"}


@pytest.mark.parametrize("numbers", [(1.0, math.nan, math.nan), (1.0, 1.0, 1.0), (-1.0, -2.0, 0.5)])
def test_without_an_interval_on_the_scale_there_is_no_distance(numbers):
    assert math.isnan(Rule("above", 0.5, LOG).distance(*numbers))


def test_marks_are_filled_where_a_claim_is_decided_and_arrows_beyond_the_axis():
    rows = {
        "One.": {"a": Place(2.0, "supported"), "b": Place(0.3, "undecided")},
        "Two.": {"a": Place(-2 * FURTHEST, "not supported"), "b": Place(0.5, "depends on the set")},
        "Three.": {"a": Place(math.nan, "undecided"), "b": Place(3 * FURTHEST, "depends on the set")},
    }
    figure = forest_figure(rows, LOOKS, {"One."})
    found = [(point.get_xdata()[0], point.get_marker(), point.get_mfc() != "white") for point in points(figure)]
    assert found == [
        (2.0, "o", True),
        (0.3, "s", False),
        (-FURTHEST, "<", True),
        (0.5, "D", True),
        (FURTHEST, "D", True),
    ]
    assert [text.get_text() for text in figure.axes[0].texts].count("no interval") == 1
    weights = [label.get_fontweight() for label in figure.axes[0].get_yticklabels()]
    assert weights == ["bold", "normal", "normal"]


def test_no_claim_is_no_forest():
    with pytest.raises(ValueError, match="needs a claim"):
        forest_figure({}, LOOKS)

"""Claims: verdicts follow from interval and threshold, and each can come out either way."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from cnn_invariance.experiments.framework.claims import Claim, Finding
from cnn_invariance.paper.sources import Source
from cnn_invariance.report import claims
from cnn_invariance.statistics.intervals import CORRELATION, Interval, bootstrap, over, unknown
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products

ABOVE = Claim("high", "It is high.", "height", "above", 0.5, Source.OURS)
BELOW = Claim("low", "It is low.", "height", "below", 0.5, Source.OURS)


def found(claim: Claim, low: float, high: float, reason: str = "") -> Finding:
    return Finding(claim, ("mnist",), Interval((low + high) / 2, low, high, "3 networks"), (), reason=reason)


@pytest.mark.parametrize(
    ("low", "high", "above", "below"),
    [
        (0.6, 0.9, "supported", "not supported"),
        (0.1, 0.4, "not supported", "supported"),
        (0.4, 0.6, "undecided", "undecided"),
        (0.5, 0.6, "undecided", "undecided"),
        (0.4, 0.5, "undecided", "undecided"),
        (math.nan, math.nan, "undecided", "undecided"),
        (-math.inf, math.inf, "undecided", "undecided"),
    ],
)
def test_the_verdict_follows_from_the_whole_interval(low, high, above, below):
    assert found(ABOVE, low, high).verdict == above
    assert found(BELOW, low, high).verdict == below


def test_a_reason_makes_any_finding_undecided_and_is_told():
    assert found(ABOVE, 0.6, 0.9, reason="one seed").verdict == "undecided"
    assert found(ABOVE, 0.6, 0.9, reason="one seed").why == "one seed"
    assert found(ABOVE, 0.6, 0.9).why == ""
    assert found(ABOVE, 0.4, 0.9).why == "the threshold lies inside the interval"
    assert Finding(ABOVE, ("mnist",), unknown("2 networks"), ()).why == "no interval from 2 networks"


def test_an_interval_ends_where_the_statistic_does():
    free, cut = over([0.9, 1.0, 0.7], "sets"), over([0.9, 1.0, 0.7], "sets", CORRELATION)
    assert free.high > 1
    assert (cut.estimate, cut.low, cut.high) == (free.estimate, free.low, 1.0)


def test_students_interval_covers_the_mean_as_often_as_it_says():
    random = np.random.default_rng(0)
    intervals = [over(random.normal(3, 2, 5), "networks") for _ in range(2000)]
    covered = np.mean([one.low < 3 < one.high for one in intervals])
    assert 0.93 < covered < 0.97


def test_values_that_are_not_finite_are_left_out_and_counted():
    assert over([1.0, math.nan, 3.0, math.inf], "networks").estimate == 2
    assert over([1.0, math.nan, 3.0], "networks").source == "2 networks (1 without a value)"
    assert math.isnan(over([1.0], "networks").low)
    assert math.isnan(over([], "networks").estimate)


def test_the_bootstrap_draws_every_group_by_itself_and_is_repeatable():
    random = np.random.default_rng(1)
    groups = [random.normal(5, 1, 400), random.normal(2, 1, 400)]
    ours = bootstrap(lambda each: float(each[0].mean() - each[1].mean()), groups, "feature maps")
    again = bootstrap(lambda each: float(each[0].mean() - each[1].mean()), groups, "feature maps")
    assert ours == again
    assert ours.estimate == groups[0].mean() - groups[1].mean()
    assert ours.high - ours.low == pytest.approx(2 * 1.96 * math.sqrt(2 / 400), rel=0.15)
    assert math.isnan(bootstrap(lambda each: 1.0, [np.ones(1)], "feature maps").low)


def test_claims_of_missing_cells_are_undecided_and_say_which(preset, load, tmp_path):
    preset["experiments"] = {"augmentation_intensity": {}, "heatmap": {}}
    plan = Plan(load(preset), Folders(results=tmp_path / "nothing"))
    table = claims.table(claims.records(plan))
    assert list(table.columns) == list(claims.COLUMNS)
    assert list(table["claim"]) == ["monotone", "lower"]  # the heatmap has no expectation to test
    assert set(table["verdict"]) == {"undecided"}
    total = len(plan.study.cells["augmentation_intensity"])
    first = plan.study.cells["augmentation_intensity"][0].key
    assert set(table["reason"]) == {f"not yet computed: {total} of {total} cells, the first {first}"}


def test_claims_are_written_for_programs_and_readers(preset, load, computed, tmp_path):
    preset["experiments"] = {"augmentation_intensity": {}}
    study = load(preset)
    computed(study)
    plan = Plan(study, Folders(results=tmp_path))
    (tmp_path / "results").rename(tmp_path / study.name)
    claims.write(plan)
    table, page, records = (path.read_text(encoding="utf-8") for path in Products(plan).claims)
    first = json.loads(records)[0]
    assert (first["claim"], first["side"], first["threshold"], first["datasets"]) == (
        "monotone",
        "below",
        -0.7,
        ["mnist5k"],
    )
    assert table.splitlines()[0] == ",".join(claims.COLUMNS)
    assert "augmentation_intensity,monotone,mnist5k,supported,-1,-1,-1,supported if below -0.7" in table
    assert all(cell.key in table for cell in study.cells["augmentation_intensity"])
    assert "2 supported, 0 not supported, 0 undecided" in page
    assert "−1.000" not in page.splitlines()[0]
    assert "| augmentation\\_intensity | NV falls as the range of the augmentation grows. | ours | supported |" in page


def test_the_brief_table_has_a_row_for_each_claim_and_a_column_for_each_dataset():
    rows = [
        ("a", "Falls.", "ours", "mnist", "supported"),
        ("a", "Falls.", "ours", "cifar10_jpeg", "undecided"),
        ("b", "Changes.", "successor", "mnist and cifar10_jpeg", "not supported"),
        ("c", "Not computed.", "abstract", None, "undecided"),
    ]
    frame = pd.DataFrame(rows, columns=["experiment", "statement", "source", "about", "verdict"])
    brief = claims.brief(frame).set_index("claim")
    assert list(brief.columns) == ["experiment", "source", "mnist", "cifar10_jpeg", "mnist and cifar10_jpeg"]
    assert brief.loc["Falls."].tolist()[:4] == ["a", "ours", "supported", "undecided"]
    assert brief.loc["Changes."].isna().tolist() == [False, False, True, True, False]
    assert brief.loc["Not computed."].tolist() == ["c", "abstract", "undecided", "undecided", "undecided"]
    assert claims.brief(frame[3:])["verdict"].tolist() == ["undecided"]

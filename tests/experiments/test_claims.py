"""Claims: their findings, and the tables that are written of them."""

import json
import math

import pandas as pd
import pytest

from cnn_invariance.experiments.framework.claims import Claim, Finding, headline
from cnn_invariance.paper.sources import Source
from cnn_invariance.report import claims
from cnn_invariance.statistics.evidence import Rule, holm, q_values
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products

ABOVE = Claim("high", "It is high.", "height", Rule("above", 0.5), Source.OURS)
HIGH, LOW, EITHER = [0.7, 0.8, 0.9], [0.1, 0.2, 0.3], [0.1, 0.5, 0.9]


def found(reason: str = "", trend: float | None = None, **values: list[float]) -> Finding:
    return Finding(ABOVE, ("mnist",), values, (), reason=reason, trend=trend)


@pytest.mark.parametrize(
    ("values", "verdict", "why"),
    [
        ({"a": HIGH, "b": HIGH}, "supported", ""),
        ({"a": LOW, "b": LOW}, "not supported", ""),
        ({"a": HIGH, "b": LOW}, "depends on the set", "supported: a; not supported: b"),
        ({"a": HIGH, "b": EITHER, "c": LOW}, "depends on the set", "supported: a; not supported: c; undecided: b"),
        ({"a": EITHER}, "undecided", "the estimate is so near the threshold that 1,000 seeds would not decide it"),
        ({"a": HIGH, "b": [0.7]}, "undecided", "b: one seed has a value; two are needed"),
        ({}, "undecided", "no condition was measured"),
    ],
)
def test_the_verdict_follows_from_the_networks_of_all_conditions(values, verdict, why):
    assert (found(**values).verdict, found(**values).why) == (verdict, why)


def test_the_headline_opens_with_the_verdict_unless_the_claim_is_supported():
    def on(dataset, values):
        return Finding(ABOVE, (dataset,), {"a": values})

    assert headline([on("mnist", HIGH)]) == "It is high: supported on mnist (0.8 [0.55, 1]) (supported if above 0.5)."
    mixed = headline([on("mnist", LOW), on("cifar10", HIGH)])
    assert mixed.startswith("Not supported on mnist (0.2 [-0.048, 0.45]); supported on cifar10 (0.8 [0.55, 1])")
    assert mixed.endswith("(supported if above 0.5): It is high.")
    assert headline([]) == ""


def test_a_reason_makes_any_finding_undecided_and_is_told():
    one = found(reason="not measured", a=HIGH)
    assert (one.verdict, one.why, one.seeds) == ("undecided", "not measured", None)
    assert math.isnan(one.p)


def test_an_order_that_is_not_seen_leaves_a_claim_undecided():
    assert found(a=HIGH, trend=0.001).verdict == "supported"
    one = found(a=HIGH, trend=0.2)
    assert (one.verdict, one.p) == ("undecided", 0.2)
    assert one.why == "the order of the steps is not seen: Page's p is 0.2, not below 0.025"
    assert found(a=LOW, trend=0.9).verdict == "not supported"


def test_claims_of_missing_cells_are_undecided_and_say_which(preset, load, tmp_path):
    preset["experiments"] = {"augmentation_intensity": {}, "heatmap": {}}
    plan = Plan(load(preset), Folders(results=tmp_path / "nothing"))
    table = claims.table(claims.records(plan))
    assert list(table.columns) == list(claims.COLUMNS)
    assert list(table["claim"]) == ["lower", "monotone"]  # the heatmap has no expectation to test
    assert set(table["verdict"]) == {"undecided"}
    total = len(plan.study.cells["augmentation_intensity"])
    first = plan.study.cells["augmentation_intensity"][0].key
    assert set(table["reason"]) == {f"not yet computed: {total} of {total} cells, the first {first}"}


def written(content, load, computed, tmp_path) -> Plan:
    """The plan of a preset whose results are made up, and whose claims are written."""
    study = load(content)
    computed(study)
    plan = Plan(study, Folders(results=tmp_path))
    (tmp_path / "results").rename(tmp_path / study.name)
    claims.write(plan)
    return plan


def test_claims_are_written_for_programs_and_readers(preset, load, computed, tmp_path):
    preset["experiments"] = {"augmentation_intensity": {"seeds": 5}}
    plan = written(preset, load, computed, tmp_path)
    table, page, records = (path.read_text(encoding="utf-8") for path in Products(plan).claims)
    first = json.loads(records)[0]
    assert (first["claim"], first["side"], first["threshold"], first["scale"], first["datasets"]) == (
        "lower",
        "below",
        0.95,
        "log",
        ["mnist5k"],
    )
    assert table.splitlines()[0] == ",".join(claims.COLUMNS)
    assert "augmentation_intensity,lower,True,mnist5k,,supported," in table
    assert all(cell.key in table for cell in plan.study.cells["augmentation_intensity"])
    assert "2 supported, 0 not supported, 0 depends on the set, 0 undecided" in page
    assert "| augmentation\\_intensity | NV falls as the range of the augmentation grows. | ours | supported |" in page


def test_a_claim_has_a_row_for_each_of_its_conditions(preset, load, computed, tmp_path):
    preset["experiments"] = {"augmentation_intensity": {"seeds": 5}, "random_initialization": {"seeds": 5}}
    frame = pd.read_csv(Products(written(preset, load, computed, tmp_path)).claims[0])
    whole, conditions = frame[frame["condition"].isna()], frame[frame["condition"].notna()]
    assert whole["claim"].tolist() == ["lower", "monotone", "nearly_coincide"]
    assert conditions["condition"].tolist() == ["rotation", "scale", "translation"] * 3
    assert set(conditions["n"]) == {5}
    assert set(whole["n"]) == {15}
    lower = frame[frame["claim"] == "lower"].set_index("condition")["estimate"]
    assert math.prod(lower[["rotation", "scale", "translation"]]) ** (1 / 3) == pytest.approx(lower[math.nan])


def test_p_values_are_adjusted_over_primary_claims_and_over_all(preset, load, computed, tmp_path):
    preset["experiments"] = {"augmentation_intensity": {"seeds": 5}, "random_initialization": {"seeds": 5}}
    frame = pd.read_csv(Products(written(preset, load, computed, tmp_path)).claims[0])
    whole = frame[frame["condition"].isna()]
    primary = whole[whole["primary"]]
    assert primary["claim"].tolist() == ["lower", "nearly_coincide"]
    assert primary["holm"].tolist() == pytest.approx(holm(primary["p"]))
    assert whole["q"].tolist() == pytest.approx(q_values(whole["p"]))
    assert whole[~whole["primary"]]["holm"].isna().all()
    assert frame[frame["condition"].notna()][["holm", "q"]].isna().all(axis=None)


def test_the_brief_table_has_a_row_for_each_claim_and_a_column_for_each_dataset():
    rows = [
        ("a", "Falls.", "ours", "mnist", "supported"),
        ("a", "Falls.", "ours", "cifar10_jpeg", "undecided"),
        ("b", "Changes.", "successor", "mnist and cifar10_jpeg", "not supported"),
        ("c", "Not computed.", "abstract", None, "undecided"),
    ]
    columns = ["experiment", "statement", "source", "about", "verdict"]
    frame = pd.DataFrame(rows, columns=columns).assign(condition="")
    single = frame[:1].assign(condition="rotation", verdict="not supported")  # is not in the table
    frame = pd.concat([frame, single], ignore_index=True)
    brief = claims.brief(frame).set_index("claim")
    assert list(brief.columns) == ["experiment", "source", "mnist", "cifar10_jpeg", "mnist and cifar10_jpeg"]
    assert brief.loc["Falls."].tolist()[:4] == ["a", "ours", "supported", "undecided"]
    assert brief.loc["Changes."].isna().tolist() == [False, False, True, True, False]
    assert brief.loc["Not computed."].tolist() == ["c", "abstract", "undecided", "undecided", "undecided"]
    assert claims.brief(frame[3:4])["verdict"].tolist() == ["undecided"]

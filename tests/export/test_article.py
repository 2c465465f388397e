"""The replication report: typeset from the committed results, with no number of its own, and none that is stale."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.export import article, article_facts
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan

pytest.importorskip("typst")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plan():
    return Plan(Programme.load(ROOT / "config/quick.yaml"), Folders(results=ROOT / "results", figures=ROOT / "figures"))


@pytest.fixture(scope="module")
def filled(plan, tmp_path_factory):
    """What Typst reads."""
    root = tmp_path_factory.mktemp("article")
    article.fill(plan, root)
    return root


def test_it_is_a_pdf_the_same_each_time(filled):
    pdf = article.typeset(filled)
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type */Page\b", pdf)) >= 8
    assert pdf == article.typeset(filled)


def test_its_template_has_no_number_of_its_own():
    """Only lengths and sizes of the layout."""
    text = article.TEMPLATE.read_text(encoding="utf-8")
    layout = r"luma\(\d+%\)|\d+(\.\d+)?(pt|cm|em|fr|%)|SHA-256|\"1\.1\"|\"a4\""
    left = [line for line in text.splitlines() if re.search(r"\d", re.sub(layout, "", line))]
    assert left == []


@pytest.fixture
def other(filled, tmp_path):
    """What Typst reads, to change; a function that typesets it with changed facts."""
    root = tmp_path / "article"
    shutil.copytree(filled, root)
    facts = json.loads((root / "facts.json").read_text(encoding="utf-8"))

    def typeset(change):
        change(facts)
        (root / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        return article.typeset(root)

    return typeset


def test_a_number_that_is_not_there_is_an_error(other):
    with pytest.raises(InputError, match="undecided"):
        other(lambda facts: facts["claims"].pop("undecided"))


def test_it_is_also_of_a_preset_with_seeds_of_which_cells_are_missing(other):
    """All experiments are in it, of which the first is not drawn."""

    def change(facts):
        facts |= {"seeds": 5, "missing": [], "readings": ["confirmatory"]}
        facts["cells"]["done"] -= 1
        facts["experiments"][0]["figure"] = ""
        facts["made"]["commits"] = ["one"]

    assert other(change).startswith(b"%PDF-")


def test_it_says_what_a_single_seed_cannot_show(filled):
    facts = json.loads((filled / "facts.json").read_text(encoding="utf-8"))
    assert facts["seeds"] == facts["one"]
    assert facts["claims"]["undecided"] == facts["claims"]["all"]
    assert "toy-scale" in article.TEMPLATE.read_text(encoding="utf-8")


@pytest.fixture
def changed(plan, tmp_path):
    """The same results, with tables to change."""
    for folder in ("measures", "training", "responses"):
        (tmp_path / "quick").mkdir(exist_ok=True)
        (tmp_path / "quick" / folder).symlink_to(plan.results.root / folder)
    shutil.copytree(plan.results.root / "tables", tmp_path / "quick/tables")
    for path in plan.results.root.glob("claims.*"):
        shutil.copy(path, tmp_path / "quick")
    return Plan(plan.study, replace(plan.folders, results=tmp_path))


def test_a_stale_number_is_named(changed):
    claims = changed.results.root / "claims.json"
    table = changed.results.root / "tables/accuracy.json"
    assert list(article_facts.stale(changed)) == []
    records = json.loads(claims.read_text(encoding="utf-8"))
    records[0]["estimate"] += 0.001
    claims.write_text(json.dumps(records), encoding="utf-8")
    rows = json.loads(table.read_text(encoding="utf-8"))
    rows["rows"].pop()
    table.write_text(json.dumps(rows), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        article.write(changed, changed.results.root / "article.pdf")
    first, *places = str(refused.value).splitlines()
    assert "out of date; draw them again" in first
    assert [one.partition(":")[0] for one in places] == [
        "claims.json, accuracy/augmented_keep, row 0, estimate",
        "tables/accuracy.json, row 23",
    ]


def test_a_preset_with_missing_cells_is_refused(plan, tmp_path):
    empty = Plan(plan.study, replace(plan.folders, results=tmp_path))
    with pytest.raises(InputError, match=r"lacks 60 of 60 cells.*compute them, or allow it with --partly"):
        article.write(empty, tmp_path / "article.pdf")


def test_a_claim_that_waits_for_cells_has_a_row_without_numbers():
    """As ``claims.json`` has it: neither an estimate nor what it is about."""
    record = {"experiment": "ti_pooling", "statement": "So it is.", "source": "ours", "rule": "supported if below 1"}
    row = article_facts._claim({**record, "verdict": "undecided", "reason": "not yet computed"})
    assert (row["estimate"], row["about"], row["n"]) == ("–", "", "–")
    assert (row["rule"], row["verdict"], row["reason"]) == ("below 1", "undecided", "not yet computed")

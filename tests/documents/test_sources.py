"""The sources: that the data is whole, and that nothing names a source that nobody has."""

import ast
import csv
import io
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cnn_invariance import models
from cnn_invariance.cli import app
from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import registry
from cnn_invariance.measures import requests
from cnn_invariance.paper import points
from cnn_invariance.paper.points import LETTERS, MOST_ABSENT, read
from cnn_invariance.paper.sources import Source
from cnn_invariance.report import sources

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "cnn_invariance"
GOOD = {"source": "C", "says": "It is so.", "ours": "same"}


def printed(*options):
    done = CliRunner().invoke(app, ["sources", *options])
    assert done.exit_code == 0, done.output
    return done.output


OURS = {"C4Conv"}
"""Networks of this package that the author's code does not have."""


@pytest.mark.parametrize("experiment", registry.names())
def test_every_experiment_says_what_it_compares_and_what_is_expected_of_it(experiment):
    assert points.chosen("comparison", about=experiment)
    assert points.chosen("expectation", about=experiment)


def test_an_expectation_has_one_source_and_is_never_the_author_s_code():
    for one in points.chosen("expectation"):
        assert one.letter in ("A", "S", "ours"), one.name


def test_every_family_of_measures_and_every_network_is_there():
    families = {requests.family(name).name for name in requests.names()}
    assert families <= {one.about for one in points.chosen("formula")}
    for name in {*models.names()} - OURS:
        topics = {one.topic for one in points.chosen("network", about=name)}
        assert topics >= {"layers", "sizes", "epochs", "learning rate"}, name


def test_every_letter_is_known_and_used():
    assert set(points.letters()) == set(LETTERS)
    assert {source for one in points.points() for source in one.sources} == set(Source) - {Source.EXPECTED}


def test_at_most_five_points_are_absent_and_whole_sentences_say_why_one_is_no_same():
    assert len(points.chosen(verdict="absent")) <= MOST_ABSENT
    for one in points.points():
        assert re.match(r"[A-Z0-9]|c is ", one.says), one.name
        assert one.says.endswith("."), one.name
        assert one.ours == "same" or (len(one.how.split()) >= 8 and one.how.endswith(".")), one.name


def test_a_hypothesis_of_ours_is_counted_apart():
    every = points.points()
    assert sum(points.counts(every).values()) == sum(not one.own for one in every)
    assert points.counts([one for one in every if one.own]) == {"same": 0, "departs": 0, "absent": 0}


@pytest.mark.parametrize(
    ("kind", "entry", "message"),
    [
        ("networks", GOOD, "unknown kind .* 'networks'; did you mean 'network'"),
        ("network", {**GOOD, "source": "X"}, "unknown letter of a source"),
        ("network", {**GOOD, "ours": "differs"}, "unknown verdict"),
        ("network", {**GOOD, "why": "so"}, "unknown key 'why'; allowed: source, says, ours, how, value"),
        ("network", {"source": "C", "ours": "same"}, "'says' is missing"),
        ("network", {**GOOD, "ours": "departs"}, "received 'departs' without 'how'; say how and why"),
        ("network", {**GOOD, "ours": "absent", "how": ""}, "received 'absent' without 'how'"),
        ("network", {**GOOD, "how": "So."}, "received 'same' with 'how'"),
    ],
)
def test_a_point_that_is_not_whole_is_refused_by_name(kind, entry, message):
    with pytest.raises(InputError, match=message) as caught:
        read(kind, "Net", "topic", entry)
    assert f"{kind}/Net/topic" in str(caught.value)


def test_a_value_that_is_not_there_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="network/SimpleConv/epochs"):
        points.value("network", "SimpleConv", "epoch")
    with pytest.raises(InputError, match="allowed"):
        points.chosen("formulas")


def test_the_command_prints_what_is_asked_for():
    page = printed()
    assert page.splitlines()[2] == sources.summary(points.points())
    assert page.count("\n| ") == len(points.points()) + 2 * len(sources.HEADINGS)
    departing = printed("--verdict", "departs", "--kind", "formula")
    assert "| same |" not in departing
    assert "## Networks" not in departing
    table = list(csv.DictReader(io.StringIO(printed("--csv"))))
    assert [row["says"] for row in table] == [one.says for one in points.points()]
    record = json.loads(printed("--json", "--kind", "set"))
    assert [one["about"] for one in record["points"]] == [one.about for one in points.chosen("set")]
    assert record["counts"] == points.counts(points.chosen("set"))
    refused = CliRunner().invoke(app, ["sources", "--csv", "--json"])
    assert refused.exit_code == 2
    assert "expected one of --csv, --json" in refused.output
    assert printed("--csv", "--kind", "set", "--verdict", "absent").strip() == "kind"


def test_the_documentation_lists_what_differs_as_the_data_has_it():
    text = sources.departures()
    assert printed("--differing") == text
    assert sources.as_list(sources.differing()) in text
    page = (ROOT / "docs/departures.md").read_text(encoding="utf-8")
    assert page == f"# {sources.DEPARTURES}\n\n{text}", "docs/departures.md: print it anew with --differing"


def test_the_first_page_says_what_was_not_at_hand():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "The text of the paper was not" in " ".join(readme.partition("\n## ")[0].split())
    for document in (readme, (ROOT / "docs/study.md").read_text(encoding="utf-8")):
        there = " ".join(document.split())
        for word in ("abstract", "experiment code", "library", "log", "pictures", "successor", "hypothesis of ours"):
            assert word in there, word


FORBIDDEN = re.compile(
    r"paper(?:'s)? (?:expects|text|says|networks?|widths?|epochs|sizes?|library|own|experiments?|code|author)"
    r"|paper(?:'s)? (?:compares|defines|finds|measures|reports|shows|studies|trains)"
    r"|\b(?:of|from|in|by) the paper's\b|\b(?:section|equation|figure|table|eq\.|fig\.) \d",
    re.IGNORECASE,
)
"""What would cite a text that nobody has; "the text of the paper" is said to be absent, and that may be said."""


def texts():
    """What the package says: the strings and docstrings of its code, its templates, and the documents."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value
    others = [
        *PACKAGE.rglob("*.j2"),
        *PACKAGE.rglob("*.typ"),
        *PACKAGE.rglob("*.md"),
        *PACKAGE.rglob("*.yaml"),
        *(ROOT / "config").glob("*.yaml"),
    ]
    others += sorted((ROOT / "docs").glob("*.md"))
    for path in [*others, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Snakefile"))]:
        yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def test_nothing_cites_a_text_that_nobody_has():
    assert [(where, found[0]) for where, text in texts() if (found := FORBIDDEN.search(" ".join(text.split())))] == []


@pytest.mark.parametrize(
    ("before", "after"),  # in two parts, so that not even this file says them
    [("the paper", "expects"), ("the paper's", "text"), ("as the paper", "says"), ("see Section", "3"),
     ("The paper", "compares"), ("the paper's", "measures"), ("equation", "4"), ("Figure", "2"),
     ("the paper's", "networks"), ("none of the", "paper's sets")],
)  # fmt: skip
def test_what_would_cite_it_is_found(before, after):
    assert FORBIDDEN.search(f"{before} {after}")

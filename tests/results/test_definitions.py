"""Files of the package that are edited after results were made with them are noticed."""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.results import definitions, write_training
from cnn_invariance.results.definitions import PACKAGE, changed, digest, files, recorded
from cnn_invariance.workflow import status
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from helpers_study import TINY, cell, network

VARIANCE, SIMPLE = "measures/families/variance.py", "models/simple_conv.py"


@pytest.fixture
def plan(tmp_path):
    """A function that plans a study of which one training has this provenance."""
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")

    def planned(**made):
        whole = Plan(Programme.load(tmp_path / "tiny.yaml"), Folders(results=tmp_path / "results"))
        (asked,) = whole.networks
        known = {"wall_s": 1.0, "peak_memory_bytes": 1} | made
        write_training(whole.results.path(asked), asked, {"epochs": 1, "accuracy": {"train": 1.0}}, known)
        return whole

    return planned


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """A function that edits a file of a copy of the package, which is looked at in its place."""
    copy = tmp_path / "package"
    for name in (VARIANCE, SIMPLE):
        (copy / name).parent.mkdir(parents=True)
        shutil.copy(PACKAGE / name, copy / name)

    def edit(name, old, new):
        text = (copy / name).read_text()
        assert old in text
        (copy / name).write_text(text.replace(old, new, 1))
        monkeypatch.setattr(definitions, "_here", lambda name: digest((copy / name).read_text()))

    return edit


def test_the_files_of_a_cell_are_those_of_its_network_and_measures():
    assert files(network()) == (SIMPLE,)
    assert files(cell()) == (VARIANCE, SIMPLE)
    assert recorded(cell())["definitions"].keys() == {VARIANCE, SIMPLE}


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("pool", "pool  # of two by two", False),
        ('"""', '"""Another text. ', False),
        ("\n\n\ndef build", "\n\n\n\n\ndef build", False),
        (" = 32", " = 33", True),
    ],
)
def test_comments_texts_and_layout_do_not_count(old, new, counts):
    text = (PACKAGE / SIMPLE).read_text()
    assert old in text
    if old == "pool":
        text, other = text + "\nX = 1\n", text + "\nX = 1  # a comment\n"
    else:
        other = text.replace(old, new, 1)
    assert (digest(text) != digest(other)) == counts


def test_what_only_says_something_of_a_measure_does_not_count():
    text = (PACKAGE / VARIANCE).read_text()
    assert digest(text) == digest(text.replace('"TV": "lower"', '"TV": "higher"'))
    assert digest(text) != digest(text.replace('["std", "var"]', '["var", "std"]'))


def test_what_the_entries_do_not_use_does_not_count():
    text = (PACKAGE / VARIANCE).read_text()
    assert digest(text) == digest(text + "\n\ndef beside(x):\n    return x\n")
    assert digest(text) != digest(text.replace('"TV": ("transformations",)', '"TV": ("samples",)'))
    helper = "\n\ndef half(x):\n    return x / {}\n"
    used = text.replace("return normalized(", "return half(normalized(").replace("*values) if", "*values)) if")
    assert digest(used + helper.format(2)) != digest(used + helper.format(3))
    assert digest(text + helper.format(2)) == digest(text + helper.format(3))


def test_a_recorded_file_that_was_edited_is_named_with_what_to_do(plan, edited):
    then = recorded(network())
    edited(SIMPLE, " = 32", " = 33")
    whole = plan(python="3.0.0", **then)
    assert changed(whole.results, whole.cells) == []  # read by another Python
    whole = plan(python=platform.python_version(), **then)
    ((path, cells),) = changed(whole.results, whole.cells)
    assert (path, cells) == (SIMPLE, whole.networks)
    (said,) = [line for line in status.of_plan(whole) if "other code" in line]
    assert said.startswith(f"note: 1 result was made by other code, the first {whole.networks[0].key}: {SIMPLE}")
    assert "raise TRAIN_REVISION in study/cells.py" in said


def test_a_file_is_compared_with_that_of_the_commit_of_an_older_result(plan, edited):
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=PACKAGE, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("no checkout of git")
    commit = done.stdout.strip()
    here = subprocess.run(
        ["git", "status", "--porcelain", SIMPLE], cwd=PACKAGE, capture_output=True, text=True, check=True
    )
    if here.stdout:
        pytest.skip(f"{SIMPLE} has changes that are not committed")
    whole = plan(commit=commit)
    assert changed(whole.results, whole.cells) == []
    edited(SIMPLE, " = 32", " = 33")
    assert [one.path for one in changed(whole.results, whole.cells)] == [SIMPLE]
    for unknown in (f"{commit}-dirty", None, "0" * 40):
        whole = plan(commit=unknown)
        assert changed(whole.results, whole.cells) == []


def test_the_committed_results_were_made_by_this_code():
    root = Path(__file__).parents[2]
    for name in ("quick", "laptop"):
        whole = Plan(Programme.load(root / f"config/{name}.yaml"), Folders(results=root / "results"))
        assert [(one.path, len(one.cells)) for one in changed(whole.results, whole.cells)] == []

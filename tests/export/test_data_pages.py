"""The data appendix says what is in the data, and what presets pin."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cnn_invariance.cli import app
from cnn_invariance.export.data_pages import ORIGINS, page
from cnn_invariance.study.study import Study
from helpers_cli import refused_by, said_by

PAGES = Path(__file__).parents[2] / "docs/data"
PRESETS = [Study.load(path) for path in (PAGES.parents[1] / "config").glob("*.yaml") if path.name != "claims.yaml"]


@pytest.mark.parametrize("name", ORIGINS)
def test_a_page_is_what_the_code_writes_of_what_was_counted(name):
    counts = json.loads((PAGES / f"{name}.json").read_text(encoding="utf-8"))
    stale = f"docs/data/{name}.md is out of date: cnn-invariance export data-pages {name}"
    assert (PAGES / f"{name}.md").read_text(encoding="utf-8") == page(name, counts), stale


def test_each_dataset_of_a_preset_has_a_page_with_its_fingerprint():
    pinned = {(label, entry.fingerprint) for study in PRESETS for label, entry in study.preset.datasets.items()}
    assert {name for name, _ in pinned} == set(ORIGINS)
    for name, fingerprint in pinned:
        assert json.loads((PAGES / f"{name}.json").read_text(encoding="utf-8"))["fingerprint"] == fingerprint


def test_counted_again_it_is_the_same(tmp_path):
    """Of the dataset that needs no raw files."""
    said_by(
        CliRunner().invoke(
            app, ["export", "data-pages", "mnist5k", "--into", str(tmp_path), "--data-dir", str(tmp_path)]
        )
    )
    for ending in (".json", ".md"):
        assert (tmp_path / f"mnist5k{ending}").read_bytes() == (PAGES / f"mnist5k{ending}").read_bytes()


def test_a_dataset_without_a_page_is_refused():
    assert "did you mean 'mnist'" in refused_by(CliRunner().invoke(app, ["export", "data-pages", "mnits"]))

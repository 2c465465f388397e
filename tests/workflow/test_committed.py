"""What is committed was drawn from the committed results by this code: every figure, table and claim, to the byte."""

import json
from functools import cache
from pathlib import Path

import pytest

from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.plotting import Canvas
from cnn_invariance.report import claims, overview, specifications
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products

ROOT = Path(__file__).parents[2]
PRESETS = tuple(
    name for name in ("quick", "laptop", "paper", "pretrained") if (ROOT / "results" / name / "claims.csv").is_file()
)
"""Those that are drawn; of a preset that is being computed, there may be results alone."""
ALIKE = {
    *("accuracy", "compare_models", "heatmap", "augmentation_intensity"),  # drawn for quick, too
    *("activation_function", "kernel_size", "max_pooling", "random_weights"),  # as others are, by the same code
    *("dataset_size", "dataset_subset", "dataset_transfer", "goodfellow_alpha"),
    *("batch_normalization", "transformation_diversity"),
    *("measure_comparison", "feature_maps"),  # of many figures
}
"""Experiments of laptop that are left to `make`, which draws all, so that this takes a minute."""


WORDS = 80
"""Of what a caption opens with: what was found, what is shown, and what was asked."""


@cache
def plan_of(preset: str) -> Plan:
    folders = Folders(results=ROOT / "results", figures=ROOT / "figures")
    return Plan(Programme.load(ROOT / "config" / f"{preset}.yaml"), folders)


def committed_captions(preset: str, experiment: str) -> list[Path]:
    plan = plan_of(preset)
    return sorted(plan.folders.figure_folder(preset, experiment).glob("*.md"))


def same(drawn: list[Path], committed: Path) -> None:
    assert drawn
    for path in drawn:
        assert path.read_bytes() == (committed / path.name).read_bytes(), f"{committed / path.name} is another"


@pytest.mark.parametrize(
    ("preset", "experiment"),
    [
        (preset, name)
        for preset in PRESETS
        for name in plan_of(preset).computed
        if preset == "quick" or name not in ALIKE
    ],
)
def test_figures_and_tables(preset, experiment, tmp_path):
    plan = plan_of(preset)
    figures, tables = tmp_path / "figures", tmp_path / "tables"
    study = plan.study.on(experiment, plan.computed[experiment])
    chosen = study.experiment(experiment)
    found = chosen.opening(study, plan.results)
    openings = [path.read_text().partition("\n\n")[0] for path in committed_captions(preset, experiment)]
    assert max((len(one.split()) for one in openings), default=0) <= WORDS
    records = [path.with_suffix(".json").read_text() for path in committed_captions(preset, experiment)]
    assert all(json.loads(one)["caption"]["finding"] for one in records)
    chosen.draw(study, plan.results, Canvas(figures, tables, found))
    outputs = study.outputs_of(experiment)
    if outputs.figures:
        same(sorted(figures.iterdir()), plan.folders.figure_folder(preset, experiment))
    if outputs.tables:
        same(sorted(tables.iterdir()), plan.folders.table_folder(preset))


@pytest.mark.parametrize("preset", PRESETS)
def test_claims_and_overview(preset, tmp_path, monkeypatch):
    plan = plan_of(preset)
    written = [tmp_path / path.name for path in Products(plan).claims]
    monkeypatch.setattr(Products, "claims", written)
    claims.write(plan)
    same(written, plan.results.root)
    elsewhere = Plan(plan.study, Folders(results=ROOT / "results", figures=tmp_path))
    overview.draw(elsewhere, claims.read(plan))
    drawn = elsewhere.folders.figure_folder(preset, "overview")
    same(sorted(drawn.iterdir()), plan.folders.figure_folder(preset, "overview"))


@pytest.mark.parametrize("preset", PRESETS)
def test_specifications(preset, tmp_path, monkeypatch):
    plan = plan_of(preset)
    monkeypatch.setattr(Folders, "figure_folder", lambda self, preset, name: tmp_path / "figures")
    monkeypatch.setattr(Folders, "table_folder", lambda self, preset: tmp_path / "tables")
    specifications.write(plan)
    monkeypatch.undo()
    same(sorted((tmp_path / "tables").iterdir()), plan.folders.table_folder(preset))
    committed = plan.folders.figure_folder(preset, "specifications")
    if not committed.is_dir():  # a preset without a primary claim
        assert not (tmp_path / "figures").exists()
        return
    same(sorted((tmp_path / "figures").iterdir()), committed)

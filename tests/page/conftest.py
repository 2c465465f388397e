"""Pages to test: of the committed preset quick, and of a copy of it that has everything a page can show."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.plotting import Canvas
from cnn_invariance.report import page
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products

ROOT = Path(__file__).parents[2]
HOSTILE = "<script>document.title='stolen'</script><img src=x onerror=alert(1)>&\"'"
"""What must come out as the text it is, wherever it goes in."""

OTHER = """\
  mnist: # nothing was trained on it: its experiment is not computed yet
    fingerprint: "{zeros}"
    accuracy_floor: 0

"""
EXPERIMENTS = """\
  accuracy: {batch_norm: false, datasets: [mnist5k], seeds: 1}
  compare_models: {datasets: [mnist5k]}
  augmentation_intensity: {datasets: [mnist5k]}
  heatmap: {datasets: [mnist5k], models: [SimpleConv]}
  feature_maps: {datasets: [mnist], seeds: 1}
"""


@dataclass(frozen=True)
class Written:
    """A page, and the plan it was written from."""

    plan: Plan
    path: Path

    @property
    def text(self) -> str:
        """The page."""
        return self.path.read_text(encoding="utf-8")

    @property
    def claims(self) -> list[dict[str, Any]]:
        """The records of claims.json that are findings, without those of single conditions."""
        records = json.loads(Products(self.plan).claims[2].read_text(encoding="utf-8"))
        return [record for record in records if not record["condition"]]


@pytest.fixture(scope="session")
def quick(tmp_path_factory) -> Written:
    """The page of the preset quick, from its committed results and figures."""
    path = tmp_path_factory.mktemp("quick") / "quick.html"
    plan = Plan(Programme.load(ROOT / "config/quick.yaml"), Folders(results=ROOT / "results", figures=ROOT / "figures"))
    page.write(plan, path)
    return Written(plan, path)


@pytest.fixture(scope="session")
def everything(tmp_path_factory) -> Written:
    """quick with another dataset, an experiment that is not computed, each verdict, a verification, hostile texts."""
    root = tmp_path_factory.mktemp("everything")
    for name in ("results", "figures"):
        shutil.copytree(ROOT / name / "quick", root / name / "quick")
    preset = (ROOT / "config/quick.yaml").read_text(encoding="utf-8")
    preset = preset[: preset.index("  accuracy: {")] + EXPERIMENTS
    preset = preset.replace("# Larger", OTHER.format(zeros="0" * 64) + "# Larger", 1)
    preset = preset.replace("description: 5,000", f"description: | # {HOSTILE}\n  {HOSTILE} 5,000", 1)
    (root / "everything.yaml").write_text(preset, encoding="utf-8")
    plan = Plan(Programme.load(root / "everything.yaml"), Folders(results=root / "results", figures=root / "figures"))
    _verify(plan)
    change(Products(plan).claims[2], _add_claims)
    change(plan.folders.figure_folder("quick", "heatmap") / "heatmap_mnist5k_scale.json", _add_hostile_texts)
    change(plan.folders.table_folder("quick") / "accuracy.json", _add_hostile_texts)
    page.write(plan, root / "everything.html")
    return Written(plan, root / "everything.html")


def change(path: Path, edit: Callable[[Any], None]) -> None:
    """Edit what a JSON file holds."""
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def _verify(plan: Plan) -> None:
    """Files as a verification leaves them: a table, and a figure with its caption."""
    root, figures = plan.results.root, plan.folders.figure_folder("quick", "verification")
    frame = pd.DataFrame({"cell": ["a"], "verdict": ["agrees"]})
    Canvas(root, root).table("verification", frame, "Cells again. These are few.")
    figures.mkdir()
    for path in plan.folders.figure_folder("quick", "heatmap").glob("heatmap_mnist5k_rotation.*"):
        shutil.copy(path, figures / f"verification{path.suffix}")


def _add_claims(records: list[dict[str, Any]]) -> None:
    """Claims of each verdict, on both datasets and on none; one with hostile texts."""
    whole = [record for record in records if not record["condition"]]
    known, other = {**whole[0], "datasets": ["mnist"], "about": "mnist"}, whole[3]
    whole[1].update({"verdict": "supported", "low": 0.1, "estimate": 0.2, "high": 0.3, "reason": ""})
    records += [
        {**whole[2], "verdict": "depends on the set", "reason": "supported: rotation; not supported: scale"},
        {**known, "verdict": "not supported", "low": 0.1, "estimate": 0.2, "high": 0.3},
        {**other, "datasets": ["mnist"], "about": "mnist", "verdict": "undecided",
         "reason": "the threshold lies inside the interval"},
        {**known, "claim": "hostile", "datasets": [], "about": HOSTILE, "statement": HOSTILE, "statistic": HOSTILE,
         "reason": HOSTILE},
        {"experiment": "feature_maps", "claim": "look", "statement": "They look invariant.", "source": "ours",
         "statistic": "relative difference", "rule": "supported if below 0.1", "side": "below", "threshold": 0.1,
         "scale": "log", "condition": "", "primary": True, "reading": "exploratory", "statement_sha256": "",
         "datasets": [], "cells": [], "verdict": "undecided", "reason": "not yet computed: 3 of 3 cells"},
    ]  # fmt: skip


def _add_hostile_texts(record: dict[str, Any]) -> None:
    record["caption"]["title"] += HOSTILE
    if "rows" in record:
        record["rows"].append([HOSTILE, *record["rows"][0][1:]])

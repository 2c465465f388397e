"""A preset of two datasets of which one is computed: its experiments are drawn, and the other is said to be missing."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.report import claims, overview, specifications
from cnn_invariance.workflow import campaign, drawing, status
from cnn_invariance.workflow.costs import Rates
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products
from helpers_experiments import PRESET, write_results

TWO = {
    "mnist5k": {"fingerprint": "0" * 64, "accuracy_floor": 0.5},
    "other": {"source": "mnist5k", "fingerprint": "1" * 64, "accuracy_floor": 0.5},
}
EXPERIMENTS = {
    "augmentation_intensity": {"datasets": ["mnist5k", "other"], "seeds": 3},
    "structure": {"seeds": 3},
    "dataset_transfer": {"seeds": 2},
    "compare_models": {"datasets": ["other"], "seeds": 2},
}


@pytest.fixture
def plan(tmp_path) -> Plan:
    """The plan of a study of which the cells on one dataset are computed."""
    content = PRESET | {"datasets": TWO, "experiments": EXPERIMENTS, "compute": "cached"}
    (tmp_path / "preset.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    study = Programme.load(tmp_path / "preset.yaml")
    for name in ("augmentation_intensity", "structure"):
        write_results(study.on(name, ("mnist5k",)), tmp_path / "results" / study.name)
    return Plan(study, Folders(results=tmp_path / "results", figures=tmp_path / "figures"))


def test_an_experiment_is_drawn_for_the_dataset_that_is_complete(plan):
    assert plan.drawn == plan.computed == {"augmentation_intensity": ("mnist5k",), "structure": ("mnist5k",)}
    for name in plan.drawn:
        products = Products(plan)
        drawing.draw(plan, name)
        announced = {*products.figures(name), *products.tables(name)}
        folder = plan.folders.figure_folder(plan.study.name, name)
        tables = plan.folders.table_folder(plan.study.name).glob(f"{name}*")
        assert {*folder.iterdir(), *tables} == announced
        texts = [path.read_text(encoding="utf-8") for path in announced if path.suffix in (".md", ".csv")]
        assert any("mnist5k" in text for text in texts)
        assert not any("| other" in text for text in texts)
        assert all(cell.dataset.name == "mnist5k" for cell in plan.study.on(name, ("mnist5k",)).cells_of(name))


def test_what_is_missing_of_the_other_is_said(plan, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where no data are prepared
    monkeypatch.setattr(status, "_estimate", lambda plan: [])  # synthetic results took no time
    absent = ["augmentation_intensity on other", "compare_models", "dataset_transfer", "structure on other"]
    assert plan.absent(plan.computed) == absent
    (line,) = [line for line in status.of_plan(plan) if line.startswith("not yet computed")]
    assert ", ".join(absent) in line
    overview.draw(plan, claims.records(plan))
    folder = plan.folders.figure_folder(plan.study.name, "overview")
    assert "Not yet computed: augmentation_intensity on other" in (folder / "overview.md").read_text()


def test_claims_are_decided_on_the_dataset_that_is_complete(plan):
    found = claims.records(plan)
    own = [row for row in found if row["experiment"] == "augmentation_intensity" and not row["condition"]]
    assert {row["verdict"] for row in own if row["about"] == "mnist5k"} - {"undecided"}
    other = [row for row in own if row["about"] == "other"]
    assert {row["verdict"] for row in other} == {"undecided"}
    assert all(row["reason"].startswith("not yet computed: ") for row in other)
    factors = [row for row in found if row["experiment"] == "structure" and row["datasets"] == ("mnist5k",)]
    assert any(row["verdict"] == "undecided" and "dataset" in row["reason"] for row in factors)
    nothing = [row for row in found if row["experiment"] == "dataset_transfer"]
    assert [(row["verdict"], row.get("about")) for row in nothing] == [("undecided", None)]


def test_specifications_are_those_of_the_dataset_that_is_complete(plan):
    """What is announced to Snakemake is written."""
    products = Products(plan)
    assert products.specified == ["augmentation_intensity", "structure"]
    specifications.write(plan)
    assert all(path.is_file() for path in products.specifications)
    rows = pd.read_csv(plan.folders.table_folder(plan.study.name) / "specifications.csv")
    assert set(rows["about"]) == {"mnist5k"}
    captions = [path.read_text("utf-8") for path in products.specifications if path.suffix == ".md"]
    assert any("mnist5k" in text for text in captions)
    assert not any("other" in text.replace("another", "").split() for text in captions)


def test_all_is_drawn_anew_when_the_other_dataset_is_there_too(plan):
    names = ("augmentation_intensity", "structure")
    for name in names:
        drawing.draw(plan, name)
    before = {path: path.read_bytes() for path in plan.folders.figures.rglob("*.svg")}
    old = {name: set(Products(plan).results_of(name)) for name in names}
    write_results(plan.study, plan.results.root)
    after = plan.anew()
    assert after.drawn == {name: after.study.datasets_of(name) for name in plan.study.experiments}
    assert after.study.on("structure", after.drawn["structure"]) is after.study
    for name in names:
        assert old[name] < set(Products(after).results_of(name))  # new inputs: Snakemake draws it again
        drawing.draw(after, name)
    changed = [path for path, content in before.items() if path.read_bytes() != content]
    assert changed
    rows = claims.records(after)
    assert not any(row["reason"].startswith("not yet computed") for row in rows)


def test_a_campaign_completes_one_dataset_before_the_other(plan, tmp_path):
    content = PRESET | {"datasets": TWO, "experiments": {"augmentation_intensity": {"seeds": 3}}}
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    empty = Plan(Programme.load(tmp_path / "one.yaml"), Folders(tmp_path, tmp_path / "none", tmp_path / "none"))
    cells = [step.cell for step in campaign.order(empty, Rates({}, 0))]
    assert len(cells) == len(set(cells)) == len(empty.cells)
    names = [cell.network.dataset.name for cell in cells]
    assert names == sorted(names)
    assert set(names) == {"mnist5k", "other"}


@pytest.mark.parametrize("dataset", ["mnist", "cifar10_jpeg"])
def test_an_experiment_on_one_dataset_has_the_cells_that_it_has_there(dataset):
    """Also `published_accuracy`, which is about the networks of the other experiments."""
    study = Programme.load(Path(__file__).parents[2] / "config" / "laptop.yaml")
    found = {cell for cell in study.cells_of("published_accuracy") if cell.dataset.name == dataset}
    assert len(found) > 200
    assert set(study.on("published_accuracy", (dataset,)).cells_of("published_accuracy")) == found

"""The page of the whole study."""

from PIL import Image

from cnn_invariance.report import claims, overview
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products

DATASETS = {
    "mnist5k": {"fingerprint": "0" * 64, "accuracy_floor": 0.5},
    "cifar10_jpeg": {"fingerprint": "1" * 64, "accuracy_floor": 0.5},
}


def drawn(study, computed, tmp_path):
    plan = Plan(study, Folders(results=tmp_path, figures=tmp_path / "figures"))
    computed(study)
    (tmp_path / "results").rename(plan.results.root)
    overview.draw(plan, claims.records(plan))
    assert all(path.is_file() for path in Products(plan).overview)
    return plan


def test_all_parts_are_on_one_page(preset, load, computed, tmp_path):
    preset["datasets"] = DATASETS
    preset["experiments"] = {
        "structure": {},
        "compare_models": {},
        "augmentation_intensity": {},
        "random_initialization": {"seeds": 3},
    }
    plan = drawn(load(preset), computed, tmp_path)
    with Image.open(Products(plan).overview[1]) as image:
        assert image.width == 1400
        assert image.height > 1000
    summary = plan.folders.figure_folder(plan.study.name, "overview") / "summary.md"
    said = summary.read_text(encoding="utf-8")
    assert [said.count(f"({letter}) ") for letter in "abcd"] == [1, 1, 1, 0]
    assert "(b) The share of the differences" in said
    caption = Products(plan).overview[2].read_text(encoding="utf-8")
    assert "cifar10_jpeg is CIFAR-10 after JPEG compression, not the original pixels" in caption
    assert "preset synthetic, cifar10_jpeg, mnist5k" in caption


def test_a_preset_of_one_experiment_has_a_page_too(preset, load, computed, tmp_path):
    preset["experiments"] = {"heatmap": {}, "augmentation_intensity": {}}
    plan = drawn(load(preset), computed, tmp_path)
    assert "Differences" not in Products(plan).overview[2].read_text(encoding="utf-8")


def test_designs_by_relative_depth_are_the_first_figure_where_there_is_no_other(preset, load, computed, tmp_path):
    preset["experiments"] = {"compare_models": {}}
    plan = drawn(load(preset), computed, tmp_path)
    summary = plan.folders.figure_folder(plan.study.name, "overview") / "summary.md"
    assert "(a) One profile" in summary.read_text(encoding="utf-8")
    assert "relative depth" in summary.with_suffix(".svg").read_text(encoding="utf-8")

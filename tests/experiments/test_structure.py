"""The headline: what profiles differ by, of known effects."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnn_invariance.errors import InputError
from helpers_experiments import Profiles, announced, draw, findings, kinds

SETS = ["rotation", "scale", "translation"]
BETWEEN = {
    "design: AllConvolutional, SimpleConv": 15,
    "set: rotation, scale": 10,
    "set: rotation, translation": 10,
    "set: scale, translation": 10,
}
"""What two augmented networks of one dataset differ in, and how many pairs do: of 5 seeds, 3 sets and 2 designs."""
DATASETS = {
    "mnist5k": {"fingerprint": "0" * 64, "accuracy_floor": 0.5},
    "cifar10_jpeg": {"fingerprint": "1" * 64, "accuracy_floor": 0.5},
}


@pytest.fixture
def study(preset, load):
    preset["datasets"] = DATASETS
    preset["experiments"] = {"structure": {}}
    return load(preset)


def made_up(effect):
    """Profiles that rise with depth by ``effect`` of a cell, with a little noise."""

    def values(cell, measure):
        depth = np.linspace(0, 1, len(kinds(cell.network.model)))
        noise = np.random.default_rng(int(cell.key[-8:], 16)).normal(0, 0.02, depth.size)
        return 1 + effect(cell) * depth + noise

    return Profiles(values)


def of_design(cell):
    return 2.0 * (cell.network.model.name == "SimpleConv")


def of_training(cell):
    return 2.0 * (cell.network.augmentation is not None)


def verdicts(study, effect):
    return {one.claim.name: one.verdict for one in findings(study, "structure", made_up(effect))}


def test_a_structure_of_the_design_is_supported(study):
    assert verdicts(study, of_design) == {
        "design_not_training": "supported",
        "training_negligible": "supported",
        "set": "not supported",
        "dataset": "not supported",
        "design_told": "supported",
    }


def test_a_structure_of_the_training_is_not(study):
    found = verdicts(study, of_training)
    assert found["design_not_training"] == found["training_negligible"] == "not supported"


def test_a_structure_of_datasets_and_sets_is_seen(study):
    def effect(cell):
        level = {"rotation": 0, "scale": 1, "translation": 2}[cell.transformations.name]
        return level + 1.5 * (cell.dataset.name == "mnist5k")

    found = verdicts(study, effect)
    assert found["set"] == found["dataset"] == "supported"


def test_shares_of_known_effects(study, tmp_path):
    """Two designs that differ by 2 x, half of them by training: of each effect the sum of squares is known."""

    def effect(cell):
        return 0.4 * (cell.network.model.name == "SimpleConv") + 0.1 * (cell.dataset.name == "mnist5k")

    folder = draw(study, "structure", made_up(effect), tmp_path)
    table = pd.read_csv(folder / "structure.csv").set_index(["part", "of"])["share"]
    level = table["level"]
    assert level["design"] / level["dataset"] == pytest.approx(16, rel=0.1)  # as the squares of the effects
    assert level["training"] == pytest.approx(0, abs=0.01)
    for part in ("level", "shape"):
        assert table[part].sum() == pytest.approx(1)
    assert table["told"]["augmented"] > 0.9


def test_two_seeds_have_shares_without_intervals(preset, load, tmp_path):
    preset["datasets"] = DATASETS
    preset["experiments"] = {"structure": {"seeds": 2}}
    folder = draw(load(preset), "structure", made_up(of_design), tmp_path)
    table = pd.read_csv(folder / "structure.csv").query("part == 'shape'").set_index("of")
    assert table["share"].sum() == pytest.approx(1)
    assert table["share"]["design"] > 0.9
    assert table[["low", "high"]].isna().all(axis=None)


def test_what_is_drawn_and_tabled(study, computed, tmp_path):
    folder = draw(study, "structure", computed(study), tmp_path / "drawn")
    assert {path.name for path in folder.iterdir()} == announced(study, "structure")
    table = pd.read_csv(folder / "structure_differences.csv")
    pairs = table.set_index(["dataset", "networks differ in"])["pairs"]
    alike = {"another seed": 60, "untrained": 30, "plain, not augmented": 30, **BETWEEN}
    first, second = study.datasets
    assert pairs[second].to_dict() == alike
    assert pairs[first].to_dict() == alike | {f"dataset: {second}, under {name}": 10 for name in SETS}  # stands once
    with Image.open(folder / "structure.png") as image:
        assert image.width == 1400


def test_one_design_cannot_be_compared(preset, load):
    preset["experiments"] = {"structure": {"models": ["SimpleConv"]}}
    with pytest.raises(InputError, match="designs are compared: two are needed; received SimpleConv"):
        load(preset)
    preset["experiments"] = {"structure": {"seeds": 1}}
    with pytest.raises(InputError, match=r"structure\.seeds"):
        load(preset)


def test_one_dataset_and_one_set_leave_claims_about_them_undecided(preset, load):
    preset["experiments"] = {"structure": {"transformation_sets": ["rotation"]}}
    found = {one.claim.name: one for one in findings(load(preset), "structure", made_up(of_design))}
    assert found["design_not_training"].verdict == "supported"
    assert found["dataset"].why == "one dataset alone was measured"
    assert found["set"].why == "one set alone was measured"
    assert found["design_told"].why == "nothing unseen: one dataset and one set were measured"

"""The headline's differences, their permutation test, and verdicts both ways."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from cnn_invariance.errors import InputError
from cnn_invariance.experiments import structure
from cnn_invariance.experiments.structure import Place
from cnn_invariance.plotting import Canvas
from cnn_invariance.statistics.groups import permuted
from cnn_invariance.statistics.intervals import Interval

DEPTH = np.linspace(0, 1, 101)


def profiles(random, effect, places, seeds=3, noise=0.02):
    return {place: [effect(place) + random.normal(0, noise, 101) for _ in range(seeds)] for place in places}


def strata_of(found, strata):
    return [[found[place] for place in places] for places in strata]


def test_permuting_finds_a_difference_and_no_other():
    random = np.random.default_rng(0)
    strata = [[Place("mnist", design, label) for design in "ABCD"] for label in ("rotation", "scale")]
    flat = [place for places in strata for place in places]
    different = profiles(random, lambda place: 1 + 0.3 * (place.design == "A") * DEPTH, flat)
    assert permuted(strata_of(different, strata), draws=999) == pytest.approx(0.001)
    ps = [permuted(strata_of(profiles(random, lambda place: 1.0, flat), strata), draws=99) for _ in range(200)]
    assert 0.01 < np.mean(np.array(ps) <= 0.05) < 0.1  # as often as it should


def test_a_p_that_is_not_small_leaves_a_claim_undecided():
    from cnn_invariance.experiments.framework.claims import Finding

    claim = structure.DESIGN
    interval = Interval(2.0, 1.5, 2.5, "3 sets")
    assert Finding(claim, ("mnist",), interval, (), p=0.001).verdict == "supported"
    assert Finding(claim, ("mnist",), interval, (), p=0.2).verdict == "undecided"
    assert "p = 0.2" in Finding(claim, ("mnist",), interval, (), p=0.2).why
    below = Interval(0.0, -0.1, 0.1, "3 sets")
    assert Finding(claim, ("mnist",), below, (), p=0.2).verdict == "not supported"


KINDS = [
    "another seed",
    "trained plain or augmented",
    "another transformation set",
    "another dataset",
    "another design",
]
DATASETS = {
    "mnist5k": {"fingerprint": "0" * 64, "accuracy_floor": 0.5},
    "cifar10_jpeg": {"fingerprint": "1" * 64, "accuracy_floor": 0.5},
}


@pytest.fixture
def study(preset, load):
    preset["datasets"] = DATASETS
    preset["experiments"] = {"structure": {}}
    return load(preset)


def verdicts(study, results, monkeypatch, effect):
    """The verdicts where the profile of a place is ``effect(place)``, with a little noise."""
    experiment = study.experiments["structure"]
    places = experiment._cells(study)
    random = np.random.default_rng(1)
    made = {place: [effect(place) + random.normal(0, 0.02, 101) for _ in cells] for place, cells in places.items()}
    monkeypatch.setattr(structure.Structure, "_profiles", lambda *_: made)
    monkeypatch.setattr(structure, "permuted", partial(permuted, draws=1999))
    found = experiment.findings(study, results)
    return {(finding.claim.name, finding.about): finding.verdict for finding in found}


def test_a_structure_of_the_design_is_supported(study, computed, monkeypatch):
    def effect(place):
        level = {"rotation": 0, "scale": 0.3, "translation": 0.6}[place.transformations]
        return 1 + 2.0 * (place.design == "SimpleConv") * DEPTH + level + 0.5 * (place.dataset == "mnist5k")

    found = verdicts(study, computed(study), monkeypatch, effect)
    assert found["design", "mnist5k"] == found["not_training", "mnist5k"] == "supported"
    assert found["transformation", "mnist5k"] == "supported"
    assert found["dataset", "cifar10_jpeg and mnist5k"] == "supported"


def test_a_structure_of_the_training_is_not(study, computed, monkeypatch):
    found = verdicts(study, computed(study), monkeypatch, lambda place: 1 + 2.0 * place.augmented * DEPTH)
    assert found["design", "mnist5k"] == "not supported"
    assert found["not_training", "mnist5k"] == "not supported"
    assert found["dataset", "cifar10_jpeg and mnist5k"] == "not supported"


def test_what_is_drawn_and_tabled(study, computed, tmp_path):
    folder = tmp_path / "drawn"
    chosen = study.experiments["structure"]
    chosen.draw(study, computed(study), Canvas(folder, folder))
    table = pd.read_csv(folder / "structure.csv")
    assert list(table["networks differ in"]) == KINDS * 2
    pairs = table.set_index(["dataset", "networks differ in"])["pairs"].loc["mnist5k"]
    assert pairs.to_dict() == dict(zip(KINDS, (18, 6, 18, 18, 9), strict=True))
    assert (folder / "structure.png").is_file()


def test_one_design_cannot_be_compared(preset, load):
    preset["experiments"] = {"structure": {"models": ["SimpleConv"]}}
    with pytest.raises(InputError, match="name at least two models; received SimpleConv"):
        load(preset)
    preset["experiments"] = {"structure": {"seeds": 1}}
    with pytest.raises(InputError, match=r"structure\.seeds"):
        load(preset)

"""The decomposition of variance of profiles, against known effects and against numbers computed elsewhere."""

import csv
from pathlib import Path

import numpy as np
import pytest

from cnn_invariance.statistics import decomposition as of
from cnn_invariance.statistics.profiles import at_depths

FACTORS = ("dataset", "design", "set")


@pytest.fixture(scope="module")
def profiles() -> np.ndarray:
    """NV profiles of 72 augmented networks of `laptop` as it was until November 2026: (2, 4, 3, 3 seeds, 101)."""
    with (Path(__file__).parent / "profiles_of_72_networks.csv").open(encoding="utf-8") as file:
        rows = [at_depths([float(value) for value in row["profile"].split()]) for row in csv.DictReader(file)]
    return np.array(rows).reshape(2, 4, 3, 3, 101)


def test_the_shares_are_those_that_were_computed_independently(profiles: np.ndarray) -> None:
    found = of.shares(profiles, FACTORS)
    assert found["design"] == pytest.approx(0.283, abs=5e-4)
    assert found["set"] == pytest.approx(0.372, abs=5e-4)
    assert found["dataset"] == pytest.approx(0.226, abs=5e-4)
    assert found[of.INTERACTIONS] == pytest.approx(0.111, abs=2e-3)
    assert found[of.SEED] == pytest.approx(0.009, abs=5e-4)
    assert sum(found.values()) == pytest.approx(1)


def test_known_effects_are_found_each_in_its_factor() -> None:
    grid, depth = np.zeros((2, 3, 4, 5)), np.linspace(-1, 1, 5)
    grid += np.array([-1.0, 1.0])[:, None, None, None]  # factor a: variance 1
    grid += (np.array([-1.0, 0.0, 1.0])[:, None, None] * depth)[None]  # factor b, over depth: 2 / 3 x 1 / 2
    grid += np.array([-1.0, 1.0, 1.0, -1.0])[:, None] * 0.5  # replicates: 1 / 4
    whole = 1 + 1 / 3 + 1 / 4
    assert of.shares(grid, ("a", "b")) == pytest.approx(
        {"a": 1 / whole, "b": 1 / 3 / whole, of.INTERACTIONS: 0, of.SEED: 0.25 / whole}, abs=1e-12
    )
    crossed = np.zeros((2, 2, 1, 1))
    crossed[0, 0] = crossed[1, 1] = 1
    assert of.shares(crossed, ("a", "b"))[of.INTERACTIONS] == pytest.approx(1)
    assert all(map(np.isnan, of.shares(np.ones((2, 2, 2, 3)), ("a", "b")).values()))
    with pytest.raises(ValueError, match="expected 4 axes for a, b; received 3"):
        of.shares(np.ones((2, 2, 2)), ("a", "b"))


def test_level_and_shape_part_a_profile(profiles: np.ndarray) -> None:
    np.testing.assert_allclose(of.level(profiles) * of.shape(profiles), profiles)
    doubled = profiles * np.array([1.0, 2.0])[:, None, None, None, None]
    assert of.shares(of.shape(doubled), FACTORS) == pytest.approx(of.shares(of.shape(profiles), FACTORS))


def test_bootstrap_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Two levels of one factor whose share is known; five replicates, 300 studies."""
    generator, covered = np.random.default_rng(1), 0
    truth = 1.0 / (1.0 + 0.25)  # variance of the levels -1, 1; variance of replicates .25
    for _ in range(300):
        drawn = np.array([-1.0, 1.0])[:, None, None] + 0.5 * generator.standard_normal((2, 5, 40))
        _, low, high = of.bootstrap(drawn, lambda one: of.shares(one, ("a",)), draws=200)["a"]
        covered += low < truth < high
    assert covered / 300 > 0.8


def test_one_replicate_has_no_interval() -> None:
    estimate, low, high = of.bootstrap(np.arange(4.0).reshape(2, 1, 2), lambda one: {"mean": float(one.mean())})["mean"]
    assert estimate == 1.5
    assert np.isnan([low, high]).all()


def test_a_design_is_told_from_an_unseen_dataset_and_set(profiles: np.ndarray) -> None:
    """The labels of designs can be told, and labels without meaning cannot."""
    rows = of.shape(profiles).reshape(-1, 101)
    design = np.tile(np.repeat(np.arange(4), 9), 2)
    group = (np.arange(2)[:, None, None, None] * 3 + np.arange(3)[None, None, :, None] + np.zeros((2, 4, 3, 3))).ravel()
    told = of.nearest(rows, design.tolist(), group.tolist())
    shuffled = np.random.default_rng(0).permutation(design)
    assert told > 0.8
    assert of.nearest(rows, shuffled.tolist(), group.tolist()) < 0.5

"""The decomposition of variance of profiles, against known effects and against numbers computed elsewhere."""

import csv
from pathlib import Path

import numpy as np
import pytest

from cnn_invariance.statistics import decomposition as of
from cnn_invariance.statistics.evidence import Rule, evidence
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


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_intervals_over_replicates_hold_the_truth_as_often_as_they_say(noise: float) -> None:
    """Three factors of 2, 3 and 4 levels, whose shares are known; five replicates, 1,000 studies."""
    generator, studies, rule = np.random.default_rng(1), 1000, Rule("above", 0.0)
    levels = [np.linspace(-1, 1, 2), np.linspace(-0.5, 0.5, 3), np.linspace(-0.5, 0.5, 4)]
    means = levels[0][:, None, None] + levels[1][:, None] + levels[2]
    truth = float((levels[0] ** 2).mean() / (means.var() + noise**2))
    missed = [0, 0]
    for _ in range(studies):
        drawn = means[..., None, None] + noise * generator.standard_normal((2, 3, 4, 5, 1)) * np.ones(2)
        values = of.over_replicates(drawn, lambda one: of.shares(one, ("a", "b", "c")))["a"]
        interval = evidence({"a": values}, rule).pooled
        missed[0] += truth < interval.low
        missed[1] += truth > interval.high
    assert 0.93 < 1 - sum(missed) / studies < 0.97
    assert max(missed) / studies < 0.045  # 2.5 % on either side, and what a skewed statistic adds


def test_few_replicates_have_no_interval() -> None:
    assert np.isnan(
        of.over_replicates(np.arange(8.0).reshape(2, 2, 2), lambda one: {"mean": float(one.mean())})["mean"]
    ).all()
    found = of.bootstrap(np.arange(4.0).reshape(2, 1, 2), lambda one: float(one.mean()))
    assert found.value == 1.5
    assert np.isnan([found.low, found.high, found.p_above(0.0)]).all()


def test_a_bootstrap_of_a_count_has_its_quantiles() -> None:
    """The mean of five replicates, one of which is 1 and four 0: 0 of 5 in a draw has the chance .8 ** 5."""
    found = of.bootstrap(np.array([[0.0], [0.0], [0.0], [0.0], [1.0]]), lambda one: float(one.mean()))
    assert found.p_above(0.0) == pytest.approx(0.8**5, abs=0.03)
    assert (found.low, found.high) == (0.0, pytest.approx(0.6))


def test_a_design_is_told_from_an_unseen_dataset_and_set(profiles: np.ndarray) -> None:
    """The labels of designs can be told, and labels without meaning cannot."""
    rows = of.shape(profiles).reshape(-1, 101)
    design = np.tile(np.repeat(np.arange(4), 9), 2)
    group = (np.arange(2)[:, None, None, None] * 3 + np.arange(3)[None, None, :, None] + np.zeros((2, 4, 3, 3))).ravel()
    told = of.nearest(rows, design.tolist(), group.tolist())
    shuffled = np.random.default_rng(0).permutation(design)
    assert told > 0.8
    assert of.nearest(rows, shuffled.tolist(), group.tolist()) < 0.5

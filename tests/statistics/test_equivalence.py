"""Two samples of seeds: the interval covers as often as it says, and equality is not claimed too often."""

import math

import numpy as np
import pytest
from scipy import stats

from cnn_invariance.statistics.equivalence import LEVEL, Difference, single, welch

MARGIN = 0.01
DRAWS = 4000


def samples(random, apart, sizes, deviations):
    pairs = zip(sizes, deviations, strict=True)
    first, second = (random.normal(0.97, deviation, (DRAWS, size)) for size, deviation in pairs)
    return zip(first + apart, second, strict=True)


def within_error(share, expected):
    """Four standard errors of a share of independent draws."""
    return abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / DRAWS)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("sizes", "deviations"), [((9, 8), (0.002, 0.002)), ((9, 5), (0.001, 0.003))])
def test_at_the_margin_equality_is_claimed_as_often_as_the_level_says(sign, sizes, deviations):
    random = np.random.default_rng(0)
    drawn = samples(random, sign * MARGIN, sizes, deviations)
    share = np.mean([welch(*both).equivalence(MARGIN) == "equal" for both in drawn])
    assert within_error(share, LEVEL), share


@pytest.mark.parametrize("apart", [1.5 * MARGIN, -3 * MARGIN])
def test_beyond_the_margin_it_is_claimed_less_often_still(apart):
    drawn = samples(np.random.default_rng(1), apart, (9, 8), (0.003, 0.004))
    assert np.mean([welch(*both).equivalence(MARGIN) == "equal" for both in drawn]) < LEVEL


def test_equal_means_are_found_equal_where_the_spread_is_a_fifth_of_the_margin():
    drawn = samples(np.random.default_rng(2), 0.0, (9, 8), (0.002, 0.002))
    assert np.mean([welch(*both).equivalence(MARGIN) == "equal" for both in drawn]) > 0.99


def test_the_interval_covers_the_true_difference_as_often_as_it_says():
    drawn = samples(np.random.default_rng(3), 0.004, (9, 4), (0.002, 0.004))
    covered = np.mean([low < 0.004 < high for low, high in (welch(*both).interval() for both in drawn)])
    assert within_error(covered, 0.95), covered


def test_the_interval_of_a_single_network_covers_by_the_spread_of_others():
    random = np.random.default_rng(4)
    nine, first, second = (random.normal(0.97, 0.002, (DRAWS, size)) for size in (9, 1, 1))
    found = [single(*three).interval() for three in zip(first, second, nine, strict=True)]
    assert within_error(np.mean([low < 0 < high for low, high in found]), 0.95)


def test_it_is_scipy_s_welch():
    random = np.random.default_rng(5)
    first, second = random.normal(1, 1, 9), random.normal(2, 3, 5)
    found, theirs = welch(first, second), stats.ttest_ind(first, second, equal_var=False)
    assert found.estimate / found.error == pytest.approx(theirs.statistic)
    assert found.degrees == pytest.approx(theirs.df)
    assert found.interval() == pytest.approx(tuple(theirs.confidence_interval(0.95)))


def test_the_decision_is_that_of_two_one_sided_tests_of_scipy():
    random = np.random.default_rng(6)
    decisions = set()
    for first, second in list(samples(random, 0.6 * MARGIN, (9, 8), (0.004, 0.002)))[:100]:
        above = stats.ttest_ind(first + MARGIN, second, equal_var=False, alternative="greater").pvalue
        below = stats.ttest_ind(first - MARGIN, second, equal_var=False, alternative="less").pvalue
        decisions.add(equal := max(above, below) < LEVEL)
        assert (welch(first, second).equivalence(MARGIN) == "equal") == equal
    assert decisions == {True, False}


def test_what_is_apart_and_what_cannot_be_said():
    assert Difference(0.03, 0.001, 10).equivalence(MARGIN) == "apart"
    assert Difference(-0.03, 0.001, 10).equivalence(MARGIN) == "apart"
    assert Difference(0.01, 0.001, 10).equivalence(MARGIN) == "undecided"
    assert welch([0.5], [0.5, 0.6]).equivalence(MARGIN) == "undecided"
    assert math.isnan(welch([], [0.5]).estimate)
    assert math.isnan(single([0.5], [0.5], [0.5]).interval()[0])


def test_samples_without_spread_have_an_interval_without_width():
    assert welch([0.5, 0.5], [0.25, 0.25, 0.25]).interval() == (0.25, 0.25)
    assert welch([0.5, 0.5], [0.5, 0.5]).equivalence(MARGIN) == "equal"

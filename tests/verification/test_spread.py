"""The test against the spread over seeds: its false alarms are as rare as it says, and what is larger is found."""

import math

import numpy as np
import pytest

from cnn_invariance.verification.spread import Variance, moderated, over_seeds, prior, score

LAYERS = 12


def study(generator, seeds, *, scatter, layers_together):
    """Log profiles (seeds, layers) of designs whose deviations scatter, and the deviation of each."""
    deviations = 0.1 * np.sqrt(scatter / generator.chisquare(scatter, len(seeds)))
    columns = 1 if layers_together else LAYERS
    noise = [generator.normal(0, s, (k, columns)) + np.zeros(LAYERS) for s, k in zip(deviations, seeds, strict=True)]
    return [generator.normal(0, 1, LAYERS) + one for one in noise]


def scored(designs, place, change=0.0):
    """The first seed of a design, changed, against another of its seeds, as if it were a second computation."""
    first, second, *siblings = designs[place]
    others = [over_seeds(one) for i, one in enumerate(designs) if i != place and len(one) > 1]
    yardstick = moderated(over_seeds(siblings), prior([one for one in others if one]))
    found = score("profile", first + change, second, yardstick, siblings)
    assert found is not None
    return found


@pytest.mark.parametrize("layers_together", [True, False])
@pytest.mark.parametrize("level", [0.05, 0.01])
def test_false_alarms_are_as_rare_as_stated(layers_together, level):
    generator = np.random.default_rng(1)
    seeds = [5] * 6 + [3] * 6 + [2] * 2  # two seeds: no sibling at all
    alarms, tests = 0, 0
    for _ in range(60):
        designs = study(generator, seeds, scatter=10, layers_together=layers_together)
        for place in range(len(seeds)):
            alarms += scored(designs, place).p < level
            tests += 1
    expected = level * tests
    assert alarms < expected + 3.5 * math.sqrt(expected)
    if layers_together:  # then the distribution is Student's, not only bounded by it
        assert alarms > expected / 5


def test_a_whole_table_of_honest_results_rarely_has_a_disagreement():
    generator = np.random.default_rng(2)
    tables, rate, with_alarm = 200, 0.05, 0
    for _ in range(tables):
        designs = study(generator, [5] * 12, scatter=20, layers_together=True)
        with_alarm += min(scored(designs, place).p for place in range(12)) < rate / 12
    assert 0.2 * rate * tables < with_alarm < rate * tables + 3.5 * math.sqrt(rate * tables)


def test_a_change_that_is_large_beside_the_spread_is_found():
    generator = np.random.default_rng(3)
    found = dict.fromkeys((0.1, 0.8, 3.0), 0)
    for change in found:
        for _ in range(50):
            designs = study(generator, [5] * 12, scatter=20, layers_together=True)
            found[change] += scored(designs, 0, change).p < 1e-4
    assert found[0.1] <= 1
    assert 5 < found[0.8] < 50
    assert found[3.0] == 50


def test_the_prior_is_the_one_the_variances_were_drawn_from():
    generator = np.random.default_rng(4)
    values = 4.0 * 8 / generator.chisquare(8, 40_000) * generator.chisquare(3, 40_000) / 3
    found = prior([Variance(value, 3) for value in values])
    assert found.value == pytest.approx(4.0, rel=0.05)
    assert found.freedom == pytest.approx(8, rel=0.1)


def test_variances_that_are_alike_have_as_many_degrees_of_freedom_as_there_are_designs():
    assert prior([Variance(2.0, 4), Variance(2.0, 4), Variance(2.0, 2)]) == Variance(2.0, 3, designs=3)
    assert prior([Variance(3.0, 4)]) == Variance(3.0, 1, designs=1)
    assert prior([]) is None


def test_a_design_leans_on_others_the_more_the_fewer_seeds_it_has():
    others = Variance(1.0, 6, designs=6)
    assert moderated(None, others) == others
    assert moderated(Variance(4.0, 2, 3), others) == Variance(1.75, 8, 3, 6)
    assert moderated(Variance(4.0, 2, 3), None) == Variance(4.0, 2, 3)
    assert moderated(None, None) is None


def test_t_is_the_difference_over_what_two_seeds_differ_by():
    found = score("x", np.array([1.0]), np.array([1.0 + 3 * math.sqrt(2 * 4.0)]), Variance(4.0, 1))
    assert found.t == pytest.approx(3)
    assert found.p == pytest.approx(1 - 2 / math.pi * math.atan(3))  # Student's with one degree is Cauchy's
    assert found.bound(found.p) == pytest.approx(3)


def test_components_without_a_value():
    yardstick, nan = Variance(1.0, 3), math.nan
    missing, there = np.array([nan, 1.0]), np.array([0.0, 1.0])
    assert score("x", missing, there, yardstick).t == 0, "what one lacks is left out"
    siblings = [np.array([0.1, 1.0]), np.array([0.2, 1.1])]
    assert score("x", missing, there, yardstick, siblings).p == 0, "unless all other seeds have it"
    assert score("x", missing, there, yardstick, [*siblings, missing]).t == 0
    assert score("x", np.array([nan]), np.array([1.0]), yardstick) is None
    assert over_seeds([missing, there]).value == 0
    assert over_seeds([there]) is None
    assert over_seeds([np.array([nan]), np.array([1.0])]) is None
    assert over_seeds([there, there], floor=0.5).value == 0.25

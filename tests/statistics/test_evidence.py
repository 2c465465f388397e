"""Verdicts from replicates: how often they are wrong, how often they find what is there, what they refuse to say."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from cnn_invariance.statistics import evidence as of
from cnn_invariance.statistics.evidence import FISHER, IDENTITY, LOG, LOGIT, Rule, evidence, jackknife

DRAWS = 10_000
TAIL = (1 - of.CONFIDENCE) / 2


def within_monte_carlo_error(count: int, share: float) -> bool:
    """Whether a count of `DRAWS` agrees with an expected share, within 4 standard errors."""
    return abs(count / DRAWS - share) <= 4 * math.sqrt(share * (1 - share) / DRAWS)


def verdicts(rule: Rule, means: dict[str, float], sd: float, n: int, seed: int, shared: float = 0) -> dict[str, int]:
    """How often each verdict comes out of so many normal values of each condition.

    shared: the correlation between conditions, such as that of variants which are compared with the same networks
    """
    generator = np.random.default_rng(seed)
    found: dict[str, int] = {}
    for _ in range(DRAWS):
        common = generator.normal(0, sd, n)
        drawn = {
            name: mean + math.sqrt(shared) * common + math.sqrt(1 - shared) * generator.normal(0, sd, n)
            for name, mean in means.items()
        }
        verdict = evidence(drawn, rule).verdict
        found[verdict] = found.get(verdict, 0) + 1
    return found


@pytest.fixture
def _without_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts do not depend on the number of seeds that would decide, which takes most of the time."""
    monkeypatch.setattr(of, "what_decides", lambda *_: ("", None))


@pytest.mark.usefixtures("_without_advice")
@pytest.mark.parametrize(
    ("side", "conditions", "shared"),
    [("above", 1, 0), ("below", 1, 0), ("above", 3, 0), ("below", 3, 0.9), ("above", 7, 0.6)],
)
def test_a_truth_at_the_threshold_is_decided_as_rarely_as_stated(side: str, conditions: int, shared: float) -> None:
    """Also where conditions share networks: an interval as of independent ones would be wrong in 8 to 20 %."""
    found = verdicts(Rule(side, 2.0), dict.fromkeys("abcdefg"[:conditions], 2.0), 0.5, 5, 1, shared)
    against = found.pop("depends on the set", 0)
    assert against <= 0.015 * DRAWS
    for verdict in ("supported", "not supported"):
        decided = (
            found[verdict] + against / 2
        )  # a condition may be decided against the mean, which then decides nothing
        assert within_monte_carlo_error(round(decided), TAIL) if conditions == 1 else decided <= TAIL * DRAWS * 1.2


@pytest.mark.usefixtures("_without_advice")
@pytest.mark.parametrize("truth", [-0.3, 0.3])
def test_a_truth_at_a_margin_is_called_nearly_the_same_as_rarely_as_stated(truth: float) -> None:
    found = verdicts(Rule("within", 0.3), {"a": truth}, 0.1, 5, 2)
    assert within_monte_carlo_error(found["supported"], TAIL)
    assert within_monte_carlo_error(found["not supported"], TAIL)


@pytest.mark.usefixtures("_without_advice")
@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0])
def test_a_known_effect_is_found_with_the_power_that_is_stated(effect: float) -> None:
    rule = Rule("above", 0.0)
    found = verdicts(rule, {"a": effect}, 1.0, 8, 3)
    expected = stats.nct.sf(stats.t.ppf(1 - TAIL, 7), 7, effect * math.sqrt(8))
    assert of.power(rule, effect, 1.0, 8) == pytest.approx(expected, abs=1e-9)
    assert within_monte_carlo_error(found["supported"], expected)


@pytest.mark.usefixtures("_without_advice")
def test_nearly_the_same_is_found_with_at_least_the_power_that_is_stated() -> None:
    rule = Rule("within", 1.0)
    found = verdicts(rule, {"a": 0.2}, 0.5, 6, 4)
    stated = of.power(rule, 0.2, 0.25, 6)
    assert 0.5 < stated < 0.99
    assert found["supported"] / DRAWS >= stated - 0.02


@pytest.mark.usefixtures("_without_advice")
def test_conditions_that_differ_are_told_apart_from_those_that_cannot_be_decided() -> None:
    found = verdicts(Rule("above", 0.0), {"a": 3.0, "b": -3.0, "c": 0.0}, 1.0, 5, 5)
    assert found["depends on the set"] / DRAWS > 0.9
    undecided = verdicts(Rule("above", 0.0), {"a": 0.1, "b": -0.1, "c": 0.0}, 1.0, 5, 6)
    assert undecided["undecided"] / DRAWS > 0.9


@pytest.mark.usefixtures("_without_advice")
def test_the_interval_covers_the_mean_of_fixed_conditions() -> None:
    """Conditions of other means and other spreads: their differences do not widen the interval."""
    generator, means, sds = np.random.default_rng(7), (0.0, 5.0, 20.0), (0.1, 1.0, 2.0)
    covered, widths = 0, []
    for _ in range(DRAWS):
        drawn = {str(k): generator.normal(m, s, 5) for k, (m, s) in enumerate(zip(means, sds, strict=True))}
        pooled = evidence(drawn, Rule("above", 0.0)).pooled
        covered += pooled.low < np.mean(means) < pooled.high
        widths.append(pooled.high - pooled.low)
    assert 0.945 < covered / DRAWS < 0.965
    assert np.mean(widths) < 3  # Student's interval over the three means would be 50 wide


@pytest.mark.parametrize(
    ("middle", "verdict", "seeds"),
    [(0.4, "undecided", True), (0.001, "undecided", False), (3.0, "supported", False), (-3.0, "not supported", False)],
)
def test_an_undecided_claim_says_how_many_seeds_would_decide_it(middle: float, verdict: str, seeds: bool) -> None:
    values = middle + np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    found = evidence({"a": values}, Rule("above", 0.0)).pooled
    assert found.verdict == verdict
    if verdict != "undecided":
        assert (found.reason, found.seeds) == ("", None)
    elif not seeds:
        assert found.seeds is None
        assert found.reason == "the estimate is so near the threshold that 1,000 seeds would not decide it"
    else:
        assert found.reason == f"the interval holds the threshold; {found.seeds} seeds would decide it with power 0.9"
        enough, short = (
            stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, middle / values.std(ddof=1) * math.sqrt(n))
            for n in (found.seeds, found.seeds - 1)
        )
        assert enough >= 0.9 > short


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "no condition was measured"),
        ({"a": [1.0]}, "a: one seed has a value; two are needed"),
        ({"a": []}, "a: no seed has a value; two are needed"),
        ({"a": [1.0, math.nan, math.inf]}, "a: one seed has a value (2 without); two are needed"),
        ({"a": [1.0, 2.0], "b": [3.0]}, "b: one seed has a value; two are needed"),
        ({"a": [2.0, 2.0, 2.0]}, "a: the 3 seeds have one and the same value, so no variance is known"),
        ({"a": [-1.0, 0.0]}, "a: no seed has a value (2 without); two are needed"),
    ],
)
def test_no_number_comes_from_one_seed_or_from_none_that_varies(values: dict, reason: str) -> None:
    rule = Rule("above", 0.5, LOG if reason.startswith("a: no seed has a value (2") else IDENTITY)
    found = evidence(values, rule)
    assert found.verdict == "undecided"
    assert found.pooled.reason == reason
    assert all(map(math.isnan, (found.pooled.low, found.pooled.high, found.pooled.p)))
    assert found.pooled.seeds is None


@pytest.mark.parametrize(
    ("scale", "values"),
    [(LOG, [0.5, 1.0, 4.0]), (FISHER, [0.5, 0.9, 0.99]), (LOGIT, [0.2, 0.9, 0.99]), (IDENTITY, [1, 2, 4])],
)
def test_intervals_are_those_of_student_on_the_scale(scale: of.Scale, values: list[float]) -> None:
    found = evidence({"a": values}, Rule("above", 0.6, scale)).pooled
    scaled = np.array([scale.to(value) for value in values])
    low, high = stats.t.interval(0.95, 2, scaled.mean(), stats.sem(scaled))
    assert (found.low, found.high) == pytest.approx((scale.back(low), scale.back(high)))
    assert found.estimate == pytest.approx(scale.back(scaled.mean()))
    assert found.p == pytest.approx(stats.ttest_1samp(scaled, scale.to(0.6), alternative="greater").pvalue)


def test_the_margin_of_a_ratio_is_a_factor() -> None:
    rule = Rule("within", 1.1, LOG)
    assert rule.region == pytest.approx((-math.log(1.1), math.log(1.1)))
    near, far = ([1.0 + 0.01 * k + shift for k in range(5)] for shift in (0.0, 0.5))
    assert evidence({"a": near}, rule).verdict == "supported"
    assert evidence({"a": far}, rule).verdict == "not supported"


def test_the_mean_over_conditions_is_that_of_the_seeds_which_all_have() -> None:
    """Twice the mean of two conditions, one with its sign turned, is the difference of the paired test of Student."""
    a, b = [1.0, 2.0, 4.0, 8.0, 100.0], [3.0, 3.5, 5.0, 4.0]
    found = evidence({"a": a, "b": [-value for value in b]}, Rule("above", 0.0)).pooled
    paired = stats.ttest_rel(a[:4], b, alternative="greater")
    assert found.p == pytest.approx(paired.pvalue)
    assert found.estimate == pytest.approx(np.mean(np.array(a[:4]) - b) / 2)
    with_gap = evidence({"a": [*a, 7.0], "b": [-value for value in b] + [math.nan, -2.0]}, Rule("above", 0.0)).pooled
    assert with_gap.p == pytest.approx(stats.ttest_rel([*a[:4], 7.0], [*b, 2.0], alternative="greater").pvalue)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            {"a": [1.0, 2.0, math.nan, math.nan], "b": [math.nan, 3.0, 1.0, 2.0]},
            "1 seeds have a value in all 2 conditions",
        ),
        ({"a": [1.0, 2.0, 4.0], "b": [5.0, 4.0, 2.0]}, "the 3 seeds have one and the same mean over conditions"),
    ],
)
def test_conditions_without_a_mean_over_seeds_that_varies_say_so(values: dict, reason: str) -> None:
    found = evidence(values, Rule("above", 0.5)).pooled
    assert found.verdict == "undecided"
    assert found.reason.startswith(reason)


def test_a_statistic_of_all_seeds_has_the_standard_error_of_the_jackknife() -> None:
    """Of the logarithm of a variance of normal values: 2 / (n - 1) is its variance for large n."""
    generator, n = np.random.default_rng(8), 40
    drawn = [
        np.var(jackknife(lambda rows: math.log(np.var(rows, ddof=1)), list(generator.normal(0, 3, n))), ddof=1) / n
        for _ in range(300)
    ]
    assert np.mean(drawn) == pytest.approx(2 / (n - 1), rel=0.2)
    assert all(map(math.isnan, jackknife(lambda rows: 1.0, [np.ones(1), np.ones(1)])))


def test_pages_trend_is_scipys_and_has_a_direction() -> None:
    rising = [[1.0, 2.0, 3.0, 4.0], [0.0, 2.0, 1.0, 5.0], [1.0, 3.0, 4.0, 9.0]]
    assert of.page(rising, "above") == pytest.approx(stats.page_trend_test(rising).pvalue)
    assert of.page(rising, "above") < 0.01 < 0.9 < of.page(rising, "below")
    assert of.page([row[::-1] for row in rising], "below") == pytest.approx(of.page(rising, "above"))
    assert all(math.isnan(of.page(table, "above")) for table in (rising[:1], [[1, 2], [2, 3]], [[1, 2, math.nan]] * 2))


def test_pages_test_is_wrong_as_rarely_as_stated() -> None:
    """Its p values are exact and discrete, so the share below .05 is at most that."""
    generator = np.random.default_rng(9)
    p = {orders: of.page(orders, "above") for orders in itertools.product(itertools.permutations(range(3)), repeat=2)}
    drawn = [tuple(tuple(generator.permutation(3).tolist()) for _ in range(2)) for _ in range(DRAWS)]
    share = sum(p[one] <= 0.05 for one in drawn) / DRAWS
    assert 0 < share <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / DRAWS)


def test_holm_and_the_false_discovery_rate_keep_what_they_promise() -> None:
    """Of 20 claims without any truth, Holm finds one in 5 % of families; with 10 true ones, q finds few false."""
    generator = np.random.default_rng(10)
    alarms = sum(min(of.holm(generator.uniform(size=20))) <= 0.05 for _ in range(DRAWS))
    assert within_monte_carlo_error(alarms, 1 - (1 - 0.05 / 20) ** 20)  # the smallest p of 20, below .05 / 20
    p = generator.uniform(size=12) ** 3
    assert of.holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    rates = []
    for _ in range(400):
        p = np.concatenate([generator.uniform(size=10), generator.beta(0.05, 5, size=10)])
        found = np.array(of.q_values(p)) <= 0.1
        rates.append(found[:10].sum() / max(1, found.sum()))
    assert np.mean(rates) <= 0.1
    assert of.holm([0.01, math.nan, 0.04]) == pytest.approx([0.02, math.nan, 0.04], nan_ok=True)
    assert of.q_values([0.01, math.nan, 0.04]) == pytest.approx([0.02, math.nan, 0.04], nan_ok=True)
    assert of.holm([]) == []

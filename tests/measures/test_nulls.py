"""Nulls: measures of pairs of different samples, from the same pass; what they are by theory, and what has none."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

import cnn_invariance as ci
import oracle
from cnn_invariance.errors import InputError
from cnn_invariance.measures import MeasureResult
from cnn_invariance.measures.engine.shuffles import places, shared
from cnn_invariance.measures.nulls import mean_and_error
from cnn_invariance.transformations import rotation
from helpers_measures import close, dense, small_network, some_images

TURNS = rotation(n=3, closed=False)
N, DRAWS, SHUFFLES = 10, 24, 8


def tiny():
    """Two layers of feature maps, and scores of three classes; none of them equivariant."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 4 * 4, 3, bias=False)
    ).eval().double()  # fmt: skip


def images():
    return torch.randn(N, 2, 6, 6, generator=torch.Generator().manual_seed(4)).double()


def mean_over_other_samples(f):
    """The mean of ``f(i, k)`` over all pairs of different samples."""
    return np.mean([f(i, k) for i, k in itertools.permutations(range(N), 2)], axis=0)


def between(A, distance):
    """The mean over pairs of transformations j < k of the distance of different samples."""
    pairs = list(itertools.combinations(range(A.shape[1]), 2))
    return mean_over_other_samples(lambda i, k: np.mean([distance(A[i, one], A[k, two]) for one, two in pairs], axis=0))


def expected():
    """By measure, the mean over all pairs of different samples: for each layer, or for the network."""
    columns, untransformed = dense(tiny(), images(), TURNS.matrices)
    names = ("NV[statistic=var]", "ND[per=unit,block_size=16]", "NDSE[block_size=16]", "DSES", "GEED", "Correlation")
    found = {name: [] for name in names}  # all pairs of samples in one block: the normaliser has no error
    for A, X in zip(columns, untransformed, strict=True):
        variance = between(A, lambda a, b: (a - b) ** 2 / 2)  # the unbiased variance of M is that of their pairs
        found["NV[statistic=var]"].append((variance / oracle.SV(A, "var")).mean())
        found["ND[per=unit,block_size=16]"].append(
            (between(A, lambda a, b: abs(a - b)) / oracle.SD(A, "unit", block=N)).mean()
        )
        if X.ndim < 4:
            norm = mean_over_other_samples(lambda i, k: np.mean([np.linalg.norm(a - X[k]) for a in A[i]]))  # noqa: B023
            found["GEED"].append(norm)
            continue
        U = oracle.undone(A, TURNS.matrices)
        of_maps = lambda a, b: np.sqrt(((a - b) ** 2).sum((-2, -1)))  # noqa: E731
        found["NDSE[block_size=16]"].append((between(U, of_maps) / oracle.SD(U, block=N)).mean())
        to_x = mean_over_other_samples(lambda i, k: np.mean([of_maps(b, X[k]) for b in U[i]], axis=0))  # noqa: B023
        found["DSES"].append(to_x.mean())
        moved = np.stack([[oracle.bilinear(x, theta) for theta in TURNS.matrices] for x in X])
        found["GEED"].append(
            mean_over_other_samples(
                lambda i, k: np.mean([np.linalg.norm(A[i, j] - moved[k, j]) for j in range(len(TURNS))])  # noqa: B023
            )
        )
        found["Correlation"].append(correlation_of_others(X, U).mean())
    top, own = columns[-1].argmax(2), untransformed[-1].argmax(1)
    found["TopChange"] = [mean_over_other_samples(lambda i, k: np.mean(top[i] != own[k]))]
    found["Consistency"] = [between(top, lambda a, b: np.float64(a == b))]
    return found


def correlation_of_others(X, U):
    """(C): the covariance of different samples at one position, over the standard deviations; mean over members."""
    found = []
    for j in range(U.shape[1]):
        a, b = X - X.mean((0, 2, 3), keepdims=True), U[:, j] - U[:, j].mean((0, 2, 3), keepdims=True)
        covariance = mean_over_other_samples(lambda i, k: (a[i] * b[k]).mean((1, 2)))  # noqa: B023
        found.append(covariance / (a.std((0, 2, 3)) * b.std((0, 2, 3))))
    return np.mean(found, 0)


def test_nulls_are_those_of_theory_within_their_errors():
    """Eight measures, whose null is exactly the mean over pairs of different samples.

    Over draws of the shuffles, at most two standard errors away as often as Student's t with R - 1 degrees of freedom
    says (.915), and in the mean as near as their own error allows.
    """
    theory = expected()
    draws = [
        ci.measure(tiny(), images(), TURNS, list(theory), tile=N, order_seed=seed, null=SHUFFLES)
        for seed in range(DRAWS)
    ]
    for measure, want in theory.items():
        network = measure in draws[0].network
        found = [
            mean_and_error(result.nulls.network[measure][None]) if network else result.nulls.of(measure, 4)
            for result in draws
        ]
        null, error = (values[:, : len(want)] for values in np.moveaxis(np.array(found), 1, 0))
        apart = np.abs(null - want)
        assert null.shape == (DRAWS, len(want)), measure
        inside = (apart <= 2 * error + 1e-7).mean(0)
        assert (inside >= 0.915 - 3.5 * (0.915 * 0.085 / DRAWS) ** 0.5).all(), (measure, inside)
        of_mean = null.std(0, ddof=1) / DRAWS**0.5
        assert (np.abs(null.mean(0) - want) <= 4 * of_mean + 1e-7).all(), (measure, null.mean(0), want)


def test_an_equivariant_network_is_far_from_its_null():
    """Whole-pixel quarter turns of a pointwise network: all that compares is perfect, and no null is."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Tanh()).eval()
    pictures = torch.randn(20, 2, 6, 6)
    result = ci.measure(
        network, pictures, rotation(n=4, closed=False), ["NVSE", "DSES", "CKA", "FittedResidual", "GEED"], null=True
    )
    for measure, (perfect, shuffled) in {
        "NVSE": (0, (0.8, 1.1)),
        "DSES": (0, (0.5, 9)),
        "GEED": (0, (0.5, 20)),
        "CKA": (1, (0, 0.2)),
        "FittedResidual": (0, (0.8, 1.3)),
    }.items():
        table = result.null(measure)
        np.testing.assert_allclose(table["value"], perfect, atol=1e-5, err_msg=measure)
        assert table["null"].between(*shuffled).all(), table


@pytest.mark.parametrize("samples", [2, 5, 9])
def test_no_sample_meets_itself_nor_do_two_transformations_share_one(samples):
    order = places(samples, 4, [0, 1]).numpy()
    assert (np.sort(order, 1) == np.arange(samples)).all()
    assert (order != np.arange(samples)).all()
    same = np.mean([(order[j] == order[k]).mean() for j, k in itertools.combinations(range(4), 2)])
    assert same == pytest.approx(shared(samples, 4))
    assert (shared(samples, 4) == 0) == (samples > 4)
    assert (places(samples, 4, [0, 1]).numpy() == order).all()


def test_values_are_those_without_and_the_rest_is_left_out():
    """13 samples in tiles of 8: the last five are more than three transformations, and take part; in 6 and 1 not."""
    measures = ["NV", "NDSE", "Goodfellow", "CKA", "TopChange"]
    plain = ci.measure(small_network(), some_images(13), TURNS, measures)
    for tile in (8, 12):
        result = ci.measure(small_network(), some_images(13), TURNS, measures, tile=tile, null=2)
        for measure in plain.measures:
            for a, b in zip(result.values[measure], plain.values[measure], strict=True):
                close(a, b, measure, atol=1e-6)
        assert result.nulls.shared == 0
        assert result.null("NV")["null"].notna().all()
    assert plain.nulls is None
    assert "null" not in plain.profile("NV")


def test_tiles_hold_one_sample_more_than_there_are_transformations():
    result = ci.measure(small_network(), some_images(13), TURNS, ["NV"], tile=1, null=1)
    assert result.info["tile"] == 4
    assert result.nulls.shared == 0
    assert result.null("NV")["null_error"].isna().all(), "one shuffle does not tell its error"
    few = ci.measure(small_network(), some_images(3), TURNS, ["NV", "TopChange"], null=True)
    assert few.nulls.shared == pytest.approx(1 / 3)


def test_what_has_no_null_says_why():
    measures = ["NV", "SV", "ANOVA", "Goodfellow", "SD_error", "LieDerivative", "LEE"]
    result = ci.measure(small_network(), some_images(), TURNS, measures, null=2)
    assert set(result.no_null) == set(measures[1:])
    assert "one transformation at a time" in result.no_null["Goodfellow"]
    assert "a derivative is of one image" in result.no_null["LEE"]
    assert result.profile("SV")["null"].isna().all()
    with pytest.raises(InputError, match="SV has no null: it compares samples under one transformation"):
        result.null("SV")
    by_class = ci.measure(
        small_network(), some_images(), TURNS, ["NV", "NV[stratified=true]"], [0] * 6 + [1] * 7, null=2
    )
    assert set(by_class.no_null) == {"NV", "NV[stratified=true]"}
    only_own = ci.measure(small_network(), some_images(), TURNS, ["LEE"], null=True)
    assert set(only_own.no_null) == {"LEE"}
    with pytest.raises(InputError, match="measure with null=True"):
        ci.measure(small_network(), some_images(), TURNS, ["NV"]).null("NV")


@pytest.mark.parametrize(
    ("null", "samples", "why"), [(0, 9, "null is 0"), ("yes", 9, "null is"), (True, 1, "one sample")]
)
def test_refused_before_the_pass(null, samples, why):
    with pytest.raises(InputError, match=why):
        ci.measure(small_network(), some_images(samples), TURNS, ["DSES"], null=null)


def test_saved_and_loaded_with_intervals(tmp_path):
    measures = ["NV", "TopChange", "ANOVA"]
    result = ci.measure(small_network(), some_images(60), TURNS, measures, uncertainty=True, null=3)
    result.save(tmp_path / "all.parquet")
    again = MeasureResult.load(tmp_path / "all.parquet")
    assert repr(again) == repr(result)
    assert "nulls of 3 shuffles" in repr(again)
    assert again.no_null == result.no_null
    for measure in ("NV", "TopChange"):
        assert again.null(measure).equals(result.null(measure))
    assert {"low", "high", "null", "null_error"} <= set(again.profiles().columns)

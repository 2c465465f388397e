"""Networks, images and transformations whose measures are known without computing them."""

from math import sqrt

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import cnn_invariance as ci
from cnn_invariance.measures import requests
from cnn_invariance.transformations import rotation

pytestmark = pytest.mark.usefixtures("kernels")
QUARTERS = rotation(n=4, closed=False)  # 0, 90, 180, 270 degrees


class Constant(nn.Module):
    def forward(self, x):
        return torch.full_like(x, 2.5)


def images(N=11, C=1, size=6, seed=0):
    return torch.randn(N, C, size, size, generator=torch.Generator().manual_seed(seed))


def observed(matrix):
    """An identity network and transformations whose ST matrix is ``matrix`` (N, M, units), whatever the tile.

    An image is (units, 1, 1 + M): the sample's own values, then its values under each transformation.
    """
    N, M, units = matrix.shape
    matrix = torch.as_tensor(matrix, dtype=torch.float32)
    samples = torch.cat([matrix[:, :1], matrix], 1).permute(0, 2, 1).reshape(N, units, 1, 1 + M)

    def member(j):
        return lambda x: x[..., 1 + j : 2 + j].expand_as(x)

    return nn.Sequential(nn.Identity()).eval(), samples, [member(j) for j in range(M)]


def value(matrix, request, **options):
    """The measure of each unit of an ST matrix (N, M, units)."""
    result = ci.measure(*observed(matrix), [request], **options)
    return result.values[str(requests.check(request))][0][:, 0, 0]


def test_constant_network_is_invariant_by_definition():
    everything = requests.names()
    result = ci.measure(nn.Sequential(Constant()).eval(), images(), QUARTERS, everything, tile=3)
    quotients = {"NV", "ND", "NVSE", "NDSE", "ANOVA_F", "Goodfellow"}
    for measure in everything:
        want = 1.0 if measure in quotients else 0.0
        assert np.all(result.values[measure][0] == want), measure
    for measure in quotients - {"ANOVA_F"}:
        dead = [1 if measure.startswith("ND") else 36]  # distances are of maps
        assert result.dead[measure] == dead, measure
        assert result.profile(measure)["dead"].tolist() == dead, measure
    assert result.dead["TV"] == [0]


def test_dead_feature_maps_are_counted_as_maps():
    """Two constant maps of nine units: 18 dead units, and 2 dead maps where maps are aggregated before the quotient."""
    constant, requests = torch.ones(5, 2, 3, 3), ["NV", "NV[aggregate=mean]", "NV[aggregate=mean,order=after]"]
    result = ci.measure(nn.Sequential(nn.Identity()).eval(), constant, QUARTERS, requests)
    assert [result.dead[request] for request in requests] == [[18], [2], [18]]


def test_known_spreads_and_their_quotient():
    """Rows 0, d and -d about an offset: std d; columns of two offsets h apart: std h / sqrt 2."""
    d, h = 0.5, 8.0
    matrix = np.array([[0, d, -d], [h, h + d, h - d]])[:, :, None]
    assert value(matrix, "TV") == d
    assert value(matrix, "TV[statistic=var]") == d**2
    np.testing.assert_allclose(value(matrix, "SV"), h / sqrt(2), rtol=1e-7)
    np.testing.assert_allclose(value(matrix, "NV"), d * sqrt(2) / h, rtol=1e-7)
    np.testing.assert_allclose(value(matrix, "TD[per=unit]"), (d + d + 2 * d) / 3, rtol=1e-7)
    np.testing.assert_allclose(value(matrix, "SD[per=unit]"), h, rtol=1e-7)


def test_positive_over_zero_is_infinite_and_left_out_of_the_profile():
    """All samples alike, but moved by the transformations."""
    matrix = np.tile([0.0, 1.0, 2.0], (4, 1))[:, :, None]
    result = ci.measure(*observed(matrix), ["NV", "ND", "ND[per=unit]"])
    assert np.isinf(result.values["NV"][0][0, 0, 0])
    assert np.isinf(result.values["ND"][0][0])
    assert np.isinf(result.values["ND[per=unit]"][0][0, 0, 0])
    row = result.profile("NV").iloc[0]
    assert row["infinite"] == row["units"]
    assert np.isnan(row["value"])


def test_noise_of_known_size():
    """Row i is x_i plus noise of standard deviation 0.1: TV estimates c4(M) * 0.1, SV that of x and noise."""
    rng = np.random.default_rng(5)
    N, M, sigma = 400, 6, 0.1
    matrix = rng.normal(size=(N, 1, 20)) + sigma * rng.normal(size=(N, M, 20))
    c4 = stats.chi.mean(M - 1) / sqrt(M - 1)  # mean of an unbiased-variance standard deviation of M normals
    np.testing.assert_allclose(value(matrix, "TV").mean(), c4 * sigma, rtol=0.02)
    np.testing.assert_allclose(value(matrix, "TV[statistic=var]").mean(), sigma**2, rtol=0.03)
    np.testing.assert_allclose(value(matrix, "SV[statistic=var]").mean(), 1 + sigma**2, rtol=0.05)
    np.testing.assert_allclose(value(matrix, "TD[per=unit]").mean(), 2 / sqrt(np.pi) * sigma, rtol=0.02)


def test_global_mean_does_not_see_quarter_turns():
    """Whole numbers, so that a sum does not depend on its order; callables, so that turns only move pixels."""
    turns = [lambda x, k=k: x.rot90(k, (2, 3)) for k in range(4)]
    whole = torch.randint(-50, 50, (9, 2, 5, 5), generator=torch.Generator().manual_seed(1)).float()
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1)).eval()
    result = ci.measure(network, whole, turns, ["TV", "SV", "NV", "TD", "ND", "ANOVA_F", "ANOVA"], tile=4)
    for measure in ("TV", "NV", "TD", "ND", "ANOVA_F", "ANOVA"):
        assert np.all(result.values[measure][0] == 0), measure
    assert np.all(result.values["SV"][0] > 0)


def test_pointwise_network_is_same_equivariant():
    """1 x 1 convolutions commute with every turn of the image; quarter turns only move pixels."""
    torch.manual_seed(2)
    network = nn.Sequential(nn.Conv2d(2, 4, 1), nn.ELU(), nn.Conv2d(4, 3, 1)).eval()
    requests = ["NVSE", "TVSE", "TDSE", "DSES", "NDSE", "NV", "DSES[normalize=true]", "TV"]
    result = ci.measure(network, images(C=2), QUARTERS, requests, tile=4)
    for measure in ("NVSE", "TVSE", "TDSE", "DSES", "NDSE", "DSES[normalize=true]"):
        for values in result.values[measure]:
            assert np.abs(values).max() < 2e-6, measure  # the rounding of grid_sample's positions
    assert min(values.min() for values in result.values["TV"]) > 0.01  # equivariant, not invariant


class Halves(nn.Module):
    def forward(self, x):
        return (2 * x).round()


def test_members_that_move_nothing_give_exactly_zero():
    """Functions that differ in the last digit alone; one pixel stays where it is under every turn."""
    still = [lambda x: x, lambda x: x * (1 + 1e-7)]
    torch.manual_seed(2)
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU()).eval()
    result = ci.measure(network, images(), still, ["NV", "TV", "TD"], tile=4)
    # copies of one image may still be convolved in another order of summation
    for measure in result.measures:
        assert max(np.abs(values).max() for values in result.values[measure]) < 1e-6, measure
    exact = ci.measure(nn.Sequential(Halves()).eval(), images(), still, ["NV", "TV", "TD"])
    assert all(np.all(exact.values[measure][0] == 0) for measure in exact.measures)
    pixels = ci.measure(nn.Sequential(nn.Identity()).eval(), images()[..., :1, :1], QUARTERS, ["NVSE", "DSES", "NV"])
    assert all(np.all(pixels.values[measure][0] == 0) for measure in pixels.measures)


def test_symmetric_kernel_is_equivariant_and_others_are_not():
    """A kernel that is its own quarter turn, on images with an empty border, commutes with quarter turns."""
    inner = torch.zeros(9, 1, 8, 8)
    inner[:, :, 2:-2, 2:-2] = images(9, size=4)
    kernels = {
        "symmetric": [[1.0, 2, 1], [2, -3, 2], [1, 2, 1]],
        "edge": [[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    }
    values = {}
    for name, kernel in kernels.items():
        network = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False)).eval()
        network[0].weight.data[:] = torch.tensor(kernel)
        values[name] = ci.measure(network, inner, QUARTERS, ["TVSE", "DSES"])
    for measure in ("TVSE", "DSES"):
        assert np.abs(values["symmetric"].values[measure][0]).max() < 1e-5
        assert np.abs(values["edge"].values[measure][0]).max() > 1


@pytest.mark.parametrize("sign", [1, -1])
def test_unit_that_fires_for_one_sample_under_all_transformations(sign):
    """G is 1 / N and so is L: the quotient is 1. A unit that fires for that sample untransformed only: 1 / M."""
    N, M = 200, 5
    matrix = np.zeros((N, M, 3))
    matrix[7, :, 0] = sign  # selective and invariant
    matrix[7, 0, 1] = sign  # selective, only without a transformation
    matrix[:, 1:, 2] = sign  # fires whenever transformed, never before
    ask = {name: f"{name}[sign={sign}]" for name in ("Goodfellow", "Goodfellow_L", "Goodfellow_G")}
    network, samples, members = observed(matrix)
    # the untransformed image holds unit u at column 0, its own unit in the identity network
    result = ci.measure(network, samples, members, list(ask.values()), tile=16)
    first = {name: result.values[str(requests.check(request))][0][:, 0, 0] for name, request in ask.items()}
    np.testing.assert_allclose(first["Goodfellow_G"], [1 / N, 1 / N, 0], rtol=1e-12)
    np.testing.assert_allclose(first["Goodfellow_L"], [1 / N, 1 / (N * M), (M - 1) / M], rtol=1e-12)
    np.testing.assert_allclose(first["Goodfellow"], [1, 1 / M, np.inf], rtol=1e-12)


def test_anova_on_null_data_errs_at_its_level():
    """4,000 units without an effect: false positives are binomial with rate 1 - alpha; Bonferroni's: hardly any."""
    rng = np.random.default_rng(0)
    units = 4000
    matrix = rng.normal(size=(30, 5, units))
    for alpha in (0.9, 0.99):
        positives = value(matrix, f"ANOVA[alpha={alpha},bonferroni=false]").sum()
        low, high = stats.binom.interval(1 - 1e-6, units, 1 - alpha)
        assert low <= positives <= high, alpha
    assert value(matrix, "ANOVA[alpha=0.9]").sum() <= 2
    np.testing.assert_allclose(value(matrix, "ANOVA_F").mean(), stats.f.mean(4, 5 * 29), rtol=0.05)


def test_anova_sees_a_shift():
    """One transformation in five moves the mean by two standard deviations: always found, Bonferroni or not."""
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(30, 5, 500))
    matrix[:, 3] += 2
    assert value(matrix, "ANOVA").mean() > 0.999


@pytest.mark.parametrize("N", [8, 16, 19, 17, 3])
@pytest.mark.parametrize("tile", [1, 8, 11, None])
def test_blocks_of_a_column_stay_together(N, tile):
    """Of the samples by class, every block of 8 holds one 1: a block of n has n - 1 pairs of C(n, 2) at distance 1."""
    matrix = np.zeros((N, 2, 1))
    matrix[::8] = 1
    shares = [2 / n for start in range(0, N, 8) if (n := min(8, N - start)) > 1]
    found = value(matrix, "SD[per=unit,order=class]", tile=tile, labels=[0] * N)
    np.testing.assert_allclose(found, np.mean(shares), rtol=1e-7)


def test_pairs_of_one_class_alone_when_the_samples_are_sorted_by_class():
    """Classes of 8 equal samples: the author's order sees no distance in blocks of 4, half a class, and ours does."""
    labels = np.arange(32) % 4
    matrix = np.repeat(labels[:, None, None].astype(float), 2, axis=1)
    assert value(matrix, "SD[per=unit,order=class,block_size=4]", labels=labels.tolist()) == 0
    assert value(matrix, "SD[per=unit,block_size=4]", labels=labels.tolist()) > 1
    both = value(matrix, "SD[per=unit,order=class,block_size=32]", labels=labels.tolist())  # all pairs
    np.testing.assert_allclose(both, 2 * (3 * 1 + 2 * 2 + 1 * 3) * 64 / (32 * 31), rtol=1e-7)


def test_transformations_in_blocks():
    """Ten transformations, of which the second five shift by 1: in blocks of 4, 4 and 2, one pair in 28 or in 1."""
    matrix = np.zeros((3, 10, 1))
    matrix[:, 5:] = 1
    labels = [0, 1, 0]
    np.testing.assert_allclose(value(matrix, "TD[per=unit]"), 25 / 45, rtol=1e-7)
    np.testing.assert_allclose(
        value(matrix, "TD[per=unit,order=class,block_size=4]", labels=labels), (0 + 3 / 6 + 0) / 3, rtol=1e-7
    )
    np.testing.assert_allclose(
        value(matrix, "TD[per=unit,order=class,block_size=64]", labels=labels), 25 / 45, rtol=1e-7
    )


def test_the_forward_form_compares_with_the_transformed_maps():
    """A network that adds 1 to the left half of every image: under half a turn every pixel is off by 1."""

    class LeftHalf(nn.Module):
        def forward(self, x):
            return x + torch.tensor([1.0, 1.0, 0.0, 0.0])

    half_a_turn = rotation(n=2, angle_deg=180)
    x = torch.full((5, 2, 4, 4), 3.0)
    result = ci.measure(nn.Sequential(LeftHalf()).eval(), x, half_a_turn, ["DSES", "DSES[form=forward]"])
    np.testing.assert_allclose(result.values["DSES"][0], [4 / 2, 4 / 2], rtol=1e-6)  # 16 pixels of 1, and 0
    np.testing.assert_allclose(result.values["DSES[form=forward]"][0], [1 / 2, 1 / 2], rtol=1e-6)


def test_a_threshold_from_all_samples_and_transformations():
    """One pair in 1,000 fires, at the value 1: its own threshold is below, and G is 1 - alpha whatever fires."""
    matrix = np.zeros((200, 5, 1))
    matrix[7, 3] = 1
    requests_ = ["Goodfellow_L[reference=all]", "Goodfellow_G[reference=all]", "Goodfellow[reference=all]"]
    found = [value(matrix, request)[0] for request in requests_]
    np.testing.assert_allclose(found, [0.001, 0.01, 0.1], rtol=1e-12)


def test_a_single_sample_spreads_by_zero():
    network = nn.Sequential(nn.Identity()).eval()
    with pytest.warns(
        UserWarning, match="there is one sample, which has no spread over samples: what SV, SD, NV would"
    ):
        one = ci.measure(network, images(1), QUARTERS, ["SV", "SD", "NV", "TV"])
    ci.measure(network, images(1), QUARTERS, ["TV", "TD", "DSES"])  # what compares no samples has its value
    assert np.all(one.values["SV"][0] == 0)
    assert np.all(one.values["SD"][0] == 0)
    assert np.isinf(one.values["NV"][0]).any()


def test_a_class_of_one_sample_is_named():
    network, labels = nn.Sequential(nn.Identity()).eval(), [3, 3, 7, 3]
    with pytest.warns(UserWarning, match=r"class 7 has one sample, .* what NV\[stratified=true\] would"):
        ci.measure(network, images(4), QUARTERS, ["SV", "NV[stratified=true]"], labels, accuracy=False)
    ci.measure(network, images(4), QUARTERS, ["SV", "TV[stratified=true]"], labels, accuracy=False)

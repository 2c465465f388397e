"""The measures of other authors against a dense oracle, in any tiling, and the facts that are known of them."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

import cnn_invariance as ci
import oracle_others as dense_form
from cnn_invariance.errors import InputError
from cnn_invariance.measures import requests
from cnn_invariance.transformations import AffineSet, product, rotation, scale
from cnn_invariance.transformations.affine import rotation_matrix
from helpers_measures import close, dense, small_network, some_images

SETS = {
    "rotation": rotation(n=5, closed=False),
    "rotated and squeezed": product(rotation(n=3, angle_deg=80), scale(n=1, low=0.6, high=1.2)),
    "without identity": AffineSet(
        "shift", {}, np.array([[[1.0, 0, 0.1], [0, 1, 0]], [[0.9, 0.1, 0], [0, 1, 0.2]]]), ("a", "b")
    ),
}
FEW = {"positions": 16, "members": 4}
ON_LAYERS = {
    "FittedResidual": dense_form.fitted_residual,
    "FittedResidual[centred=true]": lambda A, X, t: dense_form.fitted_residual(A, X, t, centred=True),
    "FittedResidual[positions=16,members=4]": lambda A, X, t: dense_form.fitted_residual(A, X, t, **FEW),
    "ProcrustesResidual": dense_form.procrustes_residual,
    "ProcrustesResidual[centred=true]": lambda A, X, t: dense_form.procrustes_residual(A, X, t, centred=True),
    "CKA": dense_form.cka,
    "CKA[positions=16,members=4]": lambda A, X, t: dense_form.cka(A, X, t, **FEW),
    "ChannelMatch": dense_form.channel_match,
    "Correlation": dense_form.correlation,
    "SEIS_equivariance": lambda A, X, t: dense_form.seis_of_layer(A, X)[:1],
    "SEIS_equivariance[side=4]": lambda A, X, t: dense_form.seis_of_layer(A, X, side=4)[:1],
    "GEED": dense_form.geed,
    "GEED[metric=cosine]": lambda A, X, t: dense_form.geed(A, X, t, "cosine"),
    "GEED[positions=16]": lambda A, X, t: dense_form.geed(A, X, t, positions=16),
    "GEED_invariance": lambda A, X, t: dense_form.geed_invariance(A),
    "GEED_invariance[metric=cosine]": lambda A, X, t: dense_form.geed_invariance(A, "cosine"),
}
OF_THE_NETWORK = ("Consistency", "TopChange", "TopProbabilityChange", "OutputKL")


@cache
def full(chosen):
    return dense(small_network(), some_images(), SETS[chosen].matrices)


@pytest.mark.parametrize("tile", [1, 4, 13])
@pytest.mark.parametrize("chosen", SETS)
def test_each_agrees_with_the_dense_form_in_any_tiling(chosen, tile):
    result = ci.measure(small_network(), some_images(), SETS[chosen], [*ON_LAYERS, *OF_THE_NETWORK], tile=tile)
    columns, untransformed = full(chosen)
    for request, value_of in ON_LAYERS.items():
        values = result.values[str(requests.check(request))]
        name = requests.check(request).name
        for layer, A, X, value in zip(result.layers, columns, untransformed, values, strict=True):
            if A.ndim < 5 and not name.startswith("GEED"):
                assert value is None
            elif value is None:  # the oracle would have a value of what is not identified
                assert name == "FittedResidual"
                assert "observations" in result.absent(request)[layer.name]
            else:
                close(value, value_of(A, X, SETS[chosen].matrices), f"{request} of {layer.name}", atol=1e-7)
    for name, want in dense_form.output_measures(columns[-1], untransformed[-1]).items():
        np.testing.assert_allclose(result.network[name], [want], rtol=1e-5, atol=1e-12, err_msg=name)


def test_values_of_members_have_the_value_of_the_layer_as_their_mean():
    names = ["FittedResidual", "CKA", "SEIS_equivariance", "GEED", "Consistency"]
    both = [f"{name}{option}" for name in names for option in ("", "[per=member]")]
    result = ci.measure(small_network(), some_images(), SETS["rotation"], both)
    for name in names[:-1]:
        for layer, value in result[name].items():
            members = result[f"{name}[per=member]"][layer]
            assert members.shape == (5,)
            np.testing.assert_allclose(members.mean(), value[0])
    assert result.network["Consistency[per=member]"].shape == (5,)
    assert result.network["Consistency[per=member]"].mean() == pytest.approx(result.network["Consistency"][0])


def test_values_do_not_depend_on_what_else_is_asked():
    """Sample distances bring the samples in a random order."""
    alone = ci.measure(small_network(), some_images(), SETS["rotation"], ["FittedResidual"])
    beside = ci.measure(small_network(), some_images(), SETS["rotation"], ["FittedResidual", "ND", "NVSE"])
    for layer, value in alone["FittedResidual"].items():
        np.testing.assert_allclose(beside["FittedResidual"][layer], value, rtol=1e-6)


TURNS = AffineSet("turns", {}, np.stack([rotation_matrix(90 * k) for k in range(1, 4)]), ("90", "180", "270"))


class Mixed(nn.Module):
    """Channels of the image, and after a quarter turn by k the same channels mixed by the k-th power of a matrix.

    A marker in a corner pixel of the image, which is not measured, says how it was turned.
    """

    def __init__(self, mixing, noise=0.0, other=False):
        super().__init__()
        self.mixing, self.noise, self.other = mixing, noise, other

    def forward(self, x):
        corners = torch.stack([x[:, 0, 0, 0], x[:, 0, -1, 0], x[:, 0, -1, -1], x[:, 0, 0, -1]], 1)  # turns 0 to 3
        turns = corners.argmax(1)
        powers = torch.stack([torch.linalg.matrix_power(self.mixing, k) for k in range(4)])
        inner = x[:, 1:]
        if self.other:  # another image, told by the turn alone
            moves = [17 * k * inner[0].numel() // 7 + k for k in turns.tolist()]
            inner = torch.stack([one.roll(by) for one, by in zip(inner, moves, strict=True)])
        mixed = torch.einsum("bck,bkhw->bchw", powers[turns], inner)
        if self.noise:
            seeds = [int(1e4 * one.abs().sum()) + k for one, k in zip(inner, turns.tolist(), strict=True)]
            drawn = [torch.randn(inner.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
            mixed = mixed + self.noise * torch.stack(drawn).to(mixed) * (turns > 0)[:, None, None, None]
        return mixed


def marked_images(N=200, C=6, side=8):
    images = torch.randn(N, C + 1, side, side, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    images[:, 0] = 0
    images[:, 0, 0, 0] = 1
    return images


class Wrapped(nn.Module):
    """One layer, in double precision."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.register_parameter("one", nn.Parameter(torch.ones((), dtype=torch.float64)))

    def forward(self, x):
        return self.inner(x)


def facts_of(module, names, images=None):
    images = marked_images() if images is None else images
    network = Wrapped(module).eval()
    result = ci.measure(network, images, TURNS, names, layers=["inner"])
    return {name: float(np.mean(result[name]["inner"])) if "inner" in result[name] else None for name in names}


NAMES = ["NVSE[aggregate=mean]", "FittedResidual", "ProcrustesResidual", "CKA", "ChannelMatch", "Correlation"]


def test_a_network_that_permutes_its_channels_is_equivariant_to_a_map_of_channels_and_not_channel_by_channel():
    permutation = torch.eye(6, dtype=torch.float64).roll(1, 0)
    found = facts_of(Mixed(permutation), [*NAMES, "ChannelPartner[member=0]"])
    assert found["NVSE[aggregate=mean]"] > 0.8
    assert found["FittedResidual"] < 1e-6
    assert found["ProcrustesResidual"] < 1e-6
    assert found["CKA"] == pytest.approx(1)
    assert found["ChannelMatch"] == pytest.approx(1)
    assert abs(found["Correlation"]) < 0.1
    partner = ci.measure(Wrapped(Mixed(permutation)).eval(), marked_images(), TURNS, ["ChannelPartner[member=0]"],
                         layers=["inner"])  # fmt: skip
    assert partner["ChannelPartner[member=0]"]["inner"].tolist() == permutation.argmax(1).tolist()


def test_an_orthogonal_recoding_is_no_permutation():
    draw = torch.randn(6, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    found = facts_of(Mixed(torch.linalg.qr(draw).Q), NAMES)
    assert found["FittedResidual"] < 1e-6
    assert found["ProcrustesResidual"] < 1e-6
    assert found["CKA"] == pytest.approx(1)
    assert found["ChannelMatch"] < 0.9


def test_a_linear_map_that_is_not_orthogonal_is_fitted_and_has_a_procrustes_residual():
    found = facts_of(Mixed(torch.diag(torch.tensor([1.0, 2, 0.5, 1, 3, 1], dtype=torch.float64))), NAMES)
    assert found["FittedResidual"] < 1e-6
    assert found["ProcrustesResidual"] > 0.1
    assert found["Correlation"] == pytest.approx(1)


def test_noise_of_the_same_variance_leaves_half_of_the_variance_unexplained():
    found = facts_of(Mixed(torch.eye(6, dtype=torch.float64), noise=1.0), NAMES)
    assert found["FittedResidual"] == pytest.approx(0.5**0.5, abs=0.01)
    assert found["Correlation"] == pytest.approx(0.5**0.5, abs=0.01)


def test_unrelated_activations_have_a_residual_of_one_and_no_alignment():
    found = facts_of(Mixed(torch.eye(6, dtype=torch.float64), other=True), NAMES)
    assert found["FittedResidual"] == pytest.approx(1, abs=0.02)
    assert found["CKA"] < 0.02
    assert abs(found["Correlation"]) < 0.05


def test_seis_of_moments_is_that_of_observations():
    """Half noise, shuffled pairs, identity: the streamed form equals the direct one."""
    from cnn_invariance.measures.statistics.cross_moments import CrossMoments
    from cnn_invariance.measures.statistics.spatial import canonical, invariance

    draw = np.random.default_rng(0)
    n, d = 4000, 49
    smooth = np.exp(-((np.arange(d)[:, None] - np.arange(d)) ** 2) / 8.0)
    x = draw.normal(size=(n, d)) @ smooth
    half = x * 0.5**0.5 + draw.normal(size=(n, d)) @ smooth * 0.5**0.5
    for y in (half, draw.permutation(x), x):
        moments = CrossMoments.empty(d, d, 1, torch.device("cpu"), whole_bb=True)
        for start in range(0, n, 1100):  # in parts that do not divide
            part = slice(start, start + 1100)
            moments.add(torch.tensor(x[part]) + 100, torch.tensor(y[None, part]) + 100)
        values, w, v = canonical(moments, 0)
        equivariance, of_places = dense_form.seis(x, y)
        assert float(values.mean()) == pytest.approx(equivariance, rel=1e-8)
        assert invariance(values, w, v) == pytest.approx(of_places, rel=1e-6)
    assert (equivariance, of_places) == pytest.approx((1, 1))


def test_seis_invariance_has_no_value_where_correlations_tie():
    """The transposed image is an exact recoding of positions: all correlations are 1, and any basis is as good."""
    images = torch.randn(60, 7, 6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    result = ci.measure(Wrapped(nn.Identity()).eval(), images, TURNS, ["SEIS_equivariance", "SEIS_invariance"])
    assert result["SEIS_equivariance"]["inner"] == pytest.approx([1])
    assert "not identified" in result.absent("SEIS_invariance")["inner"]


@pytest.mark.parametrize(
    ("network", "measure", "said"),
    [
        (nn.Conv2d(2, 300, 3, padding=1), "FittedResidual", "observations"),
        (nn.Sequential(nn.Conv2d(2, 2, 3), nn.Flatten()), "SEIS_equivariance", "no positions"),
        (nn.Sequential(nn.Conv2d(2, 2, 3), nn.Flatten()), "CKA", "nothing to undo"),
        (nn.Conv2d(2, 1, 3), "SEIS_equivariance", "canonical correlations of so few"),
    ],
)
def test_what_cannot_be_computed_is_absent_with_its_reason(network, measure, said):
    result = ci.measure(network.eval(), some_images().float(), SETS["rotation"], [measure])
    assert any(said in reason for reason in result.absent(measure).values()), result.absent(measure)


def test_seis_of_too_large_maps_is_absent_with_its_reason():
    network = nn.Conv2d(2, 2, 1).eval()
    images = torch.randn(2, 2, 64, 64)
    result = ci.measure(network, images, SETS["rotation"], ["SEIS_equivariance[side=64,members=8]"])
    assert "MiB" in next(iter(result.absent("SEIS_equivariance[side=64]").values()))


def test_a_constant_layer_is_absent_for_what_compares_variation():
    network = nn.Conv2d(2, 3, 3, padding=1).eval()
    with torch.no_grad():
        network.weight.zero_()
    result = ci.measure(network, some_images().float(), SETS["rotation"], [*NAMES[2:], "FittedResidual[centred=true]"])
    for name in ("CKA", "ChannelMatch", "Correlation", "FittedResidual[centred=true]"):
        assert "nothing to compare" in next(iter(result.absent(name).values())), name


def test_a_network_without_scores_has_no_measure_of_its_output():
    result = ci.measure(nn.Conv2d(2, 3, 3).eval(), some_images().float(), SETS["rotation"], ["Consistency", "NV"])
    assert "no scores" in result.reasons["Consistency"]["network"]
    assert not result.network


def test_measures_of_the_output_are_not_taken_per_class():
    with pytest.raises(InputError, match="not taken per class"):
        ci.measure(small_network(), some_images(), SETS["rotation"], ["Consistency[stratified=true]"], [0] * 13)


def test_activations_that_are_not_finite_are_an_error():
    network = small_network()
    with torch.no_grad():
        network[0].bias[0] = torch.inf
    with pytest.raises(InputError, match="not finite"):
        ci.measure(network, some_images(), SETS["rotation"], ["CKA"])


def test_complex_activations_are_no_layer_and_say_so():
    class Spectrum(nn.Module):
        def forward(self, x):
            return torch.fft.fft2(x)

    class Magnitude(nn.Module):
        def forward(self, x):
            return x.abs()

    network = nn.Sequential(nn.Conv2d(2, 3, 3), Spectrum(), Magnitude()).eval()
    result = ci.measure(network, some_images().float(), TURNS, ["CKA", "SEIS_equivariance"])
    assert [layer.name for layer in result.layers] == ["0", "2"]
    assert "complex" in result.skipped["1"]


def test_tiny_and_huge_activations_have_the_same_shares():
    network = small_network()
    plain = ci.measure(network, some_images(), SETS["rotation"], ["FittedResidual", "CKA"], layers=["0"])
    for factor in (1e-30, 1e30):
        other = small_network()
        with torch.no_grad():
            for one in other[0].parameters():
                one *= factor
        scaled = ci.measure(other, some_images(), SETS["rotation"], ["FittedResidual", "CKA"], layers=["0"])
        for name in ("FittedResidual", "CKA"):
            np.testing.assert_allclose(scaled[name]["0"], plain[name]["0"], rtol=1e-5)


def test_a_result_with_measures_of_layers_and_of_the_network_is_kept_whole(tmp_path):
    result = ci.measure(
        small_network(), some_images(), SETS["rotation"], ["CKA", "CKA[per=member]", "Consistency", "SEIS_invariance"]
    )
    result.save(tmp_path / "one.parquet")
    again = type(result).load(tmp_path / "one.parquet")
    assert again.reasons == result.reasons
    assert again.network == {name: pytest.approx(value) for name, value in result.network.items()}
    frame = again.to_frame()
    assert frame.loc[frame["layer"] == "0", "CKA"].nunique() == 1
    assert again.summary().query("kind == 'network output'")["measure"].tolist() == ["Consistency"]
    assert again.profile("CKA")["layer"].tolist() == ["0", "1", "2", "3", "4"]
    assert again.profile("Consistency").empty
    assert "of the network's output" in again.absent("Consistency")["0"]


def test_nothing_of_it_is_computed_or_loaded_unasked():
    import subprocess
    import sys

    program = """
import sys, torch, cnn_invariance as ci
network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten()).eval()
result = ci.measure(network, torch.rand(4, 1, 8, 8), ci.transformations.rotation(n=3, closed=False))
names = "channels cross_moments spatial orbits outputs seis geed output lie samples_of_positions derivatives".split()
print(*[name for name in sys.modules if name.startswith("cnn_invariance.measures") and name.split(".")[-1] in names])
print(len(result.measures))
"""
    loaded, count = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert loaded == ""
    assert int(count) == len(requests.names()) == 20

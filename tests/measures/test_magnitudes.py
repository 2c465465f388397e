"""Activations of any magnitude: times a power of two, every measure is that power of what it was, to the last bit."""

import numpy as np
import pytest
import torch
from torch import nn

import cnn_invariance as ci
from cnn_invariance.errors import InputError
from cnn_invariance.measures import requests
from cnn_invariance.measures.backends import c_loops, torch_operations
from cnn_invariance.measures.statistics import base, moments
from cnn_invariance.measures.statistics.scales import LEAST, MOST
from cnn_invariance.transformations import rotation

pytestmark = pytest.mark.filterwarnings("ignore::cnn_invariance.measures.engine.inputs.OneSampleWarning")

TURNS = rotation(n=3, angle_deg=200)
LABELS = torch.arange(9) % 3
DEGREES = {"TV": 1, "SV": 1, "TVSE": 1, "SVSE": 1, "TD": 1, "SD": 1, "SD_error": 1, "TDSE": 1, "SDSE": 1,
           "SDSE_error": 1, "DSES": 1, "TV[statistic=var]": 2, "SVSE[statistic=var]": 2}  # fmt: skip
OTHERS = [
    "NV[statistic=var]", "TV[statistic=var]", "SVSE[statistic=var]", "NV[aggregate=max]", "ND[per=unit]",
    "ND[normalize=true]", "NDSE[normalize=true]", "ND[order=class,block_size=4]", "DSES[form=forward]",
    "DSES[form=forward,normalize=true]", "Goodfellow[alpha=0.7,threshold=percentile]",
    "Goodfellow[alpha=0.7,reference=all]", "NV[stratified=true]", "NDSE[stratified=true]",
]  # fmt: skip
MEASURES = [*requests.names(), *OTHERS]


def degree(measure):
    """How a measure follows the magnitude of the activations; quotients, F and rates do not."""
    name = measure.partition("[")[0]
    return 0 if "normalize=true" in measure else DEGREES.get(measure, DEGREES.get(name, 0))


def network(*factors):
    """Without biases, so that every layer follows the factors of the three filters."""
    torch.manual_seed(0)
    built = nn.Sequential(nn.Conv2d(1, 3, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2)).eval()
    with torch.no_grad():
        for k, factor in enumerate(factors):
            built[0].weight[k] *= factor
    return built


def images(N=9):
    return torch.randn(N, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def measured(model, measures=tuple(MEASURES), **options):
    return ci.measure(model, images(), TURNS, measures, LABELS, accuracy=False, **({"tile": 4} | options))


@pytest.fixture(params=["C", "torch", "Triton"])
def backend(request, monkeypatch):
    if request.param == "C" and c_loops.library() is None:
        pytest.skip("no C compiler here")
    module = {"C": c_loops, "torch": torch_operations}.get(request.param)
    if module is None:
        pytest.importorskip("triton")
        from cnn_invariance.measures.backends import triton_kernels as module
    for user in (base, moments):
        monkeypatch.setattr(user, "backend_of", lambda _: module)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid:RuntimeWarning")  # Triton's interpreter
@pytest.mark.parametrize("backend", ["C", "torch"], indirect=True)
@pytest.mark.parametrize("k", [-118, -74, -64, -41, -38, 29, 45, 63, 123])
@pytest.mark.usefixtures("backend")
def test_every_measure_follows_the_magnitude(k):
    follows(k, MEASURES)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid:RuntimeWarning")  # Triton's interpreter
@pytest.mark.parametrize("backend", ["Triton"], indirect=True)
@pytest.mark.parametrize("k", [-74, 63])
@pytest.mark.usefixtures("backend")
def test_so_it_does_in_the_kernels(k):
    follows(k, ["NV", "ANOVA_F", "ND", "NVSE", "Goodfellow"])


def follows(k, measures):
    plain, scaled = measured(network(), measures), measured(network(*[2.0**k] * 3), measures)
    for asked in measures:
        measure = str(requests.check(asked))
        for ours, before in zip(scaled[measure].values(), plain[measure].values(), strict=True):
            want = before * 2.0 ** (k * degree(asked))
            np.testing.assert_allclose(ours, want, rtol=1e-6, err_msg=f"{asked}, 2^{k}")
    assert scaled.dead == plain.dead


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("tile", [1, 8, None])
def test_each_feature_map_has_its_own_magnitude(tile):
    powers = np.array([-100, 0, 90])
    plain, mixed = measured(network(), tile=tile), measured(network(*2.0**powers), tile=tile)
    for measure in [m for m in MEASURES if "aggregate" not in m and not m.startswith("ANOVA")]:
        for ours, before in zip(
            mixed[str(requests.check(measure))].values(), plain[str(requests.check(measure))].values(), strict=True
        ):
            factor = (2.0 ** (powers * degree(measure))).reshape(-1, *[1] * (before.ndim - 1))
            np.testing.assert_array_equal(ours, before * factor, err_msg=measure)


@pytest.mark.usefixtures("kernels")
def test_each_pixel_has_its_own_magnitude():
    """Measures of units; on feature maps a transformation mixes neighbours, of which the larger one rules.

    Rows and columns of such maps cannot be told, so their one channel is no side of theirs.
    """
    powers = torch.linspace(-110, 110, 64).round().view(8, 8).double()
    shades = nn.Sequential(nn.Identity(), Times(2.0 ** powers.float())).eval()
    result = measured(shades, ["NV", "ND[per=unit]", "ANOVA_F", "Goodfellow", "SV", "TD[per=unit]"])
    for name in result.measures:
        plain, ours = result[name].values()
        expected = plain[0] * 2.0 ** (powers.numpy() * degree(name))
        np.testing.assert_array_equal(ours, expected, err_msg=name)


class Times(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


def test_units_that_fire_rarely_and_faintly_are_not_dead():
    """Zero in most tiles; one image alone makes them alive."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.ReLU(), nn.Flatten()).eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.stack([torch.ones(1, 3, 3), -torch.ones(1, 3, 3)]) * 2.0**-90)
    shown = -torch.rand(12, 1, 6, 6, generator=torch.Generator().manual_seed(2)) - 0.1
    shown[7] *= -1
    result = ci.measure(model, shown, TURNS, ["NV"], tile=3)
    assert result.dead["NV"] == [0, 0, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.usefixtures("kernels")
def test_of_a_double_network_beyond_float32(dtype):
    plain = measured(network().to(dtype), ["NV", "TD"])
    for k in (-300, 300) if dtype == torch.float64 else (-100, 100):
        scaled = measured(nn.Sequential(*network().to(dtype), Times(2.0**k)).eval(), ["NV", "TD"])
        np.testing.assert_allclose(scaled["NV"]["3"], plain["NV"]["2"], rtol=1e-6)
        np.testing.assert_allclose(scaled["TD"]["3"], plain["TD"]["2"] * 2.0**k, rtol=1e-6)


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
@pytest.mark.parametrize("factor", [1.0, 2.0**-90, 2.0**90])
def test_what_is_not_finite_stays_so(value, factor):
    shown = images()
    shown[5, 0, 2, 3] = value
    with pytest.raises(InputError, match="not finite"):
        ci.measure(network(*[factor] * 3), shown, TURNS, ["NV"], tile=4)
    counted, plain = (ci.measure(network(*[f] * 3), shown, TURNS, ["NV"], tile=4, nan="count") for f in (factor, 1.0))
    assert 0 < counted.profile("NV")["nan"].sum() == plain.profile("NV")["nan"].sum()


def test_usual_magnitudes_take_one_look():
    """The pass is made again only for magnitudes that need it, and these are few."""
    calls = []
    for factor in (1.0, LEAST * 16, MOST / 16, LEAST / 1e6, MOST * 1e6):
        model = network(*[factor] * 3)
        counts = []
        model.register_forward_pre_hook(lambda module, args, counts=counts: counts.append(len(args[0])))
        ci.measure(model, images(), TURNS, ["NV"], tile=9)
        calls.append(counts.count(27))
    assert calls == [1, 1, 1, 3, 3]
    assert any(count == 27 for count in counts)


def test_statistics_of_softmax_outputs_of_a_confident_network():
    """Probabilities of 1e-30 in each image: as good as any other number."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4, bias=False), nn.Softmax(1)).eval()
    with torch.no_grad():
        model[1].weight.mul_(4)
        model.append(Times(torch.tensor([1.0, 1e-30, 1e-20, 1e-10])).eval())
    result = ci.measure(model, images(40), TURNS, ["NV", "ND"])
    for measure in ("NV", "ND"):
        np.testing.assert_allclose(result[measure]["3"], result[measure]["2"], rtol=1e-4)


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
@pytest.mark.parametrize("N", [1, 2, 9, 17])
def test_a_lone_sample_that_is_not_finite_is_counted_alike(N, value, monkeypatch):
    """The last block of N = 1 modulo 8 samples is one alone, which is in no pair."""
    if c_loops.library() is None:
        pytest.skip("no C compiler here")
    names = ["SD", "SDSE", "SD[per=unit]", "SDSE[per=unit]", "SD_error", "ND[order=class]", "NV", "ANOVA_F"]
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(108, 4)).eval()
    shown = images(N)
    shown[torch.randperm(N, generator=torch.Generator().manual_seed(N))[0], 0, 2, 3] = value
    counts = []
    for compiled in (True, False):
        monkeypatch.setattr(c_loops, "available", lambda device, compiled=compiled: compiled)
        result = ci.measure(model, shown, TURNS, names, torch.zeros(N), accuracy=False, nan="count")
        counts.append({measure: result.profile(measure)["nan"].tolist() for measure in result.measures})
    assert counts[0] == counts[1]
    assert all(sum(found) > 0 for found in counts[0].values())

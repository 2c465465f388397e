"""Every measure, form and option against the dense float64 oracle, in both implementations."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cnn_invariance as ci
import oracle
from cnn_invariance.measures import requests
from cnn_invariance.transformations import AffineSet, product, rotation, scale, translation
from helpers_measures import close, dense, small_network, some_images

pytestmark = pytest.mark.filterwarnings("ignore::cnn_invariance.measures.engine.inputs.OneSampleWarning")


def expected(request, A, X, matrices):
    """The oracle's value of a request on one layer, or None where it has none."""
    r = requests.check(request)
    spatial = A.ndim == 5
    name = r.name
    if "SE" in name and not spatial:
        return None
    if name == "DSES" and r["form"] == "forward":
        return oracle.forward_DSES(A, X, matrices, r["normalize"])
    if "SE" in name:
        A = oracle.undone(A, matrices)
    if name == "DSES":
        return oracle.DSES(A, X, r["normalize"])
    name = name.replace("SE", "")
    how = dict(r.options).get("aggregate", "none")
    if name in ("TV", "SV", "NV"):
        parts = {"T": [oracle.TV], "S": [oracle.SV], "N": [oracle.TV, oracle.SV]}[name[0]]
        values = [part(A, r["statistic"]) for part in parts]
    elif name in ("TD", "SD", "ND", "SD_error"):
        per, size = r["per"] if spatial else "unit", r["block_size"]
        by_class = dict(r.options).get("order") == "class"
        parts = {
            "T": lambda: oracle.TD(A, per, r["normalize"], size if by_class else None),
            "S": lambda: oracle.SD(A, per, r["normalize"], size, labels=labels_of(len(A)) if by_class else None),
            "E": lambda: oracle.SD_error(A, per, r["normalize"], size),
        }
        values = [parts[part]() for part in {"ND": "TS", "SD_error": "E"}.get(name, name[0])]
    elif name == "ANOVA_F":
        values = [oracle.ANOVA_F(A)]
    elif name == "ANOVA":
        values = [oracle.ANOVA(A, r["alpha"], r["bonferroni"])]
    else:
        L, G, ratio = oracle.goodfellow(A, X, r["alpha"], r["sign"], r["threshold"], r["reference"])
        values = [{"Goodfellow": ratio, "Goodfellow_L": L, "Goodfellow_G": G}[name]]
    options = dict(r.options)
    before = len(values) == 2 and options.get("aggregated", options.get("order")) == "before"
    if before:
        values = [aggregate(v, how) for v in values]
    value = oracle.quotient(*values) if len(values) == 2 else values[0]
    return value if before else aggregate(value, how)


def labels_of(N):
    """Three classes that are neither sorted nor taken in turn."""
    return np.arange(N) * 7 // 4 % 3


def aggregate(values, how):
    if how == "none" or values.ndim != 3:
        return values
    return getattr(values, how)((1, 2))


REQUESTS = [
    *requests.names(),
    "TV[statistic=var]", "NVSE[statistic=var]", "NV[aggregate=mean]", "NV[aggregate=max]",
    "NV[aggregate=sum,order=after]",
    "NVSE[aggregate=mean,order=after]", "TV[aggregate=mean]", "ND[normalize=true]", "NDSE[normalize=true]",
    "TD[per=unit]", "SD[per=unit]", "ND[per=unit]", "NDSE[per=unit]", "SD_error[per=unit]",
    "SDSE_error[normalize=true]",
    "ND[per=unit,aggregate=mean]", "ND[per=unit,aggregate=mean,aggregated=after]",
    "SD[block_size=4]", "ND[per=unit,block_size=4]", "SD_error[block_size=4]", "SD_error[per=unit,block_size=4]",
    "SD[order=class]", "ND[order=class,block_size=4]", "NDSE[per=unit,order=class,block_size=4]",
    "TD[order=class,block_size=4]", "TDSE[normalize=true,order=class,block_size=4]",
    "NDSE[normalize=true,order=class,block_size=64]", "SD[per=unit,order=class,block_size=64]",
    "DSES[normalize=true]", "DSES[form=forward]", "DSES[normalize=true,form=forward]",
    "ANOVA[alpha=0.5]", "ANOVA[bonferroni=false]", "ANOVA_F[aggregate=max]",
    "Goodfellow[alpha=0.5]", "Goodfellow[alpha=0.9,sign=-1]", "Goodfellow_L[alpha=0.9,threshold=percentile]",
    "Goodfellow_G[alpha=0.6,threshold=percentile,sign=-1]", "Goodfellow[alpha=0.7,threshold=percentile]",
    "Goodfellow[alpha=0.8,reference=all]", "Goodfellow_L[alpha=0.7,sign=-1,reference=all]",
    "Goodfellow_G[alpha=0.9,reference=all]", "Goodfellow_L[alpha=0.8,threshold=percentile,reference=all]",
]  # fmt: skip

SETS = {
    "rotation": rotation(n=7, closed=False),
    "rotated and squeezed": product(rotation(n=3, angle_deg=80), scale(n=1, low=0.6, high=1.2)),
    "translation": translation(n=1, distance=0.3),
    "two": rotation(n=2, angle_deg=90),
    "without identity": AffineSet(
        "shift", {}, np.array([[[1.0, 0, 0.1], [0, 1, 0]], [[0.9, 0.1, 0], [0, 1, 0.2]]]), ("a", "b")
    ),
}


@cache
def oracle_values(chosen, N=13):
    """The oracle's values of every request on every layer, once for all tiles."""
    network, images, matrices = small_network(), some_images()[:N], SETS[chosen].matrices
    full, untransformed = dense(network, images, matrices)
    layers = list(zip(full, untransformed, strict=True))
    return {request: [expected(request, A, X, matrices) for A, X in layers] for request in REQUESTS}


def check_against_oracle(chosen, N, tile):
    labels = labels_of(N).tolist()
    result = ci.measure(small_network(), some_images()[:N], SETS[chosen], REQUESTS, labels, tile=tile)
    for request, wanted in oracle_values(chosen, N).items():
        values = result.values[str(requests.check(request))]
        for layer, value, want in zip(result.layers, values, wanted, strict=True):
            # an error is a difference of distances: to the resolution of these
            scale = np.abs(result.values["SD"][layer.index - 1]).max() if "_error" in request else 0.0
            close(value, want, f"{request} of layer {layer.name}", atol=1e-6 * scale)


@pytest.mark.parametrize("chosen", SETS)
@pytest.mark.parametrize("tile", [1, 8, 5, 100])
@pytest.mark.usefixtures("kernels")
def test_every_measure_agrees(chosen, tile):
    check_against_oracle(chosen, 13, tile)


PARTS = [
    "TV", "SV", "TD", "SD", "TVSE", "SVSE", "TDSE", "SDSE", "DSES", "Goodfellow_L", "Goodfellow_G", "SD[per=unit]",
    "TD[per=unit]", "SD[order=class,block_size=4]", "DSES[form=forward]", "Goodfellow_L[reference=all]",
]  # fmt: skip


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    N=st.integers(1, 20),
    n=st.integers(2, 6),
    tile=st.integers(1, 20),
    seed=st.integers(0, 2**16),
    shift=st.integers(0, 3),
)
@pytest.mark.usefixtures("kernels")
def test_any_shape_and_tile(N, n, tile, seed, shift):
    """What quotients are made of, to the float32 resolution of the layer's values."""
    images = torch.randn(N, 1, 6, 8, generator=torch.Generator().manual_seed(seed)).double() + shift
    network, transformations = small_network(1, seed), rotation(n=n, closed=False)
    result = ci.measure(network, images, transformations, PARTS, labels_of(N).tolist(), tile=tile)
    full, untransformed = dense(network, images, transformations.matrices)
    for request in PARTS:
        for layer, value, A, X in zip(result.layers, result.values[request], full, untransformed, strict=True):
            want = expected(request, A, X, transformations.matrices)
            close(value, want, f"{request} of layer {layer.name}", atol=1e-6 * np.abs(A).max())


@pytest.mark.parametrize("N", [1, 2])
@pytest.mark.parametrize("chosen", ["translation", "two"])
@pytest.mark.usefixtures("kernels")
def test_tiny(N, chosen):
    check_against_oracle(chosen, N, None)


def test_mean_ten_thousand_times_the_spread(kernels):
    """The activations are exact float32 numbers whose mean is 1e4 standard deviations."""

    class Offset(torch.nn.Module):
        def forward(self, x):
            return x * 1.0 + 0.0

    generator = torch.Generator().manual_seed(3)
    images = 1e4 + torch.randn(1000, 1, 4, 4, generator=generator)
    network = torch.nn.Sequential(Offset()).eval()
    transformations = rotation(n=5, closed=False)
    requests = ["TV", "SV", "NV", "ANOVA_F", "TD", "SD", "SD[per=unit]", "TV[statistic=var]", "SV[statistic=var]"]
    result = ci.measure(network, images, transformations, requests, tile=8)
    (A,), _ = dense(network, images, transformations.matrices)
    for request in requests:
        (value,) = result.values[request]
        np.testing.assert_allclose(value, expected(request, A, None, None), rtol=1e-5, err_msg=request)


@pytest.mark.parametrize(("M", "b"), [(40, 3), (3, 40)])  # 16 are merged at a time
def test_a_spread_of_a_few_units_in_the_last_place(kernels, M, b):
    """Float32 numbers near 1e4 lie about 1e-3 apart: nothing may be added to them on the way."""
    generator = torch.Generator().manual_seed(5)
    values = 1e4 + torch.randint(-9, 10, (M, b, 7), generator=generator) / 1024
    rows, columns = torch.zeros(7, dtype=torch.float64), (torch.empty(M, 7, dtype=torch.float64), torch.empty(M, 7))
    kernels.grid_moments(values, 0, columns, None, rows)
    torch.testing.assert_close(rows, values.double().var(0).sum(0), rtol=1e-5, atol=0)
    torch.testing.assert_close(columns[1].double(), values.double().var(1) * (b - 1), rtol=1e-5, atol=0)


def test_an_outlier_first_sample_costs_no_digits(kernels):
    """Sums shifted by a bad origin would cancel; merged, centred moments must not."""
    generator = torch.Generator().manual_seed(4)
    images = torch.randn(4000, 1, 2, 2, generator=generator)
    images[0] = 3e4
    network = torch.nn.Sequential(torch.nn.Identity()).eval()
    result = ci.measure(network, images, SETS["two"], ["SV"], tile=8)
    (A,), _ = dense(network, images, SETS["two"].matrices)
    np.testing.assert_allclose(result.values["SV"][0], oracle.SV(A), rtol=1e-5)

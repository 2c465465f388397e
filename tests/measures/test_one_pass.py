"""One look at each (sample, transformation); state for what was asked for, whatever the number of samples."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import cnn_invariance as ci
from cnn_invariance import machine
from cnn_invariance.measures import requests
from cnn_invariance.measures.engine import prepare
from cnn_invariance.measures.statistics.base import Accumulator
from cnn_invariance.transformations import AffineSet, rotation
from helpers_measures import close, small_network, some_images

TURNS = rotation(n=4, angle_deg=270)


class Watched(nn.Module):
    """Counts how often each image, told by its mean (which turns keep), went through."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 2, 3)
        self.batches = []

    def forward(self, x):
        self.batches.append(x.mean((1, 2, 3)).round(decimals=3))
        return self.layer(x)

    def seen(self):
        """How often each image was seen, apart from the first, with which the layers are found."""
        counts = Counter(torch.cat(self.batches).tolist())
        return {mean: count for mean, count in counts.items() if mean >= 2}


def numbered(N):
    """Images with means 1 to N and the same pattern."""
    pattern = torch.randn(1, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    return pattern - pattern.mean() + torch.arange(1, N + 1.0).view(-1, 1, 1, 1)


@pytest.mark.parametrize(
    ("measures", "transformations", "looks"),
    [
        (["NV"], TURNS, 4),
        ([name for name in requests.names() if not name.startswith("Goodfellow")], TURNS, 4),
        (None, TURNS, 4 + 1),  # Goodfellow's thresholds come from the untransformed samples
        (["Goodfellow_G", "Goodfellow[alpha=0.9,threshold=percentile]"], TURNS, 4 + 1),
        (["NV", "NVSE"], AffineSet("turns", {}, TURNS.matrices[1:]), 3),
        (["NV", "DSES"], AffineSet("turns", {}, TURNS.matrices[1:]), 3 + 1),  # it compares with f(x)
        (["NV", "SD", "ANOVA"], [lambda x: x.rot90(1, (2, 3)), lambda x: x], 2),
        (["Goodfellow"], [lambda x: x.rot90(1, (2, 3)), lambda x: x], 2 + 1 + 1),
        (["NV", "Goodfellow[reference=all]"], TURNS, 4 + 4),  # all of them set its threshold
        (["NV", "Goodfellow_L[reference=all,alpha=0.9]", "Goodfellow"], TURNS, 4 + 4 + 1),
        (["ND", "ND[order=class,block_size=64]"], TURNS, 4 + 4),  # in two orders
        (["ND", "ND[order=class,block_size=64]", "SD[order=class,block_size=4]"], TURNS, 4 + 4),
        (["ND", "ND[order=class,block_size=64]", "Goodfellow_L[reference=all]"], TURNS, 4 + 4),  # one look serves both
        (["NV", "ND[order=class,block_size=4]"], TURNS, {3: 4 + 4, 8: 4, None: 4}),  # one, if a block fits in a tile
    ],
)
@pytest.mark.parametrize("tile", [3, 8, None])
def test_each_pair_is_seen_once(measures, transformations, looks, tile):
    network = Watched().eval()
    ci.measure(network, numbered(11), transformations, measures, torch.arange(11) % 3, tile=tile)
    looks = looks[tile] if isinstance(looks, dict) else looks
    assert network.seen() == {float(k): looks for k in range(2, 12)}


def test_stratified_measures_do_not_look_again():
    network = Watched().eval()
    labels = torch.arange(11) % 3
    ci.measure(network, numbered(11), TURNS, ["NV", "NV[stratified=true]", "SD[stratified=true]"], labels, tile=3)
    assert network.seen() == {float(k): 4 for k in range(2, 12)}


def test_pooled_sample_distances_beside_stratified_measures():
    """They take a pass more, and stay what they are alone."""
    labels, measures = torch.arange(13) % 3, ["SD", "ND[order=class,block_size=8]", "Goodfellow_L[reference=all]"]
    together = ci.measure(small_network(), some_images(), TURNS, ["NV[stratified=true]", *measures], labels, tile=3)
    alone = ci.measure(small_network(), some_images(), TURNS, measures, labels, tile=3)
    for measure in alone.measures:
        for a, b in zip(together.values[measure], alone.values[measure], strict=True):
            close(a, b, measure)
    np.testing.assert_array_equal(together.accuracy, alone.accuracy)


@pytest.fixture
def accumulators(monkeypatch):
    """Every accumulator that a pass makes."""
    made = []
    make = Accumulator.__init__

    def record(self, *arguments):
        made.append(self)
        make(self, *arguments)

    monkeypatch.setattr(Accumulator, "__init__", record)
    return made


def held(value):
    """Bytes of tensors in an accumulator, through containers and what belongs to it."""
    if isinstance(value, torch.Tensor):
        return value.untyped_storage().nbytes()
    if isinstance(value, dict):
        return sum(map(held, value.values()))
    if isinstance(value, tuple | list):
        return sum(map(held, value))
    return sum(held(item) for item in vars(value).values()) if type(value).__module__.startswith("cnn_inv") else 0


@pytest.mark.parametrize(
    ("measures", "kinds"),
    [
        (["TV"], {"Moments": 8}),
        (["TV", "TV[statistic=var]"], {"Moments": 16}),
        (["SV"], {"Moments": 4 * 12}),
        (["NV", "SV", "ANOVA", "ANOVA_F", "NV[aggregate=mean]"], {"Moments": 8 + 4 * 12}),
        (["TD[per=unit]"], {"ActivationDistances": 8}),
        (["ND[per=unit]"], {"ActivationDistances": 16}),
        (["ND[per=unit]", "SD_error[per=unit]"], {"ActivationDistances": 24}),
        (["ND[per=unit]", "SD[per=unit,block_size=4]"], {"ActivationDistances": 24}),
        (["NV", "NVSE"], {"Moments": 2 * (8 + 4 * 12)}),
        (["Goodfellow_L"], {"Exceedances": 4 + 12}),
        (["Goodfellow_L", "Goodfellow_L[reference=all]"], {"Exceedances": 2 * (4 + 12)}),
        (["Goodfellow", "Goodfellow_G", "Goodfellow[alpha=0.5]"], {"Exceedances": 4 + 24}),
    ],
)
def test_nothing_is_kept_that_was_not_asked_for(accumulators, measures, kinds):
    network = nn.Sequential(nn.Conv2d(1, 2, 3)).eval()
    ci.measure(network, numbered(9), TURNS, measures, tile=8)
    units = 2 * 4 * 4
    found = Counter()
    for accumulator in accumulators:
        if accumulator.context.M == 4:  # not the moments behind a threshold, which are dropped
            found[type(accumulator).__name__] += held(vars_without_context(accumulator)) // units
    assert found == kinds


def vars_without_context(accumulator):
    return {name: value for name, value in vars(accumulator).items() if name not in ("context", "signs", "zero")}


def test_state_does_not_grow_with_samples(accumulators):
    sizes = []
    more = ["ND[per=unit]", "ND[order=class,block_size=64]", "Goodfellow_L[reference=all]", "DSES[form=forward]"]
    measures = [*requests.names(), "Goodfellow[alpha=0.5,threshold=percentile]", *more]
    for N in (130, 260):
        accumulators.clear()
        ci.measure(small_network().float(), some_images(N).float(), TURNS, measures, torch.arange(N) % 3, tile=16)
        sizes.append(sum(held(vars(accumulator)) for accumulator in accumulators))
    assert sizes[0] == sizes[1] > 0


def test_tiles_do_not_grow_with_samples(monkeypatch):
    monkeypatch.setattr(machine, "cache_of_a_core", lambda: 12 * 2**20)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    plans = [
        prepare.PreparedPass.make(small_network(), some_images(N), TURNS, None, None, None, None, None, "fp32", "error")
        for N in (8000, 16000)
    ]
    assert plans[0].tile == plans[1].tile < 8000


ORDERED = ("SD", "ND", "SDSE", "NDSE", "SD_error", "SDSE_error")  # pairs are drawn among the samples as they are given


@pytest.mark.usefixtures("kernels")
def test_order_of_samples_does_not_matter():
    measures = [name for name in requests.names() if name not in ORDERED]
    order = torch.randperm(13, generator=torch.Generator().manual_seed(5))
    one = ci.measure(small_network(), some_images(), TURNS, measures, torch.arange(13) % 7, tile=4)
    other = ci.measure(small_network(), some_images()[order], TURNS, measures, order % 7, tile=5)
    equal(one, other)
    np.testing.assert_array_equal(one.accuracy, other.accuracy)


def equal(one, other):
    assert one.measures == other.measures
    for measure in one.measures:
        for layer, a, b in zip(one.layers, one.values[measure], other.values[measure], strict=True):
            close(a, b, f"{measure} of {layer.name}", atol=1e-6)


@pytest.mark.parametrize("tile", [1, 3, 13])
def test_accuracy_under_each_transformation(tile):
    """The network says where the brightest pixel is: a turn moves it."""
    network = nn.Sequential(nn.Flatten()).eval()
    images = torch.zeros(12, 1, 2, 2)
    corner = torch.arange(12) % 4
    images.view(12, 4)[torch.arange(12), corner] = 1
    members = [lambda x: x, lambda x: x.flip(3), lambda x: x.rot90(1, (2, 3))]
    result = ci.measure(network, images, members, ["NV"], corner, tile=tile)
    assert result.accuracy.tolist() == [1, 0, 0]
    mostly = corner.clone()
    mostly[:3] = torch.tensor([1, 0, 3])  # what a flip makes of corners 0, 1, 2; a turn of 1, 2
    result = ci.measure(network, images, members, ["NV"], mostly, tile=tile)
    assert result.accuracy.tolist() == [9 / 12, 3 / 12, 2 / 12]


PARTS = [name for name in requests.names() if name != "ANOVA"] + [
    "Goodfellow[alpha=0.6,threshold=percentile]",
    "ND[per=unit]",
    "SD[block_size=4]",
    "Goodfellow_L[alpha=0.8,reference=all]",
]


@pytest.mark.parametrize("tile", [2, 8])
@pytest.mark.usefixtures("kernels")
def test_stratified_is_the_mean_over_classes(tile):
    """Each class alone, with blocks, thresholds and all; classes need not be consecutive, nor of one size."""
    N = 25
    labels = torch.tensor([3, 6, 3, 6, 1] * 5)
    images, network = some_images(N), small_network()
    stratified = [f"{part.removesuffix(']')}{',' if '[' in part else '['}stratified=true]" for part in PARTS]
    together = ci.measure(network, images, TURNS, [*stratified, "TV", "NVSE"], labels, tile=tile)
    alone = [ci.measure(network, images[labels == label], TURNS, PARTS) for label in (1, 3, 6)]
    for part, request in zip(PARTS, stratified, strict=True):
        name = str(requests.check(request))
        for k, layer in enumerate(together.layers):
            parts = [result.values[str(requests.check(part))][k] for result in alone]
            want = None if parts[0] is None else np.mean(parts, axis=0)
            close(together.values[name][k], want, f"{request} of {layer.name}", atol=1e-6)
        assert together.dead[name] == np.sum([r.dead[str(requests.check(part))] for r in alone], axis=0).tolist()
    pooled = ci.measure(network, images, TURNS, ["TV", "NVSE"], labels)
    for measure in pooled.measures:  # beside stratified ones, pooled measures stay what they are
        for a, b in zip(together.values[measure], pooled.values[measure], strict=True):
            close(a, b, measure)
    np.testing.assert_array_equal(together.accuracy, pooled.accuracy)


@pytest.mark.usefixtures("kernels")
def test_passes_in_two_threads_do_not_meet():
    """Temporaries are kept from call to call: each thread has its own."""
    networks, images = [small_network(seed=seed) for seed in range(4)], some_images()
    alone = [ci.measure(network, images, TURNS, tile=3) for network in networks]
    with ThreadPoolExecutor(2) as pool:
        beside = list(pool.map(lambda network: ci.measure(network, images, TURNS, tile=3), networks))
    for one, other in zip(alone, beside, strict=True):
        pd.testing.assert_frame_equal(one.to_frame(), other.to_frame())

"""Places in the image, tokens beside a grid, and networks that are no functions: found out by running them."""

import random

import numpy as np
import pytest
import torch
from torch import nn

import cnn_invariance as ci
from cnn_invariance.activations import look
from cnn_invariance.devices import RandomNumbersWarning
from cnn_invariance.errors import InputError
from cnn_invariance.transformations import rotation
from helpers_networks import Of, pictures, seeded

QUARTERS = rotation(n=4, closed=False)


def found(network, images=None):
    with torch.no_grad():
        return {layer.name: layer for layer in look(network, pictures() if images is None else images).layers}


def rows_interleaved(x):
    return torch.cat([x[:, :, ::2], x[:, :, 1::2]], 2)


def columns_by_fours(x):
    return torch.cat([x[..., k::4] for k in range(4)], 3)


def rows_drawn(x):
    return x[:, :, torch.randperm(x.shape[2], generator=torch.Generator().manual_seed(3))]


@pytest.mark.parametrize(
    "mix",
    [rows_interleaved, columns_by_fours, rows_drawn, lambda x: torch.fft.fft2(x).abs()],
    ids=["interleaved", "by fours", "drawn", "spectrum"],
)
def test_rows_in_another_order_are_no_rows(mix):
    network = seeded(nn.Conv2d(3, 4, 1), Of(mix), nn.Tanh())
    result = ci.measure(network, pictures(side=16), QUARTERS, ["NV", "NVSE"])
    assert result.absent("NVSE").keys() == {"1", "2"}
    assert "not in the order of its rows or columns" in result.absent("NVSE")["1"]
    assert result["NV"]["1"].size == 4 * 16 * 16


def test_what_is_made_of_rows_in_another_order_is_in_doubt_until_they_are_put_back():
    def back(x):
        return torch.stack([x[:, :, :8], x[:, :, 8:]], 3).flatten(2, 3)

    first, images = nn.Conv2d(3, 4, 1), pictures(side=16)
    blurred = found(seeded(first, Of(rows_interleaved), nn.Conv2d(4, 4, 3, padding=1), nn.Tanh()), images)
    assert [layer.spatial for layer in blurred.values()] == [True, False, False, False]
    restored = found(seeded(first, Of(rows_interleaved), nn.Conv2d(4, 4, 1), Of(back), nn.Tanh()), images)
    assert [layer.spatial for layer in restored.values()] == [True, False, False, True, True]


@pytest.mark.parametrize(
    "move", [lambda x: x.flip(3), lambda x: x.roll(4, 2), lambda x: x.roll(1, 3)], ids=["flip", "half", "one"]
)
def test_maps_that_move_as_a_whole_are_maps(move):
    """What the network does to its maps is what is measured; right values by the definition."""
    network, images = seeded(nn.Conv2d(3, 4, 1), Of(move)), pictures()
    result = ci.measure(network, images, QUARTERS, ["NVSE"])
    turned = torch.stack([network(images.rot90(k, (2, 3))).rot90(-k, (2, 3)) for k in range(4)], 1)
    A = turned.detach().double().numpy()
    np.testing.assert_allclose(result["NVSE"]["1"], A.std(1, ddof=1).mean(0) / A.std(0, ddof=1).mean(0), rtol=1e-4)


@pytest.mark.parametrize("order", [[0, 2, 4, 6, 1, 3, 5, 7], [0, 4, 2, 6, 1, 5, 3, 7], [7, 6, 5, 4, 3, 2, 1, 0]])
def test_a_dense_layer_along_the_width_that_mixes_it_up_has_no_columns(order):
    """The network takes one size of images, so that only what a change moves can tell."""
    dense = nn.Linear(8, 8, bias=False)
    with torch.no_grad():
        dense.weight.copy_(torch.eye(8)[order])
    layers = found(seeded(nn.Conv2d(3, 5, 1), dense))
    assert not layers["1"].spatial
    assert "rows and columns cannot be told" in layers["1"].why


class Tokens(nn.Module):
    """Tokens of patches between others, and a layer of each token by itself."""

    def __init__(self, before, after):
        super().__init__()
        torch.manual_seed(0)
        self.patches, self.mix = nn.Conv2d(3, 6, 2, stride=2), nn.Linear(6, 5)
        self.before, self.after = torch.randn(1, before, 6), torch.randn(1, after, 6)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        beside = (one.expand(len(x), -1, -1) for one in (self.before, self.after))
        return self.mix(torch.cat([next(beside), tokens, next(beside)], 1))


@pytest.mark.parametrize(("before", "after"), [(2, 0), (5, 0), (1, 1), (0, 3), (1, 4)])
def test_tokens_beside_a_grid_are_kept_apart(before, after):
    network, images = Tokens(before, after).eval(), pictures()
    result = ci.measure(network, images, QUARTERS, ["NVSE"])
    assert {layer.name: layer.shape for layer in result.layers} == {
        "patches": (6, 4, 4), "mix[tokens apart]": (before + after, 5), "mix": (5, 4, 4),
    }  # fmt: skip
    mapwise = nn.Sequential(network.patches, nn.Conv2d(6, 5, 1)).eval()
    with torch.no_grad():
        mapwise[1].weight.copy_(network.mix.weight[..., None, None])
        mapwise[1].bias.copy_(network.mix.bias)
    want = ci.measure(mapwise, images, QUARTERS, ["NVSE"])["NVSE"]["1"]
    np.testing.assert_allclose(result["NVSE"]["mix"], want, rtol=1e-5, atol=1e-6)


def test_patches_that_no_convolution_made_lie_on_the_grid_of_their_image():
    def patches(x):  # (B, C, 8, 12) to (B, 24, 4 C)
        return x.unflatten(2, (4, 2)).unflatten(4, (6, 2)).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)

    network = seeded(Of(patches), nn.LayerNorm(12), nn.Linear(12, 5))
    layers = found(network, torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0)))
    assert [layer.shape for layer in layers.values()] == [(12, 4, 6), (12, 4, 6), (5, 4, 6)]


def test_tokens_after_a_convolution_of_neighbours_lie_on_its_grid():
    network = seeded(nn.Conv2d(3, 6, 3, padding=1), Of(lambda x: x.flatten(2).mT), nn.Linear(6, 4))
    assert [layer.shape for layer in found(network).values()] == [(6, 8, 8), (6, 8, 8), (4, 8, 8)]


def test_attention_between_the_tokens_of_a_grid_is_no_map():
    def attend(x):
        tokens = x.flatten(2).mT
        return (tokens @ tokens.mT).softmax(2)

    layers = found(seeded(nn.Conv2d(3, 8, 2, stride=2), Of(attend)))
    assert (layers["1"].shape, layers["1"].why) == ((16, 16), "both of its sides are tokens")


@pytest.mark.parametrize(
    "of_the_batch",
    [
        nn.GRU(16, 4),
        Of(lambda x: x.cumsum(0)),
        Of(lambda x: x.flip(0).cumsum(0)),
        Of(lambda x: x - x[:1]),
        Of(lambda x: x + torch.arange(len(x))[:, None]),
    ],
    ids=["time", "sum", "backwards", "first", "place"],
)
def test_a_network_whose_answer_depends_on_where_an_image_stands_is_refused(of_the_batch):
    network = seeded(nn.Conv2d(3, 4, 4, stride=4), nn.Flatten(), of_the_batch)
    with pytest.raises(InputError, match=r"layer 2.* gives an image other activations in a batch of other images"):
        ci.measure(network, pictures(), QUARTERS, ["NV"])


def test_a_network_may_change_its_images_in_place():
    class Normalised(nn.Module):
        def __init__(self, in_place):
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.in_place = nn.Conv2d(3, 2, 3), in_place

        def forward(self, x):
            return self.conv(x.sub_(0.5).div_(0.2) if self.in_place else (x - 0.5) / 0.2)

    images = pictures()
    plain, in_place = (ci.measure(Normalised(k).eval(), images, QUARTERS, ["NV", "SD"]) for k in (False, True))
    for name in plain.measures:
        np.testing.assert_array_equal(plain[name]["conv"], in_place[name]["conv"])
    assert torch.equal(images, pictures())


def test_what_is_random_now_and_then_is_refused():
    def flipped_now_and_then(x):
        return x.flip(3) if random.random() < 0.2 else x

    def of_the_range_of_the_batch(x):
        return x / x.max()

    random.seed(1)
    network = seeded(nn.Conv2d(3, 2, 3))
    with pytest.raises(InputError, match=r"transformation 1 of 2 \(flipped_now_and_then.* another image each time"):
        ci.measure(network, pictures(), [flipped_now_and_then, lambda x: -x], ["NV"])
    with pytest.raises(InputError, match=r"transformation 2 of 2 \(of_the_range.* another form in another batch"):
        ci.measure(network, pictures(), [lambda x: -x, of_the_range_of_the_batch], ["NV"])
    with pytest.raises(InputError, match=r"transformation 2 of 2 \(.*another form in another batch"):
        ci.measure(network, pictures(), [lambda x: -x, lambda x: x.cumsum(0)], ["NV"])
    now_and_then = seeded(nn.Conv2d(3, 2, 3), Of(lambda x: x * (random.random() < 0.8)))
    with pytest.raises(InputError, match=r"layer 1 .* something in it is random"):
        ci.measure(now_and_then, pictures(), QUARTERS, ["NV"])
    with pytest.warns(RandomNumbersWarning, match=r"Sequential draws random numbers, and its layers gave the same"):
        ci.measure(seeded(nn.Conv2d(3, 2, 3), Of(lambda x: x + 0 * torch.rand(1))), pictures(), QUARTERS, ["NV"])

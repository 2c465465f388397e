"""Which side of a tensor is what is found by experiment, or said not to be known; what is no layer is named."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import cnn_invariance as ci
from cnn_invariance.activations import look
from cnn_invariance.errors import InputError
from cnn_invariance.roles import run
from cnn_invariance.transformations import rotation
from helpers_networks import Of, pictures, seeded

QUARTERS = rotation(n=4, angle_deg=270)
"""Exact on square maps: what works pixel by pixel has no variance after they are undone."""


def shapes(network, **options):
    with torch.no_grad():
        return {layer.name: layer.shape for layer in look(network, pictures(), **options).layers}


def same_equivariance(network, images=None):
    return ci.measure(network, pictures() if images is None else images, QUARTERS, ["NVSE"])


@pytest.mark.parametrize("side", [3, 4, 8])
@pytest.mark.parametrize(
    "then",
    [
        nn.ReflectionPad2d(1),
        nn.AvgPool2d(1),
        nn.InstanceNorm2d(4),
        Of(lambda x: x.mul(2).contiguous()),
        Of(lambda x: x.to(memory_format=torch.channels_last)),
    ],
    ids=["pad", "pool", "norm", "copy", "last"],
)
def test_maps_stay_maps_after_features_last_layers(side, then):
    """A linear layer over the features of each pixel; channels, rows and columns may be as many."""
    network = seeded(
        nn.Conv2d(3, side, 1),
        Of(lambda x: x.permute(0, 2, 3, 1)),
        nn.Linear(side, 4),
        Of(lambda x: x.permute(0, 3, 1, 2)),
        then,
        nn.Tanh(),
    )
    result = same_equivariance(network, pictures(side=side))
    profile = result.profile("NVSE")
    assert len(profile) == len(result.layers)
    assert (profile["value"] < 1e-5).all()
    assert result.layers[2].shape == (4, side, side)


def test_turned_maps_are_seen_as_they_stand():
    """A convolution on the transposed image, whose output is features, columns, rows."""
    network = seeded(nn.Conv2d(3, 5, 1), Of(lambda x: x.transpose(2, 3)), nn.ReLU())
    images = torch.rand(5, 3, 6, 9)
    with torch.no_grad():
        found = look(network, images)
        seen, _ = run(network, images)
    role = found.roles["2"]
    ((_, maps),) = role.parts(seen["2"].tensor, 5)
    assert maps.shape == (5, 5, 6, 9)
    torch.testing.assert_close(maps, network[0](images).relu())


def test_the_matrices_of_attention_are_no_maps():
    def attend(x):
        tokens = x.flatten(2).transpose(1, 2).unflatten(2, (2, 4)).transpose(1, 2)  # (B, heads, T, 4)
        return (tokens @ tokens.transpose(2, 3)).softmax(3)

    network = seeded(nn.Conv2d(3, 8, 4, stride=4), Of(attend), nn.Dropout(0.5))
    result = same_equivariance(network, pictures(side=8))
    assert result.absent("NVSE").keys() == {"1", "2"}
    assert "grow with the image" in result.absent("NVSE")["1"] or "cannot be told" in result.absent("NVSE")["1"]


def test_sequences_first_are_tokens_of_each_image():
    network = seeded(nn.Conv2d(3, 6, 4, stride=4), Of(lambda x: x.flatten(2).permute(2, 0, 1)), nn.Linear(6, 5))
    mapwise = seeded(nn.Conv2d(3, 6, 4, stride=4), nn.Identity(), nn.Conv2d(6, 5, 1))
    mapwise[0].load_state_dict(network[0].state_dict())
    with torch.no_grad():
        mapwise[2].weight.copy_(network[2].weight[..., None, None])
        mapwise[2].bias.copy_(network[2].bias)
    images = pictures(20, side=16)
    names = ["NV", "NVSE", "ND", "DSES"]
    first, second = (ci.measure(one, images, QUARTERS, names) for one in (network, mapwise))
    for name in names:
        np.testing.assert_allclose(first[name]["2"], second[name]["2"], rtol=1e-5, atol=1e-6)


class Vision(nn.Module):
    """Patches, a token of the class, positions, and a layer over the features of each token."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 6, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 6))
        self.places = nn.Parameter(torch.randn(1, 17, 6))
        self.norm = nn.LayerNorm(6)
        self.mix = nn.Linear(6, 5)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], 1) + self.places
        return self.mix(self.norm(tokens))


def test_tokens_of_patches_are_maps_and_the_class_token_stands_apart():
    network, images = Vision().eval(), pictures(20, side=16)
    result = ci.measure(network, images, QUARTERS, ["NV", "NVSE"])
    found = {layer.name: layer.shape for layer in result.layers}
    assert found == {
        "patches": (6, 4, 4), "norm[class token]": (6,), "norm": (6, 4, 4), "mix[class token]": (5,), "mix": (5, 4, 4),
    }  # fmt: skip
    maps = network.patches(images) + network.places[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    assert maps.shape == (20, 6, 4, 4)

    class Maps(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches, self.last = network.patches, Of(self.mixed)

        def mixed(self, x):
            x = x + network.places[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
            return network.mix(network.norm(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)

        def forward(self, x):
            return self.last(self.patches(x))

    same = ci.measure(Maps().eval(), images, QUARTERS, ["NV", "NVSE"])
    for name in ("NV", "NVSE"):
        np.testing.assert_allclose(result[name]["mix"], same[name]["last"], rtol=1e-5, atol=1e-6)


def test_windows_that_lie_in_the_batch_belong_to_their_image():
    def windows(x):  # (B, C, 8, 8) to (B * 4, C, 4, 4)
        b, c = x.shape[:2]
        return x.view(b, c, 2, 4, 2, 4).permute(0, 2, 4, 1, 3, 5).reshape(b * 4, c, 4, 4)

    network = seeded(Of(windows), nn.Conv2d(3, 2, 3), nn.Flatten(1), Of(lambda x: x.view(-1, 4, 8).mean(1)))
    result = ci.measure(network, pictures(7), QUARTERS, ["NV", "NVSE"], tile=2)
    assert [layer.units for layer in result.layers] == [192, 4 * 8, 4 * 8, 8]
    assert result["NV"]["1"].size == 32
    assert "1" in result.absent("NVSE")


def test_entries_of_an_image_that_do_not_lie_together_are_no_layer():
    network = seeded(Of(lambda x: torch.cat([x, -x])), nn.ReLU(), Of(lambda x: x.view(2, -1, 3, 8, 8).sum(0)))
    result = ci.measure(network, pictures(), QUARTERS, ["NV"])
    assert [layer.name for layer in result.layers] == ["2"]
    assert result.skipped["1"] == "it holds several entries for each image, not one after the other"


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (Of(lambda x: torch.fft.fft2(x)), "its numbers are complex"),
        (Of(lambda x: x.argmax(1)), "its numbers are int64, not floating point"),
        (Of(lambda x: x.mean()), "it is one number for all images"),
        (Of(lambda x: x[0] * 0 + 1), "its size does not follow the number of images"),
        (Of(lambda x: {"name": "no tensor"}), "it returned no tensor: str"),
    ],
)
def test_what_is_no_layer_is_named_with_the_reason(odd, why):
    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.odd, self.last = odd, nn.Conv2d(3, 2, 1)

        def forward(self, x):
            self.odd(x)
            return self.last(x)

    result = ci.measure(Beside().eval(), pictures(), QUARTERS, ["NV"])
    assert [layer.name for layer in result.layers] == ["last"]
    (found,) = (reason for name, reason in result.skipped.items() if name.startswith("odd"))
    assert found in (why, "it returned no tensor: dict")
    assert "Beside" in result.skipped  # it hands on what `last` returned


@pytest.mark.parametrize(
    "wrap", [parametrizations.weight_norm, parametrizations.spectral_norm], ids=["weight", "spectral"]
)
def test_a_parametrised_module_is_a_layer(wrap):
    network = seeded(wrap(nn.Conv2d(3, 4, 3)), nn.ReLU()).eval()
    assert shapes(network) == {"0": (4, 6, 6), "1": (4, 6, 6)}


class Block(nn.Module):
    """A module with children that computes something itself, in the ways that there are."""

    def __init__(self, how):
        super().__init__()
        self.inner, self.how = nn.Conv2d(3, 3, 1), how

    def forward(self, x):
        return self.how(x, self.inner(x))


@pytest.mark.parametrize(
    ("how", "own"),
    [
        (lambda x, y: x + y, True),
        (lambda x, y: y.add_(x), True),
        (lambda x, y: F.relu(y), True),
        (lambda x, y: y, False),
        (lambda x, y: y.flatten(1), False),
        (lambda x, y: x, False),
    ],
    ids=["sum", "in place", "function", "child", "view", "input"],
)
def test_a_module_with_children_is_a_layer_where_it_computes(how, own):
    found = shapes(seeded(Block(how), nn.Identity()))
    assert list(found) == ["0.inner", *(["0"] if own else []), "1"]


@dataclass
class Output:
    maps: Tensor
    more: list


class Wrapped:
    """As the tensors of libraries for equivariant networks are."""

    def __init__(self, tensor):
        self.tensor = tensor


def test_tensors_in_data_classes_and_objects_are_layers():
    network = seeded(
        nn.Conv2d(3, 2, 1),
        Of(lambda x: Output(x + 1, [x.mean((2, 3))])),
        Of(lambda y: Wrapped(y.maps * 2)),
        Of(lambda w: w.tensor),
    )
    assert shapes(network) == {"0": (2, 8, 8), "1[maps]": (2, 8, 8), "1[more][0]": (2,), "2": (2, 8, 8), "3": (2, 8, 8)}


def test_layers_are_chosen_by_printed_names_patterns_and_classes():
    relu = nn.ReLU()
    network = seeded(nn.Conv2d(3, 3, 1), relu, nn.Conv2d(3, 3, 1), relu)
    assert list(shapes(network)) == ["0", "1", "2", "1#2"]
    assert list(shapes(network, layers="1#2")) == ["1#2"]
    assert list(shapes(network, layers=["1", "1#2"])) == ["1", "1#2"]
    assert list(shapes(network, layers=nn.Conv2d)) == ["0", "2"]
    assert list(shapes(network, layers=[nn.ReLU, "2"])) == ["1", "2", "1#2"]
    with pytest.raises(InputError, match=r"no module is a BatchNorm2d; there are: Conv2d, ReLU, Sequential"):
        shapes(network, layers=nn.BatchNorm2d)
    with pytest.raises(InputError, match="unknown layer '1#3'"):
        shapes(network, layers="1#3")


def test_modules_that_change_nothing_are_merged_on_request():
    network = seeded(nn.Conv2d(3, 3, 1), nn.Dropout(), nn.Identity(), nn.ReLU(), nn.ReLU(), nn.Flatten())
    images = pictures()
    whole = ci.measure(network, images, QUARTERS, ["NV"])
    merged = ci.measure(network, images, QUARTERS, ["NV"], merge=True)
    assert [layer.name for layer in merged.layers] == ["0", "3", "5"]
    assert merged.skipped["1"] == "it hands on what 0 returned, unchanged"
    for name, values in merged["NV"].items():
        np.testing.assert_array_equal(values, whole["NV"][name])


@pytest.mark.parametrize("inplace", [False, True])
def test_a_layer_that_works_in_place_changes_what_it_is_given(inplace):
    """What the layer before returned is overwritten by then, and would look alike."""
    network = seeded(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(inplace), nn.Dropout(), nn.Conv2d(4, 4, 1), nn.ReLU(inplace)
    )
    merged = ci.measure(network.eval(), pictures(), QUARTERS, ["NV"], merge=True)
    assert [layer.name for layer in merged.layers] == ["0", "1", "2", "4", "5"]
    assert merged.skipped["3"] == "it hands on what 2 returned, unchanged"


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (Of(lambda x: F.dropout(x, 0.5, training=True)), "something in it is random"),
        (Of(lambda x: x + torch.rand_like(x)), "something in it is random"),
        (nn.BatchNorm2d(4, track_running_stats=False), "in a batch of other images"),
        (Of(lambda x: x - x.mean(0)), "in a batch of other images"),
        (Of(lambda x: (x / x.abs().max() * 8).round()), "in a batch of other images"),
    ],
    ids=["dropout", "noise", "batch norm", "mean", "quantised"],
)
def test_a_network_that_is_no_function_of_an_image_is_refused_by_layer(layer, why):
    network = seeded(nn.Conv2d(3, 4, 3), layer, nn.Flatten())
    with pytest.raises(InputError, match=rf"layer 1 \(1: \w+\) gives .*{why}"):
        ci.measure(network, pictures(), QUARTERS, ["NV"])


def test_looking_leaves_the_network_as_it_was():
    """A larger image is shown to a copy alone: a table that a network makes once fits its own images."""

    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.table, self.sizes = nn.Conv2d(3, 2, 3), None, set()

        def forward(self, x):
            self.sizes.add(tuple(x.shape[2:]))
            self.table = torch.ones(x.shape[2] - 2) if self.table is None else self.table
            return self.conv(x) * self.table

    network = Table().eval()
    ci.measure(network, pictures(), QUARTERS, ["NV", "NVSE"])
    assert network.sizes == {(8, 8)}
    assert len(network.table) == 6
    assert not any(module._forward_hooks for module in network.modules())


def turned(x):
    return x.rot90(1, (2, 3))


def test_functions_that_are_no_fixed_map_are_refused_by_name():
    network, images = seeded(nn.Conv2d(3, 2, 3)), pictures()

    def jittered(x):
        return x + torch.rand(1)

    def of_the_batch(x):
        return x - x.mean(0)

    shared = torch.empty(1, 3, 8, 8)

    def into_one_buffer(x):
        global_buffer = shared.expand(len(x), -1, -1, -1).clone() if len(x) != 1 else shared
        return torch.add(x, 1, out=global_buffer)

    with pytest.raises(
        InputError, match=r"transformation 2 of 2 \(jittered, test_roles.py:\d+\) gives another image each"
    ):
        ci.measure(network, images, [turned, jittered], ["NV"])
    with pytest.raises(InputError, match=r"transformation 1 of 2 \(of_the_batch, .*another form in another batch"):
        ci.measure(network, images, [of_the_batch, turned], ["NV"])
    with pytest.raises(InputError, match=r"the 3 transformations \(<lambda>, .*are one map"):
        ci.measure(network, images, [lambda x: x * k for k in range(3)], ["NV"])  # noqa: B023
    buffered = ci.measure(network, images, [turned, into_one_buffer], ["TV"], tile=1)
    plain = ci.measure(network, images, [turned, lambda x: x + 1], ["TV"], tile=1)
    np.testing.assert_array_equal(buffered["TV"]["0"], plain["TV"]["0"])

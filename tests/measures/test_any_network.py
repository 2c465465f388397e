"""Networks, images and transformations of every kind that must be measurable."""

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

import cnn_invariance as ci
from cnn_invariance.measures import requests
from cnn_invariance.transformations import rotation
from helpers_measures import close, small_network, some_images

TURNS = rotation(n=3, angle_deg=180)


def images(N=6, C=1, H=6, W=6, seed=0):
    return torch.randn(N, C, H, W, generator=torch.Generator().manual_seed(seed))


def layer_names(result):
    return [layer.name for layer in result.layers]


def same(one, other, rtol=1e-5, atol=1e-6):
    """Two results hold the same values."""
    assert one.measures == other.measures
    for measure in one.measures:
        for layer, a, b in zip(one.layers, one.values[measure], other.values[measure], strict=True):
            close(a, b, f"{measure} of {layer.name}", rtol=rtol, atol=atol)


class Plain(nn.Module):
    """Layers outside of any container, and a function that is no layer."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(1, 3, 3, padding=1)
        self.unused = nn.Linear(2, 2)
        self.last = nn.Linear(3, 4)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)).mean((2, 3)))


class Residual(nn.Module):
    """The activation overwrites what the convolution returned."""

    def __init__(self, inplace):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.act = nn.ReLU(inplace=inplace)
        self.after = nn.Conv2d(2, 2, 1)

    def forward(self, x):
        y = self.act(self.conv(x))
        y += x
        return self.after(y)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.right = nn.Conv2d(1, 2, 3, padding=1)
        self.left = nn.Conv2d(1, 3, 1)
        self.relu = nn.ReLU()
        self.head = nn.Conv2d(5, 2, 1)

    def forward(self, x):
        return self.head(torch.cat([self.relu(self.left(x)), self.relu(self.right(x))], 1))


class Recurrent(nn.Module):
    def __init__(self, layers=1, bidirectional=False):
        super().__init__()
        torch.manual_seed(0)
        self.lstm = nn.LSTM(6, 4, num_layers=layers, bidirectional=bidirectional, batch_first=True)
        self.head = nn.Linear(8 if bidirectional else 4, 3)

    def forward(self, x):
        output, _ = self.lstm(x[:, 0])
        return self.head(output[:, -1])


class Named(nn.Module):
    """A dictionary, a nested tuple and things that are no activations."""

    def forward(self, x):
        return {"maps": x, "pair": (x.mean((2, 3)), [x.flatten(1)]), "size": len(x), "index": x.argmax(1), "none": None}


class Dictionary(nn.Module):
    def __init__(self):
        super().__init__()
        self.split = Named()
        self.head = nn.Identity()

    def forward(self, x):
        return self.head(self.split(x)["pair"][0])


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(1, 8, 2, stride=2)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.encoder(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


def test_plain_module_and_one_that_is_never_called():
    result = ci.measure(Plain().eval(), images(), TURNS)
    assert layer_names(result) == ["first", "last"]
    assert [layer.kind for layer in result.layers] == ["Conv2d", "Linear"]
    assert [layer.index for layer in result.layers] == [1, 2]
    assert [layer.shape for layer in result.layers] == [(3, 6, 6), (4,)]


def test_activations_are_seen_before_they_are_overwritten():
    results = [ci.measure(Residual(inplace).eval(), images(C=2), TURNS) for inplace in (True, False)]
    same(*results)
    assert not np.array_equal(results[0]["TV"]["conv"], results[0]["TV"]["act"])


def test_branches_and_a_shared_module_in_forward_order():
    network = Branches().eval()
    result = ci.measure(network, images(), TURNS, ["NV", "TV"])
    assert layer_names(result) == ["left", "relu", "right", "relu#2", "head"]
    left = ci.measure(nn.Sequential(network.left, nn.ReLU()).eval(), images(), TURNS, ["TV"])
    right = ci.measure(nn.Sequential(network.right, nn.ReLU()).eval(), images(), TURNS, ["TV"])
    close(result["TV"]["relu"], left["TV"]["1"], "first call", atol=1e-7)
    close(result["TV"]["relu#2"], right["TV"]["1"], "second call", atol=1e-7)


@pytest.mark.parametrize("tile", [1, 2, 3])
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (1, True), (2, True), (4, False), (5, False)])
def test_recurrent_network(layers, bidirectional, tile):
    """The state has the images as its second side, whatever the numbers of layers and of images are."""
    network = Recurrent(layers, bidirectional).eval()
    result = ci.measure(network, images(5), TURNS, ["NV"], tile=tile)
    assert layer_names(result) == ["lstm[0]", "lstm[1][0]", "lstm[1][1]", "head"]
    assert [layer.index for layer in result.layers] == [1, 2, 3, 4]
    assert result.layers[0].shape[-1] == (8 if bidirectional else 4) or result.layers[0].spatial
    assert result.layers[1].shape == (layers * (1 + bidirectional), 4)


def test_dictionaries_and_nested_tuples():
    result = ci.measure(Dictionary().eval(), images(), TURNS, ["TV", "NVSE"])
    assert layer_names(result) == ["split[maps]", "split[pair][0]", "split[pair][1][0]", "head"]
    np.testing.assert_allclose(result["TV"]["split[pair][1][0]"].reshape(1, 6, 6), result["TV"]["split[maps]"])
    assert list(result["NVSE"]) == ["split[maps]"]


@pytest.mark.parametrize(
    ("chosen", "want"),
    [
        ("left", ["left"]),
        (["relu", "head"], ["relu", "relu#2", "head"]),
        ("r*", ["relu", "right", "relu#2"]),
        (["right", "r[ei]*"], ["relu", "right", "relu#2"]),
        (lambda name, module: isinstance(module, nn.Conv2d), ["left", "right", "head"]),
    ],
)
def test_layer_filter(chosen, want):
    network = Branches().eval()
    assert layer_names(ci.measure(network, images(), TURNS, ["NV"], layers=chosen)) == want


def test_layer_filter_reaches_modules_with_children():
    block = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    network = nn.Sequential(block, nn.Flatten(), nn.Linear(32, 3)).eval()
    everything = ci.measure(network, images(), TURNS, ["TV"])
    result = ci.measure(network, images(), TURNS, ["TV"], layers=["0", "2"])
    assert layer_names(result) == ["0", "2"]
    assert [layer.kind for layer in result.layers] == ["Sequential", "Linear"]
    np.testing.assert_array_equal(result["TV"]["0"], everything["TV"]["0.1"])
    whole = ci.measure(network, images(), TURNS, ["TV"], layers="Sequential")
    np.testing.assert_array_equal(whole["TV"]["Sequential"], everything["TV"]["2"])


def test_tokens_without_a_grid_have_no_same_equivariance():
    """What attention gives mixes all tokens; what is added to the tokens of patches still lies on their grid."""
    result = ci.measure(Tokens().eval(), images(), TURNS, ["NV", "NVSE", "DSES", "ND"])
    tokens = [layer.name for layer in result.layers if len(layer.shape) == 2]
    assert tokens
    assert all("no grid is seen" in result.absent("NVSE")[name] for name in tokens)
    assert {layer.name for layer in result.layers if layer.spatial} >= {"patches", "encoder.norm1", "encoder.norm2"}
    assert result.profile("NV")["layer"].tolist() == layer_names(result)
    frame = result.to_frame().set_index("layer")
    assert frame.loc[[*tokens, "head"], ["NVSE", "DSES"]].isna().all(axis=None)
    assert frame.loc[["patches", "encoder.norm2"], ["NVSE", "DSES"]].notna().all(axis=None)
    assert frame["NV"].notna().all()


def test_channels_last_inputs():
    same(*(ci.measure(small_network(), x, TURNS) for x in (last(some_images()), some_images())))


def last(x):
    return x.contiguous(memory_format=torch.channels_last)


def test_a_network_that_needs_contiguous_feature_maps():
    """``Tensor.view`` refuses channels last."""

    class View(nn.Module):
        def __init__(self, flatten):
            super().__init__()
            torch.manual_seed(0)
            self.conv = nn.Conv2d(3, 4, 3)
            self.dense = nn.Linear(64, 3)
            self.flatten = flatten

        def forward(self, x):
            return self.dense(self.flatten(self.conv(x)))

    views = [lambda x: x.view(len(x), -1), lambda x: x.flatten(1)]
    same(*(ci.measure(View(view).eval(), images(C=3), TURNS) for view in views))


def test_half_precision_images():
    half = images().half()
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ELU()).eval()
    requests = ["NV", "NVSE", "SD", "DSES"]
    same(ci.measure(network, half, TURNS, requests), ci.measure(network, half.float(), TURNS, requests))


def test_double_precision_network_keeps_its_precision():
    """Activations 1 + 1e-9 x: float32 would see a constant before the last layer scales it up."""

    class Tiny(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Parameter(torch.ones((), dtype=torch.float64))

        def forward(self, x):
            return (self.one + 1e-9 * x - 1) * 1e9

    x = images()
    result = ci.measure(nn.Sequential(Tiny()).eval(), x, TURNS, ["NV"])
    plain = ci.measure(nn.Sequential(nn.Identity()).eval(), x, TURNS, ["NV"])
    same(result, plain, rtol=1e-4)


def test_bfloat16_forward_is_close_and_not_the_same():
    requests = ["TV", "SV", "NVSE"]
    network = small_network().float()
    exact = ci.measure(network, some_images().float(), TURNS, requests)
    rough = ci.measure(network, some_images().float(), TURNS, requests, precision="bf16")
    assert rough.info["precision"] == "bf16"
    for measure in ("TV", "SV"):
        difference = np.abs(exact.profile(measure)["value"] / rough.profile(measure)["value"] - 1)
        assert difference.max() < 0.05  # layer 3 has a map at -100
        assert difference.max() > 1e-5


def test_maps_of_one_pixel():
    """On a 1 x 1 map every transformation moves nothing: same-equivariance is invariance there."""
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 3, 1)).eval()
    result = ci.measure(network, images(), rotation(n=5, angle_deg=180), ["NV", "NVSE", "NV[aggregate=mean]"])
    for layer in ("1", "2"):
        close(result["NVSE"][layer], result["NV"][layer], layer)
        close(result["NV[aggregate=mean]"][layer], result["NV"][layer][:, 0, 0], layer)


def test_non_square_images():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2)).eval()
    result = ci.measure(network, images(H=8, W=12), TURNS, ["NVSE"])
    assert [layer.shape for layer in result.layers] == [(2, 6, 10), (2, 3, 5)]
    assert result["NVSE"]["1"].shape == (2, 3, 5)


def test_torchvision_resnet18():
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=5).eval()
    labels = torch.arange(3)
    result = ci.measure(network, images(3, C=3, H=32, W=32), TURNS, ["NV", "NVSE"], labels)
    assert len(result.layers) == 60  # 20 convolutions, 20 norms, 17 calls of a ReLU, 2 poolings, dense
    assert "layer1.0.relu#2" in layer_names(result)
    assert result.accuracy.shape == (3,)
    assert np.isfinite(result.profile("NV")["value"]).all()


def test_callables_are_transformations():
    turns = [lambda x, k=k: x.rot90(k, (2, 3)) for k in range(4)]
    requests = ["TV", "SV", "NV", "TD", "SD", "ANOVA_F", "Goodfellow[alpha=0.7]"]
    network = small_network(1)
    network[6] = nn.Linear(19 * 9, 7).double().eval()
    x = images(9).double()
    result = ci.measure(network, x, turns, requests, tile=4)
    affine = ci.measure(network, x, rotation(n=4, angle_deg=270), requests, tile=4)
    for measure in result.measures:
        for layer, a, b in zip(result.layers, result.values[measure], affine.values[measure], strict=True):
            close(a, b, f"{measure} of {layer.name}", rtol=1e-3, atol=1e-4)
    assert len(result.transformations) == 4
    assert result.transformations[0] == "<lambda>"


@pytest.mark.parametrize("kept", [True, False], ids=["with identity", "without identity"])
def test_goodfellow_looks_at_untransformed_samples(kept):
    """Its threshold and global rate do not depend on what the transformations are."""
    flips = [lambda x: x.flip(3), lambda x: x.flip(2)]
    members = [lambda x: x, *flips] if kept else flips
    network = nn.Sequential(nn.Conv2d(1, 3, 3)).eval()
    result = ci.measure(network, images(50), members, ["Goodfellow_G[alpha=0.9]", "Goodfellow_L[alpha=0.9]"], tile=8)
    still = ci.measure(network, images(50), [lambda x: x, lambda x: -x], ["Goodfellow_G[alpha=0.9]"])
    np.testing.assert_array_equal(result["Goodfellow_G[alpha=0.9]"]["0"], still["Goodfellow_G[alpha=0.9]"]["0"])
    assert result["Goodfellow_G[alpha=0.9]"]["0"].mean() > 0.02


def test_a_callable_may_work_in_place():
    members = [lambda x: x.mul_(2), lambda x: x.add_(1)]
    pure = [lambda x: x * 2, lambda x: x + 1]
    network = nn.Sequential(nn.Conv2d(1, 2, 3)).eval()
    x = images()
    before = x.clone()
    same(*(ci.measure(network, x, kind, ["TV", "Goodfellow_L[alpha=0.7]"]) for kind in (members, pure)))
    assert torch.equal(x, before)


def test_same_equivariance_is_not_among_the_defaults_of_callables():
    network = nn.Sequential(nn.Conv2d(1, 2, 3)).eval()
    result = ci.measure(network, images(), [lambda x: x, lambda x: -x])
    names = {requests.check(measure).name for measure in result.measures}
    assert "NV" in names
    assert not [name for name in names if name.endswith("SE") or name == "DSES"]


class Pairs(torch.utils.data.Dataset):
    def __init__(self, x, labels):
        self.x, self.labels = x, labels

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], int(self.labels[index])


def test_map_style_dataset_with_labels():
    network = nn.Sequential(nn.Flatten(), nn.Linear(36, 3)).eval()
    x, labels = images(12), torch.arange(12) % 3
    whole = ci.measure(network, x, TURNS, ["NV", "SD"], labels, tile=5)
    pairs = ci.measure(network, Pairs(x, labels), TURNS, ["NV", "SD"], tile=5)
    same(whole, pairs)
    np.testing.assert_array_equal(whole.accuracy, pairs.accuracy)
    other = ci.measure(network, Pairs(x, labels), TURNS, ["NV"], torch.zeros(12, dtype=torch.int64))
    assert not np.array_equal(other.accuracy, pairs.accuracy)  # given labels come before the dataset's
    assert ci.measure(network, list(x), TURNS, ["NV"]).accuracy is None

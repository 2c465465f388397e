"""Networks of torchvision and timm, of tokens and of features last, and pretrained weights."""

import sys

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

import cnn_invariance as ci
from cnn_invariance import activations, models
from cnn_invariance.errors import InputError
from cnn_invariance.transformations import rotation

TURNS = rotation(n=3, angle_deg=180)
X = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def measured(model, requests=("NV", "NVSE"), **options):
    return ci.measure(model.eval(), X, TURNS, list(requests), **options)


def small_transformer():
    torch.manual_seed(0)
    return torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5)


# ---- tokens ----


def test_tokens_of_a_vision_transformer_are_maps_or_said_to_be_none():
    result = measured(small_transformer())
    shapes = {layer.name: layer.shape for layer in result.layers}
    first = "encoder.layers.encoder_layer_0.ln_1"
    assert (shapes[first], shapes[f"{first}[class token]"]) == ((16, 4, 4), (16,))  # tokens of patches are maps
    absent = result.absent("NVSE")
    assert absent.keys() == {layer.name for layer in result.layers if not layer.spatial}
    assert absent["heads.head"] == "units, not feature maps: nothing to undo a transformation on"
    assert all("nothing to undo a transformation on" in reason for reason in absent.values())
    assert result.absent("NV") == {}
    table = result.profiles()
    rows = table[table["measure"] == "NVSE"]
    assert rows["value"].isna().tolist() == [not layer.spatial for layer in result.layers]
    assert rows["absent"].tolist() == [absent.get(layer.name, "") for layer in result.layers]


class Encoder(nn.Module):
    """Patches as tokens, through layers that have a fast path around their modules."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.encoder(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


def test_transformer_layers_show_their_modules_as_without_the_fast_path():
    model = Encoder().eval()
    assert torch.backends.mha.get_fastpath_enabled()
    result = measured(model, ["TV"])
    assert torch.backends.mha.get_fastpath_enabled()
    inside = ["self_attn[0]", "dropout1", "norm1", "linear1", "dropout", "linear2", "dropout2", "norm2"]
    names = [f"encoder.layers.{k}.{name}" for k in (0, 1) for name in inside]
    assert [layer.name for layer in result.layers] == ["patches", *names, "head"]
    model.train()
    for module in model.modules():  # the layers run module by module in training; without dropout to the same values
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    kept = {}
    attention = model.encoder.layers[1].self_attn
    attention.dropout = model.encoder.layers[0].self_attn.dropout = 0.0
    handle = attention.register_forward_hook(lambda module, _, output: kept.update(out=output[0]))
    with torch.no_grad():
        model(X)
    handle.remove()
    seen = {}
    see = lambda name, _, x: seen.update({name: x})  # noqa: E731
    with torch.no_grad(), activations.observe(model.eval(), activations.look(model, X).roles, 4, see):
        model(X)
    tokens = seen["encoder.layers.1.self_attn[0]"]
    tokens = tokens.flatten(2).transpose(1, 2) if tokens.ndim == 4 else tokens
    torch.testing.assert_close(tokens, kept["out"])


def test_a_filter_sees_the_same_as_without_it():
    whole, part = measured(Encoder(), ["TV"]), measured(Encoder(), ["TV"], layers="head")
    np.testing.assert_array_equal(part["TV"]["head"], whole["TV"]["head"])


def test_attention_weights_are_a_layer_where_they_are_asked_for():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            tokens = x.flatten(2)[..., :8]
            return self.attention(tokens, tokens, tokens)[0].mean(1)

    shapes = {layer.name: layer.shape for layer in measured(Attention()).layers}
    assert shapes == {"attention[0]": (3, 8), "attention[1]": (3, 3), "Attention": (8,)}


def test_heads_between_tokens_are_no_feature_maps():
    model = timm.create_model("test_vit3", img_size=32, num_classes=3)
    result = measured(model)
    shapes = {layer.name: layer.shape for layer in result.layers}
    assert shapes["blocks.0.attn.q_norm"] == (3 * 5, 32)  # heads x tokens
    assert "blocks.0.attn.q_norm" in result.absent("NVSE")


# ---- features last ----


class Last(nn.Module):
    """What ConvNeXt does: linear layers on (B, H, W, C) between convolutions."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 5, stride=4)
        self.turn = torchvision.ops.Permute([0, 2, 3, 1])
        self.dense = nn.Linear(4, 6)
        self.act = nn.GELU()
        self.back = torchvision.ops.Permute([0, 3, 1, 2])
        self.after = nn.Conv2d(6, 2, 1)

    def forward(self, x):
        return self.after(self.back(self.act(self.dense(self.turn(self.conv(x))))))


class First(nn.Module):
    """The same network with a convolution of one pixel for the linear layer."""

    def __init__(self, other):
        super().__init__()
        self.conv, self.act, self.after = other.conv, nn.GELU(), other.after
        self.dense = nn.Conv2d(4, 6, 1)
        with torch.no_grad():
            self.dense.weight.copy_(other.dense.weight[..., None, None])
            self.dense.bias.copy_(other.dense.bias)

    def forward(self, x):
        return self.after(self.act(self.dense(self.conv(x))))


@pytest.mark.parametrize("layers", [None, ["act", "dense"], "act"])
def test_features_last_are_measured_as_features_first(layers):
    last = Last()
    requests = ["NV", "NVSE", "NVSE[aggregate=mean]"]
    one, other = (measured(model, requests, layers=layers) for model in (last, First(last)))
    for request in requests:
        for name, values in other[request].items():
            np.testing.assert_allclose(one[request][name], values, rtol=1e-3, err_msg=f"{request} of {name}")
    shapes = {layer.name: layer.shape for layer in one.layers}
    assert shapes["act"] == (6, 7, 7)
    if layers is None:
        assert (shapes["turn"], shapes["back"]) == ((4, 7, 7), (6, 7, 7))


@pytest.mark.parametrize("name", ["test_convnext", "test_mambaout", "test_efficientnet_ln"])
def test_feature_maps_of_timm_are_square_for_square_images(name):
    result = ci.measure(timm.create_model(name, num_classes=3).eval(), torch.rand(2, 3, 64, 64), TURNS, ["NV"])
    maps = [layer for layer in result.layers if layer.spatial]
    assert len(maps) > 30
    assert all(layer.shape[1] == layer.shape[2] for layer in maps)


# ---- timm ----


def test_networks_of_timm_are_found_by_name():
    model = models.build("timm:test_resnet", (1, 32, 32), 7)
    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("timm:test_resnett", {}, "unknown timm model 'test_resnett'; did you mean 'test_resnet'"),
        ("timm:test_resnet", {"depth": 1}, r"timm:test_resnet refuses \{'depth': 1\}: .*depth"),
        ("timm:vit_tiny_patch16_224", {}, r"does not take samples of shape \(3, 32, 32\)"),
    ],
)
def test_networks_of_timm_that_do_not_fit_are_refused(name, arguments, message):
    with pytest.raises(InputError, match=message):
        models.build(name, (3, 32, 32), 5, **arguments)


def test_without_timm_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"needs the package timm, .*pip install timm"):
        models.build("timm:resnet18", (3, 32, 32), 5)


# ---- weights ----


def network(width=4, classes=3):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width * 900, classes))


@pytest.fixture
def saved(tmp_path):
    model = network()
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    return model, tmp_path / "w.safetensors"


def test_weights_take_the_place_of_random_ones(saved):
    model, other = saved[0], network()
    assert models.load_weights(other, saved[1]) == []
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_a_last_layer_for_other_classes_stays_random(saved):
    other = network(classes=5)
    before = other[3].weight.clone()
    assert models.load_weights(other, saved[1]) == ["3.bias", "3.weight"]
    assert torch.equal(other[3].weight, before)
    assert torch.equal(other[0].weight, saved[0][0].weight)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (network(width=5), r"'0\.bias' is \(4,\) there and \(5,\) in the network; give the arguments"),
        (nn.Sequential(*network()[:3]), r"unknown tensor '3\.bias'"),
        (nn.Sequential(*network(), nn.Linear(3, 2)), r"lacks 2 tensors, the first '4\.bias'"),
    ],
)
def test_weights_that_do_not_fit_are_refused(saved, other, message):
    with pytest.raises(InputError, match=message):
        models.load_weights(other, saved[1])


def test_files_that_hold_no_weights(tmp_path):
    torch.save(network().state_dict(), tmp_path / "w.pth")
    with pytest.raises(
        InputError, match=r"files of torch\.save hold code .*save_file \(docs/extending\.md shows the line\)"
    ):
        models.load_weights(network(), tmp_path / "w.pth")
    (tmp_path / "w.safetensors").write_bytes(b"short")
    with pytest.raises(InputError, match=r"cannot be read as a safetensors file .*download or write it again"):
        models.load_weights(network(), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"no file .*absent\.safetensors of weights"):
        models.load_weights(network(), tmp_path / "absent.safetensors")

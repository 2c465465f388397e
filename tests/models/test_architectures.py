"""The networks, layer by layer, against those of the author's code."""

from itertools import pairwise

import pytest
import torch
from torch import nn

import cnn_invariance as ci
from cnn_invariance import activations, models
from cnn_invariance.errors import InputError
from cnn_invariance.models.layers import ELU
from cnn_invariance.transformations import sets, transform_all

SHAPES = [(1, 28, 28), (3, 32, 32)]
SMALL = {"width": 4}  # where the width does not matter


def leaves(model: nn.Module) -> dict[str, nn.Module]:
    return {name: m for name, m in model.named_modules() if next(m.children(), None) is None}


def kinds(model: nn.Module) -> str:
    short = {
        "Conv2d": "C", "ELU": "a", "ReLU": "a", "PReLU": "a", "Tanh": "a", "Sigmoid": "a", "MaxPool2d": "P",
        "BatchNorm2d": "N", "BatchNorm1d": "N", "Flatten": "F", "Dropout": "X", "Linear": "D",
        "LogSoftmax": "L", "GlobalMean": "M", "Add": "+",
        "PathConv": "C", "PathMaxPool": "T",
    }  # fmt: skip
    return "".join(short[type(module).__name__] for module in leaves(model).values())


def filters(model: nn.Module) -> list[tuple[int, int, int]]:
    convolutions = [m for m in leaves(model).values() if isinstance(m, nn.Conv2d)]
    return [(m.out_channels, m.kernel_size[0], m.stride[0]) for m in convolutions]


def dense(model: nn.Module) -> list[int]:
    return [m.out_features for m in leaves(model).values() if isinstance(m, nn.Linear)]


@pytest.mark.parametrize(
    ("name", "expected", "layers"),
    [
        ("SimpleConv", "CaCaP CaCaP Ca FDaDL", 17),
        ("AllConvolutional", "CaCaCaCaCaCaCaCa C M L", 19),
        ("VGG16D", "CaCaP CaCaP CaCaCaP CaCaCaP F XDa XDa D L", 33),
        ("TIPoolingSimpleConv", "CaCaP CaCaP Ca FTDaDL", 18),
        ("ResNet18", "Ca" + "CaC+a" * 2 + "CaCC+aCaC+a" * 3 + "M D L", 48),
    ],
)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_observed_layers_are_the_author_s_in_forward_order(
    name: str, expected: str, layers: int, shape: tuple[int, int, int]
) -> None:
    model = models.build(name, shape, 10, **SMALL)
    assert kinds(model) == expected.replace(" ", "")
    observed, output = activations.find_layers(model.eval(), torch.randn(2, *shape))
    assert [layer.name for layer in observed] == list(leaves(model))
    assert len(observed) == layers
    assert output.shape == (3, 10)


@pytest.mark.parametrize("name", models.names())
def test_the_output_is_log_probabilities(name: str) -> None:
    output = models.build(name, (3, 32, 32), 7, **SMALL).eval()(torch.randn(4, 3, 32, 32))
    assert output.shape == (4, 7)
    torch.testing.assert_close(output.exp().sum(dim=1), torch.ones(4))


def test_simple_conv_has_the_author_s_widths() -> None:
    model = models.build("SimpleConv", (1, 28, 28), 10, width=5, dense=11)
    assert filters(model) == [(5, 3, 1), (5, 3, 1), (10, 3, 1), (10, 3, 1), (20, 3, 1)]
    assert dense(model) == [11, 10]
    assert models.defaults("SimpleConv")["width"] == 32
    assert models.defaults("SimpleConv")["dense"] == 64


def test_all_convolutional_has_the_author_s_widths() -> None:
    model = models.build("AllConvolutional", (1, 28, 28), 10, width=5)
    first = [(5, 3, 1), (5, 3, 1), (5, 3, 2), (10, 3, 1), (10, 3, 1), (10, 3, 2)]
    assert filters(model) == [*first, (10, 3, 1), (10, 1, 1), (10, 1, 1)]
    assert dense(model) == []


def test_vgg16d_has_the_author_s_widths_and_dropout() -> None:
    model = models.build("VGG16D", (1, 28, 28), 10, width=5, dense=11)
    assert [f for f, _, _ in filters(model)] == [5] * 2 + [10] * 2 + [20] * 3 + [40] * 3
    assert dense(model) == [11, 11, 10]
    assert [m.p for m in leaves(model).values() if isinstance(m, nn.Dropout)] == [0.5, 0.5]
    kept = (nn.ELU, nn.ReLU, nn.LogSoftmax)
    activation = [type(m).__name__ for m in leaves(model).values() if isinstance(m, kept)]
    assert activation == ["ELU"] * 10 + ["ReLU"] * 2 + ["LogSoftmax"]


def test_resnet18_has_the_author_s_stages() -> None:
    model = models.build("ResNet18", (3, 32, 32), 10)
    stages = {name: (m.out_channels, m.stride[0]) for name, m in leaves(model).items() if name.endswith("shortcut")}
    assert stages == {
        "block2_1.shortcut": (128, 2),
        "block3_1.shortcut": (256, 2),
        "block4_1.shortcut": (512, 2),
    }
    assert [f for f, k, _ in filters(model) if k == 3] == [64] * 5 + [128] * 4 + [256] * 4 + [512] * 4
    assert all(m.bias is None for m in leaves(model).values() if isinstance(m, nn.Conv2d))


def test_a_residual_block_adds_its_input_before_the_activation() -> None:
    model = models.build("ResNet18", (1, 8, 8), 3, width=4)
    block = model.get_submodule("block1_1")
    x = torch.randn(2, 4, 8, 8)
    main = block.conv2(block.act1(block.conv1(x)))
    torch.testing.assert_close(block(x), nn.functional.elu(main + x))


def shapes(model: nn.Module, size: int = 28) -> dict[str, tuple[int, ...]]:
    layers, _ = activations.find_layers(model.eval(), torch.zeros(2, 1, size, size))
    return {layer.name: layer.shape for layer in layers}


@pytest.mark.parametrize(("size", "before", "after"), [(28, 7, 9), (32, 8, 10)])
def test_the_maps_of_all_convolutional_grow_by_its_1x1_convolution(size: int, before: int, after: int) -> None:
    found = shapes(models.build("AllConvolutional", (1, size, size), 10, **SMALL), size)
    assert found["conv7"] == found["act7"] == (8, before, before)
    assert found["conv8"] == found["act8"] == (8, after, after)
    assert found["conv9"] == (10, after, after)
    assert found["mean"] == (10,)
    assert models.defaults("AllConvolutional")["padding_1x1"] == 1


def test_without_its_padding_the_1x1_convolution_keeps_the_size() -> None:
    found = shapes(models.build("AllConvolutional", (1, 28, 28), 10, padding_1x1=0, **SMALL))
    assert found["conv7"][1:] == found["conv8"][1:] == found["conv9"][1:] == (7, 7)
    with pytest.raises(InputError, match=r"unknown padding_1x1 of AllConvolutional 2; allowed: 0, 1"):
        models.build("AllConvolutional", (1, 28, 28), 10, padding_1x1=2)


def test_every_spatial_size_is_that_of_same_padding() -> None:
    for name in models.names():
        same = {"padding_1x1": 0} if name == "AllConvolutional" else {}
        model = models.build(name, (1, 28, 28), 10, **SMALL, **same)
        sizes = [shape[1] for shape in shapes(model).values() if len(shape) == 3]
        assert sizes[0] == 28
        allowed = {14: 28, 7: 14, 4: 7, 3: 7, 1: 3}
        assert all(b == a or allowed[b] == a for a, b in pairwise(sizes)), (name, sizes)


@pytest.mark.parametrize(
    "variant",
    [
        {"batch_norm": True},
        {"activation": "relu"},
        {"activation": "prelu"},
        {"activation": "tanh"},
        {"activation": "sigmoid"},
        {"kernel": 5},
        {"kernel": 7},
        {"pooling": "stride"},
        {"pooling": "stride", "kernel": 7, "batch_norm": True, "activation": "tanh"},
    ],
)
@pytest.mark.parametrize("shape", [*SHAPES, (1, 13, 18)])
def test_every_variant_of_simple_conv_runs(variant: dict[str, object], shape: tuple[int, int, int]) -> None:
    model = models.build("SimpleConv", shape, 10, width=4, dense=8, **variant)
    model(torch.randn(2, *shape)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_batch_normalisation_of_simple_conv_is_where_the_author_has_it() -> None:
    model = models.build("SimpleConv", (1, 28, 28), 10, batch_norm=True, **SMALL)
    assert kinds(model) == "CNaCNaPCNaCNaPCNaFDNaDL"


def test_batch_normalisation_of_vgg16d_follows_the_activation_unless_it_is_to_come_first() -> None:
    model = models.build("VGG16D", (1, 28, 28), 10, batch_norm=True, **SMALL)
    assert kinds(model) == "CaNCaNPCaNCaNPCaNCaNCaNPCaNCaNCaNPFXDaXDaDL"
    assert len(shapes(model)) == 43
    other = models.build("VGG16D", (1, 28, 28), 10, batch_norm=True, norm_after_activation=False, **SMALL)
    assert kinds(other) == "CNaCNaPCNaCNaPCNaCNaCNaPCNaCNaCNaPFXDaXDaDL"
    assert {name: value.shape for name, value in other.state_dict().items()} == {
        name: value.shape for name, value in model.state_dict().items()
    }
    plain = models.build("VGG16D", (1, 28, 28), 10, norm_after_activation=False, **SMALL)
    assert kinds(plain) == "CaCaPCaCaPCaCaCaPCaCaCaPFXDaXDaDL"


def test_the_batch_normalisation_of_vgg16d_normalises_the_output_of_the_activation() -> None:
    model = models.build("VGG16D", (1, 28, 28), 10, batch_norm=True, **SMALL).train()
    first = model[:3](torch.randn(50, 1, 28, 28))
    torch.testing.assert_close(first.mean((0, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(first.std((0, 2, 3), correction=0), torch.ones(4), atol=1e-2, rtol=0)


def test_batch_normalisation_of_resnet18_follows_each_convolution() -> None:
    model = models.build("ResNet18", (1, 28, 28), 10, batch_norm=True, **SMALL)
    assert kinds(model) == "CNa" + "CNaCN+a" * 2 + "CNaCNCN+aCNaCN+a" * 3 + "MDL"
    observed, _ = activations.find_layers(model.eval(), torch.zeros(2, 1, 28, 28))
    assert [layer.name for layer in observed] == list(leaves(model))


def test_larger_kernels_leave_the_last_convolution_and_the_pooling() -> None:
    model = models.build("SimpleConv", (1, 28, 28), 10, width=4, kernel=7, pooling="stride")
    assert filters(model) == [
        (4, 7, 1), (4, 7, 1), (4, 3, 2), (8, 7, 1), (8, 7, 1), (8, 3, 2), (16, 3, 1),
    ]  # fmt: skip
    assert kinds(model) == "CaCaCCaCaCCaFDaDL"  # no activation after a pooling convolution


@pytest.mark.parametrize(
    ("activation", "kind"),
    [("elu", ELU), ("relu", nn.ReLU), ("prelu", nn.PReLU), ("tanh", nn.Tanh), ("sigmoid", nn.Sigmoid)],
)
def test_the_activation_is_the_one_asked_for(activation: str, kind: type[nn.Module]) -> None:
    model = models.build("SimpleConv", (1, 28, 28), 10, activation=activation, **SMALL)
    acts = [m for name, m in leaves(model).items() if name.startswith("act")]
    assert len(acts) == 6
    assert all(type(act) is kind for act in acts)


@pytest.mark.parametrize(("name", "least"), [("SimpleConv", 4), ("VGG16D", 16)])
def test_images_that_a_pooling_would_erase_are_refused(name: str, least: int) -> None:
    models.build(name, (1, least, least), 3)
    with pytest.raises(InputError, match=rf"at least {least} x {least} .* received {least - 1} x"):
        models.build(name, (1, least - 1, least), 3)


@pytest.mark.parametrize("name", models.names())
def test_weights_depend_on_the_global_generator_alone(name: str) -> None:
    built = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        built.append(models.build(name, (1, 28, 28), 10, **SMALL).state_dict())
    assert all(torch.equal(built[0][key], built[1][key]) for key in built[0])
    assert any(not torch.equal(built[0][key], built[2][key]) for key in built[0])


def test_ti_pooling_has_the_author_s_widths_and_shared_weights() -> None:
    model = models.build(
        "TIPoolingSimpleConv", (1, 28, 28), 10, width=5, dense=11, transformations="rotation[n=4,closed=false]"
    )
    assert filters(model) == [(5, 3, 1), (5, 3, 1), (10, 3, 1), (10, 3, 1), (20, 3, 1)]
    assert dense(model) == [11, 10]
    plain = models.build("SimpleConv", (1, 28, 28), 10, width=5, dense=11)
    assert {n: p.shape for n, p in model.named_parameters()} == {n: p.shape for n, p in plain.named_parameters()}
    assert models.defaults("TIPoolingSimpleConv") == {"width": 16, "dense": 64, "transformations": "rotation"}


def test_ti_pooling_is_the_maximum_over_paths_that_simple_conv_would_take() -> None:
    model = models.build("TIPoolingSimpleConv", (3, 12, 13), 5, width=2, dense=7, transformations="translation[n=1]")
    plain = models.build("SimpleConv", (3, 12, 13), 5, width=2, dense=7)
    plain.load_state_dict(model.state_dict())
    images = torch.randn(4, 3, 12, 13)
    paths = [
        plain[: list(plain._modules).index("flatten") + 1](moved)
        for moved in transform_all(images, sets.translation(n=1).matrices)
    ]
    features = torch.stack(paths).amax(dim=0)
    rest = plain[list(plain._modules).index("dense1") :]
    torch.testing.assert_close(model(images), rest(features))


def test_ti_pooling_over_a_group_is_invariant_after_the_pooling() -> None:
    """Quarter turns of square images permute the paths: invariant to them, and not before the pooling."""
    text = "rotation[n=4,closed=false]"
    model = models.build("TIPoolingSimpleConv", (1, 16, 16), 10, width=4, dense=8, transformations=text).eval()
    result = ci.measure(model, torch.randn(40, 1, 16, 16), sets.parse(text), ["NV"])
    profile = result.profile("NV").set_index("layer")["value"]
    assert profile["act5"] > 0.5
    assert (profile[["ti_pool", "dense1", "dense2", "log_softmax"]] < 1e-4).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_elu_is_torchs_but_for_rounding(dtype: torch.dtype) -> None:
    special = torch.tensor([0.0, -0.0, 1e-9, -1e-9, -1e-4, 100, -100, torch.inf, -torch.inf])
    x = torch.cat([torch.randn(1000) * 3, special]).to(dtype).requires_grad_()
    again = x.detach().clone().requires_grad_()
    ours, theirs = ELU()(x), nn.functional.elu(again)
    tolerance = {torch.float32: 6e-8, torch.float64: 2e-16, torch.bfloat16: 8e-3}[dtype]
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    ours.sum().backward()
    theirs.sum().backward()
    torch.testing.assert_close(x.grad, again.grad, rtol=2 * tolerance, atol=2 * tolerance)
    assert ours.dtype == dtype


def test_elu_keeps_nan_and_the_memory_format() -> None:
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    x[0, 0, 0, 0] = torch.nan
    y = ELU()(x)
    assert y.isnan().sum() == 1
    assert y.is_contiguous(memory_format=torch.channels_last)

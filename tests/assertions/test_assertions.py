"""``assert_equivariant`` and ``assert_invariant``: exact networks pass, planted errors are found and named."""

import re

import pytest
import torch
from torch import nn

import cnn_invariance as ci
from cnn_invariance.errors import InputError
from cnn_invariance.transformations import AffineSet
from cnn_invariance.transformations.warp import transform_all
from helpers_assertions import (
    EQUIVARIANT,
    FLIPS,
    INVARIANT,
    NOT_EQUIVARIANT,
    NOT_INVARIANT,
    SHIFTS,
    TURNS,
    Fn,
    circular,
    mean_of,
)

FOUND = re.compile(r"deviates by (\S+) of the largest activation of the layer \((\S+)\)")


def images(count=5, seed=0, **kind):
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed)).to(**kind)


def made(build):
    torch.manual_seed(1)
    return build().eval()


def moved(transformations, batch):
    if isinstance(transformations, AffineSet):
        return list(transform_all(batch, transformations.matrices))
    return [one(batch.clone()) for one in transformations]


def output_of(network, layer, batch):
    """What a layer gives, by a plain hook."""
    seen = []
    module = dict(network.named_modules()).get(layer, network)
    handle = module.register_forward_hook(lambda module, given, output: seen.append(output.detach().clone()))
    with torch.no_grad():
        network(batch)
    handle.remove()
    return seen[0]


def deviation(network, layer, transformations, batch, equivariant):
    """The largest difference over all members, and the largest activation; from the definition."""
    before = output_of(network, layer, batch)
    grid = before.ndim == 3
    if grid:
        before = before.transpose(1, 2).unflatten(2, (8, 8))
    expected = moved(transformations, before) if equivariant else [before] * len(transformations)
    differences = []
    for batch_moved, wanted in zip(moved(transformations, batch), expected, strict=True):
        after = output_of(network, layer, batch_moved)
        after = after.transpose(1, 2).unflatten(2, (8, 8)) if grid else after
        differences.append(float((after - wanted).abs().max()) if after.shape == wanted.shape else float("inf"))
    return max(differences), float(before.abs().max())


@pytest.mark.parametrize("name", EQUIVARIANT)
def test_an_equivariant_network_passes(name):
    build, transformations, layers = EQUIVARIANT[name]
    ci.assert_equivariant(made(build), images(), transformations, 1e-5, layers)


@pytest.mark.parametrize("name", INVARIANT)
def test_an_invariant_network_passes(name):
    build, transformations, layers = INVARIANT[name]
    ci.assert_invariant(made(build), images(), transformations, 1e-5, layers)


@pytest.mark.parametrize("name", NOT_EQUIVARIANT)
def test_what_breaks_equivariance_is_found_where_it_is(name):
    build, transformations, layers, where = NOT_EQUIVARIANT[name]
    network = made(build)
    with pytest.raises(AssertionError, match=f"^layer {where} ") as raised:
        ci.assert_equivariant(network, images(), transformations, 1e-4, layers)
    said = str(raised.value)
    assert re.search(r"is not equivariant to .*, member \d of \d:\n", said)
    size, scale = (float(text) for text in FOUND.search(said).groups())
    largest, activation = deviation(network, where, transformations, images(), equivariant=True)
    assert size == pytest.approx(largest / activation, rel=0.01) or (size == float("inf") and not largest < 1e9)
    assert scale == pytest.approx(activation, rel=0.01, nan_ok=True) or size == float("inf")


@pytest.mark.parametrize("name", NOT_INVARIANT)
def test_what_breaks_invariance_is_found(name):
    build, transformations, layers = NOT_INVARIANT[name]
    network = made(build)
    with pytest.raises(AssertionError, match=r"^the output .* is not invariant to .*, member . of .:") as raised:
        ci.assert_invariant(network, images(), transformations, 1e-4, layers)
    size, scale = (float(text) for text in FOUND.search(str(raised.value)).groups())
    largest, activation = deviation(network, "", transformations, images(), equivariant=False)
    assert size == pytest.approx(largest / activation, rel=0.01)
    assert scale == pytest.approx(activation, rel=0.01)


def test_there_are_twenty_of_each():
    assert len(EQUIVARIANT) + len(INVARIANT) >= 20
    assert len(NOT_EQUIVARIANT) + len(NOT_INVARIANT) >= 20


def test_the_message_names_layer_map_member_and_size():
    """Map 2 alone is wrong, and turns by 90 and 270 degrees alone: the weight that differs is above the middle."""
    build, transformations, layers, _ = NOT_EQUIVARIANT["one weight of one map"]
    with pytest.raises(AssertionError) as raised:
        ci.assert_equivariant(made(build), images(), transformations, 1e-4, layers)
    lines = str(raised.value).splitlines()
    assert re.fullmatch(
        r"layer 0 \(Conv2d, 4 x 8 x 8\) is not equivariant to (rotation \d+ deg), member \d of 4:", lines[0]
    )
    assert re.match(r"  feature map 2 at \d, \d of image \d deviates by 0\.0\d+ of the largest", lines[1])
    assert lines[1].endswith("; tolerance 0.0001")
    assert lines[2] == "  it deviates under 3 of 4 members"
    assert re.fullmatch(r"  2 of 2 layers deviate; this one is the first, and [01] deviates most, by 0\.0\d+", lines[3])


def test_the_member_is_the_one_that_deviates():
    def still(maps):
        return maps.rot90(4, (2, 3))

    network = made(lambda: symmetric_under_half_turns())
    with pytest.raises(AssertionError, match=r"quarter_turns, helpers_assertions\.py:\d+, member [24] of 4:"):
        ci.assert_equivariant(network, images(), TURNS)
    ci.assert_equivariant(network, images(), [TURNS[0], TURNS[2]])
    with pytest.raises(InputError, match="no transformation changes the first images"):
        ci.assert_equivariant(network, images(), [still])


def symmetric_under_half_turns():
    layer = nn.Conv2d(1, 2, 3, padding=1)
    with torch.no_grad():
        layer.weight.copy_((layer.weight + layer.weight.rot90(2, (2, 3))) / 2)
    return layer


@pytest.mark.parametrize("power", [-40, 0, 40])
def test_the_size_is_a_share_of_the_activations(power):
    """Weights times a power of two: the same message, but for the activation."""
    network = made(lambda: nn.Sequential(nn.Conv2d(1, 3, 3, padding=1)))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2.0**power)
    with pytest.raises(AssertionError) as raised:
        ci.assert_equivariant(network, images(), FLIPS, 0.1)
    share, _ = FOUND.search(str(raised.value)).groups()
    plain = made(lambda: nn.Sequential(nn.Conv2d(1, 3, 3, padding=1)))
    largest, activation = deviation(plain, "0", FLIPS, images(), equivariant=True)
    assert float(share) == pytest.approx(largest / activation, rel=0.01)
    ci.assert_equivariant(network, images(), FLIPS, 2.01)  # no difference is larger than twice the largest activation


def test_the_tolerance_is_where_it_is_said_to_be():
    network = made(lambda: nn.Sequential(nn.Conv2d(1, 3, 3, padding=1)))
    largest, activation = deviation(network, "0", SHIFTS, images(), equivariant=True)
    ci.assert_equivariant(network, images(), SHIFTS, largest / activation * 1.0001)
    with pytest.raises(AssertionError):
        ci.assert_equivariant(network, images(), SHIFTS, largest / activation * 0.9999)


def test_a_deviation_in_the_last_of_many_images_is_found():
    many = images(40)
    many[37, 0, 3, 3] = 9

    def odd(x):
        return torch.where(x.amax((1, 2, 3), keepdim=True) > 8, x.cumsum(-1), x)

    with pytest.raises(AssertionError, match="of image 37 deviates"):
        ci.assert_equivariant(made(lambda: Fn(odd)), many, FLIPS)


def test_only_the_layers_that_are_named_are_looked_at():
    network = made(lambda: nn.Sequential(circular(), nn.Conv2d(4, 2, 3, padding=1), nn.ReLU()))
    ci.assert_equivariant(network, images(), SHIFTS, layers="0")
    ci.assert_invariant(made(lambda: mean_of(circular())), images(), SHIFTS, layers=["1", nn.Linear])
    with pytest.raises(AssertionError, match="layer 2 "):
        ci.assert_equivariant(network, images(), SHIFTS, layers=nn.ReLU)
    with pytest.raises(InputError, match="unknown layer 'conv'"):
        ci.assert_equivariant(network, images(), SHIFTS, layers="conv")


def test_nothing_is_left_behind_and_precision_is_the_network_s():
    network = made(lambda: nn.Sequential(circular(), nn.Dropout(), nn.ReLU())).double()
    state = torch.random.get_rng_state()
    ci.assert_equivariant(network, images(), SHIFTS, 1e-13)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not network[0]._forward_hooks
    network.train()
    network(images(dtype=torch.float64)).sum().backward()


def test_a_dataset_and_outputs_in_a_dictionary():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = mean_of(circular())

        def forward(self, x):
            return {"logits": self.body(x), "first": x[:, 0, 0, 0]}

    data = [(image, 0) for image in images()]
    with pytest.raises(AssertionError, match=r"^the output .* is not invariant") as raised:
        ci.assert_invariant(made(Two), data, SHIFTS)
    assert "1 of 2" not in str(raised.value)
    ci.assert_invariant(made(Two), data, SHIFTS, layers="Two[logits]")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": nn.Conv2d(1, 2, 3)}, "the model is in training mode"),
        (
            {"model": nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).eval()},
            "without rows and columns.*assert_invariant",
        ),
        ({"layers": "3"}, r"layer 3 \(Linear\) is units without rows and columns"),
        ({"tolerance": -1}, "tolerance is -1; expected a finite number"),
        ({"tolerance": float("nan")}, "tolerance is nan; expected a finite number"),
        ({"transformations": []}, "transformations is a list; expected a set from .*, one at least"),
        ({"transformations": ci.transformations.identity()}, "no transformation changes the first images"),
        ({"transformations": [lambda x: x + torch.rand_like(x)]}, "gives another image each time it is called"),
        ({"transformations": [lambda x: x[..., 1:]]}, "expected the same"),
        ({"images": torch.rand(4, 8, 8)}, r"expected \(C, H, W\)"),
        (
            {"transformations": [lambda x: x.flip(-1) if x.shape[1] == 1 else x[0, :, :, :, 0]]},
            r"cannot be applied to the feature maps of layer 0 \(4 x 8 x 8\): IndexError",
        ),
    ],
)
def test_what_cannot_be_asserted_is_refused(change, message):
    network = made(lambda: mean_of(circular()))
    given = {"model": network, "images": images(), "transformations": FLIPS, "tolerance": 1e-4} | change
    with pytest.raises(InputError, match=message):
        ci.assert_equivariant(**given)


def test_turns_of_maps_that_are_not_square():
    with pytest.raises(AssertionError, match="the size of its feature maps, which the transformation changes"):
        ci.assert_equivariant(made(lambda: nn.Sequential(nn.Conv2d(1, 2, (3, 1)))), images(), TURNS)


def test_a_layer_of_which_rows_and_columns_cannot_be_told_is_named():
    network = made(lambda: nn.Sequential(circular(), Fn(lambda x: x.mean((2, 3))[:, :, None, None] * torch.ones(3, 3))))
    with pytest.warns(UserWarning, match=r"not compared: 1 \(Fn; rows and columns cannot be told"):
        ci.assert_equivariant(network, images(), SHIFTS)


def test_images_that_are_not_square_and_affine_shifts():
    """A translation by whole pixels, of a network that looks at single pixels."""
    quarter = ci.transformations.AffineSet("quarter", {}, [[[1, 0, 0.25], [0, 1, 0]], [[1, 0, 0], [0, 1, 0.5]]])
    wide = torch.randn(3, 1, 4, 8)
    ci.assert_equivariant(made(lambda: nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())), wide, quarter, 1e-5)
    with pytest.raises(AssertionError, match="layer 0 "):
        ci.assert_equivariant(made(lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding=1))), wide, quarter, 1e-5)

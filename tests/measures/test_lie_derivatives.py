"""Lie derivatives against finite differences, against derivatives layer by layer, and where they must vanish."""

import numpy as np
import pytest
import torch
from torch import nn

import cnn_invariance as ci
from cnn_invariance.errors import InputError
from cnn_invariance.measures.engine import derivatives, generators
from cnn_invariance.measures.engine.prepare import PreparedPass
from cnn_invariance.transformations import rotation
from helpers_measures import small_network

TURNS = rotation(n=2, angle_deg=90)


def smooth_images(N=4, channels=2, H=12, W=14):
    noise = torch.randn(N * channels, 1, H, W, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    kernel = torch.tensor([1.0, 4, 6, 4, 1], dtype=torch.float64) / 16
    for _ in range(2):
        noise = nn.functional.conv2d(noise, kernel[None, None, None], padding=(0, 2))
        noise = nn.functional.conv2d(noise, kernel[None, None, :, None], padding=(2, 0))
    return noise.view(N, channels, H, W)


def flow(generator, s, H, W, image):
    """The affine map of pixels about the centre: matrix and shift."""
    A, shift = np.eye(2), np.zeros(2)
    if generator == "rotation":
        A = np.array([[np.cos(s), np.sin(s)], [-np.sin(s), np.cos(s)]])
    elif generator.startswith("translation"):
        shift[int(generator.endswith("y"))] = s * (H / image[0] if generator.endswith("y") else W / image[1])
    elif generator.startswith("shear"):
        A[(1, 0) if generator.endswith("y") else (0, 1)] = s
    else:
        A[(1, 1) if generator.endswith("y") else (0, 0)] = np.exp(s)
    return A, shift


def keys(t):
    """Catmull-Rom's cubic kernel."""
    t = abs(t)
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0))


def moved(maps, generator, s, image):
    """(..., H, W) sampled at the preimage of each pixel, edge pixels repeated."""
    H, W = maps.shape[-2:]
    A, shift = flow(generator, s, H, W, image)
    y, x = np.mgrid[:H, :W].astype(float)
    p = np.stack([x - (W - 1) / 2, y - (H - 1) / 2], -1) - shift
    q = p @ np.linalg.inv(A).T + ((W - 1) / 2, (H - 1) / 2)
    found = 0
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            column, row = np.round(q[..., 0]).astype(int) + dx, np.round(q[..., 1]).astype(int) + dy
            weight = keys(q[..., 0] - column) * keys(q[..., 1] - row)
            found = found + weight * maps[..., row.clip(0, H - 1), column.clip(0, W - 1)]
    return found


def prepared(network, images, measures=("LieDerivative",)):
    return PreparedPass.make(network, images, TURNS, list(measures), None, None, None, None, "fp32", "error")


@pytest.mark.parametrize("generator", generators.NAMES)
def test_the_smooth_derivative_is_the_limit_of_finite_differences(generator):
    torch.manual_seed(0)
    network = nn.Conv2d(2, 3, 3, stride=2, padding=1).double().eval()
    images = smooth_images()
    size = tuple(images.shape[-2:])

    def undone(s):
        """g_-s f(g_s x)."""
        with torch.no_grad():
            out = network(torch.from_numpy(moved(images.numpy(), generator, s, size))).numpy()
        return moved(out, generator, -s, size)

    result = ci.measure(network, images, TURNS, [f"LieDerivative[generator={generator}]"])
    (value,) = result[f"LieDerivative[generator={generator}]"].values()
    errors = []
    for h in (1e-2, 1e-3, 1e-4, 1e-5):
        difference = (undone(h) - undone(-h)) / (2 * h)
        norm = np.linalg.norm(difference.reshape(len(images), -1), axis=1).mean()
        errors.append(abs(norm - value[0]) / norm)
    assert errors[-1] < 1e-4
    assert errors[-1] < 0.1 * errors[0] or errors[0] < 1e-6


@pytest.mark.parametrize("form", ["smooth", "reference"])
@pytest.mark.parametrize("generator", ["rotation", "stretch_y", "translation_x"])
def test_all_layers_agree_with_derivatives_layer_by_layer(generator, form):
    """``J f (X x) - X f(x)`` of each prefix of the network, by torch.func.jvp, the generator as in its definition."""
    network, images = small_network(), smooth_images(N=5, H=6, W=8)
    size = tuple(images.shape[-2:])
    request = f"LieDerivative[generator={generator},form={form}]"
    result = ci.measure(network, images, TURNS, [request, request.replace("LieDerivative", "LEE")], tile=1)
    tangent = defined(images, generator, form, size)

    def of(function):
        value, moved_value = torch.func.jvp(function, (images,), (tangent,))
        return moved_value - (defined(value, generator, form, size) if value.ndim == 4 else 0)

    for k, layer in enumerate(result.layers):
        want = of(network[: k + 1]).detach().flatten(1).norm(dim=1).mean()
        found = result.values[str(ci.measures.requests.check(request))][k]
        np.testing.assert_allclose(found, [float(want)], rtol=1e-5, atol=1e-9, err_msg=layer.name)
    softmax = of(lambda x: network(x).softmax(1)).detach().abs().mean()
    (found,) = result.network.values()
    np.testing.assert_allclose(found, [float(softmax)], rtol=1e-5)


def defined(maps, generator, form, size):
    """``- v . grad f``, pixel by pixel."""
    H, W = maps.shape[-2:]
    found = torch.zeros_like(maps)
    less = form == "reference"
    for row in range(H):
        for column in range(W):
            x, y = column - (W - 1) / 2, row - (H - 1) / 2
            v = {
                "rotation": (y, -x),
                "stretch_y": (0, y),
                "translation_x": ((W - less) / (size[1] - less), 0),
            }[generator]
            if form == "smooth":
                dx = (maps[..., row, min(column + 1, W - 1)] - maps[..., row, max(column - 1, 0)]) / 2
                dy = (maps[..., min(row + 1, H - 1), column] - maps[..., max(row - 1, 0), column]) / 2
            else:
                dx = maps[..., row, column + 1 if column + 1 < W else W - 2] - maps[..., row, column]
                dy = maps[..., row + 1 if row + 1 < H else H - 2, column] - maps[..., row, column]
            found[..., row, column] = -(v[0] * dx + v[1] * dy)
    return found


@pytest.mark.parametrize("generator", generators.NAMES)
@pytest.mark.parametrize("form", ["smooth", "reference"])
def test_a_linear_pointwise_network_has_no_error(generator, form):
    network = nn.Conv2d(2, 3, 1).double().eval()
    request = f"LieDerivative[generator={generator},form={form}]"
    ((value,),) = ci.measure(network, smooth_images(), TURNS, [request])[request].values()
    assert value < 1e-12


def test_a_convolution_commutes_with_translation_inside_margins_and_not_with_rotation():
    images = smooth_images()
    images[..., :4, :] = images[..., -4:, :] = 0
    images[..., :4] = images[..., -4:] = 0
    network = nn.Conv2d(2, 3, 3, padding=1, bias=False).double().eval()
    names = ["LieDerivative[generator=translation_x]", "LieDerivative[generator=translation_y]", "LieDerivative"]
    result = ci.measure(network, images, TURNS, names)
    across, down, turned = (next(iter(result[name].values()))[0] for name in names)
    assert max(across, down) < 1e-12
    assert turned > 0.1


def test_own_parts_of_all_layers_add_up_to_the_derivative_of_the_output():
    network, images = small_network(), smooth_images(N=3, H=6, W=8)
    one = derivatives._Pass(prepared(network, images), images, "rotation", "smooth", shares=True)
    signs = torch.randint(0, 2, (3, 7), generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    parts = one.own_parts(signs)
    assert set(parts) == set("0123456")
    torch.testing.assert_close(sum(parts.values()), (signs * one.of_output).sum(1))
    assert parts["6"].abs().max() < 1e-12  # a linear map of units adds nothing
    assert parts["0"].abs().max() > 1e-6


def test_share_is_the_root_of_the_mean_square_over_samples():
    network, images = small_network(), smooth_images(N=3, H=6, W=8)
    result = ci.measure(network, images, TURNS, ["LieShare"], tile=3)
    one = derivatives._Pass(prepared(network, images), images, "rotation", "smooth", shares=True)
    signs = torch.randint(0, 2, (3, 7), generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    for name, part in one.own_parts(signs).items():
        assert result["LieShare"][name][0] == pytest.approx(float(part.square().mean().sqrt()), rel=1e-6, abs=1e-15)


class Doubled(torch.autograd.Function):
    """An operation of a user's own, with a derivative backwards alone."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


class WithOwnOperation(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)

    def forward(self, x):
        return Doubled.apply(self.conv(x))


def test_an_operation_without_a_forward_derivative_is_named_before_the_pass():
    with pytest.raises(InputError, match=r"the operation in `return Doubled.apply.* has no derivative in forward mode"):
        ci.measure(WithOwnOperation().eval(), smooth_images().float(), TURNS, ["LieDerivative", "NV"])


def test_an_unknown_generator_is_named():
    with pytest.raises(InputError, match=r"generator of LieDerivative.*rotation"):
        ci.measure(small_network(), smooth_images(H=6, W=8), TURNS, ["LieDerivative[generator=twist]"])


def test_a_network_without_scores_has_no_error_of_its_output():
    result = ci.measure(nn.Conv2d(2, 3, 3).double().eval(), smooth_images(), TURNS, ["LEE", "LieShare"])
    assert "no scores" in result.reasons["LEE"]["network"]
    assert "no scores" in next(iter(result.absent("LieShare").values()))


def test_attention_has_a_derivative():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).double().eval()

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(2, 8, 2, stride=2)
            self.layer = layer
            self.head = nn.Linear(8, 5)

        def forward(self, x):
            tokens = self.patches(x).flatten(2).transpose(1, 2)
            return self.head(self.layer(tokens).mean(1))

    result = ci.measure(Tokens().double().eval(), smooth_images(), TURNS, ["LieDerivative", "LEE"])
    assert all(value[0] > 0 for value in result["LieDerivative"].values())
    assert result.network["LEE"][0] > 0

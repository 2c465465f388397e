"""A pass is not changed by what is set around it, and changes nothing around it, after an error too."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import cnn_invariance as ci
from cnn_invariance.devices import RandomNumbersWarning, left_as_found
from cnn_invariance.errors import InputError
from cnn_invariance.transformations import rotation
from helpers_measures import small_network, some_images

TURNS = rotation(n=3, angle_deg=200)
SOME = ["NV", "ND", "NVSE", "ANOVA_F", "Goodfellow[alpha=0.7]", "Goodfellow[alpha=0.7,threshold=percentile]", "DSES"]


def images(N=5, C=1):
    return torch.randn(N, C, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float32)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4)).float().eval()


def equal(one, other):
    for measure in one.measures:
        for ours, theirs in zip(one.values[measure], other.values[measure], strict=True):
            assert (ours is None) == (theirs is None)
            if ours is not None:
                np.testing.assert_array_equal(ours, theirs, err_msg=measure)


class DefaultDtype:
    def __init__(self, dtype):
        self.dtype = dtype

    def __enter__(self):
        self.before = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)

    def __exit__(self, *_):
        torch.set_default_dtype(self.before)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(
    "around",
    [
        lambda: DefaultDtype(torch.float64),
        lambda: DefaultDtype(torch.bfloat16),
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        torch.inference_mode,
        torch.enable_grad,
        lambda: torch.device("meta"),  # as torch.set_default_device
    ],
    ids=["float64", "bfloat16", "autocast", "inference", "gradients", "default device"],
)
def test_what_is_set_around_a_pass_does_not_change_it(around):
    model, shown = network(), images(9)
    plain = ci.measure(model, shown, TURNS, SOME, tile=4)
    with around():
        equal(ci.measure(model, shown, TURNS, SOME, tile=4), plain)


@pytest.mark.usefixtures("kernels")
def test_statistics_of_a_bfloat16_pass_are_float32():
    """Of few or of many samples, in torch operations that autocast would take part in."""
    model, shown = network(), images(9)
    bf16 = ci.measure(model, shown, TURNS, SOME, tile=4, precision="bf16")
    recorded = ci.measure(Recorded(model, shown).eval(), shown, TURNS, SOME, tile=4)
    equal(bf16, recorded)


class Recorded(nn.Module):
    """Runs its network in bfloat16 by itself, so that autocast ends before its statistics begin."""

    def __init__(self, model, shown):
        super().__init__()
        for name, module in model.named_children():
            self.add_module(name, module)

    def forward(self, x):
        for module in self.children():
            x = In16.run(module, x)
        return x


class In16:
    @staticmethod
    def run(module, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return module(x)


class Table(nn.Module):
    """Keeps what it computes first, and what it computes for a batch of each size."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(36, 4)
        self.tables = {}

    def forward(self, x):
        if len(x) not in self.tables:
            self.tables[len(x)] = torch.linspace(0, 1, 4) + 0 * self.dense.bias.detach()
        return self.dense(x.flatten(1)) * self.tables[len(x)]


class LazyNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.LazyConv2d(2, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(3))

    def forward(self, x):
        return self.layers(x)


class Rotary(nn.Module):
    """A buffer that grows with the size of the input."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(6, 6)
        self.register_buffer("angles", torch.zeros(0), persistent=False)

    def forward(self, x):
        if len(self.angles) < x.shape[-1]:
            self.angles = torch.arange(x.shape[-1], device=x.device).float()
        return self.dense(x * self.angles.cos())


@pytest.mark.parametrize("around", [torch.enable_grad, torch.inference_mode], ids=["plain", "inference"])
@pytest.mark.parametrize("model", [Table, LazyNorm, Rotary, lambda: nn.Sequential(nn.LazyConv2d(2, 3), nn.ReLU())])
def test_a_network_can_be_trained_after_it_was_measured(model, around):
    built = model().eval()
    with around():
        ci.measure(built, images(), TURNS, ["NV"], tile=2)
    built.train()
    for N in (5, 2):
        built(images()[:N]).sum().backward()
    assert all(parameter.grad is not None for parameter in built.parameters())


class Noisy(nn.Module):
    """Draws from every generator and turns its own mode; fails where it is told to."""

    def __init__(self, fails_at):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.drop = nn.Dropout()
        self.left = fails_at

    def forward(self, x):
        torch.rand(3)
        np.random.rand(3)
        random.random()
        self.drop.train()
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self.conv(x) * 1.0


@pytest.mark.filterwarnings("ignore::cnn_invariance.devices.RandomNumbersWarning")
@pytest.mark.parametrize("fails_at", [1, 2, 4, 10**6])
def test_modes_hooks_and_generators_are_as_before(fails_at):
    model = Noisy(fails_at).eval()
    model.conv.register_forward_hook(lambda module, args, output: None)
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    before = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate(), torch.is_grad_enabled())
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        ci.measure(model, images(), TURNS, ["NV"], tile=2)
    except KeyboardInterrupt:
        assert fails_at < 10**6
    after = (torch.get_rng_state(), np.random.get_state()[1], random.getstate(), torch.is_grad_enabled())
    assert torch.equal(before[0], after[0])
    assert np.array_equal(before[1], after[1])
    assert before[2:] == after[2:]
    assert not any(module.training for module in model.modules())
    assert [len(module._forward_hooks) for module in model.modules()] == [0, 1, 0]
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_random_numbers_of_a_transformation_are_not_taken_from_the_caller():
    model = network()
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    with pytest.warns(RandomNumbersWarning, match=r"transformation 2 of 2 .* draws random numbers, and gave the same"):
        ci.measure(model, images(), [lambda x: x, lambda x: 0 * torch.rand(x.shape) - x], ["NV"])
    assert torch.equal(torch.rand(4), expected)


def test_a_model_goes_back_to_its_devices():
    """One part was elsewhere; parameters and buffers; after an exception."""
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval()
    model[1].to("meta")  # the other device that every machine has; what is there can only be moved there
    with pytest.raises(KeyError, match="midway"):
        moved_and_lost(model)
    assert {tensor.device.type for tensor in model[0].state_dict().values()} == {"cpu"}
    assert {tensor.device.type for tensor in model[1].state_dict().values()} == {"meta"}


def moved_and_lost(model):
    with left_as_found(model):
        model.to_empty(device="cpu")
        assert {tensor.device.type for tensor in model.state_dict().values()} == {"cpu"}
        raise KeyError("midway")


class AsOnMPS(TorchFunctionMode):
    """The CPU under the name of Apple's GPU, which has no float64."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if str(kwargs.get("device")) == "mps":
            if kwargs.get("dtype") == torch.float64:
                raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support it")
            kwargs["device"] = "cpu"
        return function(*args, **kwargs)


def test_a_device_without_float64_is_refused_at_the_start():
    model = network()
    calls = []
    model.register_forward_pre_hook(lambda *_: calls.append(1))
    message = "device 'mps' cannot be measured on: Cannot convert a MPS Tensor to float64 .* Pass device='cpu'"
    with AsOnMPS(), pytest.raises(InputError, match=message):
        ci.measure(model, images(), TURNS, ["NV"], device="mps")
    assert not calls
    with pytest.raises(InputError, match="device 'meta' cannot be measured on"):
        ci.measure(model, images(), TURNS, ["NV"], device="meta")
    assert next(model.parameters()).device.type == "cpu"


class Asserts(nn.Module):
    def __init__(self, fits):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fits = nn.Conv2d(2, 4, 3), fits

    def forward(self, x):
        if not self.fits(x):
            raise ValueError("wrong strides")
        return self.conv(x)


class ReadsMemory(nn.Module):
    """What it gives depends on where the numbers stand."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.dense = nn.Linear(72, 3)

    def forward(self, x):
        return self.dense(torch.as_strided(x, (len(x), x[0].numel()), (x[0].numel(), 1)))


def last(x):
    return x.contiguous(memory_format=torch.channels_last)


def test_a_network_that_insists_on_a_memory_format():
    fits = {torch.Tensor.is_contiguous: images, lambda x: x.is_contiguous(memory_format=torch.channels_last): last}
    shown = images(C=2)
    plain = ci.measure(Asserts(lambda x: True).eval(), shown, TURNS, ["NV"])
    for check, made in zip(fits, (shown, last(shown)), strict=True):
        result = ci.measure(Asserts(check).eval(), made, TURNS, ["NV"])
        np.testing.assert_allclose(result["NV"]["conv"], plain["NV"]["conv"], rtol=1e-4)


def test_where_the_memory_format_matters_it_is_the_callers():
    """Right values: the network's own, run as its owner would run it."""
    shown, model = images(9, C=2), ReadsMemory().eval()
    for own in (shown, last(shown)):
        result = ci.measure(model, own, [lambda x: x, lambda x: x.flip(2)], ["NV"])
        with torch.no_grad():
            columns = [own, own.flip(2)]
            A = torch.stack([model(c.contiguous(memory_format=_format(own))) for c in columns], 1).double().numpy()
        want = A.std(1, ddof=1).mean(0) / A.std(0, ddof=1).mean(0)
        np.testing.assert_allclose(result["NV"]["dense"], want, rtol=1e-5)


def _format(x):
    return torch.contiguous_format if x.is_contiguous() else torch.channels_last


def test_a_network_that_takes_gradients_in_its_forward_pass():
    class Gradient(nn.Module):
        def __init__(self, enter):
            super().__init__()
            self.scale, self.enter = nn.Identity(), enter

        def forward(self, x):
            with torch.set_grad_enabled(self.enter):
                v = x.detach().requires_grad_()
                return self.scale(torch.autograd.grad(v.pow(2).sum(), v)[0]) if self.enter else v.sum().backward()

    result = ci.measure(Gradient(True).eval(), images(), TURNS, ["NV"])
    assert result["NV"]["scale"].shape == (1, 6, 6)
    with pytest.raises(InputError, match=r"takes gradients in its forward pass.* torch.enable_grad\(\)"):
        ci.measure(Gradient(False).eval(), images(), TURNS, ["NV"])


def test_a_network_in_double_precision_keeps_it():
    model = small_network()
    ci.measure(model, some_images(), TURNS, ["NV"])
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}


def test_a_compiled_network_is_run_as_it_is_written():
    plain, shown = network(), images()
    compiled = torch.compile(plain, backend="eager")
    first, second = (ci.measure(one, shown, TURNS, ["NV"]) for one in (plain, compiled))
    assert [layer.name for layer in second.layers] == [f"_orig_mod.{layer.name}" for layer in first.layers]
    np.testing.assert_array_equal(first.profile("NV")["value"], second.profile("NV")["value"])


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_networks_of_torchscript_are_said_to_hide_their_layers():
    plain, shown = network(), images()
    traced = ci.measure(torch.jit.trace(plain, shown), shown, TURNS, ["NV"])
    assert len(traced.layers) == 1
    assert traced.skipped["0"] == "it is part of a module of TorchScript, which does not show it"
    with pytest.raises(InputError, match="cannot be observed: measure the module that it was made of"):
        ci.measure(torch.jit.script(plain), shown, TURNS, ["NV"])

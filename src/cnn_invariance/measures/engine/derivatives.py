"""The pass that computes Lie derivatives of all layers at once, in forward mode."""

import re
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.autograd.forward_ad as forward_ad
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from cnn_invariance.activations import observe, without_fast_path
from cnn_invariance.devices import at_precision
from cnn_invariance.errors import InputError
from cnn_invariance.measures.engine import generators
from cnn_invariance.measures.engine.generators import Form
from cnn_invariance.measures.engine.inputs import batch, no_classes, scores
from cnn_invariance.measures.engine.prepare import PreparedPass, out_of_memory
from cnn_invariance.roles import names_of

NO_SHARE = (
    "its own part is known of a module that takes one tensor and returns one, feature maps or units, and runs once"
)
NO_OPERATION = re.compile(r"forward AD with (\S+)|derivative for (\S+) is not implemented")


@dataclass
class Derivatives:
    """What a pass found, by layer name.

    norms: mean norm of the layer's Lie derivative; shares: its own part at the output, and why a layer has none.
    output: mean absolute Lie derivative of the softmax of the output; None, and why, where it has no scores.
    """

    norms: dict[str, float] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    no_share: dict[str, str] = field(default_factory=dict)
    output: float | None = None
    why_no_output: str = ""


def try_network(prepared: PreparedPass) -> None:
    """Run one image in forward mode.

    Errors: InputError that names the operation which has no forward-mode derivative.
    """
    images = batch(prepared.images, [0]).to(prepared.device, prepared.dtype)
    try:
        with _forward_mode(prepared):
            prepared.model(forward_ad.make_dual(images, torch.ones_like(images)))
    except Exception as error:  # the network is anyone's code
        if out_of_memory(error):
            raise
        name = _operation(error)
        what = f"the operation {name}" if name else f"an operation ({type(error).__name__}: {error})"
        raise InputError(
            f"the network has no Lie derivative: {what} has no derivative in forward mode; leave out the measures "
            "LieDerivative, LieShare and LEE, or replace the operation"
        ) from error


def _operation(error: Exception) -> str:
    """The operation that has no derivative: as torch names it, or the line of the network's own code."""
    if found := NO_OPERATION.search(str(error)):
        return found[1] or found[2]
    inside = str(Path(torch.__file__).parent)
    calls = [call for call in traceback.extract_tb(error.__traceback__) if not call.filename.startswith(inside)]
    return f"in `{calls[-1].line}`" if calls else ""


def measured(
    prepared: PreparedPass, generator: str, form: Form, *, shares: bool = False, progress: bool = False
) -> Derivatives:
    """All samples along one generator: one forward-mode pass, and for ``shares`` one pass backwards."""
    size = max(1, prepared.tile * prepared.M // 2)  # activations and their derivatives take twice the room
    norms = {layer.name: 0.0 for layer in prepared.layers}
    squares: dict[str, float] = {}
    output, why = 0.0, ""
    signs = torch.Generator().manual_seed(0)
    chunks = torch.arange(prepared.N).split(size)
    for chunk in track(chunks, f"derivative of {generator}", disable=not progress, transient=True):
        images = batch(prepared.images, chunk.tolist()).to(prepared.device, prepared.dtype)
        pass_ = _Pass(prepared, images, generator, form, shares)
        for name, squared in pass_.squared.items():
            norms[name] += float(squared.sqrt().sum())
        why = no_classes(pass_.scores)
        if why or pass_.scores is None:
            continue
        output += float(pass_.of_output.abs().mean(1).sum())
        if shares:
            drawn = torch.randint(0, 2, tuple(pass_.scores.shape), generator=signs).to(images) * 2 - 1
            for name, own in pass_.own_parts(drawn).items():
                squares[name] = squares.get(name, 0.0) + float(own.double().square().sum())
    N = prepared.N
    found = {name: (value / N) ** 0.5 for name, value in squares.items()}
    missing = {layer.name: why or NO_SHARE for layer in prepared.layers if shares and layer.name not in found}
    mean_output = None if why else output / N
    return Derivatives({name: value / N for name, value in norms.items()}, found, missing, mean_output, why)


class _Pass:
    """A batch of images in forward mode: the squared norm of each layer's derivative, and what its own part needs."""

    def __init__(self, prepared: PreparedPass, images: Tensor, generator: str, form: Form, shares: bool) -> None:
        self.prepared, self.images, self.form, self.generator = prepared, images, form, generator
        self.size = (images.shape[2], images.shape[3])
        self.squared: dict[str, Tensor] = {}  # (B) each
        self.inside: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {}  # derivatives of what comes in and goes out
        self.scores: Tensor | None = None
        self.of_output = torch.empty(0)
        modules = self._modules() if shares else {}
        with _forward_mode(prepared), ExitStack() as stack:
            for module in modules:
                stack.callback(module.register_forward_pre_hook(self._keep_input).remove)
                stack.callback(module.register_forward_hook(self._keep_output).remove)
            stack.enter_context(observe(prepared.model, prepared.observed.roles, len(images), self._see))
            moved = generators.applied(images, generator, form, self.size)
            output = prepared.model(forward_ad.make_dual(images, moved))
            found = scores(output, len(images))
            if found is not None:
                self.scores = _unpacked(found)[0].detach()
                self.of_output = _unpacked(F.softmax(found.double(), 1))[1].detach()

    def _modules(self) -> dict[nn.Module, str]:
        """The modules that are one layer each, by name."""
        names = {name: module for module, name in names_of(self.prepared.model).items()}
        layers = {layer.name for layer in self.prepared.layers}
        return {names[name]: name for name in layers if name in names and f"{name}#2" not in layers}

    def _derivative(self, activations: Tensor) -> Tensor:
        """``J f (X x) - X f(x)`` of one tensor in the pass."""
        primal, tangent = _unpacked(activations)
        if primal.ndim != 4:
            return tangent
        return generators.derivative(primal, tangent, self.generator, self.form, self.size)

    def _see(self, name: str, module: nn.Module, activations: Tensor) -> None:
        primal, tangent = _unpacked(activations)
        if primal.ndim == 4:
            found = generators.squared_norms(primal, tangent, self.generator, self.form, self.size)
        else:
            found = tangent.double().flatten(1).square().sum(1)
        self.squared[name] = found

    def _keep_input(self, module: nn.Module, given: Any) -> None:
        self.inside.setdefault(module, [])
        if len(given) == 1 and _plain(given[0], len(self.images)):
            self.inside[module].append((self._derivative(given[0]).detach().clone(), torch.empty(0)))

    def _keep_output(self, module: nn.Module, given: Any, output: Any) -> None:
        if _plain(output, len(self.images)) and self.inside[module]:
            self.inside[module][-1] = (self.inside[module][-1][0], self._derivative(output).detach().clone())

    def own_parts(self, signs: Tensor) -> dict[str, Tensor]:
        """(B) for each layer: its own part of ``sum_k signs_k L p_k``."""
        once = {module: kept[0] for module, kept in self.inside.items() if len(kept) == 1 and kept[0][1].numel()}
        at_input: dict[nn.Module, Tensor] = {}
        at_output: dict[nn.Module, Tensor] = {}

        def before(module: nn.Module, given: Any) -> Any:
            at_input[module] = torch.zeros_like(given[0], requires_grad=True)
            return (given[0] + at_input[module],)

        def after(module: nn.Module, given: Any, output: Any) -> Any:
            at_output[module] = torch.zeros_like(output, requires_grad=True)
            return output + at_output[module]

        with torch.enable_grad(), without_fast_path(), ExitStack() as stack:
            stack.enter_context(at_precision(self.prepared.precision, self.prepared.device))
            for module in once:
                stack.callback(module.register_forward_pre_hook(before).remove)
                stack.callback(module.register_forward_hook(after).remove)
            found = scores(self.prepared.model(self.images), len(self.images))
            assert found is not None
            total = (F.softmax(found, 1) * signs).sum()
            zeros = [*at_input.values(), *at_output.values()]
            gradients = torch.autograd.grad(total, zeros, allow_unused=True)
        names = self._modules()
        of = dict(zip(map(id, zeros), gradients, strict=True))
        own = {}
        for module, (came, went) in once.items():
            incoming, outgoing = of[id(at_input[module])], of[id(at_output[module])]
            part = torch.zeros(len(self.images), device=came.device, dtype=came.dtype)
            for gradient, derivative, sign in ((outgoing, went, 1), (incoming, came, -1)):
                if gradient is not None:
                    part = part + sign * (gradient * derivative).flatten(1).sum(1)
            own[names[module]] = part
        return own


def _plain(given: Any, images: int) -> bool:
    """Whether it is feature maps or units of so many images."""
    return isinstance(given, Tensor) and given.ndim in (2, 4) and len(given) == images and given.is_floating_point()


def _unpacked(dual: Tensor) -> tuple[Tensor, Tensor]:
    """A dual number: its value, and its derivative, which is 0 where nothing depends on the images."""
    primal, tangent = forward_ad.unpack_dual(dual)
    return primal, torch.zeros_like(primal) if tangent is None else tangent


@contextmanager
def _forward_mode(prepared: PreparedPass) -> Iterator[None]:
    """Dual numbers, and attention as plain products, which alone have a forward-mode derivative."""
    precision = at_precision(prepared.precision, prepared.device)
    with warnings.catch_warnings():
        # torch loads its own decompositions by torch.jit.script the first time, and warns of that
        warnings.filterwarnings("ignore", message=".*torch.jit.script", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*torch.jit.script", category=DeprecationWarning)
        with forward_ad.dual_level(), sdpa_kernel(SDPBackend.MATH), without_fast_path(), precision:
            yield

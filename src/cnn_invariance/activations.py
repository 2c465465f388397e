"""Observation of the layers of any ``nn.Module``: their names, their order, their activations.

A layer is one call of a module that has no children (every convolution, activation function, pooling, ...), or of a
module that a filter names. Layers are found by running the network once, so they stand in forward order, a module
that is called twice is two layers (``relu`` and ``relu#2``), and one that is never called is none. A module that
returns several tensors has one layer for each (``lstm[0]``, ``lstm[1]``). ``nn.MultiheadAttention`` counts as a module
without children: it never calls the one it has.

Feature maps are (B, C, H, W). Networks that keep features last between some of their modules (ConvNeXt, Swin) are
followed: what a linear layer or a layer norm gives as (B, H, W, C), and what comes of it, is seen as (B, C, H, W).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from cnn_invariance.errors import InputError, unknown_name

LayerFilter = Callable[[str, nn.Module], bool] | Sequence[str] | str | None

FEATURES_FIRST = (
    nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd, nn.modules.pooling._AdaptiveAvgPoolNd, nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.Upsample, nn.PixelShuffle, nn.Fold, nn.Unflatten,
)  # fmt: skip
"""Modules that give (B, C, H, W), whatever came before them."""


@dataclass(frozen=True)
class Layer:
    """One observed layer: its place in forward order (from 1), its name, its module's class, its output's shape."""

    index: int
    name: str
    kind: str
    shape: tuple[int, ...]  # of one sample: (C, H, W) for feature maps, (K,) for a dense layer

    @property
    def units(self) -> int:
        """The number of activations."""
        return prod(self.shape)

    @property
    def spatial(self) -> bool:
        """Whether the output is feature maps, which an affine map can be undone on."""
        return len(self.shape) == 3

    @property
    def maps(self) -> int:
        """The number of feature maps; of activations where there are no maps."""
        return self.shape[0] if self.spatial else self.units

    @property
    def form(self) -> str:
        """What its output is, in words.

        >>> [Layer(1, "", "", shape).form for shape in ((8, 4, 4), (17, 32), (10,))]
        ['feature maps', 'tokens', 'units']
        """
        return {1: "units", 2: "tokens", 3: "feature maps"}.get(len(self.shape), "an array")


def tensors(output: Any, batch: int) -> Iterator[tuple[str, Tensor]]:
    """The floating-point tensors in a module's output that have one entry per input, with a suffix each."""
    if isinstance(output, Tensor):
        if output.is_floating_point() and output.ndim >= 2 and len(output) == batch:
            yield "", output
        return
    items = (
        output.items() if isinstance(output, Mapping) else enumerate(output) if isinstance(output, tuple | list) else ()
    )
    for key, item in items:
        for suffix, tensor in tensors(item, batch):
            yield f"[{key}]{suffix}", tensor


def select(model: nn.Module, layers: LayerFilter = None) -> dict[str, nn.Module]:
    """The modules to observe: all without children, or those that ``layers`` chooses.

    Args:
        model: any module.
        layers: names or patterns (``"features.*"``) of modules, with or without children; or a predicate on
            (name, module), asked for modules without children.

    Raises:
        InputError: a name or pattern fits no module, or nothing is left.
    """
    everything = {name or type(model).__name__: module for name, module in model.named_modules()}
    leaves = {
        name: module
        for name, module in everything.items()
        if next(module.children(), None) is None or isinstance(module, nn.MultiheadAttention)
    }
    if layers is None:
        chosen = leaves
    elif callable(layers):
        chosen = {name: module for name, module in leaves.items() if layers(name, module)}
    else:
        patterns = [layers] if isinstance(layers, str) else list(layers)
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in everything):
                raise unknown_name("layer", pattern, everything)
        chosen = {
            name: module
            for name, module in everything.items()
            if any(fnmatchcase(name, pattern) for pattern in patterns)
        }
    if not chosen:
        raise InputError(f"the layer filter leaves none of the {len(leaves)} layers: {', '.join(leaves)}")
    return chosen


class Order:
    """In which order the outputs of a network have their sides, followed from module to module in a forward pass.

    Some modules tell: convolutions give (B, C, H, W), linear layers (B, H, W, C). Others (activation functions,
    dropout, a permutation) have the order of the output before, or that order turned round, if their shape says so.
    Between tokens (B, T, D), what has four sides is tokens by heads, seen as so many more tokens.
    """

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()  # of the last feature maps, one sample, as they came
        self.last = False  # whether their features were the last side
        self.tokens = False  # whether tokens came after them

    def settle(self, module: nn.Module, output: Tensor) -> Tensor:
        """An output with its sides in order: feature maps (B, C, H, W), tokens (B, T, D), and all else as it is."""
        shape = tuple(output.shape[1:])
        if len(shape) == 2:
            self.tokens = True
        if len(shape) != 3:
            return output
        if self.tokens and not isinstance(module, FEATURES_FIRST) and shape != self.shape:
            return output.flatten(1, 2)
        self.last, self.shape, self.tokens = self._features_last(module, shape), shape, False
        return output.permute(0, 3, 1, 2) if self.last else output

    def _features_last(self, module: nn.Module, shape: tuple[int, ...]) -> bool:
        if isinstance(module, FEATURES_FIRST):
            return False
        if isinstance(module, nn.Linear):
            return True
        if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1:
            first, last = (side == module.normalized_shape[0] for side in (shape[0], shape[2]))
            return last if first != last else type(module) is nn.LayerNorm  # LayerNorm2d and the like: first
        size = self.shape[:2] if self.last else self.shape[1:]
        first, last = shape[1:] == size, shape[:2] == size
        return last if first != last else self.last


@contextmanager
def without_fast_path() -> Iterator[None]:
    """Transformer layers call their modules one by one, instead of one fused operation that shows nothing."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def observe(
    model: nn.Module, modules: Mapping[str, nn.Module], batch: int, see: Callable[[str, nn.Module, Tensor], None]
) -> Iterator[None]:
    """Call ``see(layer name, module, activations)`` for what the modules of a model return for ``batch`` inputs.

    For one forward pass, while the context is open: layers are numbered by the calls of their module.
    """
    calls: dict[str, int] = {}
    order = Order()

    def report(name: str, module: nn.Module, output: Any) -> None:
        calls[name] = calls.get(name, 0) + 1
        call = f"#{calls[name]}" if calls[name] > 1 else ""
        for suffix, tensor in tensors(output, batch):
            activations = order.settle(module, tensor)
            if name in modules:
                see(f"{name}{call}{suffix}", module, activations)

    def hook(name: str) -> Callable[..., None]:
        return lambda module, _, output: report(name, module, output)

    with without_fast_path(), ExitStack() as stack:
        for name, module in {**select(model), **modules}.items():
            handle = module.register_forward_hook(hook(name))
            stack.callback(handle.remove)
        yield


def find_layers(model: nn.Module, example: Tensor, layers: LayerFilter = None) -> tuple[list[Layer], Any]:
    """Run the network on ``example`` (B, C, H, W) and list its layers in forward order.

    Returns:
        The layers and the network's output.

    Raises:
        InputError: no module of those selected returned activations.
    """
    found: list[Layer] = []

    def see(name: str, module: nn.Module, tensor: Tensor) -> None:
        found.append(Layer(len(found) + 1, name, type(module).__name__, tuple(tensor.shape[1:])))

    with observe(model, select(model, layers), len(example), see), torch.no_grad():
        output = model(example)
    if not found:
        raise InputError(
            f"{type(model).__name__} has no layer that returns a floating-point tensor with one entry per image; "
            "check the layer filter, and that the model returns its activations"
        )
    return found, output

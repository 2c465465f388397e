"""Observation of the layers of any ``nn.Module``: their names, their order, their activations.

A layer is one call of a module that has no children (every convolution, activation function, pooling, ...), or of a
module that a filter names. Layers are found by running the network once, so they stand in forward order, a module
that is called twice is two layers (``relu`` and ``relu#2``), and one that is never called is none. A module that
returns several tensors has one layer for each (``lstm[0]``, ``lstm[1]``).
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
    leaves = {name: module for name, module in everything.items() if next(module.children(), None) is None}
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


@contextmanager
def observe(
    modules: Mapping[str, nn.Module], batch: int, see: Callable[[str, nn.Module, Tensor], None]
) -> Iterator[None]:
    """Call ``see(layer name, module, activations)`` for what the modules return for ``batch`` inputs.

    For one forward pass, while the context is open: layers are numbered by the calls of their module.
    """
    calls: dict[str, int] = {}

    def report(name: str, module: nn.Module, output: Any) -> None:
        calls[name] = calls.get(name, 0) + 1
        call = f"#{calls[name]}" if calls[name] > 1 else ""
        for suffix, tensor in tensors(output, batch):
            see(f"{name}{call}{suffix}", module, tensor)

    def hook(name: str) -> Callable[..., None]:
        return lambda module, _, output: report(name, module, output)

    with ExitStack() as stack:
        for name, module in modules.items():
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

    with observe(select(model, layers), len(example), see), torch.inference_mode():
        output = model(example)
    if not found:
        raise InputError(
            f"{type(model).__name__} has no layer that returns a floating-point tensor with one entry per image; "
            "check the layer filter, and that the model returns its activations"
        )
    return found, output

"""A pass leaves no trace: what it needs of its surroundings is set for it, and all is put back, after an error too."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def left_as_found(model: nn.Module) -> Iterator[None]:
    """The model keeps its modes and devices, the random generators of torch, NumPy and Python their states.

    Inside, somebody's autocast is off (a pass has a precision of its own), and no gradients are kept. It is no
    inference mode, somebody's own neither: what a network computes once and keeps, or makes of lazy layers, must serve
    a training afterwards.
    """
    with ExitStack() as stack:
        stack.enter_context(_generators())
        stack.enter_context(_modes(model))
        stack.enter_context(_places(model))
        for kind in {"cpu", "cuda" if torch.cuda.is_available() else "cpu"}:
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        yield


@contextmanager
def _generators() -> Iterator[None]:
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []):
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)


@contextmanager
def _modes(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _places(model: nn.Module) -> Iterator[None]:
    """Each module's own parameters and buffers go back to where they were, if the model was moved."""
    homes = [(module, tensor.device) for module in model.modules() if (tensor := _some_tensor(module)) is not None]
    try:
        yield
    finally:
        for module, home in homes:
            tensor = _some_tensor(module)
            if tensor is not None and tensor.device != home:
                module._apply(lambda tensor, home=home: tensor.to(home), recurse=False)


def _some_tensor(module: nn.Module) -> torch.Tensor | None:
    """A parameter or buffer of the module itself."""
    own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    return own[0] if own else None

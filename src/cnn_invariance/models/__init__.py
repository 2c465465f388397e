"""The registry of networks: one file per architecture, found by its name.

A file of this folder that holds a constant ``NAME`` and a function ::

    def build(input_shape: tuple[int, int, int], classes: int, *, width: int = 32, ...) -> nn.Module

is a model, and needs no other registration. Its keyword-only arguments are those that a preset may
set. An optional literal ``CHOICES = {"argument": (allowed, values)}`` limits them. Both are read
from the source text, so that a preset is checked without torch: this module does not import it.

A file may say how the layers that the author's library observes differ from ours, as literals ``AUTHOR_HANDS_ON`` and
``AUTHOR_LEAVES_OUT``, see `author_layers`.

Every model returns log-probabilities (B, K), and every leaf module is used once in a forward pass,
in the order of ``named_modules``: its output is an observed layer.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.plugins import catalog, references
from cnn_invariance.statistics.layouts import HandedOn, Layout

if TYPE_CHECKING:
    from torch import nn

LIBRARIES = {"torchvision:": "_torchvision", "timm:": "_timm"}
"""The prefixes of names that mean a network of a library, and the file of this folder that builds it."""


LARGEST = 8192
"""The largest width, kernel or other whole number of a design; the author's largest is 512."""


def names() -> list[str]:
    """The names of the package's own models, sorted. Needs no torch.

    >>> names()
    ['AllConvolutional', 'C4Conv', 'ResNet18', 'SimpleConv', 'TIPoolingSimpleConv', 'VGG16D']
    """
    return sorted(_registry())


def defaults(name: str) -> dict[str, Any]:
    """The arguments of one of the package's own models, with their defaults. Needs no torch.

    >>> defaults("VGG16D")
    {'width': 16, 'dense': 64, 'batch_norm': False, 'norm_after_activation': True}

    Errors: InputError for an unknown name.
    """
    return dict(_find(name).functions["build"].arguments)


def file_of(name: str) -> Path:
    """The file of one of the package's own models. Needs no torch.

    Errors: InputError for an unknown name.
    """
    return _find(name).path


def author_layers(name: str) -> Layout:
    """The layers that the author's library observes of one of the package's own models, on which a profile can be laid.

    ``result.profile("NV", layers=author_layers("ResNet18"))`` has his 54 layers, so that a published curve can be held
    against ours point by point: the five shortcuts that hand on their input have the values of that input, and the
    flattening those of the global mean. For a model of which he observes the same layers, the profile stays as it is.
    Needs no torch.

    Errors: InputError for an unknown name.
    """
    constants = _find(name).constants
    handed_on = {layer: HandedOn(*place) for layer, place in constants.get("AUTHOR_HANDS_ON", {}).items()}
    return Layout(name, handed_on, frozenset(constants.get("AUTHOR_LEAVES_OUT", ())))


def check_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Check a model's name and arguments. Needs no torch.

    An argument has the type of its default; an integer is a size or a count, so at least 1 (or 0
    where the default is 0), unless ``CHOICES`` lists its values. The arguments of other code are not known
    here: nothing is checked for "torchvision:resnet18", "package.module:callable" and "file.py:callable", and `build`
    reports arguments that do not fit.

    Errors: InputError with the received value, the allowed ones and the nearest match.
    """
    if references.is_reference(name):
        return
    module = _find(name)
    function = module.functions["build"]
    for argument, value in arguments.items():
        if argument not in function.arguments:
            raise unknown_name(f"argument of {name}", argument, function.arguments)
        _check_type(f"{argument} of {name}", value, function.arguments[argument])
        choices = module.constants.get("CHOICES", {}).get(argument)
        if choices is None:
            _check_least(f"{argument} of {name}", value, function.arguments[argument])
        elif value not in choices:
            raise unknown_name(f"{argument} of {name}", value, map(str, choices))
    missing = sorted(function.required - arguments.keys())
    if missing:
        raise InputError(f"{name} needs the argument {missing[0]!r}, which is not given")


def build(name: str, input_shape: tuple[int, int, int], classes: int, /, **arguments: Any) -> "nn.Module":
    """A new network, with random weights from torch's global generator.

    Args:
        name: one of `names`; or "torchvision:NAME" or "timm:NAME", without pretrained weights (see `load_weights`); or
            "package.module:callable" or "file.py:callable", called as ``callable(input_shape, classes, **arguments)``.
        input_shape: (C, H, W) of one sample.
        classes: K, the number of columns of the output.
        arguments: those of the network.

    The network is called twice on two blank samples, in evaluation mode. So a network that does not fit its
    input or its classes, or whose layers change between calls, fails here and not after a training.

    Errors: InputError if the name or an argument is unknown, if a value is not allowed, and if the network fails, does
    not map (B, C, H, W) to (B, K), or changes its layers.
    """
    channels, height, width = input_shape
    if min(channels, height, width) < 1 or classes < 1:
        raise InputError(f"no network for {input_shape=} and {classes=}; all must be 1 or more")
    check_arguments(name, arguments)
    maker, arguments = _maker(name, input_shape, arguments)
    _check_call(name, maker, arguments)
    try:
        model = maker(input_shape, classes, **arguments)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # it may be anyone's code
        raise InputError(
            f"{name!r} fails to build a network for samples of shape {input_shape} and {classes} classes: "
            f"{type(error).__name__}: {error}"
        ) from error
    _check_output(name, model, input_shape, classes)
    return model


def fits(name: str, input_shape: tuple[int, int, int], classes: int, **arguments: Any) -> bool:
    """Whether one of the package's own models is known to take such images; no number is computed.

    The model is built and run on PyTorch's meta device, which holds shapes alone. False also where that cannot tell:
    `build` tells.
    """
    import torch

    try:
        with torch.device("meta"):
            build(name, input_shape, classes, **arguments)
    except Exception:  # whatever it is, `build` says it better
        return False
    return True


def check_callable(name: str, arguments: Mapping[str, Any]) -> None:
    """Import the builder of a network and check that it accepts these arguments, without building the network.

    Errors: InputError if the builder cannot be imported, is not found, cannot be called, or does not accept them.
    """
    maker, given = _maker(name, (3, 1, 1), dict(arguments))
    _check_call(name, maker, given)


def check_trainable(name: str, model: "nn.Module") -> None:
    """Raise InputError if no parameter of a network can be trained. Such a network can still be measured."""
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError(
            f"{name!r} has no parameters to train; give it 'epochs: 0' in the preset, and it is measured as it is"
        )


def load_weights(model: "nn.Module", path: Path | str) -> list[str]:
    """Load the weights of a safetensors file into a network; return the names of the tensors that were not loaded.

    These are the tensors of a last layer for another number of classes.

    Errors: InputError if the file cannot be read, or does not fit the network.
    """
    from cnn_invariance.models import _weights

    return _weights.load_weights(model, path)


def _registry() -> dict[str, catalog.Module]:
    modules = (module for module in catalog.folder("models") if "NAME" in module.constants)
    return {module.constants["NAME"]: module for module in modules}


def _find(name: str) -> catalog.Module:
    registry = _registry()
    if name not in registry:
        raise unknown_name("model", name, registry)
    return registry[name]


def _maker(
    name: str, input_shape: tuple[int, int, int], arguments: dict[str, Any]
) -> tuple[Callable[..., "nn.Module"], dict[str, Any]]:
    """The callable behind a name, and the arguments to give to it."""
    for prefix, file in LIBRARIES.items():
        if name.startswith(prefix):
            library = importlib.import_module(f"cnn_invariance.models.{file}")
            return library.build, {**arguments, "model": name.removeprefix(prefix)}
    if references.is_reference(name):
        return references.resolve(name), arguments
    module = importlib.import_module(f"cnn_invariance.models.{_find(name).name}")
    return module.build, arguments


def _check_type(what: str, value: Any, default: Any) -> None:
    if default is None:
        return
    expected = (int, float) if isinstance(default, float) else type(default)
    boolean = isinstance(value, bool) != isinstance(default, bool)  # a bool is an int to Python
    if boolean or not isinstance(value, expected):
        raise InputError(f"{what}: expected {type(default).__name__}, received {value!r}; its default is {default!r}")


def _check_least(what: str, value: Any, default: Any) -> None:
    if not isinstance(default, int) or isinstance(default, bool):
        return
    if value < min(default, 1):
        raise InputError(f"{what}: expected {min(default, 1)} or more, received {value!r}")
    if value > LARGEST:
        raise InputError(f"{what}: expected {LARGEST:,} at most, received {value:,}")


def _check_call(name: str, maker: Any, arguments: Mapping[str, Any]) -> None:
    if not callable(maker):
        raise InputError(
            f"{name!r} is of type {type(maker).__name__}, which cannot be called; "
            "expected a function (input_shape, classes, **arguments) -> nn.Module"
        )
    try:
        signature = inspect.signature(maker)
    except ValueError:  # some built-in callables have none to check
        return
    try:
        signature.bind((1, 1, 1), 1, **arguments)
    except TypeError as error:
        raise InputError(
            f"{name!r} cannot be called with (input_shape, classes, **{dict(arguments)}): {error}; "
            f"its signature is {signature}"
        ) from error


def _check_output(name: str, model: Any, input_shape: tuple[int, int, int], classes: int) -> None:
    import torch
    from torch import nn

    if not isinstance(model, nn.Module):
        raise InputError(f"{name!r} returned an object of type {type(model).__name__}; expected a torch nn.Module")
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        first, second = (_try(model, input_shape) for _ in range(2))
    except (Exception, SystemExit) as error:  # the network may be anyone's code
        raise InputError(
            f"{name!r} does not take samples of shape {input_shape}: {type(error).__name__}: {error}"
        ) from error
    finally:
        for module, training in modes:
            module.training = training
    output = first[0]
    shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if shape != (2, classes):
        raise InputError(
            f"{name!r} maps 2 samples of shape {input_shape} to {shape}; expected a tensor of "
            f"shape {(2, classes)}, one column per class"
        )
    if first[1] != second[1]:
        odd = next(a or b for a, b in zip_longest(first[1], second[1]) if a != b)
        raise InputError(
            f"{name!r} changes its layers between two calls: {len(first[1])} at first, then {len(second[1])}, and they "
            f"differ at {odd[0]!r} {odd[1]}; a network must compute the same layers for all images"
        )


def _try(model: "nn.Module", input_shape: tuple[int, int, int]) -> tuple[Any, list[tuple[str, tuple[int, ...]]]]:
    """The output of a network on two blank samples, and what its modules return, with the shapes."""
    import torch

    from cnn_invariance import roles

    with torch.no_grad():
        seen, output = roles.run(model, torch.zeros(2, *input_shape))
    return output, [
        (key, tuple(one.tensor.shape[1:])) for key, one in seen.items() if one.tensor is not None and one.own
    ]

"""A user's own families of measures: their files, run once, and tried before a pass."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from cnn_invariance.activations import Layer
from cnn_invariance.errors import InputError
from cnn_invariance.measures.requests import Measure, counted, level, undoes
from cnn_invariance.measures.statistics.base import Context, Statistic
from cnn_invariance.plugins import references
from cnn_invariance.storage.paths import expanded

PROBES = (Layer(1, "maps", "Conv2d", (2, 3, 4)), Layer(2, "dense", "Linear", (5,)))


def load(file: str) -> ModuleType:
    """The module of a file; while its text stays, the same one: its statistics are told apart by their classes.

    Errors: InputError for a file that is missing or fails to import.
    """
    path = expanded(file)
    return _run(path, path.read_bytes() if path.is_file() else b"")


@lru_cache(maxsize=64)
def _run(path: Path, text: bytes) -> ModuleType:
    return references.from_file(path)


def check(request: Measure, layers: Sequence[Layer] = PROBES) -> None:
    """Try a measure on layers of these shapes, with made-up statistics.

    Errors: InputError for a file that fails to import, for ``statistics`` or ``combine`` that fail or give something
    else than they must, and for a measure that undoes the transformation without saying so in ``UNDONE``.
    """
    assert request.file is not None
    family = load(request.file)
    for layer in layers:
        context = Context(layer, 2, 2, torch.device("cpu"))
        try:
            needed = family.statistics(request, context)
            if not (isinstance(needed, Sequence) and all(isinstance(one, Statistic) for one in needed)):
                raise InputError(f"statistics returned {needed!r}; expected a list of statistics, such as Spread")
            value = family.combine(request, context, *(_ones(one, layer) for one in needed)) if needed else None
        except (Exception, SystemExit) as error:  # it may be anyone's code
            said = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            raise InputError(f"{request} fails on a layer of shape {layer.shape}: {said}; correct the file") from error
        if any(one.undone or one.moved for one in needed) and not undoes(request):
            raise InputError(
                f"{request} undoes the transformation; say so at the top of {request.file}: UNDONE = "
                f'("{request.name}",), so that it is left out where a transformation cannot be undone'
            )
        if value is not None:
            _check_value(request, layer, value)


def _ones(statistic: Statistic, layer: Layer) -> Tensor:
    if statistic.whole:
        return torch.ones(1, dtype=torch.float64)
    return torch.ones((layer.maps,) if statistic.per_map else layer.shape, dtype=torch.float64)


def _check_value(request: Measure, layer: Layer, value: object) -> None:
    shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
    of_layer = level(request) == "layer"
    allowed = {(1,)} if of_layer else {layer.shape, (layer.maps,)}
    if shape not in allowed:
        of = "the layer, as LEVEL says" if of_layer else "each unit or feature map"
        raise InputError(
            f"{request} turns a layer of shape {layer.shape} into {shape}; expected a tensor of shape "
            f"{' or '.join(map(str, sorted(allowed, key=len, reverse=True)))}: a value for {of}"
        )
    if layer.shape == (layer.maps,) or of_layer:
        return
    found, said = "maps" if shape == (layer.maps,) else "units", counted(request)
    if found != said:
        advice = "name it in" if found == "maps" else "leave it out of"
        raise InputError(
            f"{request} has one value for each of the {found} of a layer of shape {layer.shape}, and its label would "
            f'say "of {said}"; {advice} OF_MAPS at the top of {request.file}'
        )

"""The state of an unfinished training: everything that the next epoch depends on.

This is the network, the optimiser and the number of epochs done. The random streams depend only on
the spec and the epoch (see seeds).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cnn_invariance.errors import shown
from cnn_invariance.training import tensorfile

if TYPE_CHECKING:
    from cnn_invariance.study import TrainSpec


@dataclass(frozen=True)
class State:
    """An unfinished training after ``epoch`` epochs."""

    epoch: int
    history: list[dict[str, Any]]  # one entry per epoch done
    resumed_after: list[int]  # epochs after which the run was interrupted before
    network: dict[str, Tensor]
    optimiser: dict[str, Tensor]


FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "epoch": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "history": lambda value: isinstance(value, list) and all(isinstance(one, dict) for one in value),
    "resumed_after": lambda value: isinstance(value, list) and all(isinstance(one, int) for one in value),
}
"""What the document of a state holds, each with a test."""


class UnusableStateError(ValueError):
    """A training must not continue from this state file. The message gives the reason."""


def write(
    path: Path,
    spec: "TrainSpec",
    model: nn.Module,
    optimiser: Optimizer,
    *,
    epoch: int,
    history: list[dict[str, Any]],
    resumed_after: list[int],
) -> None:
    """Write the state atomically, replacing that of the epoch before."""
    tensors = {f"network/{name}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser/{name}/{key}"] = value
    document = {
        "spec_hash": spec.hash,
        "epoch": epoch,
        "history": history,
        "resumed_after": resumed_after,
    }
    tensorfile.write(path, tensors, document)


def read(path: Path, spec: "TrainSpec") -> State:
    """The state in a file.

    Errors: UnusableStateError if the file is damaged or belongs to another spec.
    """
    try:
        tensors, document = tensorfile.read(path)
    except tensorfile.DamagedFileError as error:
        raise UnusableStateError(str(error)) from error
    if document.get("spec_hash") != spec.hash:
        raise UnusableStateError(f"{path} belongs to another spec, {shown(document.get('spec_hash'))}")
    if wrong := [name for name, fits in FIELDS.items() if not fits(document.get(name))]:
        raise UnusableStateError(f"{path} has no {wrong[0]!r} of a training: {shown(document.get(wrong[0]))}")
    if not 0 <= document["epoch"] <= spec.recipe.epochs or len(document["history"]) != document["epoch"]:
        raise UnusableStateError(f"{path} is of epoch {document['epoch']}, which this training does not have")
    return State(
        document["epoch"],
        document["history"],
        document["resumed_after"],
        _part(tensors, "network/"),
        _part(tensors, "optimiser/"),
    )


def restore(state: State, model: nn.Module, optimiser: Optimizer) -> None:
    """Put a state into a network and its optimiser, both as they were built.

    The optimiser's tensors get the memory layout of their parameters: its fused kernel walks over
    the memory of both side by side.

    Errors: UnusableStateError if the network has other tensors, because its code was changed. It is then
    partly restored.
    """
    try:
        model.load_state_dict(state.network)
    except RuntimeError as error:
        raise UnusableStateError(f"the network's code was changed: {error}") from error
    for name, parameter in model.named_parameters():
        values = _part(state.optimiser, f"{name}/")
        if values:
            optimiser.state[parameter] = {key: _like(value, parameter) for key, value in values.items()}


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    if value.shape == parameter.shape and value.ndim:
        return torch.empty_like(parameter, requires_grad=False).copy_(value)
    return value.to(parameter.device)


def _part(tensors: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}

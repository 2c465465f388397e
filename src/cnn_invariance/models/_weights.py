"""Pretrained weights from a safetensors file, put into a network."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.storage.paths import expanded

PICKLES = (".pth", ".pt", ".bin", ".ckpt", ".pkl")


def load_weights(model: nn.Module, path: Path | str) -> list[str]:
    """Replace the parameters and buffers of a network by the tensors of the same names in a safetensors file.

    The last layer keeps its values if the file has it for another number of classes. Returns the names of the tensors
    that were not replaced. Names may begin with ``module.`` (DataParallel) or hold ``_orig_mod.`` (torch.compile). Of
    tensors that share memory, such as tied weights, one is enough, as ``safetensors.torch.save_model`` writes them.

    Errors: InputError if the file is missing or is not a safetensors file, and if a tensor is missing, unknown, of
    another shape, not finite, or of whole numbers where the network has others (quantised weights).
    """
    path = expanded(path)
    present = model.state_dict()
    tensors, tied = _read(path)
    tensors = _renamed(path, tensors, present)
    tensors |= _shared(tensors, present, tied)
    for name in tensors.keys() & present.keys():
        _check_numbers(path, name, tensors[name], present[name])
    if unknown := sorted(tensors.keys() - present.keys()):
        raise InputError(f"{path} does not fit the network: {unknown_name('tensor', unknown[0], _few(present))}")
    if missing := sorted(name for name in present.keys() - tensors.keys() if not name.endswith("num_batches_tracked")):
        raise InputError(f"{path} does not fit the network: it lacks {len(missing)} tensors, the first {missing[0]!r}")
    differing = [name for name, tensor in tensors.items() if tensor.shape != present[name].shape]
    if wrong := [name for name in differing if not _of_last_layer(name, list(present), tensors[name], present[name])]:
        raise InputError(
            f"{path} does not fit the network: {wrong[0]!r} is {tuple(tensors[wrong[0]].shape)} there and "
            f"{tuple(present[wrong[0]].shape)} in the network; give the arguments (width, number of classes, ...) that "
            "the weights were trained with"
        )
    model.load_state_dict(present | {name: tensor for name, tensor in tensors.items() if name not in differing})
    return differing


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, and the names in it of those that were left out because they share memory."""
    if not path.is_file():
        raise InputError(f"no file {path} of weights (from the folder {Path.cwd()}); check the path")
    try:
        with safe_open(path, framework="pt") as file:
            tied = dict(file.metadata() or {})
        return load_file(path), tied
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError, MemoryError) as error:
        convert = (
            "; files of torch.save hold code as well as numbers, and are not read: write their tensors once with "
            "safetensors.torch.save_file (docs/extending.md shows the line)"
        )
        advice = convert if path.suffix in PICKLES else "; download or write it again"
        raise InputError(f"{path} cannot be read as a safetensors file ({error}){advice}") from error


def _renamed(path: Path, tensors: dict[str, Tensor], present: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by their names in the network, where only what wraps a network tells the two apart."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        plain = name if name in present else _unwrapped(name, present)
        if plain in found:
            raise InputError(f"{path} does not fit the network: it has {plain!r} twice, with a prefix and without")
        found[plain] = tensor
    return found


def _unwrapped(name: str, present: dict[str, Tensor]) -> str:
    plain = name.replace("_orig_mod.", "")
    while plain not in present and plain.startswith("module."):
        plain = plain.removeprefix("module.")
    return plain if plain in present else name


def _shared(tensors: dict[str, Tensor], present: dict[str, Tensor], tied: dict[str, str]) -> dict[str, Tensor]:
    """The tensors that a file lacks, and has under the name of another that shares their memory."""
    known = {_unwrapped(name, present): _unwrapped(other, present) for name, other in tied.items()}
    memory = {_memory(present[name]): name for name in tensors.keys() & present.keys()}
    found = {}
    for name in present.keys() - tensors.keys():
        other = known.get(name) or memory.get(_memory(present[name]))
        if other in tensors:
            found[name] = tensors[other]
    return found


def _memory(tensor: Tensor) -> tuple[int, ...]:
    """What two names of one tensor have in common; of an empty tensor, nothing."""
    return (tensor.data_ptr() or id(tensor), *tensor.shape, *tensor.stride())


def _check_numbers(path: Path, name: str, received: Tensor, expected: Tensor) -> None:
    """Raise InputError for whole numbers in place of others, for eight bits, and for what is not finite."""
    kind = str(received.dtype).removeprefix("torch.")
    if received.is_floating_point() != expected.is_floating_point() or (
        received.is_floating_point() and received.dtype.itemsize == 1
    ):
        raise InputError(
            f"{path} does not fit the network: {name!r} is {kind} there and "
            f"{str(expected.dtype).removeprefix('torch.')} in the network; quantised weights mean nothing without "
            "their scales: write the weights in float32, float16 or bfloat16"
        )
    odd = int((~received.isfinite()).sum()) if received.is_floating_point() else 0
    if odd and not (received.shape == expected.shape and torch.equal(received.isfinite(), expected.isfinite())):
        raise InputError(
            f"{path}: {name!r} has {odd:,} values of {received.numel():,} that are not finite (nan or infinite); a "
            "training that diverged, or a damaged file? write it again from good weights"
        )


def _of_last_layer(name: str, names: list[str], received: Tensor, expected: Tensor) -> bool:
    """Whether a tensor belongs to the last module with weights, and its shape differs only in the first dimension."""
    last = names[-1].rpartition(".")[0]
    return name.rpartition(".")[0] == last and received.shape[1:] == expected.shape[1:]


def _few(names: dict[str, Tensor]) -> list[str]:
    return list(names)[:12]

"""Pretrained weights from a safetensors file, put into a network."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.storage.paths import expanded

PICKLES = (".pth", ".pt", ".bin", ".ckpt", ".pkl")


def load_weights(model: nn.Module, path: Path | str) -> list[str]:
    """Replace the parameters and buffers of a network by the tensors of the same names in a safetensors file.

    The last layer keeps its values if the file has it for another number of classes. Returns the names of the tensors
    that were not replaced.

    Errors: InputError if the file is missing or is not a safetensors file, and if a tensor is missing, unknown, or of
    another shape.
    """
    path = expanded(path)
    tensors, present = _read(path), model.state_dict()
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


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"no file {path} of weights (from the folder {Path.cwd()}); check the path")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError, MemoryError) as error:
        convert = (
            "; files of torch.save hold code as well as numbers, and are not read: write their tensors once with "
            "safetensors.torch.save_file (CONTRIBUTING shows the line)"
        )
        advice = convert if path.suffix in PICKLES else "; download or write it again"
        raise InputError(f"{path} cannot be read as a safetensors file ({error}){advice}") from error


def _of_last_layer(name: str, names: list[str], received: Tensor, expected: Tensor) -> bool:
    """Whether a tensor belongs to the last module with weights, and its shape differs only in the first dimension."""
    last = names[-1].rpartition(".")[0]
    return name.rpartition(".")[0] == last and received.shape[1:] == expected.shape[1:]


def _few(names: dict[str, Tensor]) -> list[str]:
    return list(names)[:12]

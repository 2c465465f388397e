"""Pretrained weights from a safetensors file, put into a network."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cnn_invariance.errors import InputError, unknown_name

PICKLES = (".pth", ".pt", ".bin", ".ckpt", ".pkl")


def load_weights(model: nn.Module, path: Path | str) -> list[str]:
    """Put the tensors of a safetensors file in the place of a network's own, by name.

    A last layer for another number of classes does not fit, and stays as it is: the names of its tensors are returned.

    Errors: InputError for a file that is missing or is no safetensors file, and for tensors that are missing, unknown,
    or of another shape.
    """
    path = Path(path).expanduser()
    tensors, own = _read(path), model.state_dict()
    if unknown := sorted(tensors.keys() - own.keys()):
        raise InputError(f"{path} does not fit the network: {unknown_name('tensor', unknown[0], _few(own))}")
    if missing := sorted(name for name in own.keys() - tensors.keys() if not name.endswith("num_batches_tracked")):
        raise InputError(f"{path} does not fit the network: it lacks {len(missing)} tensors, the first {missing[0]!r}")
    other = [name for name, tensor in tensors.items() if tensor.shape != own[name].shape]
    if kept := [name for name in other if not _of_last_layer(name, list(own), tensors[name], own[name])]:
        raise InputError(
            f"{path} does not fit the network: {kept[0]!r} is {tuple(tensors[kept[0]].shape)} there and "
            f"{tuple(own[kept[0]].shape)} in the network; give the arguments (width, number of classes, ...) that the "
            "weights were trained with"
        )
    model.load_state_dict(own | {name: tensor for name, tensor in tensors.items() if name not in other})
    return other


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"no file {path} of weights (from the folder {Path.cwd()}); check the path")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        convert = (
            "; files of torch.save hold code as well as numbers, and are not read: write their tensors once with "
            "safetensors.torch.save_file (CONTRIBUTING shows the line)"
        )
        advice = convert if path.suffix in PICKLES else "; download or write it again"
        raise InputError(f"{path} cannot be read as a safetensors file ({error}){advice}") from error


def _of_last_layer(name: str, names: list[str], tensor: Tensor, own: Tensor) -> bool:
    """Whether a tensor is the weight or bias of the last module with weights, and differs in its first side alone."""
    last = names[-1].rpartition(".")[0]
    return name.rpartition(".")[0] == last and tensor.shape[1:] == own.shape[1:]


def _few(names: dict[str, Tensor]) -> list[str]:
    return list(names)[:12]

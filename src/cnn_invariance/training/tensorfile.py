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

from cnn_invariance.storage.files import atomic_write

ENTRY = "cnn_invariance"


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
    with atomic_write(path) as temporary:
        save_file(plain, temporary, metadata={ENTRY: entry})


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, on the CPU, and the document.

    Errors: DamagedFileError if the file is missing, is not a safetensors file, was not written by `write`,
    or if a single byte of its content has changed.
    """
    try:
        with safe_open(path, framework="pt") as file:
            entry = json.loads(file.metadata()[ENTRY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text, expected = entry["document"], entry["sha256"]
        received = digest(tensors, text)
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise DamagedFileError(f"{path} cannot be read: {error!r}") from error
    if received != expected:
        raise DamagedFileError(f"{path} is damaged: its content does not have its checksum")
    return tensors, json.loads(text)

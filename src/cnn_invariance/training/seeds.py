"""Random streams that depend on the spec and on what they are for, and on nothing else.

Each purpose has a stream of its own ("weights", "epoch 3", ...). So epoch 3 draws the same
numbers whether the run started at epoch 1 or was resumed at epoch 2, and no generator's state has
to be kept. Numbers are drawn on the CPU, so that they are the same for every device.
"""

import hashlib

import torch


def derive(spec_hash: str, purpose: str) -> int:
    """A seed of 63 bits: the start of the SHA-256 of the spec's hash and the purpose.

    >>> derive("ab", "weights") == derive("ab", "weights") != derive("ab", "epoch 1")
    True
    """
    digest = hashlib.sha256(f"{spec_hash}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(spec_hash: str, purpose: str) -> torch.Generator:
    """A CPU generator at the start of the stream of a purpose."""
    return torch.Generator().manual_seed(derive(spec_hash, purpose))

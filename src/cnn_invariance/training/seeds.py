"""Random streams that depend only on the spec and on their purpose.

Each purpose ("weights", "epoch 3", ...) has a separate stream. So epoch 3 draws the same numbers
whether the run started at epoch 1 or was resumed at epoch 2, and the state of a generator need not be
kept. Numbers are drawn on the CPU, so that they are the same for every device.
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

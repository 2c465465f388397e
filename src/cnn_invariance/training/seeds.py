"""Random streams that depend only on a network's seed and on their purpose.

Each purpose ("weights", "order 3", "augmentation 3", ...) has a separate stream. So networks of one seed see the
samples in the same order and under the same draws of transformations, whatever else differs between them, and a
statistic may pair them. Epoch 3 draws the same numbers whether the run started at epoch 1 or was resumed at epoch 2,
and the state of a generator need not be kept. Numbers are drawn on the CPU, so that they are the same for every device.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


def derive(seed: int, purpose: str) -> int:
    """A seed of 63 bits for one purpose: the start of the SHA-256 of the network's seed and the purpose.

    >>> derive(0, "weights") == derive(0, "weights") != derive(0, "order 1")
    True
    """
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, purpose: str) -> torch.Generator:
    """A CPU generator at the start of the stream of a purpose."""
    return torch.Generator().manual_seed(derive(seed, purpose))


class InitialWeights(TorchDispatchMode):
    """While a network is built: each tensor of random numbers depends only on the seed, its shape and its place.

    Its place is its number among the random tensors of its shape, in the order in which they are drawn. So two designs
    of one seed start from the same weights wherever their shapes agree and they come as the same of that shape. A layer
    that one of them has in addition moves those after it that have a tensor of a shape of its own, and no others: with
    as many filters as dense units, the bias of a dense layer follows those of the convolutions.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed, self.drawn = seed, Counter[str]()
        torch.manual_seed(derive(seed, "weights"))  # for random numbers that are drawn in another way

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Seed the global generator anew before an operation that draws random numbers."""
        if torch.Tag.nondeterministic_seeded in func.tags and (kwargs or {}).get("generator") is None:
            shape = "x".join(map(str, args[0].shape if isinstance(args[0], Tensor) else args[0])) if args else ""
            torch.manual_seed(derive(self.seed, f"weights {shape} {self.drawn[shape]}"))
            self.drawn[shape] += 1
        return func(*args, **(kwargs or {}))

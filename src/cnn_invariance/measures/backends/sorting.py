"""The network that sorts the values of a row, whatever they are: the same comparisons for every unit."""

from functools import cache

import torch
from torch import Tensor


@cache
def sorting_network(n: int) -> Tensor:
    """Batcher's odd-even merge sort for ``n`` values: int32 (comparators, 2), lower position first.

    K. E. Batcher, "Sorting networks and their applications", AFIPS 1968; for any n, as in D. E. Knuth, The Art of
    Computer Programming 3, algorithm 5.2.2 M.

    >>> sorting_network(3).tolist()
    [[0, 2], [0, 1], [1, 2]]
    """
    comparators = []
    t = max(n - 1, 0).bit_length()
    p = 1 << max(t - 1, 0)
    while p > 0 and n > 1:
        q, r, d = 1 << (t - 1), 0, p
        while True:
            comparators += [(i, i + d) for i in range(n - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q >> 1, p
        p >>= 1
    return torch.tensor(comparators, dtype=torch.int32, device="cpu").reshape(-1, 2)

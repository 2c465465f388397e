"""The loops in C, compiled with AddressSanitizer and UndefinedBehaviorSanitizer, against the torch operations.

Run by `test_native_memory.py` in a process of its own, with a seed and a number of shapes; prints how many agreed.
"""

import random
import sys

import torch

from cnn_invariance.measures.backends import c_loops, torch_operations
from cnn_invariance.measures.backends.interface import MapDistanceSums

FLAGS = (
    *("-O0", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    *("-fPIC", "-std=c11", "-Wno-unknown-pragmas"),
)


def zeros(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.zeros(shape, dtype=dtype)


def both(loop: str, arguments, state) -> None:
    """Call a loop of both back ends on state of their own, and compare what they leave."""
    left = []
    for backend in (c_loops, torch_operations):
        held = state()
        returned = getattr(backend, loop)(*arguments(held))
        left.append([*held, *([returned] if isinstance(returned, torch.Tensor) else [])])
    for ours, theirs in zip(*left, strict=True):
        finite = torch.isfinite(theirs)
        assert torch.equal(torch.isfinite(ours), finite), f"{loop}: finite in one alone"
        torch.testing.assert_close(ours[finite].double(), theirs[finite].double(), rtol=1e-3, atol=1e-3, msg=loop)


def try_shape(random_: random.Random, M: int, b: int, positions: int, C: int, odd: float | None) -> None:
    """All loops on a tile of M x b samples of ``positions`` x C units, of which some are ``odd``."""
    U = positions * C
    values = torch.randn(M, b, U)
    if odd is not None and U:
        values[random_.randrange(M), random_.randrange(b), random_.randrange(U)] = odd
    along = lambda: (zeros(M, U), zeros(M, U, dtype=torch.float32), zeros(U), zeros(U))  # noqa: E731
    both("grid_moments", lambda s: (values, 0, s[:2], s[2], s[3]), along)
    both("sum_of_columns", lambda s: (values[:, 0].abs().contiguous(), True), tuple)
    both("between_columns", lambda s: (values[:, 0].double().contiguous(),), tuple)
    if odd is not None:
        return
    block = random_.choice([2, 3, 4, 8])
    blocks = -(-b // block)
    both(
        "activation_distances",
        lambda s: (values, block, *s),
        lambda: (zeros(U), zeros(blocks, U), zeros(blocks, U)),
    )
    A, reference = random_.choice([1, 2]), random_.randrange(M)
    signs, thresholds = torch.tensor([1.0, -1.0])[:A], torch.randn(A, U)
    both(
        "exceedances",
        lambda s: (values, values[reference], signs, thresholds, s[:2], s[2]),
        lambda: (zeros(A, U, dtype=torch.int32), zeros(A, U, dtype=torch.int32), zeros(U, dtype=torch.float32)),
    )
    maps = values.view(M, b, positions, C)
    pivot, normalize = torch.randn(C) * random_.choice([0, 1]), random_.random() < 0.5

    sums = []
    for backend in (c_loops, torch_operations):
        held = MapDistanceSums(zeros(C), zeros(blocks, C), zeros(blocks, C), zeros(C))
        backend.map_distances(maps, held, M=M, block=block, reference=reference, normalize=normalize, pivot=pivot)
        sums.append(held)
    for ours, theirs in zip(*sums, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=2e-3, msg="map_distances")
    index = torch.randint(0, positions, (M, positions, 4), dtype=torch.int32)
    fraction, exact = torch.rand(M, positions, 2), torch.randint(0, 2, (M,), dtype=torch.uint8)
    both("undo", lambda s: (maps, index, fraction, exact, pivot, s[0]), lambda: (torch.empty_like(maps),))


def main(seed: int, count: int) -> None:
    """Shapes at the edges, then random ones."""
    c_loops.FLAGS, c_loops.OPENMP = FLAGS, ()  # here and not above: tests that import this file keep theirs
    random_ = random.Random(seed)
    torch.manual_seed(seed)
    edges = [(1, 1, 1, 1), (1, 2, 1, 1), (2, 1, 1, 3), (2, 2, 1, 1), (504, 1, 1, 2), (504, 2, 4, 1), (1, 1, 9, 130)]
    shapes = [*edges, (2, 9, 1, 513), (3, 17, 1, 129)]
    sizes = ((1, 2, 3, 5, 25), (1, 2, 3, 8, 33), (1, 2, 4, 9), (1, 3, 31, 65))
    while len(shapes) < count:
        shapes.append(tuple(map(random_.choice, sizes)))
    for number, shape in enumerate(shapes):
        try_shape(random_, *shape, odd=random_.choice([None, None, float("nan"), float("inf")]) if number % 3 else None)
    assert c_loops.library() is not None
    print(f"{len(shapes)} shapes agree")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

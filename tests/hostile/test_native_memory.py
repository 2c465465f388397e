"""The loops in C under AddressSanitizer and UndefinedBehaviorSanitizer, over random shapes; and what is not finite."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cnn_invariance.measures.backends import c_loops, torch_operations
from cnn_invariance.measures.backends.interface import MapDistanceSums

COMPILER = shutil.which("gcc")


def runtime(name: str) -> str:
    """The library of a sanitiser that the compiler has; empty if it has none."""
    found = subprocess.run([COMPILER, f"-print-file-name={name}"], capture_output=True, text=True, check=False)
    path = Path(found.stdout.strip())
    return str(path) if path.is_absolute() and path.exists() else ""


def test_no_shape_reads_or_writes_where_it_must_not(request, tmp_path):
    if COMPILER is None or not all(libraries := [runtime("libasan.so"), runtime("libubsan.so")]):
        pytest.skip("no gcc with sanitisers here")
    script, seed = Path(__file__).with_name("sanitised_loops.py"), request.config.getoption("--fuzz-seed")
    variables = {
        "CC": COMPILER, "LD_PRELOAD": ":".join(libraries), "XDG_CACHE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1",
        "ASAN_OPTIONS": "detect_leaks=0:detect_odr_violation=0", "CNN_INVARIANCE_NATIVE": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(script), str(seed), "40"],
        env=os.environ | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert "40 shapes agree" in done.stdout
    assert list(tmp_path.rglob("statistics-*.so")), "compiled here, with the sanitisers"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("shape", [(3, 1, 5), (1, 1, 5), (1, 3, 5), (2, 2, 5)])
def test_what_is_not_finite_is_the_same_in_c_and_in_torch_operations(shape, value):
    """With one sample too, of which there are no deviations and no distances."""
    if c_loops.library() is None:
        pytest.skip("no C compiler here")
    M, b, U = shape
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values[0, 0, 2] = value
    found = []
    for backend in (c_loops, torch_operations):
        state = torch.zeros(M, U, dtype=torch.float64), torch.zeros(M, U)
        sums = [torch.zeros(U, dtype=torch.float64) for _ in range(3)]
        blocks = [torch.zeros(-(-b // 2), U, dtype=torch.float64) for _ in range(2)]
        backend.grid_moments(values, 0, state, *sums[:2])
        backend.activation_distances(values, 2, sums[2], *blocks)
        shapes = ((U,), (-(-b // 2), U), (-(-b // 2), U), (U,))
        maps = MapDistanceSums(*(torch.zeros(shape, dtype=torch.float64) for shape in shapes))
        pivot = torch.zeros(U)
        backend.map_distances(values[:, :, None], maps, M=M, block=2, reference=0, normalize=False, pivot=pivot)
        found.append([torch.isfinite(one) for one in (*state, *sums, *blocks, *maps)])
    names = ("mean", "m2", "sum of std", "sum of var", "rows", "columns", "halves", *MapDistanceSums._fields)
    for name, ours, theirs in zip(names, *found, strict=True):
        assert torch.equal(ours, theirs), name

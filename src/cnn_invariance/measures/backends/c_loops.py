"""The loops of `interface.Backend` compiled from C: builds ``c_loops.c`` once, loads it, calls it.

The library is compiled on first use with the machine's C compiler (``$CC``, ``cc``, ``gcc`` or ``clang``) and kept
in the user's cache folder under a name made of the source, the flags and the processor. Where there is no compiler,
or ``CNN_INVARIANCE_NATIVE=0``, torch operations take their place.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import platformdirs
import torch
from torch import Tensor

from cnn_invariance.measures.backends.interface import MapDistanceSums
from cnn_invariance.measures.backends.sorting import sorting_network
from cnn_invariance.storage.files import atomic_write

SOURCE = Path(__file__).with_name("c_loops.c")
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fPIC", "-std=c11", "-Wno-unknown-pragmas")
OPENMP = ("-fopenmp",)  # compiled with it, not linked with it: torch's own OpenMP answers

Pointer = int | None


@cache
def library() -> ctypes.CDLL | None:
    """The compiled loops, or None where they cannot be had."""
    if os.environ.get("CNN_INVARIANCE_NATIVE") == "0":
        return None
    for flags in ((*FLAGS, *OPENMP), FLAGS):
        try:
            return _declare(_loaded(flags))
        except (OSError, subprocess.SubprocessError):
            continue
    return None


def available(device: torch.device) -> bool:
    """Whether tiles on this device can be handled here."""
    return device.type == "cpu" and library() is not None


def _loaded(flags: tuple[str, ...]) -> ctypes.CDLL:
    """The library in the user's cache folder, or, where that cannot be written, one built for this process alone."""
    try:
        return ctypes.CDLL(str(_build(flags, Path(platformdirs.user_cache_dir("cnn_invariance")))))
    except (OSError, subprocess.CalledProcessError):
        with tempfile.TemporaryDirectory() as folder:
            return ctypes.CDLL(str(_build(flags, Path(folder))))


def _build(flags: tuple[str, ...], folder: Path) -> Path:
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CC", "cc"), "gcc", "clang"))), None)
    if compiler is None:
        raise FileNotFoundError("no C compiler")
    identity = "\0".join((SOURCE.read_text(), *flags, compiler, _processor()))
    name = f"statistics-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.so"
    path = folder / name
    if not path.exists():
        with atomic_write(path) as temporary:
            _compile(compiler, flags, temporary)
    return path


def _compile(compiler: str, flags: tuple[str, ...], target: Path) -> None:
    compiled = target.with_suffix(".o")
    run = {"check": True, "capture_output": True, "timeout": 120}
    try:
        subprocess.run([compiler, *flags, "-c", str(SOURCE), "-o", str(compiled)], **run)  # type: ignore[call-overload]
        subprocess.run([compiler, "-shared", str(compiled), "-lm", "-o", str(target)], **run)  # type: ignore[call-overload]
    finally:
        compiled.unlink(missing_ok=True)


def _processor() -> str:
    """What ``-march=native`` depends on: a cache folder may be shared by unlike machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() + platform.machine()
    return "".join(sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))}))


def _declare(loaded: ctypes.CDLL) -> ctypes.CDLL:
    pointer, size, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    loaded.grid_moments.argtypes = [pointer, size, size, size, size, *[pointer] * 4]
    loaded.grid_moments.restype = None
    loaded.sum_of_columns.argtypes = [pointer, size, size, number, pointer]
    loaded.sum_of_columns.restype = None
    loaded.between_columns.argtypes = [pointer, size, size, pointer]
    loaded.between_columns.restype = None
    loaded.exceedances.argtypes = [pointer, size, size, size, size, size, *[pointer] * 5]
    loaded.exceedances.restype = None
    loaded.activation_distances.argtypes = [
        pointer,
        size,
        size,
        size,
        size,
        pointer,
        size,
        pointer,
        size,
        *[pointer] * 3,
    ]
    loaded.activation_distances.restype = number
    loaded.map_distances.argtypes = [pointer, *[size] * 6, number, *[pointer] * 5]
    loaded.map_distances.restype = number
    loaded.undo.argtypes = [pointer, *[size] * 4, *[pointer] * 5]
    loaded.undo.restype = None
    return loaded


def _loops() -> ctypes.CDLL:
    loaded = library()
    assert loaded is not None, "available() was not asked"
    return loaded


def _at(tensor: Tensor | None) -> Pointer:
    return None if tensor is None else tensor.data_ptr()


def grid_moments(
    values: Tensor,
    seen: int,
    columns: tuple[Tensor, Tensor] | None,
    sum_std: Tensor | None,
    sum_var: Tensor | None,
) -> None:
    """See `interface.Backend.grid_moments`."""
    M, b, U = values.shape
    state = columns or (None, None)
    _loops().grid_moments(_at(values), M, b, U, seen, *map(_at, state), _at(sum_std), _at(sum_var))


def sum_of_columns(m2: Tensor, root: bool) -> Tensor:
    """See `interface.Backend.sum_of_columns`."""
    M, U = m2.shape
    total = torch.empty(U, dtype=torch.float64, device="cpu")
    _loops().sum_of_columns(_at(m2), M, U, int(root), _at(total))
    return total


def between_columns(mean: Tensor) -> Tensor:
    """See `interface.Backend.between_columns`."""
    M, U = mean.shape
    total = torch.empty(U, dtype=torch.float64, device="cpu")
    _loops().between_columns(_at(mean), M, U, _at(total))
    return total


def exceedances(
    values: Tensor,
    reference: Tensor,
    signs: Tensor,
    thresholds: Tensor,
    counts: tuple[Tensor, Tensor],
    broken: Tensor,
) -> None:
    """See `interface.Backend.exceedances`."""
    M, b, U = values.shape
    column = (reference.data_ptr() - values.data_ptr()) // (values.element_size() * b * U)
    local, untransformed = counts
    _loops().exceedances(
        _at(values),
        M,
        b,
        U,
        column,
        len(signs),
        _at(signs),
        _at(thresholds),
        _at(local),
        _at(untransformed),
        _at(broken),
    )


def activation_distances(
    values: Tensor, block: int, rows: Tensor | None, columns: Tensor | None, halves: Tensor | None
) -> None:
    """See `interface.Backend.activation_distances`."""
    M, b, U = values.shape
    of_rows, of_blocks = sorting_network(M), sorting_network(block)
    networks = _at(of_rows), len(of_rows), _at(of_blocks), len(of_blocks)
    failed = _loops().activation_distances(_at(values), M, b, U, block, *networks, _at(rows), _at(columns), _at(halves))
    if failed:
        raise MemoryError("no memory for the distances between activations")


def map_distances(
    columns: Tensor, sums: MapDistanceSums, *, M: int, block: int, reference: int, normalize: bool, pivot: Tensor
) -> None:
    """See `interface.Backend.map_distances`."""
    _, b, P, C = columns.shape
    failed = _loops().map_distances(
        _at(columns), M, b, P, C, block, reference, int(normalize), _at(pivot), *map(_at, sums)
    )
    if failed:
        raise MemoryError("no memory for the distances between feature maps")


def undo(values: Tensor, index: Tensor, fraction: Tensor, exact: Tensor, pivot: Tensor, out: Tensor) -> Tensor:
    """See `interface.Backend.undo`."""
    M, b, positions, C = values.shape
    _loops().undo(_at(values), M, b, positions, C, _at(index), _at(fraction), _at(exact), _at(pivot), _at(out))
    return out

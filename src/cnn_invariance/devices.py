"""Where and how torch computes, and how all is left as it was found."""

import ctypes
import os
import random
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import nn

from cnn_invariance.errors import InputError


def choose(name: str | None) -> torch.device:
    """The device of a name ("cpu", "cuda", "cuda:1", "mps"); None: CUDA if there is any, else CPU.

    Errors: InputError for a name that torch does not know or that this machine does not have.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that CUDA was compiled in
        raise InputError(f"device {name!r} cannot be used: {error}; use 'cpu'") from error
    return device


def check_double(device: torch.device) -> None:
    """Refuse a device that cannot compute in float64, as the sums of all statistics do: Apple's MPS, meta."""
    try:
        computes = (torch.ones(1, dtype=torch.float64, device=device) * 2).item() == 2
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise InputError(
            f"device {str(device)!r} cannot be measured on: {error}; statistics are summed in float64. Pass "
            "device='cpu': a network that is elsewhere is brought back afterwards"
        ) from error
    assert computes


def peak_memory(device: torch.device) -> int | None:
    """The most bytes that were allocated at once on a GPU since `repeatable`; None elsewhere."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


@contextmanager
def repeatable(device: torch.device, threads: int | None) -> Iterator[None]:
    """The settings under which a training repeats; torch's own are put back at the end.

    threads: of the CPU's operations; None leaves them. The order of a sum depends on their number:
             weights repeat to the byte on one machine with the same number of threads.

    The global generators are left as they were found. On CUDA, deterministic algorithms are asked
    for; an operation that has none warns and runs (none of the package's own networks uses one).
    """
    if threads is not None and threads < 1:
        raise InputError(f"expected 1 or more threads, received {threads}")
    before = torch.get_num_threads()
    torch.set_num_threads(before if threads is None else threads)
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
                with _deterministic_cuda():
                    yield
            else:
                yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def at_precision(precision: str, device: torch.device) -> Iterator[None]:
    """Products and convolutions at a precision: ``fp32``, ``tf32`` (of CUDA) or ``bf16`` (autocast).

    On CUDA, fp32 is IEEE's and not whatever torch was set to; what torch was set to is put back.
    """
    if precision == "bf16":
        with torch.autocast(device.type, dtype=torch.bfloat16):
            yield
        return
    if device.type != "cuda":
        yield
        return
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    parts: tuple[Any, ...]
    value: str | bool
    if hasattr(matmul, "fp32_precision"):
        parts, setting = (getattr(cudnn, "conv"), matmul), "fp32_precision"  # noqa: B009 (no stub)
        value = "tf32" if precision == "tf32" else "ieee"
    else:  # before torch 2.9
        parts, setting, value = (cudnn, matmul), "allow_tf32", precision == "tf32"
    before = [getattr(part, setting) for part in parts]
    for part in parts:
        setattr(part, setting, value)
    try:
        yield
    finally:
        for part, was in zip(parts, before, strict=True):
            setattr(part, setting, was)


def full_precision(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """For what is computed of activations inside `at_precision`: float32 stays float32."""
    return torch.autocast(device.type, enabled=False) if precision == "bf16" else nullcontext()


@contextmanager
def _deterministic_cuda() -> Iterator[None]:
    # cuBLAS reads its variable when its first handle is made; it cannot be set later.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    enabled = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling new memory with not-a-number, on by default then, is slow and hides nothing here.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    cudnn = torch.backends.cudnn
    benchmark, deterministic = cudnn.benchmark, cudnn.deterministic
    cudnn.benchmark, cudnn.deterministic = False, True
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = benchmark, deterministic
        torch.use_deterministic_algorithms(enabled, warn_only=warns)
        torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]


@contextmanager
def left_as_found(model: nn.Module) -> Iterator[None]:
    """The model keeps its modes and devices, the random generators of torch, NumPy and Python their states.

    Inside, modules run as they are written, not as they were compiled; somebody's autocast is off (a pass has a
    precision of its own), and no gradients are kept. It is no inference mode, somebody's own neither: what a network
    computes once and keeps, or makes of lazy layers, must serve a training afterwards.
    """
    with ExitStack() as stack:
        stack.enter_context(_generators())
        stack.enter_context(_modes(model))
        stack.enter_context(_places(model))
        for kind in {"cpu", "cuda" if torch.cuda.is_available() else "cpu"}:
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        if "torch._dynamo" in sys.modules:  # else nothing is compiled; compiled modules show no layers, or fail
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


class _Allocator:
    """The settings of the C library's allocator, by their numbers in ``malloc.h``: while a block of `memory_kept` is
    entered, and after the last is left. It cannot be asked for them, and adjusts them by itself until they are set.
    """

    TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
    KEEPING = ((MMAP_MAX, 0), (TRIM_THRESHOLD, -1))
    """No block is mapped by itself, and none is given back."""
    OWN = ((MMAP_MAX, 65536), (MMAP_THRESHOLD, 32 << 20), (TRIM_THRESHOLD, 64 << 20))
    """The largest values to which it adjusts them by itself."""

    def __init__(self) -> None:
        self.entered, self.lock = 0, Lock()
        self.library = None if _chosen_by_the_user() else _gnu_library()

    def count(self, change: int) -> None:
        """A block is entered (1) or left (-1)."""
        with self.lock:
            self.entered += change
            if self.library is None:
                return
            if self.entered == 0:
                self._set(self.library, self.OWN)
                self.library.malloc_trim(0)
            elif self.entered == change:  # the first
                self._set(self.library, self.KEEPING)

    @staticmethod
    def _set(library: ctypes.CDLL, values: tuple[tuple[int, int], ...]) -> None:
        for option, value in values:
            library.mallopt(option, value)


def _gnu_library() -> ctypes.CDLL | None:
    """The C library of this process if it is GNU's, whose allocator has these settings."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


def _chosen_by_the_user() -> bool:
    """Whether the environment sets what `memory_kept` would."""
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    names = ("mmap_threshold", "mmap_max", "trim_threshold")
    return any(f"MALLOC_{name.upper()}_" in os.environ or f"glibc.malloc.{name}" in tunables for name in names)


@contextmanager
def memory_kept() -> Iterator[None]:
    """Memory that is freed is kept for what is allocated next; at the end the system gets it back.

    The activations of a tile are larger than what GNU's allocator keeps by itself, 32 MiB. Without this, the system
    hands them out anew in every layer of every tile, and has to make them zero, page by page: a fifth of the time of
    the whole suite on ResNet18. Where the allocator is another, or the user has set it by the environment, nothing is
    done.
    """
    _ALLOCATOR.count(1)
    try:
        yield
    finally:
        _ALLOCATOR.count(-1)


_ALLOCATOR = _Allocator()


def random_state() -> tuple[object, ...]:
    """The states of the global generators of torch, NumPy and Python; equal as long as nobody draws of them."""
    cuda = (
        [torch.cuda.get_rng_state(k) for k in range(torch.cuda.device_count())] if torch.cuda.is_initialized() else []
    )
    _, keys, place, *_ = np.random.get_state()
    return (
        *(state.numpy().tobytes() for state in (torch.get_rng_state(), *cuda)),
        (np.asarray(keys).tobytes(), place),
        random.getstate(),
    )


class RandomNumbersWarning(UserWarning):
    """A network or a transformation draws random numbers, and gave the same every time that it was tried."""


TRIES = {False: 3, True: 50}
"""How often what must be a function is called, to see whether its answers differ: does it draw random numbers?"""


@contextmanager
def _generators() -> Iterator[None]:
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []):
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)


@contextmanager
def _modes(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _places(model: nn.Module) -> Iterator[None]:
    """Each module's own parameters and buffers go back to where they were, if the model was moved."""
    homes = [(module, tensor.device) for module in model.modules() if (tensor := _some_tensor(module)) is not None]
    try:
        yield
    finally:
        for module, home in homes:
            tensor = _some_tensor(module)
            if tensor is not None and tensor.device != home:
                module._apply(lambda tensor, home=home: tensor.to(home), recurse=False)


def _some_tensor(module: nn.Module) -> torch.Tensor | None:
    """A parameter or buffer of the module itself."""
    own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    return own[0] if own else None

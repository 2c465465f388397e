"""The inner loops of the statistics: in C for a CPU, in Triton for a GPU, and as torch operations for either.

`interface.Backend` says what every back end has, `definitions` what it computes. All three are kept: without C a pass
on a CPU takes up to twice as long, without torch operations there is no pass where there is no compiler, and on a GPU
neither of them reads an activation only once.
"""

from functools import cache

import torch

from cnn_invariance.measures.backends import c_loops
from cnn_invariance.measures.backends.interface import Backend


def backend_of(device: torch.device) -> Backend:
    """The loops for tensors on a device: compiled C, Triton's kernels on a GPU, else torch operations."""
    if c_loops.available(device):
        return c_loops
    return _of_gpu() if device.type == "cuda" else _torch_operations()


@cache
def _of_gpu() -> Backend:
    """Triton's kernels, where Triton is installed: PyTorch for other devices comes without it."""
    try:
        from cnn_invariance.measures.backends import triton_kernels
    except ImportError:
        return _torch_operations()
    return triton_kernels


def _torch_operations() -> Backend:
    from cnn_invariance.measures.backends import torch_operations

    return torch_operations

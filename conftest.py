"""What holds for every test, in ``src`` and in ``tests``."""

import importlib.util
import os

import torch

# PyTorch without CUDA comes without Triton: the kernels cannot even be imported.
collect_ignore = (
    [] if importlib.util.find_spec("triton") else ["src/cnn_invariance/measures/backends/triton_kernels.py"]
)


def pytest_configure() -> None:
    """Without a GPU, its kernels run in Triton's interpreter: said before the module that defines them is imported."""
    if not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"

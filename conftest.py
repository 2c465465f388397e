"""What holds for every test, in ``src`` and in ``tests``."""

import importlib.util
import os

import pytest
import torch

# PyTorch without CUDA comes without Triton: the kernels cannot even be imported.
collect_ignore = (
    [] if importlib.util.find_spec("triton") else ["src/cnn_invariance/measures/backends/triton_kernels.py"]
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the fuzzers, which are the tests named ``test_no_..._gets_through``."""
    parser.addoption("--fuzz-seed", type=int, default=16, help="Seed of the random faults; the same faults for each.")
    parser.addoption("--fuzz-seconds", type=float, default=8.0, help="What one family of faults may take.")


def pytest_configure() -> None:
    """Without a GPU, its kernels run in Triton's interpreter: said before the module that defines them is imported."""
    if not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"

"""A small problem that a small network learns in a second."""

from pathlib import Path

import pytest
import torch

from cnn_invariance.datasets import Dataset
from helpers_training import problem


@pytest.fixture(scope="session")
def data() -> Dataset:
    return problem()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder for checkpoints and the state."""
    return tmp_path


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

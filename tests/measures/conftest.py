"""Networks, images and the two ways to run the loops."""

import pytest
import torch

from cnn_invariance.measures.backends import c_loops, torch_operations
from helpers_measures import small_network, some_images


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Small networks gain nothing from more, and other tests run beside."""
    torch.set_num_threads(1)


@pytest.fixture
def network():
    return small_network()


@pytest.fixture
def images():
    return some_images()


@pytest.fixture(params=["C", "torch"])
def kernels(request, monkeypatch):
    """Both implementations of the loops, on the CPU."""
    if request.param == "C" and c_loops.library() is None:
        pytest.skip("no C compiler here")
    monkeypatch.setattr(c_loops, "available", lambda device: request.param == "C")
    return c_loops if request.param == "C" else torch_operations

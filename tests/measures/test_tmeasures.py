"""Agreement with tmeasures, the author's own library."""

import importlib.util
from pathlib import Path

import pytest
import torch

pytest.importorskip("tmeasures", reason="the author's library is not installed (extra: test)", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore")  # it pins memory without a GPU, and prints

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "agreement.py"


@pytest.fixture(scope="module")
def agreement():
    spec = importlib.util.spec_from_file_location("agreement", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["SimpleConv", "ResNet18"])
def test_every_shared_measure_agrees(agreement, name):
    network, images, transformations = agreement.case(name, N=12, M=4)
    arguments = network, images, transformations, 0.9
    ours, theirs = agreement.ours(*arguments), agreement.theirs(*arguments)
    found = agreement.differences(ours, theirs)
    for measure, difference in found.items():
        assert difference < (1e-3 if measure.startswith("Goodfellow") else 1e-4), measure
    # the comparison looks at most units, and sees a small departure
    assert max(values.max() for values in theirs["Goodfellow_G"]) > 0
    off = {**ours, "NVSE": [None if values is None else values * 1.001 for values in ours["NVSE"]]}
    assert agreement.differences(off, theirs)["NVSE"] > 5e-4


@pytest.mark.parametrize("name", ["VGG16D", "ResNet18"])
def test_one_by_one_gives_the_same_bits_in_every_batch(agreement, name):
    cases = agreement.in_float32(name, N=6, M=2)
    network, images, _ = cases[f"{name}, one by one"]
    together = network(images)
    for batches in (images.split(1), images.split(4), [images.contiguous(memory_format=torch.channels_last)]):
        assert torch.equal(torch.cat([network(batch) for batch in batches]), together)
    torch.testing.assert_close(cases[f"{name}, in batches"][0](images), together)

"""Agreement with tmeasures, the author's library, in the forms that it has."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

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
    network, images, transformations = agreement.case(name, N=10, M=5)
    arguments = network, images, transformations, 0.9
    ours, theirs = agreement.ours(*arguments), agreement.theirs(*arguments)
    found = agreement.differences(ours, theirs)
    for measure, difference in found.items():
        assert difference < (1e-3 if measure.startswith("Goodfellow") else 1e-4), measure
    # the comparison looks at most units, and sees a small departure
    assert max(values.max() for values in theirs["Goodfellow_G"]) > 0
    for measure in ("NVSE", "ND", "NDSE, unit norm", "DSES", "SD of units"):
        off = {**ours, measure: [None if values is None else values * 1.001 for values in ours[measure]]}
        assert agreement.differences(off, theirs)[measure] > 5e-4
    his_correction(ours["ANOVA_F"], theirs["ANOVA, his correction"], len(images), len(transformations))


def his_correction(ratios, verdicts, N, M):
    """His Bonferroni takes the critical value at confidence ``alpha / K``; ours at significance ``(1 - alpha) / K``."""
    for ratio, verdict in zip(ratios, verdicts, strict=True):
        critical = stats.f.ppf(0.9 / ratio.size, M - 1, M * (N - 1))
        clear = np.abs(ratio / critical - 1) > 1e-4
        np.testing.assert_array_equal((ratio > critical)[clear], verdict[clear])


def test_the_order_and_the_blocks_are_what_agrees(agreement):
    """Ours, of all pairs, and his, mostly of one class, are two numbers."""
    arguments = agreement.case("SimpleConv", N=10, M=5)
    theirs = agreement.theirs(*arguments, 0.9)
    result = agreement.ci.measure(*arguments, ["SD", "DSES", "Goodfellow_L[alpha=0.9]"])
    for mine, his in (("SD", "SD"), ("DSES", "DSES"), ("Goodfellow_L[alpha=0.9]", "Goodfellow_L, all")):
        assert agreement.difference(result.values[mine], theirs[his], theirs[his]) > 0.01, mine


@pytest.mark.parametrize("name", ["VGG16D", "ResNet18"])
def test_one_by_one_gives_the_same_bits_in_every_batch(agreement, name):
    cases = agreement.in_float32(name, N=6, M=2)
    network, images, _ = cases[f"{name}, one by one"]
    together = network(images)
    for batches in (images.split(1), images.split(4), [images.contiguous(memory_format=torch.channels_last)]):
        assert torch.equal(torch.cat([network(batch) for batch in batches]), together)
    torch.testing.assert_close(cases[f"{name}, in batches"][0](images), together)

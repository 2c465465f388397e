"""Freed memory is kept while a pass or a training goes on, and given back after the last of them."""

import os
import subprocess
import sys

import pytest
import torch

import cnn_invariance as ci
from cnn_invariance import devices

GNU = devices._ALLOCATOR.library is not None
only_gnu = pytest.mark.skipif(not GNU, reason="the C library is not GNU's, or the user has set its allocator")

OF_A_PROCESS = """
import os, resource
from pathlib import Path

from cnn_invariance.devices import _ALLOCATOR, memory_kept

LARGE = 48 << 20  # bytes; GNU's allocator maps each such block anew
PAGES = LARGE // os.sysconf("SC_PAGE_SIZE")

def fill():
    b"1" * LARGE  # an aligned block, as of a tensor, may not fit into its own place again

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) / PAGES
"""
"""What the scripts below have in common; each runs in a process of its own, whose heap nobody used before."""


def run(script: str, **environment: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", OF_A_PROCESS + script], env=os.environ | environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@only_gnu
def test_a_block_that_is_freed_is_used_again_inside_and_comes_from_the_system_outside():
    run("""
with memory_kept():
    for _ in range(3):
        fill()
    before = faults()
    for _ in range(4):
        fill()
    inside = faults() - before
before = faults()
for _ in range(4):
    fill()
outside = faults() - before
assert outside > 4 * PAGES / 600, outside  # a page may be a huge one
assert inside < outside / 2, (inside, outside)
""")


@only_gnu
def test_the_system_gets_it_back_after_the_outermost_block():
    run("""
fill()
before = resident()
with memory_kept():
    with memory_kept():
        fill()
    assert resident() - before > 0.9
    try:
        with memory_kept():
            raise RuntimeError
    except RuntimeError:
        pass
    assert _ALLOCATOR.entered == 1
    assert resident() - before > 0.9
assert _ALLOCATOR.entered == 0
assert resident() - before < 0.2
""")


@only_gnu
def test_a_pass_is_inside():
    seen = []

    class Watching(torch.nn.Conv2d):
        def forward(self, x):
            seen.append(devices._ALLOCATOR.entered)
            return super().forward(x)

    network = torch.nn.Sequential(Watching(1, 2, 3)).eval()
    ci.measure(network, torch.rand(4, 1, 8, 8), ci.transformations.rotation(n=3, closed=False), ["NV"])
    assert seen
    assert set(seen) == {1}
    assert devices._ALLOCATOR.entered == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("MALLOC_TRIM_THRESHOLD_", "65536"), ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=65536")],
)
def test_what_the_user_has_set_stays(name, value):
    assert run("print(_ALLOCATOR.library)", **{name: value}) == "None\n"


def test_where_the_library_is_another_nothing_is_done(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    allocator = devices._Allocator()
    assert allocator.library is None
    allocator.count(1)
    allocator.count(-1)
    assert allocator.entered == 0

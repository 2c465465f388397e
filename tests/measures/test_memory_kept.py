"""Freed memory is kept while a pass or a training goes on, and given back after the last of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import cnn_invariance as ci
from cnn_invariance import devices
from cnn_invariance.devices import memory_kept

GNU = devices._ALLOCATOR.library is not None
only_gnu = pytest.mark.skipif(not GNU, reason="the C library is not GNU's, or the user has set its allocator")
LARGE = 48 << 20  # bytes; GNU's allocator maps each such block anew
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def faults_of(work) -> int:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE


def fill() -> None:
    torch.zeros(LARGE // 4).add_(1)


@only_gnu
def test_a_block_that_is_freed_is_used_again_inside_and_comes_from_the_system_outside():
    with memory_kept():
        for _ in range(3):
            fill()
        inside = faults_of(lambda: [fill() for _ in range(4)])
    outside = faults_of(lambda: [fill() for _ in range(4)])
    assert inside < 100
    assert outside > 4 * LARGE / PAGE / 600  # a page may be a huge one


@only_gnu
def test_the_system_gets_it_back_after_the_outermost_block():
    fill()
    before = resident()
    with memory_kept():
        with memory_kept():
            fill()
        assert resident() - before > 0.9 * LARGE
        with pytest.raises(RuntimeError, match="in the middle"), memory_kept():
            raise RuntimeError("in the middle")
        assert devices._ALLOCATOR.entered == 1
        assert resident() - before > 0.9 * LARGE
    assert devices._ALLOCATOR.entered == 0
    assert resident() - before < 0.2 * LARGE


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
    ask = "from cnn_invariance import devices; print(devices._ALLOCATOR.library)"
    asked = subprocess.run(
        [sys.executable, "-c", ask], env=os.environ | {name: value}, capture_output=True, text=True, check=True
    )
    assert asked.stdout == "None\n"


def test_where_the_library_is_another_nothing_is_done(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    allocator = devices._Allocator()
    assert allocator.library is None
    allocator.count(1)
    allocator.count(-1)
    assert allocator.entered == 0

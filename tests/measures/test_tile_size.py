"""How many samples go through the network at once: by the machine's caches, or by a rule that does not know them."""

import pytest
import torch
from torch import nn

import cnn_invariance as ci
from cnn_invariance import machine
from cnn_invariance.errors import InputError
from cnn_invariance.measures.backends import c_loops
from cnn_invariance.transformations import rotation

TURNS = rotation(n=4, angle_deg=270)
MB = 1 << 20


def caches(folder, *described):
    """Describe the caches of every CPU: level, type, size, who shares it."""
    for cpu in range(64):
        for k, values in enumerate(described):
            index = folder / f"cpu{cpu}" / "cache" / f"index{k}"
            index.mkdir(parents=True)
            for name, value in zip(("level", "type", "size", "shared_cpu_list"), values, strict=True):
                (index / name).write_text(f"{value}\n")
    return folder


L1 = (1, "Data", "32K", "0")
PAIR = (1, "Data", "48K", "0,32")  # two hardware threads of a core
CODE = (1, "Instruction", "32K", "0")


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ([L1, CODE, (2, "Unified", "2048K", "0"), (3, "Unified", "60M", "0-31")], 2 * MB + 60 * MB // 32),
        ([PAIR, (2, "Unified", "1024K", "0,32"), (3, "Unified", "32768K", "0-7,32-39")], 5 * MB),
        ([L1, (2, "Unified", "1024K", "0"), (3, "Unified", "32768K", "0-1")], 6 * MB),  # a guest is shown all of it
        ([L1, (2, "Unified", "12288K", "0-3")], 3 * MB),  # no third level
        ([L1], None),
        ([], None),
        ([L1, (2, "Unified", "unknown", "0")], None),
    ],
)
def test_what_a_core_can_count_on(described, expected, tmp_path):
    assert machine.cache_of_a_core(caches(tmp_path, *described)) == expected


@pytest.fixture
def tile_of(monkeypatch):
    """The tile on a machine with such a cache, of 64 KiB an image in the largest layer."""
    monkeypatch.setattr(c_loops, "available", lambda device: True)

    def found(share, threads=1, **options):
        monkeypatch.setattr(machine, "cache_of_a_core", lambda: share)
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 16, 1)).eval()
        images = torch.randn(400, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        return ci.measure(network, images, TURNS, ["NV"], **options)

    return found


@pytest.mark.skipif(c_loops.library() is None, reason="no C compiler here")
@pytest.mark.parametrize(
    ("share", "threads", "expected"),
    [(5 * MB, 1, 80), (5 * MB, 2, 160), (MB // 2, 1, 25), (6 * MB, 64, 384), (None, 1, 384), (None, 8, 384)],
)
def test_tiles_fit_the_caches(tile_of, share, threads, expected):
    assert tile_of(share, threads).info["tile"] == expected


@pytest.mark.skipif(c_loops.library() is None, reason="no C compiler here")
def test_a_fixed_tile_does_not_know_the_caches(tile_of):
    results = [tile_of(share, threads, tile="fixed") for share in (None, MB, 100 * MB) for threads in (1, 16)]
    assert {result.info["tile"] for result in results} == {384}
    assert all((result["NV"]["0"] == results[0]["NV"]["0"]).all() for result in results)


@pytest.mark.parametrize("tile", [0, -3, "large", ""])
def test_other_tiles(tile):
    network = nn.Sequential(nn.Conv2d(1, 2, 1)).eval()
    with pytest.raises(InputError, match=r"a tile of .* samples; expected at least 1"):
        ci.measure(network, torch.randn(3, 1, 4, 4), TURNS, ["NV"], tile=tile)

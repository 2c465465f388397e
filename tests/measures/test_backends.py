"""Every back end against the definitions of its loops: C, torch operations, and the kernels for a GPU.

The kernels run on a GPU where there is one, else in Triton's interpreter.
"""

import shutil

import numpy as np
import pytest
import torch
from torch import nn

import cnn_invariance as ci
from cnn_invariance.measures.backends import c_loops, definitions, torch_operations
from cnn_invariance.measures.backends.interface import MapDistanceSums
from cnn_invariance.measures.statistics import base, moments
from cnn_invariance.transformations import combined, invert, rotation
from cnn_invariance.transformations.affine import is_identity
from cnn_invariance.transformations.warp import neighbours

MAPS = [
    *[(1, 1, 1, 1), (3, 2, 4, 5), (10, 9, 6, 3), (4, 5, 9, 20)],
    *[(3, 9, 17, C) for C in (1, 2, 4, 8, 16)],  # a vector holds several positions, the last one fewer
    *[(2, 3, 5, 70), (5, 2, 3, 128), (30, 1, 40, 8), (67, 1, 35, 33)],
]
"""Transformations, samples, positions and channels: few and many of each."""
SHAPES = [(1, 1, 1), (2, 1, 3), (1, 2, 3), (3, 5, 130), (10, 9, 7), (17, 19, 40)]


@pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here")
def test_where_a_compiler_is_the_loops_in_c_are_tested():
    """Without them, tests of the loops are skipped: never for another reason than that there is no compiler."""
    assert c_loops.library() is not None


@pytest.fixture(params=["C", "torch", "Triton"])
def backend(request):
    """A back end, with the device that it is tested on."""
    if request.param == "C":
        if c_loops.library() is None:
            pytest.skip("no C compiler here")
        return c_loops
    if request.param == "torch":
        return torch_operations
    pytest.importorskip("triton")
    from cnn_invariance.measures.backends import triton_kernels

    return triton_kernels


@pytest.fixture
def device(backend):
    on_gpu = backend.__name__.endswith("triton_kernels") and torch.cuda.is_available()
    return torch.device("cuda" if on_gpu else "cpu")


@pytest.fixture
def values(device):
    def drawn(*shape, offset=0.0, seed=0):
        generator = torch.Generator().manual_seed(seed)
        return (torch.randn(shape, generator=generator) + offset).to(device)

    return drawn


@pytest.fixture
def zeros(device):
    return lambda *shape, dtype=torch.float64: torch.zeros(shape, dtype=dtype, device=device)


def same(found, expected, **tolerance):
    for ours, right in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.cpu().double(), right.cpu().double(), **tolerance)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_moments_of_two_tiles_are_those_of_both_together(backend, values, zeros, shape, offset):
    M, b, U = shape
    tiles = [values(*shape, offset=offset, seed=seed) for seed in range(2)]
    found = zeros(M, U), zeros(M, U, dtype=torch.float32), zeros(U), zeros(U)
    for k, tile in enumerate(tiles):
        backend.grid_moments(tile, k * b, found[:2], *found[2:])
    same(found, definitions.grid_moments(torch.cat(tiles, dim=1)), rtol=1e-5, atol=1e-6 if offset == 0 else 1e-2)


@pytest.mark.parametrize("asked", [(True, False, False), (False, True, False), (False, False, True)])
def test_moments_that_nobody_asked_for_are_left_out(backend, values, zeros, asked):
    along, std, var = asked
    tile = values(3, 4, 5)
    state = (zeros(3, 5), zeros(3, 5, dtype=torch.float32)) if along else None
    sums = [zeros(5) if wanted else None for wanted in (std, var)]
    backend.grid_moments(tile, 0, state, *sums)
    expected = definitions.grid_moments(tile)
    given = [*(state or (None, None)), *sums]
    pairs = [(one, right) for one, right in zip(given, expected, strict=True) if one is not None]
    same(*zip(*pairs, strict=True), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("M", [1, 2, 25])
@pytest.mark.parametrize("root", [False, True])
def test_finishing_of_columns(backend, values, M, root):
    m2, mean = values(M, 130).square(), values(M, 130, seed=1).double()
    same([backend.sum_of_columns(m2, root)], [definitions.sum_of_columns(m2, root)], rtol=1e-7, atol=0)
    same([backend.between_columns(mean)], [definitions.between_columns(mean)], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("levels", [1, 3])
def test_exceedances_are_counted(backend, values, zeros, device, shape, levels):
    M, _, U = shape
    tile, thresholds = values(*shape), values(levels, U, seed=1)
    signs = torch.tensor([1.0, -1.0, 1.0][:levels], device=device)
    counts = zeros(levels, U, dtype=torch.int32), zeros(levels, U, dtype=torch.int32)
    broken = zeros(U, dtype=torch.float32)
    for _ in range(2):
        backend.exceedances(tile, tile[M - 1], signs, thresholds, counts, broken)
    same(counts, [2 * count for count in definitions.exceedances(tile, tile[M - 1], signs, thresholds)], rtol=0, atol=0)
    assert not broken.any()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of NumPy, below Triton's interpreter
def test_what_is_not_finite_is_seen(backend, values, zeros, device):
    tile = values(3, 4, 5)
    tile[2, 3, 1], tile[0, 0, 4] = torch.inf, torch.nan
    broken = zeros(5, dtype=torch.float32)
    counts = (zeros(1, 5, dtype=torch.int32), zeros(1, 5, dtype=torch.int32))
    backend.exceedances(tile, tile[0], torch.ones(1, device=device), values(1, 5), counts, broken)
    assert broken.isnan().tolist() == [False, True, False, False, True]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("block", [1, 4, 8, 16])
def test_distances_of_activations(backend, values, zeros, shape, block):
    tile, blocks = values(*shape), -(-shape[1] // block)
    found = zeros(shape[2]), zeros(blocks, shape[2]), zeros(blocks, shape[2])
    backend.activation_distances(tile, block, *found)
    backend.activation_distances(tile, block, found[0], None, None)
    backend.activation_distances(tile, block, None, *found[1:])
    twice = [2 * total for total in definitions.activation_distances(tile, block)]
    same(found, twice, rtol=1e-5, atol=1e-5)
    backend.activation_distances(tile, block, None, found[1], None)
    same(found, [twice[0], 1.5 * twice[1], twice[2]], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("block", [64, 128])
def test_distances_in_large_blocks(backend, values, zeros, block):
    """Beyond 64 values a loop may sort them."""
    tile = values(2, 150, 3)
    found = zeros(3), zeros(-(-150 // block), 3), zeros(-(-150 // block), 3)
    backend.activation_distances(tile, block, *found)
    same(found, definitions.activation_distances(tile, block), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", MAPS)
@pytest.mark.parametrize("normalize", [False, True])
def test_distances_of_maps(backend, values, zeros, shape, normalize):
    M, b, _, C = shape
    maps = values(*shape)
    form = {"M": M, "block": 4, "reference": M - 1, "normalize": normalize, "pivot": values(C, seed=1)}
    found = all_sums(zeros, b, 4, C)
    backend.map_distances(maps, found, **form)
    same(found, definitions.map_distances(maps, **form), rtol=1e-5, atol=1e-5)
    alone = all_sums(zeros, b, 4, C)._replace(transformations=None, halves=None, untransformed=None)
    backend.map_distances(maps, alone, **form)
    same([alone.samples], [found.samples], rtol=1e-6, atol=1e-6)


def all_sums(zeros, b, block, C):
    blocks = -(-b // block)
    return MapDistanceSums(zeros(C), zeros(blocks, C), zeros(blocks, C), zeros(C))


def test_the_untransformed_column_beyond_the_set_is_compared_with_and_not_paired(backend, values, zeros):
    maps = values(4, 3, 5, 2)
    form = {"M": 3, "block": 2, "reference": 3, "normalize": False, "pivot": zeros(2, dtype=torch.float32)}
    found = all_sums(zeros, 3, 2, 2)
    backend.map_distances(maps, found, **form)
    same(found, definitions.map_distances(maps, **form), rtol=1e-5, atol=1e-6)


def test_a_zero_map_stays_zero_when_maps_are_scaled_to_unit_norm(backend, zeros):
    maps = zeros(2, 1, 4, 1, dtype=torch.float32)
    maps[1] = 3.0
    found = MapDistanceSums(zeros(1))
    pivot = zeros(1, dtype=torch.float32)
    backend.map_distances(maps, found, M=2, block=1, reference=0, normalize=True, pivot=pivot)
    assert found.transformations.item() == pytest.approx(1.0)  # from the origin to a map of unit norm


@pytest.mark.parametrize("size", [(4, 5), (7, 7)])
def test_undoing_interpolates_the_taps(backend, values, device, size):
    P, C, b = size[0] * size[1], 3, 2
    matrices = combined(rotation_n=3).matrices[:9]
    index, way = neighbours(invert(matrices, size), size)
    exact = torch.from_numpy(is_identity(matrices).astype("uint8"))
    taps = [t.to(device).contiguous() for t in (index.int(), way.float(), exact)]
    maps, pivot = values(len(matrices), b, P, C, offset=100.0), values(C, offset=100.0, seed=1)
    found = backend.undo(maps, *taps, pivot, torch.empty_like(maps))
    same([found], [definitions.undo(maps, *taps, pivot)], rtol=1e-6, atol=2e-5)
    constant = torch.full_like(maps, 3.25)
    still = backend.undo(constant, *taps, pivot.new_full((C,), 3.25), torch.empty_like(maps))
    assert (still == 0).all()


def test_members_beyond_the_kernels_are_left_to_torch(monkeypatch):
    kernels = pytest.importorskip("cnn_invariance.measures.backends.triton_kernels")
    monkeypatch.setattr(kernels, "MOST", 4)
    tile = torch.randn((5, 3, 6), generator=torch.Generator().manual_seed(0))
    found = [[torch.zeros(*shape, dtype=torch.float64) for shape in ((6,), (2, 6), (2, 6))] for _ in range(2)]
    for module, sums in zip((kernels, torch_operations), found, strict=True):
        module.activation_distances(tile, 2, *sums)
    same(*found, rtol=0, atol=0)


def test_the_whole_suite_is_the_same_with_every_back_end(backend, device, values, monkeypatch):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 4)
    ).eval()
    images, labels, turns = values(7, 1, 6, 6), torch.arange(7) % 4, rotation(n=3, angle_deg=200)
    frames = []
    for module in (backend, torch_operations):
        monkeypatch.setattr(base, "backend_of", lambda _, module=module: module)
        monkeypatch.setattr(moments, "backend_of", lambda _, module=module: module)
        result = ci.measure(network.to(device), images, turns, labels=labels, device=device.type, tile=4)
        frames.append(result.to_frame())
    ours, theirs = frames
    for name in theirs.columns[4:]:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=2e-5, atol=1e-6, err_msg=name)

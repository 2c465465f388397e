"""The kernels for a GPU against the torch operations they replace: on a GPU itself, else in Triton's interpreter."""

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("triton")

import cnn_invariance as ci
from cnn_invariance.measures.backends import torch_operations, triton_kernels
from cnn_invariance.measures.statistics import base
from cnn_invariance.transformations import combined, invert, rotation
from cnn_invariance.transformations.affine import is_identity
from cnn_invariance.transformations.warp import neighbours

BACKENDS = (triton_kernels, torch_operations)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SHAPES = [(1, 1, 1), (2, 1, 3), (1, 2, 3), (3, 5, 130), (10, 9, 7), (17, 19, 40)]


def values(*shape: int, offset: float = 0.0, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator) + offset).to(DEVICE)


def both(make, run, **tolerance):
    """The results of both modules, each on state of its own, are the same."""
    ours, theirs = make(), make()
    run(triton_kernels, *ours)
    run(torch_operations, *theirs)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, **tolerance)


def zeros(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.zeros(shape, dtype=dtype, device=DEVICE)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_moments(shape, offset):
    M, b, U = shape
    tiles = [values(*shape, offset=offset, seed=seed) for seed in range(2)]

    def make():
        return zeros(M, U), zeros(M, U, dtype=torch.float32), zeros(U), zeros(U)

    def run(module, mean, m2, std, var):
        for k, tile in enumerate(tiles):
            module.grid_moments(tile, k * b, (mean, m2), std, var)

    both(make, run, rtol=1e-5, atol=1e-6 if offset == 0 else 1e-3)


@pytest.mark.parametrize("asked", [(True, False, False), (False, True, False), (False, False, True)])
def test_moments_that_nobody_asked_for_are_left_out(asked):
    along, std, var = asked
    tile = values(3, 4, 5)
    state = (zeros(3, 5), zeros(3, 5, dtype=torch.float32)) if along else None
    sums = [zeros(5) if wanted else None for wanted in (std, var)]
    triton_kernels.grid_moments(tile, 0, state, *sums)
    whole = (zeros(3, 5), zeros(3, 5, dtype=torch.float32)), zeros(5), zeros(5)
    torch_operations.grid_moments(tile, 0, *whole)
    for mine, other in zip([*(state or ()), *sums], [*(whole[0] if along else ()), *whole[1:]], strict=True):
        if mine is not None:
            torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("levels", [1, 3])
def test_exceedances(shape, levels):
    M, _, U = shape
    tile = values(*shape)
    signs = torch.tensor([1.0, -1.0, 1.0][:levels], device=DEVICE)
    thresholds = values(levels, U, seed=1)

    def make():
        return zeros(levels, U, dtype=torch.int32), zeros(levels, U, dtype=torch.int32), zeros(U, dtype=torch.float32)

    def run(module, local, untransformed, broken):
        for _ in range(2):
            module.exceedances(tile, tile[M - 1], signs, thresholds, (local, untransformed), broken)

    both(make, run, rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of NumPy, below the interpreter
def test_what_is_not_finite_is_seen():
    tile = values(3, 4, 5)
    tile[2, 3, 1], tile[0, 0, 4] = torch.inf, torch.nan
    broken = zeros(5, dtype=torch.float32)
    counts = (zeros(1, 5, dtype=torch.int32), zeros(1, 5, dtype=torch.int32))
    triton_kernels.exceedances(tile, tile[0], torch.ones(1, device=DEVICE), values(1, 5), counts, broken)
    assert broken.isnan().tolist() == [False, True, False, False, True]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("block", [1, 4, 8])
def test_activation_distances(shape, block):
    tile = values(*shape)

    def run(module, rows, columns):
        module.activation_distances(tile, block, rows, columns)
        module.activation_distances(tile, block, rows, None)
        module.activation_distances(tile, block, None, columns)

    both(lambda: (zeros(shape[2]), zeros(shape[2])), run, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 2, 4, 5), (10, 9, 6, 3), (4, 5, 9, 20)])
@pytest.mark.parametrize("normalize", [False, True])
def test_map_distances(shape, normalize):
    M, _, _, C = shape
    maps = values(*shape)
    pivot = values(C, seed=1)

    def run(module, rows, samples, simple):
        module.map_distances(maps, M, 4, M - 1, normalize, pivot, rows, samples, simple)

    both(lambda: (zeros(C), zeros(C), zeros(C)), run, rtol=1e-5, atol=1e-6)


def test_members_beyond_the_kernels_are_left_to_torch(monkeypatch):
    monkeypatch.setattr(triton_kernels, "MOST", 4)
    tile = values(5, 3, 6)

    def run(module, rows, columns):
        module.activation_distances(tile, 2, rows, columns)

    both(lambda: (zeros(6), zeros(6)), run, rtol=0, atol=0)


@pytest.mark.parametrize("size", [(4, 5), (7, 7)])
def test_undo(size):
    P, C, b = size[0] * size[1], 3, 2
    matrices = combined(rotation_n=3).matrices[:9]
    index, way = neighbours(invert(matrices, size), size)
    exact = torch.from_numpy(is_identity(matrices).astype("uint8"))
    taps = [t.to(DEVICE).contiguous() for t in (index.int(), way.float(), exact)]
    maps, pivot = values(len(matrices), b, P, C, offset=100.0), values(C, offset=100.0, seed=1)
    ours, theirs = (
        module.undo(maps, *taps, pivot, torch.empty_like(maps)) for module in (triton_kernels, torch_operations)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=2e-5)
    constant = torch.full_like(maps, 3.25)
    still = triton_kernels.undo(constant, *taps, pivot.new_full((C,), 3.25), torch.empty_like(maps))
    assert (still == 0).all()


def test_the_whole_suite_with_them(monkeypatch):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 4)
    ).eval()
    images, labels, turns = values(7, 1, 6, 6), torch.arange(7) % 4, rotation(n=3, angle_deg=200)
    measured = {}
    for module in BACKENDS:
        monkeypatch.setattr(base, "kernels", lambda device, module=module: module)
        measured[module] = ci.measure(network.to(DEVICE), images, turns, labels=labels, device=DEVICE.type, tile=4)
    ours, theirs = measured[triton_kernels].to_frame(), measured[torch_operations].to_frame()
    for name in theirs.columns[4:]:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=2e-5, atol=1e-6, err_msg=name)

"""Images under affine maps, against a dense float64 implementation and closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_invariance.errors import InputError
from cnn_invariance.transformations import (
    combined,
    compose,
    identity,
    invert,
    product,
    rotation,
    scale,
    transform_all,
    transform_each,
    translation,
)
from cnn_invariance.transformations.affine import rotation_matrix, scale_matrix, translation_matrix
from cnn_invariance.transformations.warp import neighbours

EYE = np.eye(2, 3)[None]
SIZES = [(1, 1), (1, 5), (4, 4), (5, 5), (6, 9), (9, 6), (28, 28)]


def oracle(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """One image (H, W) under one map, pixel by pixel, in float64.

    Written in absolute coordinates and homogeneous matrices, unlike the code under test: pixel
    (i, j) covers the square from (j, i) to (j + 1, i + 1).
    """
    H, W = image.shape
    centre = np.array([[1, 0, W / 2], [0, 1, H / 2], [0, 0, 1]])
    about = np.vstack([matrix, [0, 0, 1]])
    about[:2, 2] *= (W, H)
    back = np.linalg.inv(centre @ about @ np.linalg.inv(centre))
    out = np.empty((H, W))
    for i in range(H):
        for j in range(W):
            x, y, _ = back @ [j + 0.5, i + 0.5, 1]
            out[i, j] = bilinear(image, min(max(x - 0.5, 0), W - 1), min(max(y - 0.5, 0), H - 1))
    return out


def bilinear(image: np.ndarray, x: float, y: float) -> float:
    j, i = int(np.floor(x)), int(np.floor(y))
    right, below = min(j + 1, image.shape[1] - 1), min(i + 1, image.shape[0] - 1)
    u, v = x - j, y - i
    above_row = (1 - u) * image[i, j] + u * image[i, right]
    below_row = (1 - u) * image[below, j] + u * image[below, right]
    return (1 - v) * above_row + v * below_row


def random_images(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def smooth_images(H: int, W: int) -> torch.Tensor:
    y = torch.linspace(-1, 1, H, dtype=torch.float64)[:, None]
    x = torch.linspace(-1, 1, W, dtype=torch.float64)
    return torch.stack([torch.cos(2 * x + y), torch.sin(x - 2 * y), x * y + 0.0 * x])[:, None]


def by_neighbours(images: torch.Tensor, matrices: np.ndarray) -> torch.Tensor:
    """Every image under every map, from its four neighbours weighed by the way between them."""
    B, C, H, W = images.shape
    index, way = neighbours(matrices, (H, W))
    x, y = way.to(images.dtype).unbind(-1)  # (M, H*W) each
    weight = torch.stack([(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x], dim=-1)  # (M, H*W, 4)
    flat = images.reshape(B * C, H * W)
    members = [(flat[:, i] * w).sum(-1) for i, w in zip(index, weight, strict=True)]
    return torch.stack(members).view(len(matrices), B, C, H, W)


some_matrices = product(rotation(3, 100), scale(1, 0.6, 1.3), translation(1, 0.2)).matrices[::5]


@pytest.mark.parametrize("size", SIZES)
def test_transform_all_against_the_oracle(size: tuple[int, int]) -> None:
    images = random_images(2, 3, *size)
    ours = transform_all(images, some_matrices)
    assert ours.shape == (len(some_matrices), 2, 3, *size)
    for m in (0, 3, len(some_matrices) - 1) if size == (28, 28) else range(len(some_matrices)):
        for b, c in ((0, 0), (1, 2)):
            expected = oracle(images[b, c].double().numpy(), some_matrices[m])
            np.testing.assert_allclose(ours[m, b, c], expected, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_double_precision_is_exact(size: tuple[int, int]) -> None:
    images = random_images(1, 1, *size, dtype=torch.float64)
    ours = transform_all(images, some_matrices[:6])
    expected = [oracle(images[0, 0].numpy(), matrix) for matrix in some_matrices[:6]]
    np.testing.assert_allclose(ours[:, 0, 0], expected, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_neighbours_against_the_oracle(size: tuple[int, int]) -> None:
    images = random_images(1, 1, *size, dtype=torch.float64)
    ours = by_neighbours(images, some_matrices[:6])
    expected = [oracle(images[0, 0].numpy(), matrix) for matrix in some_matrices[:6]]
    np.testing.assert_allclose(ours[:, 0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("size", [*SIZES, (32, 32), (64, 48)])
def test_neighbours_and_transform_all_agree(size: tuple[int, int]) -> None:
    images = random_images(2, 2, *size)
    matrices = combined().matrices[::37]
    torch.testing.assert_close(by_neighbours(images, matrices), transform_all(images, matrices), atol=2e-5, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_neighbours_are_pixels_of_the_image(size: tuple[int, int]) -> None:
    index, way = neighbours(some_matrices, size)
    pixels = size[0] * size[1]
    assert index.shape == (len(some_matrices), pixels, 4)
    assert way.shape == (len(some_matrices), pixels, 2)
    assert (index.dtype, way.dtype) == (torch.int64, torch.float64)
    assert 0 <= index.min() <= index.max() < pixels
    assert 0 <= way.min() <= way.max() <= 1


def test_neighbours_are_the_corners_and_the_way_between_them() -> None:
    index, way = neighbours(translation_matrix(-0.25 / 4, -0.75 / 3)[None], (3, 4))  # from 0.25 right, 0.75 below
    assert (index.shape, way.shape) == ((1, 12, 4), (1, 12, 2))
    assert index[0, 0].tolist() == [0, 1, 4, 5]
    assert way[0, 0].tolist() == [0.25, 0.75]
    assert index[0, 11].tolist() == [11, 11, 11, 11]  # at the corner there is nothing beyond


@settings(deadline=None, max_examples=40)
@given(
    st.floats(0, 360),
    st.floats(0.4, 2),
    st.floats(0.4, 2),
    st.tuples(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6)),
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
)
def test_any_map_of_any_size_against_the_oracle(
    angle: float, x: float, y: float, shift: tuple[float, float], size: tuple[int, int]
) -> None:
    matrix = compose(scale_matrix(x, y)[None], rotation_matrix(angle)[None])
    matrix[0, :, 2] = shift
    images = random_images(1, 1, *size, dtype=torch.float64)
    expected = oracle(images[0, 0].numpy(), matrix[0])
    np.testing.assert_allclose(transform_all(images, matrix)[0, 0, 0], expected, atol=1e-9)
    np.testing.assert_allclose(by_neighbours(images, matrix)[0, 0, 0], expected, atol=1e-6)
    np.testing.assert_allclose(transform_each(images, matrix)[0, 0], expected, atol=1e-9)


@pytest.mark.parametrize("side", [1, 2, 5, 8, 28, 33])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_of_square_images_are_rot90(side: int, turns: int) -> None:
    images = random_images(2, 2, side, side)
    matrix = rotation_matrix(90 * turns)[None]
    expected = torch.rot90(images, turns, (2, 3))
    assert torch.equal(by_neighbours(images, matrix)[0], expected)
    torch.testing.assert_close(transform_all(images, matrix)[0], expected, atol=2e-5, rtol=0)


def test_half_a_turn_of_a_non_square_image_is_rot90_twice() -> None:
    images = random_images(1, 1, 4, 7)
    expected = torch.rot90(images, 2, (2, 3))
    assert torch.equal(by_neighbours(images, rotation_matrix(180)[None])[0], expected)


@pytest.mark.parametrize(("x", "y"), [(2, 0), (0, 3), (-1, 2), (5, -3)])
def test_whole_pixel_translations_shift_and_repeat_the_border(x: int, y: int) -> None:
    H, W = 8, 16
    images = random_images(2, 1, H, W)
    rows = (torch.arange(H) - y).clamp(0, H - 1)
    columns = (torch.arange(W) - x).clamp(0, W - 1)
    expected = images[:, :, rows][..., columns]
    matrix = translation_matrix(x / W, y / H)[None]
    assert torch.equal(by_neighbours(images, matrix)[0], expected)
    torch.testing.assert_close(transform_all(images, matrix)[0], expected, atol=2e-5, rtol=0)


def test_a_scale_of_two_draws_the_content_twice_as_large() -> None:
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)  # value = column
    wide = transform_all(ramp, scale_matrix(2, 1)[None])[0, 0, 0]
    expected = 3.5 + (torch.arange(8.0) - 3.5) / 2  # half the slope, about the centre
    torch.testing.assert_close(wide, expected.expand(8, 8), atol=1e-5, rtol=0)
    tall = transform_all(ramp, scale_matrix(1, 2)[None])[0, 0, 0]
    torch.testing.assert_close(tall, ramp[0, 0], atol=1e-5, rtol=0)


def test_a_small_scale_repeats_the_border() -> None:
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    small = transform_all(ramp, scale_matrix(0.5, 0.5)[None])[0, 0, 0, 0]
    torch.testing.assert_close(small, torch.tensor([0.0, 0, 0.5, 2.5, 4.5, 6.5, 7, 7]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_identity_gives_exactly_the_images(size: tuple[int, int], dtype: torch.dtype) -> None:
    images = random_images(2, 3, *size, dtype=dtype)
    members = rotation(5)
    ours = transform_all(images, members.matrices)
    assert torch.equal(ours[0], images)
    assert torch.equal(ours[-1], images)  # 360 degrees
    assert torch.equal(transform_each(images, np.concatenate([EYE, EYE]))[1], images[1])
    assert torch.equal(by_neighbours(images.float(), members.matrices)[-1], images.float())


def test_the_identity_keeps_what_bilinear_sums_would_lose() -> None:
    """0 * infinity is not a number: a sampled identity would spoil the neighbours of an infinity."""
    images = random_images(1, 1, 5, 5)
    images[0, 0, 2, 2] = torch.inf
    assert torch.equal(transform_all(images, identity().matrices)[0], images)
    assert torch.equal(transform_each(images, EYE), images)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_sampled_in_single(dtype: torch.dtype) -> None:
    images = random_images(2, 1, 9, 9, dtype=dtype)
    ours = transform_all(images, some_matrices)
    assert ours.dtype == dtype
    assert torch.equal(ours, transform_all(images.float(), some_matrices).to(dtype))
    each = transform_each(images, some_matrices[1:3])
    assert each.dtype == dtype


def test_channels_last_images_give_the_same() -> None:
    images = random_images(2, 3, 9, 7)
    last = images.to(memory_format=torch.channels_last)
    assert torch.equal(transform_all(last, some_matrices), transform_all(images, some_matrices))
    assert torch.equal(transform_each(last, some_matrices[3:5]), transform_each(images, some_matrices[3:5]))


def test_transform_each_is_the_diagonal_of_transform_all() -> None:
    members = combined().matrices[::61]
    images = random_images(len(members), 2, 10, 12)
    everything = transform_all(images, members)
    diagonal = torch.stack([everything[i, i] for i in range(len(members))])
    torch.testing.assert_close(transform_each(images, members), diagonal, atol=1e-6, rtol=0)


def test_tensors_and_arrays_are_the_same_matrices() -> None:
    images = random_images(3, 1, 8, 8)
    members = rotation(3, 50).matrices
    tensors = torch.tensor(members)
    assert torch.equal(transform_all(images, tensors), transform_all(images, members))
    assert torch.equal(transform_each(images, tensors), transform_each(images, members))
    for ours, expected in zip(neighbours(tensors, (8, 8)), neighbours(members, (8, 8)), strict=True):
        assert torch.equal(ours, expected)


def test_a_kept_grid_serves_its_own_set_and_size_only() -> None:
    images = random_images(1, 1, 6, 6)
    first = transform_all(images, rotation(3, 50).matrices)
    other = transform_all(images, rotation(3, 51).matrices)
    assert not torch.equal(first, other)
    assert transform_all(random_images(1, 1, 6, 7), rotation(3, 50).matrices).shape[-1] == 7
    assert torch.equal(transform_all(images, rotation(3, 50).matrices), first)


def test_a_grid_kept_while_measuring_serves_training() -> None:
    members = rotation(3, 43).matrices  # used nowhere else: not yet kept
    images = random_images(1, 1, 6, 6)
    with torch.inference_mode():
        transform_all(images, members)
    images.requires_grad_()
    transform_all(images, members).square().sum().backward()
    assert images.grad is not None


def test_gradients_reach_the_images() -> None:
    images = random_images(2, 1, 4, 5, dtype=torch.float64).requires_grad_()
    members = np.concatenate([EYE, rotation_matrix(25)[None]])
    assert torch.autograd.gradcheck(lambda x: transform_all(x, members), images)
    assert torch.autograd.gradcheck(lambda x: transform_each(x, members), images)


@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
@pytest.mark.parametrize(
    "matrices", [rotation(5, 40).matrices, scale(1, 0.8, 1.2).matrices, translation(1, 0.1).matrices,
                 product(rotation(3, 30), scale(1, 0.9, 1.1), translation(1, 0.05)).matrices]
)  # fmt: skip
def test_undoing_recovers_the_interior_of_a_smooth_image(size: tuple[int, int], matrices: np.ndarray) -> None:
    images = smooth_images(*size)
    undone = torch.stack(
        [
            transform_all(moved, back[None])[0]
            for moved, back in zip(transform_all(images, matrices), invert(matrices, size), strict=True)
        ]
    )
    inside = (..., slice(size[0] // 3, -(size[0] // 3)), slice(size[1] // 3, -(size[1] // 3)))
    assert (undone[inside] - images[inside]).abs().max() < 0.02


def test_undoing_with_negated_parameters_does_not_recover_it() -> None:
    """The planted bug: the test above must be able to fail."""
    images = smooth_images(32, 32)
    matrix = compose(scale_matrix(0.7, 1)[None], rotation_matrix(40)[None])
    negated = compose(scale_matrix(1 / 0.7, 1)[None], rotation_matrix(-40)[None])
    moved = transform_all(images, matrix)[0]
    inside = (..., slice(10, -10), slice(10, -10))
    right = (transform_all(moved, invert(matrix))[0] - images)[inside].abs().max()
    wrong = (transform_all(moved, negated)[0] - images)[inside].abs().max()
    assert right < 0.02
    assert wrong > 5 * right


@pytest.mark.parametrize("size", [(3, 3), (7, 7), (14, 14), (4, 6)])
def test_feature_maps_of_another_size_are_undone_by_their_own_neighbours(size: tuple[int, int]) -> None:
    matrices = translation(1, 0.25).matrices
    maps = smooth_images(*size)
    moved = transform_all(maps, matrices)
    back = invert(matrices, size)
    for member, inverse in zip(moved, back, strict=True):
        expected = transform_all(member, inverse[None])
        torch.testing.assert_close(by_neighbours(member, inverse[None]), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "images", [torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(1, 4, 4), torch.zeros(2, 2, 2, 2, 2)]
)
def test_images_must_be_floating_point_batches(images: torch.Tensor) -> None:
    for transform in (transform_all, transform_each):
        with pytest.raises(InputError, match=r"expected floating point images \(B, C, H, W\)"):
            transform(images, np.concatenate([EYE, EYE]))


@pytest.mark.parametrize("matrices", [np.eye(2, 3), np.eye(3)[None], torch.eye(2, 3)])
def test_matrices_must_be_two_by_three(matrices: np.ndarray) -> None:
    images = random_images(1, 1, 4, 4)
    for use in (lambda: transform_all(images, matrices), lambda: transform_each(images, matrices)):
        with pytest.raises(InputError, match=r"expected matrices \(M, 2, 3\)"):
            use()
    with pytest.raises(InputError, match=r"expected matrices \(M, 2, 3\)"):
        neighbours(matrices, (4, 4))


def test_transform_each_needs_a_matrix_for_each_image() -> None:
    with pytest.raises(InputError, match="each of the 3 images; received 1"):
        transform_each(random_images(3, 1, 4, 4), EYE)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_the_device_of_the_images() -> None:
    images = random_images(4, 3, 28, 28)
    members = combined().matrices[::100]
    on_gpu = transform_all(images.cuda(), members)
    assert on_gpu.is_cuda
    torch.testing.assert_close(on_gpu.cpu(), transform_all(images, members), atol=2e-5, rtol=0)
    each = transform_each(images.cuda(), torch.tensor(members[:4]).cuda())
    torch.testing.assert_close(each.cpu(), transform_each(images, members[:4]), atol=2e-5, rtol=0)
    index, way = neighbours(torch.tensor(members).cuda(), (28, 28))
    assert index.is_cuda
    assert way.is_cuda

"""Transformation sets applied to batches of images and feature maps, in torch.

Bilinear sampling, border padding, pixel centres at half integers (``align_corners=False``). The
matrices follow the convention of ``affine``; they may be NumPy arrays or tensors. Positions are
computed in float64 where the matrices are, then moved to the device of the images.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cnn_invariance.devices import TRIES, RandomNumbersWarning, random_state
from cnn_invariance.errors import InputError

MatricesLike = NDArray[np.floating] | Tensor


def transform_all(images: Tensor, matrices: MatricesLike) -> Tensor:
    """Every image under every map: (B, C, H, W) and (M, 2, 3) give (M, B, C, H, W).

    One ``grid_sample`` over samples and channels together, of the images less their first pixel, which is added back:
    so a background stays itself to the last bit (it has no variance, not one of 1e-8). Members that are exactly the
    identity give exactly the images. The dtype is kept; half precision is sampled in float32. Differentiable in the
    images.

    Errors: InputError for images that are not floating point, or other shapes.
    """
    _check(images, matrices)
    M, (B, C, H, W) = len(matrices), images.shape
    if isinstance(matrices, Tensor):
        grid, same = _grid(matrices, (H, W)), _identities(matrices)
    else:
        fixed = np.ascontiguousarray(matrices, dtype=np.float64)
        grid, same = _kept_grid(fixed.tobytes(), (H, W), images.device, _precision(images))
    flat = images.reshape(1, B * C, H, W).to(_precision(images))
    background = flat[..., :1, :1]
    moved = _sample((flat - background).expand(M, -1, -1, -1), grid).add_(background)  # one copy serves all members
    moved = moved.view(M, B, C, H, W).to(images.dtype)
    members = same.nonzero().flatten().tolist()
    if members:
        moved[members] = images
    return moved


def transform_each(images: Tensor, matrices: MatricesLike) -> Tensor:
    """Each image under its own map: (B, C, H, W) and (B, 2, 3) give (B, C, H, W).

    As ``transform_all`` otherwise. It never waits for the device: training calls it on each batch.

    Errors: InputError for images that are not floating point, or other shapes.
    """
    _check(images, matrices)
    if len(matrices) != len(images):
        raise InputError(f"expected one matrix for each of the {len(images)} images; received {len(matrices)}")
    matrices = _as_tensor(matrices)
    same = _identities(matrices).to(images.device, non_blocking=True)
    moved = _sample(images, _grid(matrices, (images.shape[2], images.shape[3])))
    return torch.where(same[:, None, None, None], images, moved)


def check_members(members: Sequence[Callable[[Tensor], Tensor]], images: Tensor, finite: bool = True) -> None:
    """Try each function of a transformation set on some images (B, C, H, W).

    A function must keep the shape and the dtype of the images and, if ``finite``, give finite values for finite images.
    It must be one map: the same for an image each time it is called, whatever the other images of the batch are. Two
    functions at least must be different maps.

    Errors: InputError that names the first function which fails, or which returns something else, and where it stands.
    """
    several = torch.cat([1.5 * images.flip(-1, -2), images])  # others before them, of a larger range
    for number, member in enumerate(members, 1):
        name = f"transformation {number} of {len(members)} ({described(member)})"
        before = random_state()
        try:
            moved = member(images.clone())  # a copy, because the function may work in place
        except Exception as error:  # the function may be anyone's code
            raise InputError(f"{name} fails: {type(error).__name__}: {error}; correct it") from error
        if not isinstance(moved, Tensor) or moved.shape != images.shape:
            received = tuple(moved.shape) if isinstance(moved, Tensor) else type(moved).__name__
            raise InputError(f"{name} turns a batch of shape {tuple(images.shape)} into {received}; expected the same")
        if moved.dtype != images.dtype:
            raise InputError(
                f"{name} turns images of {_short(images.dtype)} into {_short(moved.dtype)}; expected the same: end it "
                "with .to(images.dtype)"
            )
        if finite and images.isfinite().all() and not moved.isfinite().all():
            raise InputError(f"{name} gives values that are not finite (nan or infinite); correct it")
        draws = random_state() != before
        moved = moved.clone()  # a function may give out one buffer each time
        if not all(_alike(moved, member(images.clone())) for _ in range(TRIES[draws])):
            raise InputError(
                f"{name} gives another image each time it is called; a measure is over fixed transformations: draw "
                "what is random in it once, before"
            )
        if draws:
            warnings.warn(
                f"{name} draws random numbers, and gave the same image {TRIES[True]} times; a measure is over fixed "
                "transformations: draw what is random in it once, before",
                RandomNumbersWarning,
                stacklevel=5,  # the line that called measure()
            )
        if not _alike(moved, member(several.clone())[len(images) :]):
            raise InputError(f"{name} gives an image another form in another batch; it must be a map of a single image")
    several = torch.cat([images, images.flip(-1, -2)])  # two images at least, not alike
    first = members[0](several.clone()).clone()
    if len(members) > 1 and several.std() > 0 and all(torch.equal(first, one(several.clone())) for one in members[1:]):
        raise InputError(
            f"the {len(members)} transformations ({described(members[0])}, ...) are one map, and invariance is "
            "measured over different ones; functions made in a loop share its last value: bind it as a default, "
            "lambda x, a=a: ..."
        )


def described(member: Callable[[Tensor], Tensor]) -> str:
    """The name of a function, and its file and line where it has them."""
    name = getattr(member, "__name__", None) or repr(member)
    code = getattr(member, "__code__", None)
    return f"{name}, {Path(code.co_filename).name}:{code.co_firstlineno}" if code is not None else name


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether two images differ by rounding alone."""
    size = float(one[one.isfinite()].abs().max()) if one.isfinite().any() else 0.0
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=1e-4 * size, equal_nan=True)


def neighbours(matrices: MatricesLike, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The four input pixels around the source of each output pixel, and the way between them, for maps (H, W).

    Returns index, int64 (M, H*W, 4), into the flattened input: above left, above right, below left, below right; and
    the way, float64 (M, H*W, 2), from left to right and from above to below, on the device of the matrices. Bilinear
    between them is ``transform_all``, apart from the rounding of positions to float32 in ``grid_sample`` (about 1e-7
    of a side). To undo a set on feature maps: ``neighbours(invert(matrices, size), size)``.

    Errors: InputError for other shapes.
    """
    _check_matrices(matrices)
    H, W = size
    x, y = _source(_as_tensor(matrices), size)  # (M, H, W) each
    left, x1, right = _neighbours(x, W)
    top, y1, bottom = _neighbours(y, H)
    index = torch.stack([top * W + left, top * W + right, bottom * W + left, bottom * W + right], dim=-1)
    return index.flatten(1, 2), torch.stack([x1, y1], dim=-1).flatten(1, 2)


def _neighbours(position: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """The pixels before and after a position along one axis, and the weight of the latter."""
    position = position.clamp(0, side - 1)  # border padding: outside is the nearest edge
    before = position.floor()
    after = (before + 1).clamp(max=side - 1)
    return before.long(), position - before, after.long()


def _source(matrices: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(M, H, W) x and y in the input, in pixels (0 is the first centre), of each output pixel.

    ``p = A^-1 (p' - t)``, in float64, so that quarter turns and whole pixels stay exact.
    """
    H, W = size
    a, b, tx, c, d, ty = matrices.double().flatten(1).T[:, :, None, None]  # (M, 1, 1) each
    determinant = a * d - b * c
    columns = torch.arange(W, dtype=torch.float64, device=matrices.device)
    rows = torch.arange(H, dtype=torch.float64, device=matrices.device)
    x = columns - (W - 1) / 2 - tx * W  # (M, 1, W)
    y = rows[:, None] - (H - 1) / 2 - ty * H  # (M, H, 1)
    return (
        d / determinant * x - b / determinant * y + (W - 1) / 2,
        a / determinant * y - c / determinant * x + (H - 1) / 2,
    )


def _grid(matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """(M, H, W, 2): the float64 positions as ``grid_sample`` counts them, edges at -1 and 1."""
    H, W = size
    x, y = _source(matrices, size)
    return torch.stack([(2 * x + 1) / W - 1, (2 * y + 1) / H - 1], dim=-1)


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # the cached tensors are used in training too
def _kept_grid(
    matrices: bytes, size: tuple[int, int], device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Grid on the device and identity flags of a fixed set: the same for every tile of a cell."""
    members = torch.frombuffer(bytearray(matrices), dtype=torch.float64).view(-1, 2, 3)
    return _grid(members, size).to(device, dtype), _identities(members)


def _sample(images: Tensor, grid: Tensor) -> Tensor:
    """``grid_sample`` at the precision of the images, float32 at least."""
    precision = _precision(images)
    moved = F.grid_sample(
        images.to(precision),
        grid.to(images.device, precision, non_blocking=True),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return moved.to(images.dtype)


def _precision(images: Tensor) -> torch.dtype:
    return torch.promote_types(images.dtype, torch.float32)


def _identities(matrices: Tensor) -> Tensor:
    """(M,) bool: which members are exactly the identity."""
    eye = torch.eye(2, 3, dtype=matrices.dtype, device=matrices.device)
    return (matrices == eye).flatten(1).all(dim=1)


def _as_tensor(matrices: MatricesLike) -> Tensor:
    if isinstance(matrices, Tensor):
        return matrices
    return torch.tensor(matrices, dtype=torch.float64, device="cpu")


def _check(images: Tensor, matrices: MatricesLike) -> None:
    if images.ndim != 4 or not images.is_floating_point():
        raise InputError(
            "expected floating point images (B, C, H, W), normalised before they are transformed; "
            f"received {images.dtype} {tuple(images.shape)}"
        )
    _check_matrices(matrices)


def _check_matrices(matrices: MatricesLike) -> None:
    if matrices.ndim != 3 or tuple(matrices.shape[1:]) != (2, 3):
        raise InputError(f"expected matrices (M, 2, 3); received {tuple(matrices.shape)}")

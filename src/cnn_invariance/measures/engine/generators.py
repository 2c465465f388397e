"""The generators of continuous transformations, as linear maps of images and of feature maps of any size.

A one-parameter group moves a pixel p (about the centre of the map, x to the right, y down, in pixels of that map) by
``dp/ds = v(p)``. It acts on a map as ``(g_s f)(p) = f(g_s^-1 p)``, so that its generator is::

    (X f)(p) = d/ds (g_s f)(p) at s = 0 = - v(p) . grad f(p)

where the gradient is that of the sampled map, which depends on how it is interpolated:

- ``smooth``: Catmull-Rom's cubic (C1; edge pixels repeated). Its gradient at a pixel is the central difference.
- ``reference``: bilinear, with align_corners and reflection at the edges, the form of the published numbers. At whole
  pixels it has a kink, so that its derivative is the limit of no finite difference; the forward difference is taken, as
  a sampler does that floors a position which is exactly whole.

Units of s: pixels of the image for translations, which move a feature map by the same share of its side; radians for
rotations; the slope of a shear; the logarithm of the factor of a stretch. The published code's ``stretch`` has a
singular matrix at s = 0, so its published numbers are those of another generator than this one.
"""

from typing import Literal

import torch
from torch import Tensor

NAMES = ("rotation", "translation_x", "translation_y", "shear_x", "shear_y", "stretch_x", "stretch_y")

Form = Literal["smooth", "reference"]


CHUNK = 1 << 16
"""Values that are treated at once: what is made of them stays in a core's cache."""


def applied(maps: Tensor, generator: str, form: Form, image: tuple[int, int]) -> Tensor:
    """``X f`` of maps (B, C, H, W), when the network's images have (H, W) = ``image``."""
    return _less(torch.zeros_like(maps), maps, generator, form, image).neg_()


def derivative(maps: Tensor, tangent: Tensor, generator: str, form: Form, image: tuple[int, int]) -> Tensor:
    """``tangent - X f`` of maps (B, C, H, W)."""
    return _less(tangent.clone(), maps, generator, form, image)


def squared_norms(maps: Tensor, tangent: Tensor, generator: str, form: Form, image: tuple[int, int]) -> Tensor:
    """(B): the square of the norm of `derivative`, in float64, without keeping it."""
    B, C, H, W = maps.shape
    flat, moved = maps.reshape(B * C, H, W), tangent.reshape(B * C, H, W)
    few = max(1, CHUNK // (H * W))
    parts = [
        _less(some.clone(), own, generator, form, image).square_().sum((1, 2)).double()
        for own, some in zip(flat.split(few), moved.split(few), strict=True)
    ]
    return torch.cat(parts).view(B, C).sum(1)


def _less(found: Tensor, maps: Tensor, generator: str, form: Form, image: tuple[int, int]) -> Tensor:
    """``found - X f = found + v . grad f``, in the memory of ``found``; maps are (..., H, W)."""
    along_x, along_y = _field(generator, (maps.shape[-2], maps.shape[-1]), form, image, maps)
    if along_x is not None:
        _add_difference(found, maps, along_x, form)
    if along_y is not None:
        _add_difference(found.mT, maps.mT, along_y.mT, form)
    return found


def _field(
    generator: str, size: tuple[int, int], form: Form, image: tuple[int, int], like: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    """v in x and in y, of shapes that broadcast to (H, W); None where it is zero."""
    H, W = size
    x = torch.arange(W, dtype=like.dtype, device=like.device)[None] - (W - 1) / 2
    y = torch.arange(H, dtype=like.dtype, device=like.device)[:, None] - (H - 1) / 2
    less = 1 if form == "reference" else 0  # with align_corners a side is from the first centre to the last
    share_x, share_y = ((own - less) / max(whole - less, 1) for own, whole in ((W, image[1]), (H, image[0])))
    fields: dict[str, tuple[Tensor | None, Tensor | None]] = {
        "rotation": (y, -x),
        "translation_x": (torch.full_like(x, share_x), None),
        "translation_y": (None, torch.full_like(y, share_y)),
        "shear_x": (y, None),
        "shear_y": (None, x),
        "stretch_x": (x, None),
        "stretch_y": (None, y),
    }
    return fields[generator]


def _add_difference(found: Tensor, maps: Tensor, speed: Tensor, form: Form) -> None:
    """Add ``speed`` times the gradient along the last side; speed is (H or 1, W or 1)."""
    n = maps.shape[-1]
    if n == 1:
        return
    speed = speed.expand(speed.shape[0], n)
    if form == "smooth":
        found[..., 1:-1].addcmul_(maps[..., 2:] - maps[..., :-2], speed[:, 1:-1], value=0.5)
        found[..., 0].addcmul_(maps[..., 1] - maps[..., 0], speed[:, 0], value=0.5)
        found[..., -1].addcmul_(maps[..., -1] - maps[..., -2], speed[:, -1], value=0.5)
    else:
        found[..., :-1].addcmul_(maps[..., 1:] - maps[..., :-1], speed[:, :-1])
        found[..., -1].addcmul_(maps[..., -2] - maps[..., -1], speed[:, -1])

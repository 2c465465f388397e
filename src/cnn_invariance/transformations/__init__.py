"""Transformation sets, and their application to images and feature maps.

The sets (``rotation``, ``scale``, ``build`` and so on) need NumPy only. The functions that apply
them (``transform_all``, ``transform_each``, ``check_members``) import torch when they are first used.
"""

from typing import TYPE_CHECKING, Any

from cnn_invariance.transformations.affine import AffineSet, compose, invert, product
from cnn_invariance.transformations.sets import (
    TransformationSet,
    build,
    combined,
    identity,
    names,
    parse,
    rotation,
    rotation_reference,
    scale,
    translation,
)

if TYPE_CHECKING:
    from cnn_invariance.transformations.warp import check_members, transform_all, transform_each

__all__ = [
    "AffineSet",
    "TransformationSet",
    "build",
    "check_members",
    "combined",
    "compose",
    "identity",
    "invert",
    "names",
    "parse",
    "product",
    "rotation",
    "rotation_reference",
    "scale",
    "transform_all",
    "transform_each",
    "translation",
]

_IN_TORCH = ("check_members", "transform_all", "transform_each")


def __getattr__(name: str) -> Any:
    if name not in _IN_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cnn_invariance.transformations import warp

    return getattr(warp, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_IN_TORCH])

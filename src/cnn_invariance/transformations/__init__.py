"""Transformation sets, and their application to images and feature maps.

The sets (``rotation``, ``scale``, ``build`` and so on) need NumPy only. The functions that apply
them (``transform_all``, ``transform_each``) import torch when first used.
"""

from typing import TYPE_CHECKING, Any

from cnn_invariance.transformations.sets import (
    AffineSet,
    TransformationSet,
    build,
    combined,
    compose,
    identity,
    invert,
    names,
    parse,
    product,
    rotation,
    rotation_reference,
    scale,
    translation,
)

if TYPE_CHECKING:
    from cnn_invariance.transformations.warp import transform_all, transform_each

__all__ = [
    "AffineSet",
    "TransformationSet",
    "build",
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

_IN_TORCH = ("transform_all", "transform_each")


def __getattr__(name: str) -> Any:
    if name not in _IN_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cnn_invariance.transformations import warp

    return getattr(warp, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_IN_TORCH])

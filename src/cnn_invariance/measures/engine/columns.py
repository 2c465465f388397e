"""The columns of a tile: a batch of images under every transformation."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from cnn_invariance.errors import InputError
from cnn_invariance.measures.engine.inputs import Callables
from cnn_invariance.transformations.affine import AffineSet, is_identity
from cnn_invariance.transformations.warp import transform_all


class Columns:
    """A batch of images under every transformation, and the untransformed batch among them if it is needed.

    Attributes:
        reference: the column of the untransformed batch; 0 where it is neither there nor needed.
        appended: whether that column is one more than the transformation set has.
    """

    def __init__(self, transformations: AffineSet | Callables, shape: Sequence[int], untransformed: bool) -> None:
        self.transformations = transformations
        self.shape = tuple(shape)
        identity = _identity(transformations)
        self.appended = untransformed and identity is None
        self.reference = len(transformations) if self.appended else identity or 0

    def __call__(self, images: Tensor) -> Tensor:
        """(b, C, H, W) -> (M', b, C, H, W)."""
        if tuple(images.shape[1:]) != self.shape:
            raise InputError(
                f"an image has shape {tuple(images.shape[1:])}, the first one {self.shape}; expected one shape for all"
            )
        if isinstance(self.transformations, AffineSet):
            affine = transform_all(images, self.transformations.matrices)
            return torch.cat([affine, images.unsqueeze(0)]) if self.appended else affine
        columns = [transformation(images.clone()) for transformation in self.transformations]  # it may work in place
        for column in columns:
            if not isinstance(column, Tensor) or column.shape != images.shape:
                received = tuple(column.shape) if isinstance(column, Tensor) else type(column).__name__
                raise InputError(
                    f"a transformation turns a batch of shape {tuple(images.shape)} into {received}; expected the same"
                )
        return torch.stack([*columns, images] if self.appended else columns)


def _identity(transformations: AffineSet | Callables) -> int | None:
    """The index of the identity member, if there is one that is known to be."""
    if not isinstance(transformations, AffineSet):
        return None
    members = np.flatnonzero(is_identity(transformations.matrices))
    return int(members[0]) if members.size else None

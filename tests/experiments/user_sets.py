"""Sets of a user: one without the identity, one of callables."""

import numpy as np

from cnn_invariance.transformations import AffineSet


def turned():
    return AffineSet("turned", {}, np.array([[[0.0, 1, 0], [-1, 0, 0]]]))


def functions():
    return [lambda images: images]


def identity_last():
    return AffineSet("identity_last", {}, np.array([[[0.0, 1, 0], [-1, 0, 0]], [[1.0, 0, 0], [0, 1, 0]]]))

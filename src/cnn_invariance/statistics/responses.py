"""Statistics of what feature maps respond to one sample under transformations; responses are (members, H, W)."""

import math

import numpy as np


def relative_variation(responses: np.ndarray) -> float:
    """The standard deviation over members, mean over pixels, divided by that of all responses; NaN if constant.

    >>> relative_variation(np.array([[[0.0, 1.0]], [[0.0, 1.0]]]))
    0.0
    """
    spread = float(responses.std())
    return float(responses.std(axis=0).mean()) / spread if spread else math.nan


def contrast(most: float, least: float) -> float:
    """The log10 of the relative variation ``least`` over ``most``; NaN where one of them is not positive.

    >>> contrast(0.1, 1.0)
    1.0
    """
    return math.log10(least / most) if least > 0 and most > 0 else math.nan

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


def contrast(most: np.ndarray, least: np.ndarray) -> float:
    """The log10 of the relative variation of ``least`` over that of ``most``; NaN where one of them is not positive."""
    first, second = relative_variation(most), relative_variation(least)
    return math.log10(second / first) if second > 0 and first > 0 else math.nan

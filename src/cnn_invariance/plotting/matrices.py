"""Transformation sets as pictures, and what they make of units: their ST matrices, samples x transformations."""

import textwrap
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnn_invariance.plotting.responses import coloured, mosaic
from cnn_invariance.plotting.style import is_one_column, new_figure, page_width, style

HALF_A_COLUMN = 22
"""Letters that fit above a matrix where two stand in one column."""
HIGH = 0.16
"""The height of a row of a matrix, inches."""
BESIDE = 13
"""How many pictures stand side by side at most."""


class OfSet(NamedTuple):
    """Pictures of a sample under a set, (transformations, channels, H, W), and matrices by their titles.

    Each matrix (samples, transformations) has grey levels of its own.
    """

    pictures: np.ndarray
    matrices: Mapping[str, np.ndarray]


def matrix_figure(sets: Mapping[str, OfSet]) -> Figure:
    """For each set, pictures of one sample above, and below matrices with a row a sample and a column a picture.

    Errors: ValueError for no set, or no matrix.
    """
    if not sets or not all(one.matrices for one in sets.values()):
        raise ValueError("a figure of matrices needs a set, and each set at least one matrix")
    heights = [_heights(one) for one in sets.values()]
    with style():
        figure = new_figure(page_width(), sum(map(sum, heights)) + 0.2 * len(sets))
        parts = figure.subfigures(len(sets), 1, height_ratios=list(map(sum, heights)), squeeze=False)[:, 0]
        for part, (name, one), of_part in zip(parts, sets.items(), heights, strict=True):
            above, below = part.subfigures(2, 1, height_ratios=of_part, squeeze=False)[:, 0]
            _draw_pictures(above.subplots(), name, coloured(one.pictures))
            grid = below.subplots(-(-len(one.matrices) // _columns(one)), _columns(one), squeeze=False)
            for axes, (title, matrix) in zip(grid.flat, one.matrices.items(), strict=False):
                _draw_matrix(axes, title, matrix)
    return figure


def _heights(one: OfSet) -> list[float]:
    """The heights of the pictures and of the matrices, inches."""
    columns, beside = _columns(one), _beside(len(one.pictures))
    samples = len(next(iter(one.matrices.values())))
    deep = -(-len(one.matrices) // columns)
    pictures = -(-len(one.pictures) // beside) * page_width() / beside + 0.15
    return [pictures, deep * (samples * HIGH + 0.45)]


def _columns(one: OfSet) -> int:
    return min(len(one.matrices), 2) if is_one_column() else len(one.matrices)


def _beside(pictures: int) -> int:
    return min(BESIDE // 2 if is_one_column() else BESIDE, pictures)


def _draw_pictures(axes: Axes, title: str, shown: np.ndarray) -> None:
    beside = _beside(len(shown))
    axes.imshow(mosaic([shown[k : k + beside] for k in range(0, len(shown), beside)], beside))
    axes.set_title(title)
    axes.set_axis_off()


def _draw_matrix(axes: Axes, title: str, matrix: np.ndarray) -> None:
    axes.imshow(matrix, cmap="gray", interpolation="none", aspect="auto")
    axes.set_title("\n".join(textwrap.wrap(title, HALF_A_COLUMN)) if is_one_column() else title)
    axes.set_xlabel("transformation")
    axes.set_ylabel("sample")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)

"""A transformation set as pictures, and what it makes of units: their ST matrices, samples x transformations."""

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from cnn_invariance.plotting.responses import coloured, mosaic
from cnn_invariance.plotting.style import is_one_column, new_figure, page_width, style

HALF_A_COLUMN = 22
"""Letters that fit above a matrix where two stand in one column."""
BESIDE = 13
"""How many pictures stand side by side at most."""


def matrix_figure(pictures: np.ndarray, matrices: Mapping[str, np.ndarray]) -> Figure:
    """Pictures of one sample above, matrices with a row a sample and a column a picture below, by their titles.

    pictures: (transformations, channels, H, W)
    matrices: each (samples, transformations), in grey levels of its own

    Errors: ValueError for no matrix.
    """
    if not matrices:
        raise ValueError("a figure of matrices needs at least one")
    shown, beside = coloured(pictures), min(BESIDE // 2 if is_one_column() else BESIDE, len(pictures))
    wide, columns = page_width(), min(len(matrices), 2) if is_one_column() else len(matrices)
    lines = -(-len(shown) // beside)
    samples = len(next(iter(matrices.values())))
    share = 0.9 / min(columns, 2)
    deep = -(-len(matrices) // columns)
    heights = [lines * wide / beside, deep * (samples * wide * share / len(pictures) + 0.45)]
    with style():
        figure = new_figure(wide, sum(heights) + 0.2)
        above, below = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
        axes = above.subplots()
        axes.imshow(mosaic([shown[k : k + beside] for k in range(0, len(shown), beside)], beside))
        axes.set_axis_off()
        for axes, (title, matrix) in zip(
            below.subplots(deep, columns, squeeze=False).flat, matrices.items(), strict=True
        ):
            axes.imshow(matrix, cmap="gray", interpolation="none", aspect="equal")
            axes.set_title("\n".join(textwrap.wrap(title, HALF_A_COLUMN)) if is_one_column() else title)
            axes.set_xlabel("transformation")
            axes.set_ylabel("sample")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(False)
    return figure

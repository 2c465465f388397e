"""Feature maps as pictures: how maps respond to samples under transformations."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from cnn_invariance.plotting.style import SMALL, new_figure, page_width, side_by_side, style

GAP = 0.06
"""The space between two pictures, as a share of their side."""
HEAD = 0.14
"""The height of a line of text above rows of pictures, inches."""
BESIDE = 4
"""So many blocks stand side by side where a caller does not say how many."""


class Rows(NamedTuple):
    """Rows of pictures below a line of text: each (pictures, H, W), or (pictures, H, W, 3) in colours, in [0, 1]."""

    text: str
    rows: Sequence[np.ndarray]


def response_figure(blocks: Mapping[str, Sequence[Rows]], *, beside: int = BESIDE) -> Figure:
    """Blocks of pictures, ``beside`` in a row, by their titles; all have as many rows, and as many pictures in a row.

    Errors: ValueError without a row.
    """
    if not blocks or not all(blocks.values()):
        raise ValueError("a figure of responses needs a block, and each block at least one row of pictures")
    first = next(iter(blocks.values()))
    wide, tall = len(first[0].rows[0]), sum(len(part.rows) for part in first)
    beside = side_by_side(min(len(blocks), beside))
    deep, side = -(-len(blocks) // beside), page_width() * 0.97 / (wide * (1 + GAP) * beside)
    with style():
        figure = new_figure(page_width(), deep * (side * (1 + GAP) * tall + HEAD * (len(first) + 1)) + 0.1)
        grid = figure.subplots(deep, beside, squeeze=False).flatten()
        for axes in grid:
            axes.set_axis_off()
        for axes, (title, parts) in zip(grid, blocks.items(), strict=False):
            picture, heads = _mosaic(parts, HEAD / side)
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(title, fontsize=SMALL)
            for height, part in zip(heads, parts, strict=True):
                axes.text(0, height, part.text, fontsize=SMALL, va="bottom")
    return figure


def coloured(images: np.ndarray) -> np.ndarray:
    """Images (pictures, channels, H, W) as pictures: grey for one channel, colours for three, else their mean.

    All channels have one scale, from the smallest value of all pictures to the largest, which keeps grey grey.
    """
    if images.shape[1] == 3:
        return levels(np.moveaxis(images, 1, -1))
    return levels(images.mean(axis=1))


def with_moments(responses: np.ndarray) -> np.ndarray:
    """Responses (pictures, H, W) as grey levels, followed by their mean and, from 0 on, their standard deviation."""
    deviation = responses.std(axis=0, keepdims=True)
    top = float(deviation.max())
    whole = levels(np.concatenate([responses, responses.mean(axis=0, keepdims=True)]))
    return np.concatenate([whole, deviation / top if top else deviation])


def levels(values: np.ndarray) -> np.ndarray:
    """To [0, 1]; a constant is grey."""
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) if high > low else np.full_like(values, 0.5)


def _mosaic(parts: Sequence[Rows], head: float) -> tuple[np.ndarray, list[float]]:
    """One picture (H, W, 3) of all rows, on white, and the height at which each text stands; ``head`` in pictures."""
    side = max(row.shape[1] for part in parts for row in part.rows)
    strips: list[np.ndarray] = []
    heads: list[float] = []
    for part in parts:
        rows = mosaic(part.rows, len(part.rows[0]), side)
        strips.append(np.ones((round(head * side), rows.shape[1], 3)))
        heads.append(sum(map(len, strips)) - 1.5)
        strips.append(rows)
    return np.concatenate(strips), heads


def mosaic(rows: Sequence[np.ndarray], beside: int, side: int | None = None) -> np.ndarray:
    """Rows of pictures as one picture (H, W, 3), on white; each is ``side`` pixels wide (None: as the largest)."""
    size = side or max(row.shape[1] for row in rows)
    gap = max(1, round(GAP * size))
    picture = np.ones((len(rows) * (size + gap), beside * (size + gap), 3))
    for r, row in enumerate(rows):
        for c, one in enumerate(_enlarged(row, size)):
            picture[r * (size + gap) :, c * (size + gap) :][:size, :size] = one
    return picture


def _enlarged(row: np.ndarray, side: int) -> Iterator[np.ndarray]:
    """Each picture of a row at its size in the mosaic, without interpolation, in three colours."""
    for picture in row:
        high, wide = (np.arange(side) * size // side for size in picture.shape[:2])
        enlarged = picture[high][:, wide]
        yield enlarged if enlarged.ndim == 3 else np.repeat(enlarged[..., None], 3, axis=-1)

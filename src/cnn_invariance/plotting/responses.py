"""Feature maps as pictures: how two maps of each layer respond to one sample under transformations."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cnn_invariance.plotting.style import DOUBLE, SMALL, new_figure, style

GAP = 0.35
"""Width of the space between the two maps of a layer, in pictures."""

Response = tuple[np.ndarray, float]


def response_figure(inputs: np.ndarray, rows: Sequence[tuple[str, Sequence[Response]]], *, label: str) -> Figure:
    """A column for each transformation, twice: for the most invariant map of each layer, and for the least.

    inputs: (members, channels, H, W), the sample under each transformation, drawn above both
    rows:   for each layer its name, and of its most and its least invariant map the responses (members, H, W) and value
    label:  the measure of the values

    Each map has grey levels of its own, from its smallest to its largest response over the transformations.

    Errors: ValueError without a row.
    """
    if not rows:
        raise ValueError("a figure of responses needs at least one layer")
    members = len(inputs)
    ratios = [1.0] * members + [GAP] + [1.0] * members
    side = DOUBLE * 0.93 / sum(ratios)
    with style():
        figure = new_figure(DOUBLE, (len(rows) + 1) * (side + 0.13) + 0.2)
        grid = figure.subplots(len(rows) + 1, len(ratios), squeeze=False, width_ratios=ratios)
        halves = (slice(0, members), slice(members + 1, None))
        for axes in grid.flat:
            axes.set_axis_off()
        for half, title in zip(halves, ("most invariant map", "least invariant map"), strict=True):
            _draw(grid[0, half], _picture(inputs))
            grid[0, half][0].set_title(title, fontsize=SMALL)
        for line, (name, maps) in zip(grid[1:], rows, strict=True):
            for half, (responses, value) in zip(halves, maps, strict=True):
                _draw(line[half], _levels(responses))
                line[half][0].set_title(f"{name}, {label} {value:.2g}", fontsize=SMALL, pad=2)
    return figure


def _draw(axes: np.ndarray, pictures: np.ndarray) -> None:
    """Draw a picture in each panel."""
    for one, picture in zip(axes, pictures, strict=True):
        one.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def _picture(inputs: np.ndarray) -> np.ndarray:
    """(members, H, W) or (members, H, W, 3) in [0, 1]: grey for one channel, colours for three, else their mean."""
    channels = inputs.shape[1]
    if channels == 3:
        return np.stack([_levels(inputs[:, c]) for c in range(3)], axis=-1)
    return _levels(inputs.mean(axis=1))


def _levels(values: np.ndarray) -> np.ndarray:
    """To [0, 1]; a constant is grey."""
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) if high > low else np.full_like(values, 0.5)

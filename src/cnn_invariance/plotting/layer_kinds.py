"""The kinds of layers, and the strip under an axis that shows them.

A strip has one bar for each layer, in the layer's place on the axis: dark and full height for
layers with weights, pale or short for the others, so that a strip is also read in grey.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.transforms import (
    Affine2D,
    ScaledTranslation,
    Transform,
    blended_transform_factory,
)

from cnn_invariance.plotting.style import Look


@dataclass(frozen=True)
class LayerKind:
    """A kind of layer: its name, how it is drawn, and the parts of names of module classes that belong to it.

    height: share of the height of a strip
    """

    name: str
    colour: str
    height: float
    classes: tuple[str, ...]


KINDS = (
    LayerKind("convolution", "#22384F", 1.0, ("Conv",)),
    LayerKind("dense", "#B04E17", 1.0, ("Linear", "LazyLinear", "Bilinear")),
    LayerKind("pooling", "#69B79F", 0.75, ("Pool", "Mean")),
    LayerKind("normalisation", "#8F7FC0", 0.75, ("BatchNorm", "GroupNorm", "LayerNorm", "InstanceNorm")),
    LayerKind(
        "activation",
        "#C3C9CF",
        0.5,
        ("ELU", "ReLU", "Tanh", "Sigmoid", "SiLU", "Mish", "Softplus", "Hardswish", "Hardtanh"),
    ),
)
OTHER = LayerKind("other", "#EFEFEF", 0.5, ())
EDGE = "#7A7A7A"

NAMED = 24  # so many layers have room for their names under an axis
STRIP, GAP = 6.0, 2.0  # height of one strip and the space above it, points


def kind_of(module_class: str) -> LayerKind:
    """The kind of a layer from the name of its module class.

    >>> [kind_of(name).name for name in ("Conv2d", "AdaptiveAvgPool2d", "PReLU", "Flatten")]
    ['convolution', 'pooling', 'activation', 'other']
    """
    for kind in KINDS:
        if any(part in module_class for part in kind.classes):
            return kind
    return OTHER


@dataclass(frozen=True)
class Strip:
    """The layers of one design: places on the axis, module classes, and the look of its series.

    ``look`` puts the marker of the series before the strip, where several are stacked.
    """

    places: Sequence[float]
    classes: Sequence[str]
    look: Look | None = None


def draw_strips(axes: Axes, strips: Sequence[Strip]) -> float:
    """Draw strips under the x axis, and move its tick labels below; returns their height, points."""
    for row, strip in enumerate(strips):
        _draw_strip(axes, strip, bottom=-(row + 1) * (GAP + STRIP))
    height = len(strips) * (GAP + STRIP)
    axes.tick_params(axis="x", length=0, pad=height + 2)
    return height


def kind_handles(classes: Sequence[str]) -> list[Patch]:
    """Legend handles for the kinds that occur among these module classes, in a fixed order."""
    present = {kind_of(name).name for name in classes}
    return [
        Patch(facecolor=kind.colour, edgecolor=EDGE, linewidth=0.4, label=kind.name)
        for kind in (*KINDS, OTHER)
        if kind.name in present
    ]


def layer_ticks(last: float) -> list[int]:
    """Where an axis of layer numbers has its ticks: the first layer, and every fifth, tenth, 25th, 50th, ...

    >>> layer_ticks(4), layer_ticks(17)
    ([1, 2, 3, 4], [1, 5, 10, 15])
    >>> layer_ticks(225)[:4]
    [1, 25, 50, 75]
    """
    steps = ((8, 1), (40, 5), (120, 10), (300, 25), (600, 50))
    step = next((step for most, step in steps if last <= most), 100)
    return sorted({1, *range(step, int(last) + 1, step)})


def _draw_strip(axes: Axes, strip: Strip, bottom: float) -> None:
    kinds = [kind_of(name) for name in strip.classes]
    width = 0.86 * _spacing(strip.places)
    for kind in dict.fromkeys(kinds):
        bars = [
            _bar(place, width, bottom, kind.height * STRIP)
            for place, one in zip(strip.places, kinds, strict=True)
            if one is kind
        ]
        layers = PathPatch(  # one path for all layers of a kind: an SVG has a fifth of the bytes
            Path.make_compound_path(*bars),
            facecolor=kind.colour,
            edgecolor=EDGE,
            linewidth=0.25,
            transform=blended_transform_factory(axes.transData, _points_from_axis(axes)),
            clip_on=False,
        )
        axes.add_artist(layers)
    if strip.look is not None:
        axes.plot(
            [-5.5],  # points left of the panel's edge
            [bottom + STRIP / 2],
            marker=strip.look.marker,
            color=strip.look.colour,
            transform=_points_from_axis(axes),
            clip_on=False,
            scalex=False,
            scaley=False,
        )


def _bar(place: float, width: float, bottom: float, height: float) -> Path:
    left, right, top = place - width / 2, place + width / 2, bottom + height
    return Path([(left, bottom), (left, top), (right, top), (right, bottom), (left, bottom)], closed=True)


def _spacing(places: Sequence[float]) -> float:
    return min((b - a for a, b in pairwise(places)), default=1.0)


def _points_from_axis(axes: Axes) -> Transform:
    """Coordinates in points, from the lower left corner of the panel, wherever it comes to lie."""
    figure = axes.get_figure()
    assert figure is not None
    corner = ScaledTranslation(0, 0, axes.transAxes)  # type: ignore[arg-type]  # any transform will do
    return Affine2D().scale(1 / 72) + figure.dpi_scale_trans + corner

"""The look of every figure: sizes, fonts, colours, and the second channel beside colour.

Figures are made at the size at which they are printed, one column or two, so a font of 7 pt here is
7 pt on paper. The font is the one that Matplotlib carries, drawn as outlines: a figure has the
same bytes and the same look on every machine.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal, TypeVar

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

SINGLE = 3.4
"""Width of a figure in one column of a page, inches."""
DOUBLE = 7.0
"""Width of a figure across both columns, inches."""

COLUMN = 8.5 / 2.54
"""The same in inches where all figures are drawn for one column, see `one_column`."""

SMALL, NORMAL = 7.0, 7.5  # points

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, VERMILLION, BLACK, GREY = "#56B4E9", "#D55E00", "#000000", "#8C8C8C"
"""The colours of Okabe and Ito (2008). Their yellow is left out, because it is too pale for a line on white."""
INDIGO, ROSE, WINE, OLIVE, VIOLET = "#332288", "#EE6677", "#882255", "#999933", "#7B4FD0"
"""Further colours, the first four of them from the palettes of Tol (2021)."""

RC: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#404040",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelpad": 3.0,
    "axes.labelsize": NORMAL,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 5.0,
    "axes.titlesize": NORMAL,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.03,
    "font.family": ["DejaVu Sans"],
    "font.size": NORMAL,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.6,
    "image.composite_image": False,  # in SVG, cells stay cells instead of pixels of one picture
    "legend.borderaxespad": 0.2,
    "legend.columnspacing": 1.2,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.handletextpad": 0.5,
    "lines.linewidth": 1.1,
    "lines.markeredgewidth": 0.8,
    "lines.markersize": 3.4,
    "svg.fonttype": "path",
    "svg.hashsalt": "cnn-invariance",  # ids in an SVG are random without it
    "xtick.labelsize": SMALL,
    "xtick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.labelsize": SMALL,
    "ytick.major.size": 2.5,
    "ytick.major.width": 0.6,
}


_Panel = TypeVar("_Panel")
_ONE_COLUMN: ContextVar[bool] = ContextVar("one column", default=False)


@contextmanager
def one_column() -> Iterator[None]:
    """Draw figures for one column of a page: 8.5 cm wide, their panels below each other, no letter below 7 pt."""
    token = _ONE_COLUMN.set(True)
    try:
        yield
    finally:
        _ONE_COLUMN.reset(token)


def is_one_column() -> bool:
    """Whether figures are drawn for one column."""
    return _ONE_COLUMN.get()


def page_width(panels: int = 2) -> float:
    """The width of a figure with so many panels side by side, inches: across both columns, or one for one panel."""
    if is_one_column():
        return COLUMN
    return SINGLE if panels == 1 else DOUBLE


def side_by_side(panels: int) -> int:
    """How many of these panels stand side by side: all, or one where there is one column."""
    return 1 if is_one_column() else panels


def font_size(points: float) -> float:
    """The size of a font, which is `SMALL` at least where there is one column."""
    return max(points, SMALL) if is_one_column() else points


def below_each_other(rows: Mapping[str, Mapping[str, _Panel]]) -> Mapping[str, Mapping[str, _Panel]]:
    """Rows of panels, of which each is a row of its own where there is one column, named by its row and its title."""
    if not is_one_column():
        return rows
    each = [(name, title, panel) for name, panels in rows.items() for title, panel in panels.items()]
    return {", ".join(filter(None, (name, title))): {"": panel} for name, title, panel in each}


def outer_labels(grid: Iterable[Axes]) -> None:
    """Where there is one column, leave the labels of a shared axis at the lowest panel alone."""
    for axes in grid if is_one_column() else ():
        axes.label_outer()


Place = Literal["outside upper center", "outside lower center"]


@dataclass(frozen=True)
class Look:
    """How one series is drawn: a colour, and a line and a marker by which it is also known without its colour."""

    colour: str
    line: Any
    marker: str


DASHED, DASH_DOT, DOTTED = (0, (5, 1.5)), (0, (5, 1.2, 1, 1.2)), (0, (1.5, 1))
CATEGORICAL = (
    Look(BLUE, "-", "o"),
    Look(VERMILLION, DASHED, "s"),
    Look(GREEN, DASH_DOT, "^"),
    Look(BLACK, DOTTED, "D"),
    Look(ORANGE, "-", "v"),
    Look(PURPLE, DASHED, "P"),
    Look(SKY, DASH_DOT, "X"),
    Look(GREY, DOTTED, "p"),
)
Family = Literal["network", "set", "dataset"]
FAMILIES: dict[Family, tuple[Look, ...]] = {
    "network": CATEGORICAL[:4],
    "set": (Look(ORANGE, "-", "o"), Look(SKY, DASHED, "s"), Look(INDIGO, DASH_DOT, "^"), Look(ROSE, DOTTED, "D")),
    "dataset": (Look(WINE, "-", "o"), Look(OLIVE, DASHED, "s"), Look(VIOLET, DASH_DOT, "^")),
}
"""The looks of networks, transformation sets and datasets: three families without a common colour. Two colours of a
family are at least 30 apart in CIELAB also as deuteranopes and protanopes see them."""


def family_looks(family: Family, names: Sequence[str]) -> dict[str, Look]:
    """The look of each network, set or dataset, by its place among all of them in the preset.

    Beyond the family's own, looks are those of any series, and tell names apart also by line and marker.
    """
    own = FAMILIES[family]
    more = looks(max(len(names) - len(own), 0) + len(own))[len(own) :]
    return dict(zip(names, (*own, *more), strict=False))


def looks(count: int) -> list[Look]:
    """Looks for ``count`` unordered series; beyond eight, colours repeat with other markers."""
    extra = ("*", "h", "<", ">", "d", "8", "H", "4")
    more = (Look(look.colour, look.line, marker) for look, marker in zip(CATEGORICAL, extra, strict=True))
    available = [*CATEGORICAL, *more]
    if not 0 <= count <= len(available):
        raise ValueError(f"{count} series in one panel; at most {len(available)} can be told apart")
    return available[:count]


def sequential_looks(count: int) -> list[Look]:
    """Looks for ``count`` ordered series: dark to light in cividis, each with its own line and marker.

    The lightest colour stops short of yellow, which would be lost on white.
    """
    colours = mpl.colormaps["cividis"]([0.78 * i / max(count - 1, 1) for i in range(count)])
    return [
        Look(mpl.colors.to_hex(colour), look.line, look.marker)
        for colour, look in zip(colours, looks(count), strict=True)
    ]


@contextmanager
def style() -> Iterator[None]:
    """Draw in the study's look, whatever the user's own Matplotlib settings."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)  # type: ignore[arg-type]
        yield


def add_legend(figure: Figure | SubFigure, handles: Sequence[Artist], where: Place, **options: Any) -> None:
    """A legend outside the panels, in as many columns as the figure is wide enough for."""
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(handles=handles, loc=where, ncols=columns, **options)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def add_colour_bar(figure: Figure, colours: ScalarMappable, axes: Iterable[Axes], **options: Any) -> Colorbar:
    """A colour bar beside these panels; options as of ``Figure.colorbar``."""
    bar = figure.colorbar(colours, ax=list(axes), **options)
    bar.outline.set_linewidth(0.4)
    return bar


@dataclass(frozen=True)
class Mark:
    """How a verdict is drawn: a marker, the colours of its edge and its face, and its size in points.

    Marks differ in their form as well as in their colours.
    """

    marker: str
    edge: str
    face: str
    size: float

    @property
    def options(self) -> dict[str, Any]:
        """Options of ``Axes.plot`` that draw only the marker."""
        return {"ls": "", "marker": self.marker, "mec": self.edge, "mfc": self.face, "ms": self.size}

    def handle(self, label: str) -> Line2D:
        """The entry of a legend."""
        return Line2D([], [], **self.options, label=label)


class NotebookFigure(Figure):
    """A figure that a notebook shows by itself, without pyplot."""

    def _repr_png_(self) -> bytes:
        """The picture, as IPython asks for it."""
        picture = BytesIO()
        with style():
            self.savefig(picture, format="png", dpi=144)
        return picture.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, outside pyplot: nothing global, nothing to close."""
    return NotebookFigure(figsize=(width, height), layout="constrained")

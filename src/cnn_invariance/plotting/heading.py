"""What stands above a figure: in bold what was found, below it in grey which networks, samples and sets it shows."""

import textwrap

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from cnn_invariance.plotting.style import NORMAL, SMALL

LINE = 1.35
"""The height of a line of text, in sizes of its font."""
GAP = 3.0
"""Below a paragraph, points."""
CHARACTER = {"bold": 0.64, "normal": 0.55}
"""The mean width of a letter of DejaVu Sans in running text, in sizes of its font, rounded up."""


def add_heading(figure: Figure, finding: str, shown: str) -> float:
    """Make a figure higher, and write above all that it has what was found and what is shown; empty texts take no room.

    The figure has the constrained layout, whose room ends below the heading: at the share of the height that is
    returned. Once it is laid out, `below_heading` moves the legends there.
    """
    wide, high = figure.get_size_inches()
    paragraphs = [
        (text, size, weight, colour)
        for text, size, weight, colour in (
            (finding, NORMAL, "bold", "black"),
            (shown, SMALL, "normal", "#606060"),
        )
        if text
    ]
    wrapped = [
        (_lines(_bound(text), int((72 * wide - 8) / (CHARACTER[weight] * size))), size, weight, colour)
        for text, size, weight, colour in paragraphs
    ]
    room = sum(len(lines) * LINE * size + GAP for lines, size, _, _ in wrapped) / 72
    if not room:
        return 1.0
    top = high / (high + room)
    figure.set_size_inches(wide, high + room)
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)  # of every figure that `style.new_figure` makes
    engine.set(rect=(0, 0, 1, top))
    place = high + room - 2 / 72
    for lines, size, weight, colour in wrapped:
        for line in lines:
            figure.text(
                4 / 72 / wide, place / (high + room), line, size=size, weight=weight, color=colour, va="top", ha="left"
            )
            place -= LINE * size / 72
        place -= GAP / 72
    return float(top)


def _lines(text: str, letters: int) -> list[str]:
    """The text in as few lines as it needs; the last is a quarter as long as a line, where this takes no line more.

    >>> _lines("on 500 samples, under rotation, 5 seeds", 35)
    ['on 500 samples, under', 'rotation, 5 seeds']
    """
    lines = textwrap.wrap(text, letters)
    narrower = (textwrap.wrap(text, fewer) for fewer in range(letters, letters // 2, -1))
    return next((one for one in narrower if len(one) == len(lines) and len(one[-1]) >= letters / 4), lines)


def _bound(text: str) -> str:
    """The text, whose lines do not end within an equation."""
    return text.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")


def below_heading(figure: Figure, top: float) -> None:
    """Move the legends of a figure, once it is laid out, to below its heading."""
    for legend in figure.legends:  # with an anchor before, the layout would leave no room for them
        legend.set_bbox_to_anchor((0, 0, 1, top), transform=figure.transFigure)

"""The claims of a study on one grid: a row for each claim, a mark for each dataset."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from cnn_invariance.plotting.style import BLUE, SMALL, VERMILLION, Mark

MARKS = {
    "supported": Mark("o", BLUE, BLUE, 5.0),
    "not supported": Mark("X", VERMILLION, VERMILLION, 5.0),
    "depends on the set": Mark("D", "#8A5A00", "#E69F00", 4.4),
    "undecided": Mark("o", "#8C8C8C", "white", 4.0),
}


def draw_verdicts(axes: Axes, rows: Mapping[str, Mapping[str, str]], columns: Sequence[str]) -> None:
    """Draw a grid: rows of claims, each with a verdict in some of the columns, top to bottom."""
    for place, verdicts in enumerate(rows.values()):
        for name, verdict in verdicts.items():
            axes.plot([columns.index(name)], [place], **MARKS[verdict].options, mew=0.9)
        if place:
            axes.axhline(place - 0.5, color="#EFEFEF", lw=0.4)
    axes.set_xlim(-0.6, len(columns) - 0.4)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=SMALL - 1)
    axes.set_xticks(range(len(columns)), list(columns), fontsize=SMALL)
    axes.tick_params(length=0, labeltop=True, labelbottom=False, pad=2)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def verdict_handles() -> list[Line2D]:
    """Legend entries of the verdicts."""
    return [mark.handle(verdict) for verdict, mark in MARKS.items()]

"""Specification curves and scatter plots, drawn from numbers."""

import math

import pytest

from cnn_invariance.plotting.curves import Point, curve_figure
from cnn_invariance.plotting.scatter import ScatterPanel, scatter_figure
from cnn_invariance.plotting.verdicts import MARKS

POINTS = [
    Point(0.9, 0.8, 1.0, "undecided", {"measure": "NV", "dead": "left out", "layers": "all"}),
    Point(0.5, 0.4, 0.6, "supported", {"measure": "ND", "dead": "left out", "layers": "all"}, own=True),
    Point(2.0, math.nan, math.nan, "not supported", {"measure": "NV", "dead": "left out", "layers": "some"}),
]


@pytest.mark.parametrize("log_y", [False, True])
def test_estimates_rise_each_in_the_colour_of_its_verdict(log_y):
    above, below = curve_figure({"a": POINTS}, ylabel="x", claimed=(-math.inf, 0.7), log_y=log_y).axes
    shown = [line for line in above.lines if line.get_marker() not in ("None", None)]
    assert [float(line.get_ydata()[0]) for line in shown] == [0.5, 0.9, 2.0]
    verdicts = ("supported", "undecided", "not supported")
    assert [line.get_markeredgecolor() for line in shown] == [MARKS[verdict].edge for verdict in verdicts]
    assert [label.get_text() for label in below.get_yticklabels()] == [
        "measure: NV", "measure: ND", "layers: all", "layers: some"
    ]  # fmt: skip  # all leave dead units out, which is no choice
    marks = [list(line.get_ydata()) for line in below.lines if line.get_marker() == "s"]
    assert marks == [[1, 2], [0, 2], [0, 3]]
    low, high = above.get_ylim()
    assert low < 0.5 < 2.0 < high
    assert any(patch.get_y() + patch.get_height() == pytest.approx(0.7) for patch in above.patches)


def test_a_wide_interval_leaves_the_estimates_apart():
    wide = POINTS[0]._replace(low=-1e6, high=1e6)
    axes = curve_figure({"a": [wide, *POINTS[1:]]}, ylabel="x", claimed=(0.7, math.inf)).axes[0]
    low, high = axes.get_ylim()
    assert high - low < 10


def test_a_panel_without_estimates_says_so():
    axes = curve_figure({"a": POINTS, "b": []}, ylabel="x", claimed=(0.7, math.inf)).axes
    assert [text.get_text() for text in axes[1].texts] == ["no estimate"]
    with pytest.raises(ValueError, match="needs a panel"):
        curve_figure({}, ylabel="x", claimed=(0, 1))


def test_kinds_of_points_have_one_look_in_all_panels():
    panels = [ScatterPanel(name, "x", {"k": [(0.0, 1.0)], "l": [(2.0, 3.0), (4.0, 5.0)]}) for name in "abc"]
    figure = scatter_figure(panels, ylabel="y", columns=2)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == ["a", "b", "c"]
    assert len({tuple(line.get_markerfacecolor() for line in axes.lines) for axes in shown}) == 1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["k", "l"]
    with pytest.raises(ValueError, match="needs a panel"):
        scatter_figure([], ylabel="y", columns=2)

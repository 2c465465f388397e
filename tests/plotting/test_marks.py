"""Marks by row and series."""

import math

import pytest

from cnn_invariance.plotting import family_looks
from cnn_invariance.plotting.marks import mark_figure


def test_each_value_is_a_mark_in_its_row_with_the_look_of_its_series():
    looks = family_looks("set", ["rotation", "scale"])
    panels = {"mnist": {"NV": {"rotation": 3.0, "scale": -40.0}, "SV": {"rotation": math.nan, "scale": math.nan}}}
    figure = mark_figure(panels, looks, xlabel="t")
    marks = [line for line in figure.axes[0].lines if line.get_marker() not in ("", "None", None)]
    assert [(line.get_xdata()[0], line.get_marker()) for line in marks] == [(3.0, "o"), (-40.0, "s")]
    assert all(round(line.get_ydata()[0]) == 0 for line in marks)
    assert [text.get_text().strip() for text in figure.axes[0].texts] == ["no spread over networks"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["rotation", "scale"]
    with pytest.raises(ValueError, match="needs a panel"):
        mark_figure({}, looks, xlabel="t")

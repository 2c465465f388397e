"""Pictures of responses, of transformation sets and of ST matrices."""

import numpy as np
import pytest
from matplotlib.text import Text

from cnn_invariance.plotting import response_figure, spread_figure
from cnn_invariance.plotting.matrices import OfSet, matrix_figure
from cnn_invariance.plotting.responses import Rows, coloured, mosaic, with_moments


def test_responses_are_followed_by_their_mean_and_their_deviation():
    shown = with_moments(np.array([[[0.0, 2.0]], [[4.0, 2.0]]]))
    assert shown.tolist() == [[[0, 0.5]], [[1, 0.5]], [[0.5, 0.5]], [[1, 0]]]
    assert with_moments(np.ones((2, 1, 1))).ravel().tolist() == [0.5, 0.5, 0.5, 0]  # constant: no deviation


def test_images_are_grey_or_coloured():
    assert coloured(np.array([0.0, 3.0, 6.0]).reshape(3, 1, 1, 1)).ravel().tolist() == [0, 0.5, 1]
    assert coloured(np.zeros((2, 3, 4, 4))).shape == (2, 4, 4, 3)
    pixel = np.array([-2.0, -2.0, -2.0, 2.0, 0.0, -2.0]).reshape(2, 3, 1, 1)  # dark grey, then orange
    assert coloured(pixel).reshape(2, 3).tolist() == [[0, 0, 0], [1, 0.5, 0]]


def test_small_pictures_are_enlarged_without_interpolation():
    large, small = np.zeros((1, 20, 20)), np.array([[[0.0, 1.0], [1.0, 0.0]]])
    picture = mosaic([large, small], beside=1)
    gap = len(picture) // 2 - 20
    assert picture.shape == (2 * (20 + gap), 20 + gap, 3)
    lower = picture[20 + gap :, :, 0]
    assert (lower[:10, :10] == 0).all()
    assert (lower[:10, 10:20] == 1).all()
    assert (lower[20:] == 1).all()  # white below


def test_a_figure_of_responses_has_a_text_for_each_layer():
    rows = np.random.default_rng(0).random((3, 8, 8))
    parts = [Rows("sample", [rows]), Rows("act1: 0.1, 0.2", [rows, rows])]
    figure = response_figure({"most": parts, "least": parts})
    texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
    assert [text.get_text() for text in texts].count("act1: 0.1, 0.2") == 2
    assert all(text.get_fontsize() >= 7 for text in texts)
    with pytest.raises(ValueError, match="at least one row"):
        response_figure({"most": []})


def test_a_set_and_its_matrices():
    matrix = np.stack([np.arange(30.0), -np.arange(30.0)])
    shown = OfSet(np.zeros((30, 1, 8, 8)), {"most": matrix, "least": matrix})
    figure = matrix_figure({"rotation": shown, "scale": shown})
    pictures, *matrices = (axes.images[0].get_array() for axes in figure.findobj() if getattr(axes, "images", None))
    assert pictures.shape[0] < pictures.shape[1]  # 30 pictures in rows of 13
    assert [one.shape for one in matrices if one.ndim == 2] == [(2, 30)] * 4
    assert {"rotation", "scale"} < {text.get_text() for text in figure.findobj(Text)}
    for nothing in ({}, {"rotation": OfSet(np.zeros((3, 1, 8, 8)), {})}):
        with pytest.raises(ValueError, match="at least one matrix"):
            matrix_figure(nothing)


def test_more_blocks_than_fit_side_by_side_go_on_below():
    rows = np.random.default_rng(0).random((3, 8, 8))
    figure = response_figure({name: [Rows("act1", [rows])] for name in "abcdef"})
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == 6
    assert len({axes.get_subplotspec().rowspan.start for axes in drawn}) == 2


def test_values_are_compared_with_a_reference():
    axes = spread_figure({"NV": {"a": [0.5, 2.0]}}, xlabel="x", reference=1).axes[0]
    assert [1, 1] in [list(line.get_xdata()) for line in axes.lines]
    without = spread_figure({"NV": {"a": [0.5, 2.0]}}, xlabel="x").axes[0]
    assert [1, 1] not in [list(line.get_xdata()) for line in without.lines]

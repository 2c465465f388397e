"""The first figure: which panels it has, and what stands in them."""

import numpy as np
import pytest

from cnn_invariance.plotting import family_looks
from cnn_invariance.plotting.forest import Place
from cnn_invariance.plotting.summary import Claims, Explained, summary_figure, variances
from oracle import spread

MATRIX = np.random.default_rng(0).normal(size=(8, 6))
PICTURES = list(np.random.default_rng(1).uniform(size=(8, 6, 1, 12, 12)))


def texts(figure):
    return [one.get_text() for one in figure.findobj(lambda one: hasattr(one, "get_text") and one.get_text())]


def test_the_quotient_below_a_matrix_is_that_of_the_matrix():
    tv, sv, nv = variances(MATRIX)
    assert tv == pytest.approx(np.mean([spread(row, 0) for row in MATRIX]))
    assert sv == pytest.approx(np.mean([spread(column, 0) for column in MATRIX.T]))
    assert nv == pytest.approx(tv / sv)
    said = texts(summary_figure(Explained(PICTURES, MATRIX, 3 + MATRIX.T[:6, :6]), None, {}, None))
    assert f"NV = {nv:.2g} = {tv:.2g} / {sv:.2g}" in said


def test_what_is_not_there_has_no_panel_and_no_letter():
    looks = family_looks("dataset", ["mnist"])
    claims = Claims({"one": {"mnist": Place(2.0, "supported")}, "two": {"mnist": Place(0.3, "undecided")}}, looks)
    shares = {"design": (0.2, 0.1, 0.3), "seed": (0.01, float("nan"), float("nan"))}
    said = texts(summary_figure(None, None, shares, claims))
    assert {"a", "b", "design", "two", "undecided (hollow)"} <= set(said)
    assert "c" not in said
    with pytest.raises(ValueError, match="needs a panel"):
        summary_figure(None, None, {}, None)

"""Colours are told apart by everybody, and mean one thing: a network, a set, a dataset."""

import io
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from cnn_invariance.plotting import Canvas, family_looks
from cnn_invariance.plotting.grids import AROUND_ONE, DIVERGING, Grid, grid_figure
from cnn_invariance.plotting.style import CATEGORICAL, FAMILIES, GREEN, PURPLE
from helpers_colours import VISION, apart


def test_differences_are_those_that_are_known():
    assert apart(GREEN, PURPLE, "deuteranopia") == pytest.approx(18, abs=1)
    assert apart("#000000", "#FFFFFF", "usual") == pytest.approx(100, abs=0.1)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("looks", [*FAMILIES.values(), CATEGORICAL[:4]])
def test_colours_of_a_family_are_apart(vision, looks):
    colours = [look.colour for look in looks]
    assert min(apart(*both, vision) for both in combinations(colours, 2)) >= 30


def test_families_share_no_colour_and_no_two_of_a_family_share_line_or_marker():
    colours = [look.colour for looks in FAMILIES.values() for look in looks]
    assert len(set(colours)) == len(colours)
    for looks in FAMILIES.values():
        assert len({look.marker for look in looks}) == len(looks)
        assert len({str(look.line) for look in looks}) == len(looks)


def test_a_name_has_its_look_by_its_place_whatever_else_is_shown():
    looks = family_looks("network", ["a", "b", "c", "d", "of my own"])
    assert [looks[name] for name in "abcd"] == list(FAMILIES["network"])
    assert looks["of my own"] not in FAMILIES["network"]
    assert looks["b"] == family_looks("network", ["a", "b"])["b"]


def test_colour_maps_have_all_their_colours(tmp_path):
    values = np.linspace(0, 2, 2000).reshape(20, 100)
    figure = grid_figure({"d": {"": Grid(values, ["r"] * 20, [""] * 100)}}, label="NV", xlabel="x")
    Canvas(tmp_path, tmp_path).figure("map", figure, "A map.")
    picture = np.asarray(Image.open(io.BytesIO((tmp_path / "map.png").read_bytes())).convert("RGB"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 256


def test_one_value_has_one_colour_in_all_figures():
    assert (AROUND_ONE.vmin, AROUND_ONE.vcenter, AROUND_ONE.vmax) == (0, 1, 2)
    assert DIVERGING == "RdBu_r"

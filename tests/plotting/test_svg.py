import base64
import io
import re
from io import StringIO

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cnn_invariance.plotting.style import style
from cnn_invariance.plotting.svg import slim

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def drawing() -> str:
    with style():
        figure = Figure((3, 2))
        axes = figure.subplots()
        axes.plot([0.1, 0.2, 0.7], [1e-3, 0.5, -1], marker="o", label="a line")
        axes.pcolormesh(np.arange(4.0).reshape(2, 2) / 3, alpha=0.3)
        axes.text(0.3, 0.3, "1.23456 & more")
        axes.legend()
        written = StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return written.getvalue()


def numbers(text: str) -> list[float]:
    places = re.findall(r' (?:d|x|y)="([^"]*)"|translate\(([^)]*)\)', text)
    return [float(number) for place in places for number in NUMBER.findall("".join(place))]


def test_coordinates_move_by_less_than_a_hundredth_of_a_point():
    before = drawing()
    after = slim(before)
    assert len(numbers(before)) == len(numbers(after)) > 100
    np.testing.assert_allclose(numbers(after), numbers(before), rtol=0, atol=0.0051)
    assert len(after) < 0.85 * len(before)


def test_every_reference_has_its_one_target_and_nothing_else_has_an_id():
    after = slim(drawing())
    ids = re.findall(r' id="([^"]*)"', after)
    references = set(re.findall(r'href="#([^"]*)"', after)) | set(re.findall(r"url\(#([^)]*)\)", after))
    assert len(ids) == len(set(ids))
    assert set(ids) == references


def test_what_is_drawn_and_how_stays():
    before = drawing()
    after = slim(before)
    for pattern in (r"<(?:path|use|rect|image|style)", r"<!--.*?-->", r"scale\([^)]*\)"):
        assert re.findall(pattern, before) == re.findall(pattern, after)
    styles = [re.sub(r"\s", "", style) for style in re.findall(r'style="([^"]*)"', before)]
    assert styles == [re.sub(r"\s", "", style) for style in re.findall(r'style="([^"]*)"', after)]


def pictures(text: str) -> list[Image.Image]:
    found = re.findall(r"data:image/png;base64,([\sA-Za-z0-9+/=]+)", text)
    return [Image.open(io.BytesIO(base64.b64decode(one))) for one in found]


@pytest.mark.parametrize(("kind", "channels"), [("grey", 1), ("colours", 3), ("transparent", 4)])
def test_pictures_keep_every_pixel_in_the_channels_that_they_need(kind, channels):
    values = np.random.default_rng(0).random((20, 30, 1 if kind == "grey" else 3 if kind == "colours" else 4))
    with style():
        figure = Figure((3, 2))
        picture = values[..., 0] if kind == "grey" else values
        figure.subplots().imshow(picture, cmap="gray", interpolation="none")
        written = io.StringIO()
        figure.savefig(written, format="svg")
    (before,), after = pictures(written.getvalue()), slim(written.getvalue())
    (found,) = pictures(after)
    assert len(found.getbands()) == channels
    assert before.convert("RGBA").tobytes() == found.convert("RGBA").tobytes()
    assert len(after) <= len(written.getvalue())

"""The SVG that Matplotlib writes, in fewer bytes and with the same look, because figures are kept in a repository."""

import base64
import io
import re
from itertools import count

from PIL import Image

_NUMBER = re.compile(r"-?\d+\.\d+|-0(?![.\d])")
_PLACES = re.compile(r'(?<= )(d|x|y)="([^"]*)"|translate\([^)]*\)')
_PICTURE = re.compile(r"(?<=data:image/png;base64,)[\sA-Za-z0-9+/=]+")
_REFERENCE = re.compile(r'(?<=href="#)[^"]+|(?<=url\(#)[^)]+')


def slim(text: str) -> str:
    """The same picture: coordinates to 0.01 pt, short ids where something refers to them, no indentation.

    Texts, colours and the order of drawing do not change. Opaque pictures lose the channel that says so, grey ones the
    colours.

    >>> slim('<g id="line2d_1">\\n <path d="M 1.23456 -0 \\nL 3.0001 -0.001 \\n" style="fill: none"/>\\n</g>')
    '<g>\\n<path d="M1.23 0L3 0" style="fill:none"/>\\n</g>'
    """
    text = _PICTURE.sub(_encoded, _PLACES.sub(_rounded, text))
    text = _short_ids(text)
    text = re.sub(r'style="([^"]*)"', lambda style: style[0].replace(": ", ":").replace("; ", ";"), text)
    return re.sub(r"\n\s+", "\n", re.sub(r"\n *<g/>", "", text))


def _encoded(picture: re.Match[str]) -> str:
    """The picture in the fewest channels that hold it, if it is shorter so."""
    full = base64.b64decode(picture[0])
    found = Image.open(io.BytesIO(full)).convert("RGBA")
    if found.getchannel("A").getextrema() != (255, 255):
        return picture[0].strip()
    small = io.BytesIO()
    without_colours(found.convert("RGB")).save(small, "png", optimize=True)
    return base64.b64encode(min(small.getvalue(), full, key=len)).decode()


def without_colours(picture: Image.Image) -> Image.Image:
    """A picture (RGB) with one channel if it is grey, else as it is."""
    red, green, blue = picture.split()
    return red if red.tobytes() == green.tobytes() == blue.tobytes() else picture


def _rounded(place: re.Match[str]) -> str:
    text = _NUMBER.sub(lambda number: f"{round(float(number[0]), 2) + 0.0:g}", place[0])
    if place[1] != "d":
        return text
    return re.sub(r"\s*([MLQCHVZz])\s*", r"\1", re.sub(r"\s+", " ", text)).replace(' "', '"')


def _short_ids(text: str) -> str:
    numbers = count()
    short = {name: f"i{next(numbers)}" for name in dict.fromkeys(_REFERENCE.findall(text))}
    text = re.sub(r' id="([^"]+)"', lambda found: f' id="{short[found[1]]}"' if found[1] in short else "", text)
    return _REFERENCE.sub(lambda found: short[found[0]], text)

"""SVG files of figures as parts of the page: in fewer bytes, and without anything that its policy forbids.

Matplotlib draws a letter as an outline that is defined in each file, and gives each mark its colours in a ``style``
attribute. On the page each outline and each text is defined once for all figures, and pictures are WebP without loss;
colours are presentation attributes, which the page's policy allows, of a group where neighbours have the same. Without
a style sheet of its own a figure can be shown in dark colours, and cloned.
"""

import base64
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple
from xml.etree import ElementTree

from markupsafe import Markup, escape
from PIL import Image

from cnn_invariance.inspection_page import data_uri

LEFT_OUT = {"metadata", "style"}
INHERITED = (
    "fill", "fill-opacity", "stroke", "stroke-dasharray", "stroke-dashoffset", "stroke-linecap", "stroke-linejoin",
    "stroke-opacity", "stroke-width",
)  # fmt: skip
"""The attributes that a group can have for all that is in it."""
OUTLINE = "scale(0.015625)"
"""The transformation of the outline of a letter: Matplotlib draws them in units of 1/64 pt."""
SHIFT = re.compile(r"translate\(([-\d.]+) 0\)")
REFERENCE = re.compile(r"url\(#([^)]+)\)")
PLACED = re.compile(r"translate\(([-\d.]+) ([-\d.]+)\) scale\(([\d.]+) -\3\)")
LETTER = re.compile(r"#o\d+")
COMMANDS = re.compile(r"([MLQCHVZz])([^MLQCHVZz]*)")
NUMBERS = re.compile(r"-?[\d.]+(?:e-?\d+)?")
SHARED = 2
"""Neighbours with so many attributes in common are put into a group."""
PNG = "data:image/png;base64,"
"""What a picture begins with as Matplotlib writes it."""
DECIMALS = re.compile(r"-?\d*\.\d{2,}")


@dataclass
class Outlines:
    """What all figures of a page draw texts with, each thing once.

    ids:     of the outlines of letters by their paths
    texts:   of the texts by their size and their letters, as HTML
    figures: how many there are
    """

    ids: dict[str, str] = field(default_factory=dict)
    texts: dict[tuple[str, Markup], str] = field(default_factory=dict)
    figures: int = 0

    def id_of(self, path: str) -> str:
        """The id of an outline, which is new where the path is."""
        return self.ids.setdefault(path, f"o{len(self.ids)}")

    def text(self, letters: Markup, size: str = "") -> str:
        """The id of a text, which is new where its letters or their size are; without a size, it is not scaled."""
        return self.texts.setdefault((size, letters), f"t{len(self.texts)}")

    def prefix(self) -> str:
        """What the ids of the next figure begin with."""
        self.figures += 1
        return f"f{self.figures}"

    @property
    def definitions(self) -> Markup:
        """The definitions that the figures refer to."""
        paths = (Markup('<path id="{}" d="{}" transform="{}"/>').format(i, d, OUTLINE) for d, i in self.ids.items())
        texts = (
            Part("g", {"id": i, **({"transform": f"scale({size} -{size})"} if size else {})}, letters).html({})
            for (size, letters), i in self.texts.items()
        )
        return Markup("").join([*paths, *texts])


class Part(NamedTuple):
    """An element as it stands on the page."""

    tag: str
    attributes: Mapping[str, str]
    inside: Markup

    @property
    def inherited(self) -> dict[str, str]:
        """What a group around it could have instead; nothing for what is itself a group, or a definition."""
        if self.tag not in ("path", "use") or "id" in self.attributes:
            return {}
        names = (*INHERITED, "clip-path") if self.tag == "path" and "transform" not in self.attributes else INHERITED
        return {name: self.attributes[name] for name in names if name in self.attributes}

    def html(self, without: Mapping[str, str]) -> Markup:
        """The element, without the attributes that its group has."""
        kept = ((name, value) for name, value in self.attributes.items() if name not in without)
        start = Markup(f"<{self.tag}") + Markup("").join(Markup(' {}="{}"').format(*item) for item in kept)
        return start + (Markup(">") + self.inside + Markup(f"</{self.tag}>") if self.inside else Markup("/>"))


def inline(text: str, outlines: Outlines) -> Markup:
    """The drawing of an SVG file, without its outermost element; ids begin as no others on the page do.

    >>> inline('<svg><g><path id="a" style="fill:none"/><use href="#a"/></g></svg>', Outlines())
    Markup('<path id="f1-a" fill="none"/><use href="#f1-a"/>')
    >>> red = 'fill:red;stroke:blue;opacity:1'
    >>> inline(f'<svg><path d="M0 0.123" style="{red}"/><path d="M1 0" style="{red}"/></svg>', Outlines())
    Markup('<g fill="red" stroke="blue"><path d="M0 .1" opacity="1"/><path d="M1 0" opacity="1"/></g>')
    """
    root = ElementTree.fromstring(text)
    letters = {
        one.get("id", ""): outlines.id_of(one.get("d", "")) for one in root.iter() if one.get("transform") == OUTLINE
    }
    figure = Figure(outlines.prefix(), letters, outlines)
    return _joined(part for child in root for part in figure.parts(child))


def size(text: str) -> tuple[float, float]:
    """The width and height of an SVG file, in its own units, points."""
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    assert found is not None  # Matplotlib always writes it
    return float(found[1]), float(found[2])


class Figure(NamedTuple):
    """One figure: what its ids begin with, the ids of its letters, and what it shares with other figures."""

    prefix: str
    letters: Mapping[str, str]
    outlines: Outlines

    def parts(self, element: ElementTree.Element) -> Iterator[Part]:
        """An element; of a group without attributes, what is in it; of a group of letters, the text that they are."""
        tag = _local(element.tag)
        if tag in LEFT_OUT or element.get("id") in self.letters:
            return
        inside = [part for child in element for part in self.parts(child)]
        attributes = dict(self._attributes(element, tag))
        if tag == "g" and not attributes:
            yield from inside
        elif tag == "g" and len(inside) > 1 and all(self._is_letter(part) for part in inside):
            yield self._text(_joined(inside), attributes)
        elif inside or tag not in ("g", "defs"):
            yield Part(tag, attributes, _joined(inside))

    def _text(self, letters: Markup, attributes: dict[str, str]) -> Part:
        """A text where it stands; of one that is not turned, the size is part of what is shared."""
        placed = PLACED.fullmatch(attributes.get("transform", ""))
        if placed is None:
            return Part("use", {"href": f"#{self.outlines.text(letters)}", **attributes}, Markup())
        x, y, size = placed.groups()
        others = {name: value for name, value in attributes.items() if name != "transform"}
        at = {"x": f"{float(x):.1f}", "y": f"{float(y):.1f}"}
        return Part("use", {"href": f"#{self.outlines.text(letters, size)}", **at, **others}, Markup())

    def _is_letter(self, part: Part) -> bool:
        return part.tag == "use" and LETTER.fullmatch(part.attributes.get("href", "")) is not None

    def _attributes(self, element: ElementTree.Element, tag: str) -> Iterator[tuple[str, str]]:
        for key, value in element.attrib.items():
            match _local(key):
                case "style":
                    pairs = (part.partition(":") for part in value.split(";") if part)
                    yield from ((name.strip(), self._within(text.strip())) for name, _, text in pairs)
                case "id":
                    yield "id", f"{self.prefix}-{value}"
                case "href" if value.startswith("#"):
                    yield "href", f"#{self.letters.get(value[1:]) or f'{self.prefix}-{value[1:]}'}"
                case "href" if value.startswith(PNG):
                    yield "href", smaller(value)
                case "transform" if tag == "use" and (shift := SHIFT.fullmatch(value)):
                    yield "x", f"{float(shift[1]):.0f}"  # a hundredth of the size of the letters
                case "d" if "id" not in element.attrib and not set("HV") & set(value):
                    yield "d", relative(value)
                case "x" | "y" as place if tag == "use":
                    yield place, DECIMALS.sub(lambda number: f"{round(float(number[0]), 1) + 0.0:g}", value)
                case local:
                    yield local, self._within(value)

    def _within(self, value: str) -> str:
        """A value whose references lead to the ids of this figure."""
        return REFERENCE.sub(lambda found: f"url(#{self.prefix}-{found[1]})", value)


def _joined(parts: Iterable[Part]) -> Markup:
    """Elements one after the other; neighbours that have the same inherited attributes have them from a group."""
    return Markup("").join(_run(run, shared) for run, shared in _runs(parts))


def _runs(parts: Iterable[Part]) -> Iterator[tuple[list[Part], dict[str, str]]]:
    """Neighbours that share at least `SHARED` attributes, and those attributes."""
    run: list[Part] = []
    shared: dict[str, str] = {}
    for part in parts:
        both = {name: value for name, value in part.inherited.items() if shared.get(name) == value}
        if run and len(both) >= SHARED:
            run.append(part)
            shared = both
        else:
            if run:
                yield run, shared
            run, shared = [part], part.inherited
    if run:
        yield run, shared


def _run(run: list[Part], shared: Mapping[str, str]) -> Markup:
    """Neighbours in a group with what all share; among them, those alike in a group of their own."""
    if len(run) == 1:
        return run[0].html({})
    found = []
    for own, alike in groupby(run, lambda part: {k: v for k, v in part.inherited.items() if k not in shared}):
        members = list(alike)
        if len(members) == 1 or not own:
            found += [part.html(shared) for part in members]
        else:
            inside = Markup("").join(part.html({**shared, **own}) for part in members)
            found.append(Part("g", own, inside).html({}))
    return Part("g", shared, Markup("").join(found)).html({})


def relative(path: str) -> str:
    """A path of absolute coordinates as one of relative ones, to a tenth of a point, which is half as long.

    >>> relative("M10 20.04L10 26L12.5 26z"), relative("M0 0C1 1 2 2 3.5 2M9 9Q1 1 2 2")
    ('M10 20v6h2.5z', 'M0 0c1 1 2 2 3.5 2M9 9q-8-8-7-7')
    """
    found, here = [], (0, 0)
    for command, numbers in COMMANDS.findall(path):
        values = [round(10 * float(number)) for number in NUMBERS.findall(numbers)]
        points = list(zip(values[::2], values[1::2], strict=True))
        if command == "L":
            for x, y in points:
                dx, dy = x - here[0], y - here[1]
                found.append(f"v{_tenths(dy)}" if not dx else f"h{_tenths(dx)}" if not dy else f"l{_together(dx, dy)}")
                here = x, y
            continue
        if command == "M" or not points:
            found.append(command + _together(*values))
        else:
            flat = [value - here[place % 2] for place, value in enumerate(values)]
            found.append(command.lower() + _together(*flat))
        here = points[-1] if points else here
    return "".join(found)


def smaller(picture: str) -> str:
    """A picture as data: the same pixels as WebP, where that takes fewer bytes than PNG."""
    given = base64.b64decode(picture.removeprefix(PNG))
    kept = io.BytesIO()
    with Image.open(io.BytesIO(given)) as image:
        image.save(kept, format="WEBP", lossless=True, quality=20, method=3)  # more takes long and gains little
    if len(kept.getvalue()) >= len(given):
        return picture
    return data_uri("image/webp", kept.getvalue())


def _together(*tenths: int) -> str:
    return " ".join(map(_tenths, tenths)).replace(" -", "-")


def _tenths(value: int) -> str:
    return f"{value / 10:g}".replace("0.", ".") if abs(value) < 10 else f"{value / 10:g}"


def _local(name: str) -> str:
    return str(escape(name.rpartition("}")[2]))

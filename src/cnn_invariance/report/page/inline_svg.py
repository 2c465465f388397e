"""SVG files of figures as parts of the page: in fewer bytes, and without anything that its policy forbids.

Matplotlib draws a letter as an outline that is defined in each file, puts each mark of a line as an element of its own,
and gives each element its colours in a ``style`` attribute. On the page texts are texts (see `letters`), the marks of a
line are drawn by one element, and what they look like is defined once for all figures; pictures are WebP without loss;
lengths are in tenths of a point, so that few have a fraction; colours are presentation attributes, which the page's
policy allows, of a group where neighbours have the same. Without a style sheet of its own a figure can be shown in dark
colours, and cloned.
"""

import base64
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import groupby
from typing import NamedTuple
from xml.etree import ElementTree

from markupsafe import Markup, escape
from PIL import Image

from cnn_invariance.inspection_page import data_uri
from cnn_invariance.report.page.letters import Letters

LEFT_OUT = {"metadata", "style"}
INHERITED = (
    "fill", "fill-opacity", "font-size", "font-weight", "stroke", "stroke-dasharray", "stroke-dashoffset",
    "stroke-linecap", "stroke-linejoin", "stroke-opacity", "stroke-width",
)  # fmt: skip
"""The attributes that a group can have for all that is in it."""
UNIT = 10
"""The units of a drawing in a point; the element around it has this as its ``stroke-width``, for lines without one."""
LENGTHS = {"x", "y", "width", "height", "stroke-width", "stroke-dasharray", "stroke-dashoffset"}
"""The attributes that hold lengths, apart from paths and transformations."""
OUTLINE = "scale(0.015625)"
"""The transformation of the outline of a letter: Matplotlib draws them in units of 1/64 pt."""
SHIFT = re.compile(r"translate\(([-\d.]+) 0\)")
REFERENCE = re.compile(r"url\(#([^)]+)\)")
PLACED = re.compile(r"translate\(([-\d.]+) ([-\d.]+)\)(| rotate\([-\d.]+\)) scale\(([\d.]+) -\4\)")
LINKED = re.compile(r'href="#([^"]+)"')
DEFINED = re.compile(r'<defs><path id="([^"]+)"[^>]*/></defs>')
COMMANDS = re.compile(r"([MLQCHVZz])([^MLQCHVZz]*)")
NUMBERS = re.compile(r"-?[\d.]+(?:e-?\d+)?")
MOVED = re.compile(r"translate\([^)]*\)|(?<=matrix\()[^)]*")
MARKS = 4
"""From so many marks in a row that look the same, one element draws them all."""
SHARED = 2
"""Neighbours with so many attributes in common are put into a group."""
PNG = "data:image/png;base64,"
"""What a picture begins with as Matplotlib writes it."""


@dataclass
class Definitions:
    """What the figures of a page have in common, each thing once.

    letters:  of their texts
    outlines: the ids of outlines by their paths: of letters that are part of no usual text, such as a formula
    marks:    the ids of the marks of lines by what they look like, as HTML
    figures:  how many figures there are
    """

    letters: Letters = field(default_factory=Letters)
    outlines: dict[str, str] = field(default_factory=dict)
    marks: dict[Markup, str] = field(default_factory=dict)
    figures: int = 0

    def outline(self, path: str) -> str:
        """The id of an outline, which is new where the path is."""
        return self.outlines.setdefault(path, f"o{len(self.outlines)}")

    def mark(self, look: Markup) -> str:
        """The id of a mark, which is new where its look is."""
        return self.marks.setdefault(look, f"m{len(self.marks)}")

    def prefix(self) -> str:
        """What the ids of the next figure begin with."""
        self.figures += 1
        return f"f{self.figures}"

    @property
    def html(self) -> Markup:
        """The definitions that the figures refer to."""
        marker = Markup('<marker id="{}" markerUnits="userSpaceOnUse" overflow="visible">{}</marker>')
        outline = Markup('<path id="{}" d="{}" transform="{}"/>')
        return Markup("").join([
            *(outline.format(name, path, f"scale({UNIT / 64})") for path, name in self.outlines.items()),
            *(marker.format(name, look) for look, name in self.marks.items()),
        ])  # fmt: skip


class Part(NamedTuple):
    """An element as it stands on the page."""

    tag: str
    attributes: Mapping[str, str]
    inside: Markup

    @property
    def inherited(self) -> dict[str, str]:
        """What a group around it could have instead; nothing for what is itself a group, or a definition."""
        if self.tag not in ("path", "text", "use") or "id" in self.attributes:
            return {}
        names = (*INHERITED, "clip-path") if self.tag == "path" and "transform" not in self.attributes else INHERITED
        return {name: self.attributes[name] for name in names if name in self.attributes}

    def html(self, without: Mapping[str, str]) -> Markup:
        """The element, without the attributes that its group has."""
        kept = ((escape(name), escape(value)) for name, value in self.attributes.items() if name not in without)
        given = "".join(f' {name}="{value}"' for name, value in kept)
        end = f">{self.inside}</{self.tag}>" if self.inside else "/>"
        return Markup(f"<{self.tag}{given}{end}")


def inline(text: str, definitions: Definitions) -> Markup:
    """The drawing of an SVG file, without its outermost element, in tenths of a point; ids begin as no others do.

    >>> inline('<svg><g><path id="a" style="fill:none"/><use href="#a"/></g></svg>', Definitions())
    Markup('<path id="f1-a" fill="none"/><use href="#f1-a"/>')
    >>> red = 'fill:red;stroke:blue;opacity:1'
    >>> inline(f'<svg><path d="M0 0.123" style="{red}"/><path d="M1 0" style="{red}"/></svg>', Definitions())
    Markup('<g fill="red" stroke="blue"><path d="M0 1" opacity="1"/><path d="M10 0" opacity="1"/></g>')

    Marks that look the same are the inner corners of a line that is not seen, whose ends lie on the first and last one:

    >>> marks = ''.join(f'<use href="#a" x="{x}" y="4" style="fill:red"/>' for x in (1, 2, 3, 5))
    >>> found = Definitions()
    >>> inline(f'<svg><defs><path id="a" d="M0 0L1 1"/></defs><g>{marks}</g></svg>', found)
    Markup('<path d="M10 40v0h10h10h20v0" marker-mid="url(#m0)" fill="none"/>')
    >>> found.html
    Markup('<marker id="m0" markerUnits="userSpaceOnUse" overflow="visible"><path fill="red" d="M0 0L10 10"/></marker>')
    """
    root = ElementTree.fromstring(text)
    paths = {one.get("id", ""): one for one in root.iter() if _local(one.tag) == "path" and one.get("id")}
    figure = Figure(definitions.prefix(), paths, definitions)
    drawing = _joined(part for child in root for part in figure.parts(child))
    used = set(LINKED.findall(drawing))
    return Markup(DEFINED.sub(lambda found: found[0] if found[1] in used else "", drawing))


def size(text: str) -> tuple[float, float]:
    """The width and height of an SVG file, in its own units, points."""
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    assert found is not None  # Matplotlib always writes it
    return float(found[1]), float(found[2])


class Figure(NamedTuple):
    """One figure: what its ids begin with, its paths that are used by their ids, and what it shares with others."""

    prefix: str
    paths: Mapping[str, ElementTree.Element]
    definitions: Definitions

    def parts(self, element: ElementTree.Element) -> Iterator[Part]:
        """An element; of a group without attributes, what is in it; of a group of outlines, the text that they are."""
        tag = _local(element.tag)
        if tag in LEFT_OUT or self._is_outline(element):
            return
        if tag == "g" and (row := self._row(element)):
            if not any(path for path, _ in row):
                return  # spaces, which Matplotlib writes where a tick has no label
            if text := self._text(row, element):
                yield text
                return
        inside = list(self._marks([part for child in element for part in self.parts(child)]))
        attributes = dict(self._attributes(element, tag))
        if tag == "g" and not attributes:
            yield from inside
        elif inside or tag not in ("g", "defs"):
            yield Part(tag, self._own(attributes) if tag == "use" else attributes, _joined(inside))

    def _own(self, attributes: Mapping[str, str]) -> dict[str, str]:
        """The attributes of what shows a path again, without those that the path has itself: only these are seen."""
        shown = self._shown(attributes)
        seen = dict(self._attributes(shown, "path")) if shown is not None else {}
        return {name: value for name, value in attributes.items() if name not in seen}

    def _shown(self, attributes: Mapping[str, str]) -> ElementTree.Element | None:
        """The path of this figure that an element of the page shows again; None if it shows none."""
        return self.paths.get(attributes.get("href", "").removeprefix(f"#{self.prefix}-"))

    def _is_outline(self, element: ElementTree.Element) -> bool:
        return element.get("transform") == OUTLINE

    def _row(self, group: ElementTree.Element) -> list[tuple[str, float]] | None:
        """The paths of the outlines in a group, with their distances from its start; None if it has other elements."""
        row = [self._placed(one) for one in group if _local(one.tag) != "defs"]
        return [one for one in row if one] if all(row) else None

    def _text(self, row: Sequence[tuple[str, float]], group: ElementTree.Element) -> Part | None:
        """The text that a group of outlines shows; None if it is no usual text."""
        attributes = dict(self._attributes(group, "g"))
        placed = PLACED.fullmatch(attributes.pop("transform", ""))
        found = self.definitions.letters.text(row) if placed else None
        if placed is None or found is None:
            return None
        text, weight = found
        x, y, turned, size = placed.groups()
        place = {"transform": f"translate({x} {y}){turned}"} if turned else {"x": x, "y": y}
        bold = {"font-weight": weight} if weight != "normal" else {}
        return Part("text", {**place, "font-size": f"{100 * UNIT * float(size):g}", **bold, **attributes}, escape(text))

    def _placed(self, element: ElementTree.Element) -> tuple[str, float] | None:
        """The outline that an element shows, and how far from the start of its text; None if it is another element."""
        shown = self.paths.get(_target(element))
        shift = SHIFT.fullmatch(element.get("transform", "translate(0 0)"))
        if shown is None or shift is None or not self._is_outline(shown):
            return None
        return shown.get("d", ""), float(shift[1])

    def _marks(self, parts: Sequence[Part]) -> Iterator[Part]:
        """The same parts; marks in a row that look the same are one line, which is not seen but for them."""
        for look, run in groupby(parts, self._look):
            marks = list(run)
            if look is None or len(marks) < MARKS:
                yield from marks
                continue
            places = [(int(mark.attributes["x"]), int(mark.attributes["y"])) for mark in marks]
            line = _line([places[0], *places, places[-1]])
            mark_id = self.definitions.mark(look)
            yield Part("path", {"d": line, "marker-mid": f"url(#{mark_id})", "fill": "none"}, Markup())

    def _look(self, part: Part) -> Markup | None:
        """What a mark looks like wherever it stands; None of a part that is no mark."""
        shown = self._shown(part.attributes)
        if part.tag != "use" or shown is None or not {"x", "y"} <= set(part.attributes):
            return None
        given = {name: value for name, value in part.attributes.items() if name not in ("href", "x", "y")}
        own = {name: value for name, value in self._attributes(shown, "path") if name != "id"}
        return Part("path", {**given, **own}, Markup()).html({})

    def _attributes(self, element: ElementTree.Element, tag: str) -> Iterator[tuple[str, str]]:
        for key, value in element.attrib.items():
            match _local(key):
                case "style":
                    pairs = (part.partition(":") for part in value.split(";") if part)
                    yield from ((name.strip(), self._value(name.strip(), text.strip())) for name, _, text in pairs)
                case "id":
                    yield "id", f"{self.prefix}-{value}"
                case "href" if value.startswith("#"):
                    yield "href", f"#{self._id(value[1:])}"
                case "href" if value.startswith(PNG):
                    yield "href", smaller(value)
                case "transform" if tag == "use" and (shift := SHIFT.fullmatch(value)):
                    yield "x", _whole(shift[1])  # in hundredths of the size of the letters
                case "d" if "id" not in element.attrib and not set("HV") & set(value):
                    yield "d", relative(value)
                case "d":
                    yield "d", _scaled(value)
                case "x" | "y" as place if tag == "use":
                    yield place, _whole(value)
                case "transform":
                    yield "transform", MOVED.sub(_moved, value)
                case local:
                    yield local, self._value(local, value)

    def _id(self, value: str) -> str:
        """The id on the page of what has one in the figure."""
        shown = self.paths.get(value)
        if shown is not None and self._is_outline(shown):
            return self.definitions.outline(shown.get("d", ""))
        return f"{self.prefix}-{value}"

    def _value(self, name: str, value: str) -> str:
        """The value of an attribute, whose references lead to the ids of this figure."""
        if name in LENGTHS:
            return _scaled(value)
        return REFERENCE.sub(lambda found: f"url(#{self.prefix}-{found[1]})", value) if "url(" in value else value


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
    """A path of absolute coordinates as one of relative ones, in whole tenths of a point, which is half as long.

    >>> relative("M10 20.04L10 26L12.5 26z"), relative("M0 0C1 1 2 2 3.5 2M9 9Q1 1 2 2")
    ('M100 200v60h25z', 'M0 0c10 10 20 20 35 20M90 90q-80-80-70-70')
    """
    found, here = [], (0, 0)
    for command, numbers in COMMANDS.findall(path):
        values = [round(UNIT * float(number)) for number in NUMBERS.findall(numbers)]
        points = list(zip(values[::2], values[1::2], strict=True))
        if command == "L":
            found.append(_lines(here, points))
        elif command == "M" or not points:
            found.append(command + _together(*values))
        else:
            found.append(command.lower() + _together(*(value - here[place % 2] for place, value in enumerate(values))))
        here = points[-1] if points else here
    return "".join(found)


def _line(points: Sequence[tuple[int, int]]) -> str:
    """The path of a line through points."""
    return "M" + _together(*points[0]) + _lines(points[0], points[1:])


def _lines(here: tuple[int, int], points: Iterable[tuple[int, int]]) -> str:
    found = []
    for x, y in points:
        dx, dy = x - here[0], y - here[1]
        found.append(f"v{dy}" if not dx else f"h{dx}" if not dy else f"l{_together(dx, dy)}")
        here = x, y
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


def _target(element: ElementTree.Element) -> str:
    """The id of what an element shows again, without the sign before it."""
    return next((value[1:] for key, value in element.attrib.items() if _local(key) == "href"), "")


def _whole(length: str) -> str:
    """A length in points as a whole number of units."""
    return str(round(UNIT * float(length)))


@lru_cache(maxsize=2**16)
def _scaled(lengths: str) -> str:
    """The same in units, where all numbers are lengths in points.

    >>> _scaled("0.25"), _scaled("M0 -1.5e-2L2 3z")
    ('2.5', 'M0 -0.15L20 30z')
    """
    return NUMBERS.sub(lambda number: f"{round(UNIT * float(number[0]), 2) + 0.0:g}", lengths)


def _moved(found: re.Match[str]) -> str:
    """A shift in units; of a matrix, the last two of its numbers, which are one."""
    if found[0].startswith("translate"):
        return _scaled(found[0])
    *turned, x, y = found[0].split()
    return " ".join([*turned, _scaled(x), _scaled(y)])


def _together(*values: int) -> str:
    return " ".join(map(str, values)).replace(" -", "-")


@cache
def _local(name: str) -> str:
    return str(escape(name.rpartition("}")[2]))

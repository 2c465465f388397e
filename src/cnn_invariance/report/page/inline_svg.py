"""SVG files of figures as parts of the page: one for all the outlines of letters, and nothing that its policy forbids.

Matplotlib draws a letter as an outline that is defined in each file, and colours things with ``style`` attributes. On a
page of many figures each outline is defined once, and colours are presentation attributes, which the page's policy
allows. Without a style sheet of its own a figure can be shown in dark colours, and cloned.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree import ElementTree

from markupsafe import Markup, escape

LEFT_OUT = {"metadata", "style"}
OUTLINE = "scale(0.015625)"
"""The transformation of the outline of a letter: Matplotlib draws them in units of 1/64 pt."""
SHIFT = re.compile(r"translate\(([-\d.]+) 0\)")
REFERENCE = re.compile(r"url\(#([^)]+)\)")


@dataclass
class Outlines:
    """The outlines of letters of all figures of a page, each once: its id by its path."""

    ids: dict[str, str] = field(default_factory=dict)

    def id_of(self, path: str) -> str:
        """The id of an outline, which is new where the path is."""
        return self.ids.setdefault(path, f"o{len(self.ids)}")

    @property
    def definitions(self) -> Markup:
        """The definitions that the figures refer to."""
        paths = (Markup('<path id="{}" d="{}" transform="{}"/>').format(i, d, OUTLINE) for d, i in self.ids.items())
        return Markup("").join(paths)


def inline(text: str, name: str, outlines: Outlines) -> Markup:
    """The drawing of an SVG file, without its outermost element; ids begin with the name of the figure.

    >>> inline('<svg><g><path id="a" style="fill:none"/><use href="#a"/></g></svg>', "f", Outlines())
    Markup('<path id="f-a" fill="none"/><use href="#f-a"/>')
    """
    root = ElementTree.fromstring(text)
    letters = {
        one.get("id", ""): outlines.id_of(one.get("d", "")) for one in root.iter() if one.get("transform") == OUTLINE
    }
    return Markup("").join(part for child in root for part in _parts(child, name, letters))


def size(text: str) -> tuple[float, float]:
    """The width and height of an SVG file, in its own units, points."""
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    assert found is not None  # Matplotlib always writes it
    return float(found[1]), float(found[2])


def _parts(element: ElementTree.Element, name: str, letters: dict[str, str]) -> Iterator[Markup]:
    """An element and what is in it as HTML, piece by piece."""
    tag = _local(element.tag)
    if tag in LEFT_OUT or element.get("id") in letters:
        return
    inside = [part for child in element for part in _parts(child, name, letters)]
    attributes = dict(_attributes(element, name, letters))
    if tag in ("g", "defs") and (not inside or (tag == "g" and not attributes)):
        yield from inside
        return
    yield Markup(f"<{tag}") + Markup("").join(Markup(' {}="{}"').format(*item) for item in attributes.items())
    yield Markup(">") + Markup("").join(inside) + Markup(f"</{tag}>") if inside else Markup("/>")


def _attributes(element: ElementTree.Element, name: str, letters: dict[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in element.attrib.items():
        match _local(key):
            case "style":
                pairs = (part.partition(":") for part in value.split(";") if part)
                yield from ((property_.strip(), _within(text.strip(), name)) for property_, _, text in pairs)
            case "id":
                yield "id", f"{name}-{value}"
            case "href" if value.startswith("#"):
                yield "href", f"#{letters.get(value[1:]) or f'{name}-{value[1:]}'}"
            case "transform" if _local(element.tag) == "use" and (shift := SHIFT.fullmatch(value)):
                yield "x", shift[1]
            case local:
                yield local, _within(value, name)


def _within(value: str, name: str) -> str:
    """A value whose references lead to the ids of this figure."""
    return REFERENCE.sub(lambda found: f"url(#{name}-{found[1]})", value)


def _local(name: str) -> str:
    return str(escape(name.rpartition("}")[2]))

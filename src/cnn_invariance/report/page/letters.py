"""The texts in figures, told from the outlines that Matplotlib drew, and the font that shows them on the page.

In a figure's file a text is a row of outlines, so that it looks the same everywhere. On the page, where all figures are
together, it is a text again, which takes a fraction of the bytes and can be searched, marked and copied. The font is
the one that Matplotlib carries: the page holds those of its letters that its figures use.
"""

import io
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from cnn_invariance.inspection_page import data_uri

EM = 100
"""The size in which Matplotlib draws outlines; places within a text are in hundredths of the size of its letters."""
LIGATURES = range(0xFB00, 0xFB05)
"""Letters that are drawn as one, such as f and l."""
ALPHABET = tuple(
    map(
        chr,
        chain(
            range(0x20, 0x7F),
            range(0xA0, 0x180),
            range(0x370, 0x400),
            range(0x2010, 0x2040),
            range(0x2070, 0x22FF),
            LIGATURES,
        ),
    )
)
"""The letters that are known: Latin, Greek, punctuation, indices, arrows, mathematical signs, ligatures."""
LOOSE, CLOSER = 8, 25
"""How much farther or closer than its width a letter may stand, in hundredths of its size: a space is 32; a full
stop is set 20 closer to a Y."""
FONT_FACE = '@font-face {{ font-family: "Figures"; font-weight: {weight}; src: url({address}) }}\n'
COMMANDS = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "z"}
"""The commands of SVG by the codes of a path of Matplotlib."""


class Letter(NamedTuple):
    """A letter that an outline shows, or several: the text, its weight, and how far the next one is, in hundredths."""

    text: str
    weight: str
    advance: float


@dataclass
class Letters:
    """The letters of the font, known by their outlines; ``used``: those that texts of the page have, by their weight.

    >>> letters = Letters()
    >>> dash, dot = (path for path, one in letters.known.items() if one.text in ".–" and one.weight == "bold")
    >>> letters.text([(dash, 0), (dot, 50)])
    ('–.', 'bold')
    >>> letters.text([(dot, 0), (dash, 70)]), letters.text([("M0 0z", 0)])  # with a gap; of no letter
    (None, None)
    >>> sorted(letters.used["bold"]), sorted(letters.used["normal"])
    (['.', '–'], [])
    """

    used: dict[str, set[str]] = field(default_factory=lambda: {"normal": set(), "bold": set()})

    def text(self, row: Sequence[tuple[str, float]]) -> tuple[str, str] | None:
        """The text of a row of outlines, with its weight; None if it is none of the font's, or not set as usual.

        row: the path of each outline, and its distance from the start in hundredths of the size
        """
        letters = [self.known.get(path) for path, _ in row]
        expected, found = 0.0, []
        for letter, (_, place) in zip(letters, row, strict=True):
            if letter is None or not -CLOSER <= place - expected <= LOOSE:
                return None
            expected = place + letter.advance
            found.append(letter)
        weights = {letter.weight for letter in found if letter.text != " "}
        if len(weights) != 1:  # a formula, or nothing to be seen
            return None
        (weight,) = weights
        text = "".join(letter.text for letter in found)
        self.used[weight].update(text)
        return text, weight

    @cached_property
    def known(self) -> Mapping[str, Letter]:
        """The letters of both weights by their outlines; a space has none, and is the same in both."""
        found: dict[str, Letter] = {}
        for weight in reversed(self.used):  # what looks the same in both is taken for the normal one
            found |= {path: Letter(text, weight, advance) for text, path, advance in _outlines(weight)}
        return found

    @property
    def style(self) -> str:
        """The style sheet that loads the font, as far as it is used, from the page itself."""
        return "".join(
            FONT_FACE.format(weight=weight, address=_subset(weight, sorted(used)))
            for weight, used in self.used.items()
            if used
        )


def _outlines(weight: str) -> Iterable[tuple[str, str, float]]:
    """The letters of a font with their outlines as Matplotlib writes them, and how far the next letter is."""
    from matplotlib.font_manager import get_font
    from matplotlib.ft2font import LoadFlags
    from matplotlib.path import Path

    font = get_font(_file(weight))
    font.set_size(EM, 72)
    there = font.get_charmap()
    for character in reversed(ALPHABET):  # of those that look alike, the first stands for all
        if ord(character) not in there:
            continue
        glyph = font.load_char(ord(character), flags=LoadFlags.NO_HINTING)
        vertices, codes = font.get_path()
        parts = Path(vertices * 64, codes).iter_segments(simplify=False)
        path = "".join(
            COMMANDS[int(code)]
            + ("" if COMMANDS[int(code)] == "z" else " ".join(f"{round(place, 2):g}" for place in points))
            for points, code in parts
        )
        text = unicodedata.normalize("NFKC", character) if ord(character) in LIGATURES else character
        yield text, path, glyph.linearHoriAdvance / 2**16


def _file(weight: str) -> str:
    """The file of the font of the figures; that its name is right is sure, because Matplotlib carries it."""
    from matplotlib.font_manager import FontProperties, findfont

    from cnn_invariance.plotting.style import RC

    return findfont(FontProperties(family=RC["font.family"], weight=weight), fallback_to_default=False)


def _subset(weight: str, characters: Sequence[str]) -> str:
    """The letters of a font as a file of their own (WOFF), as data; the same letters give the same bytes."""
    from fontTools import subset

    options = subset.Options(flavor="woff", hinting=False, notdef_outline=True, layout_features=["kern", "liga"])
    options.drop_tables += ["FFTM"]  # what an editor of fonts noted
    with subset.load_font(_file(weight), options) as font:
        subsetter = subset.Subsetter(options)
        subsetter.populate(text="".join(characters))
        subsetter.subset(font)
        kept = io.BytesIO()
        subset.save_font(font, kept, options)
    return data_uri("font/woff", kept.getvalue())

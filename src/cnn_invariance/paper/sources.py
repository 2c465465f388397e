"""Where what is said of the study comes from. Nobody here has the text of the paper: these are the sources at hand."""

from enum import StrEnum


class Source(StrEnum):
    """A source, by its short name; `sources.yaml` says what each is. A user's own expectation is `EXPECTED`.

    Only `ABSTRACT` holds words of the paper itself.
    """

    ABSTRACT = "abstract"
    SUCCESSOR = "successor"
    CODE_BEFORE = "code before publication"
    CODE_AFTER = "code after publication"
    LIBRARY = "library"
    LIBRARY_LATER = "later library"
    LOG = "log"
    PICTURES = "pictures"
    OURS = "ours"
    EXPECTED = "expected"

    @property
    def letter(self) -> str:
        """The letter that tables cite it by: A, S, C (the experiment code), L (the library), T, F, O for ours, or E.

        >>> Source.ABSTRACT.letter, Source.CODE_AFTER.letter, Source.LIBRARY_LATER.letter
        ('A', 'C', 'L')
        """
        letters = {"abstract": "A", "successor": "S", "log": "T", "pictures": "F", "ours": "O", "expected": "E"}
        return letters.get(self.value, "C" if "code" in self.value else "L")


def tests(source: Source) -> str:
    """What a claim with this source tests, in words.

    >>> tests(Source.ABSTRACT), tests(Source.OURS)
    ('a statement of the abstract', 'a hypothesis of ours')
    >>> tests(Source.EXPECTED)
    'an expectation of your own'
    >>> tests(Source.LIBRARY)
    "what the author's library does"
    """
    match source:
        case Source.ABSTRACT:
            return "a statement of the abstract"
        case Source.SUCCESSOR:
            return "a statement of the successor's abstract"
        case Source.OURS:
            return "a hypothesis of ours"
        case Source.EXPECTED:
            return "an expectation of your own"
        case Source.LOG | Source.PICTURES:
            return f"what the author's {source.value} show{'s' * (source is Source.LOG)}"
    return f"what the author's {source.value} does"

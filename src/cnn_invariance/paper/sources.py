"""Where what is said of the study comes from. Nobody here has the text of the paper: these are the sources at hand."""

from enum import StrEnum


class Source(StrEnum):
    """A source, by its short name; `in_words` says what it is.

    Only `ABSTRACT` holds words of the paper itself.
    """

    ABSTRACT = "abstract"
    SUCCESSOR = "successor"
    CODE_BEFORE = "code before publication"
    CODE_AFTER = "code after publication"
    LIBRARY = "library"
    LOG = "log"
    OURS = "ours"

    @property
    def letter(self) -> str:
        """The letter that tables cite it by: A, S, C (the code before and after publication), L, T, or O for ours.

        >>> Source.ABSTRACT.letter, Source.CODE_AFTER.letter
        ('A', 'C')
        """
        return {"abstract": "A", "successor": "S", "library": "L", "log": "T", "ours": "O"}.get(self.value, "C")


def tests(source: Source) -> str:
    """What a claim with this source tests, in words.

    >>> tests(Source.ABSTRACT), tests(Source.OURS)
    ('a statement of the abstract', 'a hypothesis of ours')
    """
    match source:
        case Source.ABSTRACT:
            return "a statement of the abstract"
        case Source.SUCCESSOR:
            return "a statement of the successor's abstract"
        case Source.OURS:
            return "a hypothesis of ours"
    return f"what the author's {source.value} does"

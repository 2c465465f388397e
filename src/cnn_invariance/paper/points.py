"""What the study rests on, point by point, from ``sources.yaml``: what a source says, and how ours stands to it.

The file is read once, when something is first asked of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast, get_args

from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.paper.sources import Source

Kind = Literal["statement", "formula", "network", "training", "set", "data", "comparison", "expectation"]
"""Of the abstract; of a measure; settings of networks, training, sets and data; what an experiment compares; what it is
expected to show."""

Verdict = Literal["same", "departs", "absent"]
"""How this package stands to what a source says."""

MOST_ABSENT = 5
"""As many points at most may be absent."""

AUTHOR = (Source.CODE_BEFORE, Source.CODE_AFTER)
LETTERS: Mapping[str, tuple[Source, ...]] = {
    "A": (Source.ABSTRACT,),
    "C": AUTHOR,
    "C before": (Source.CODE_BEFORE,),
    "C after": (Source.CODE_AFTER,),
    "L": (Source.LIBRARY,),
    "L later": (Source.LIBRARY_LATER,),
    "T": (Source.LOG,),
    "F": (Source.PICTURES,),
    "S": (Source.SUCCESSOR,),
    "ours": (Source.OURS,),
}
"""The sources by the letters of the file; ``C`` is where both states of the author's code say the same."""


@dataclass(frozen=True)
class Point:
    """One point: its kind, what it is ``about`` (an experiment, a network, a family of measures, ...), and its topic.

    letter: the source by its letter in the file; ``sources`` are those that it stands for
    says:   what the source says; of a hypothesis of ours, what is expected
    ours:   the verdict
    how:    how and why ours is not the same; empty where it is
    value:  what the source says as a number or text, a list of them, or such by dataset or parameter; None: no number
    """

    kind: Kind
    about: str
    topic: str
    letter: str
    says: str
    ours: Verdict
    how: str = ""
    value: Any = None

    @property
    def name(self) -> str:
        """The point by its place: ``network/SimpleConv/epochs``."""
        return f"{self.kind}/{self.about}/{self.topic}"

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources that say so."""
        return LETTERS[self.letter]

    @property
    def own(self) -> bool:
        """Whether it is a hypothesis or a decision of this package."""
        return self.sources == (Source.OURS,)


@cache
def letters() -> dict[str, str]:
    """What each letter stands for, in words."""
    return dict(_content()["letters"])


@cache
def points() -> tuple[Point, ...]:
    """Every point, in the order of the file.

    Errors: InputError for a point whose kind, letter, verdict or keys are not known, or that does not say why it
    departs or is absent.
    """
    found = []
    for kind, topics in _content().items():
        if kind == "letters":
            continue
        for about, entries in topics.items():
            found += [read(kind, about, topic, entry) for topic, entry in entries.items()]
    return tuple(found)


def read(kind: str, about: str, topic: str, entry: Mapping[str, Any]) -> Point:
    """The point of an entry of the file; see `points` for the errors."""
    place = f"sources.yaml: {kind}/{about}/{topic}"
    if unknown := sorted(entry.keys() - {"source", "says", "ours", "how", "value"}):
        raise InputError(f"{place}: unknown key {unknown[0]!r}; allowed: source, says, ours, how, value")
    if lacking := sorted({"source", "says", "ours"} - entry.keys()):
        raise InputError(f"{place}: {lacking[0]!r} is missing; write source, says and ours")
    for what, given, allowed in (
        ("kind", kind, get_args(Kind)),
        ("letter of a source", entry["source"], LETTERS),
        ("verdict", entry["ours"], get_args(Verdict)),
    ):
        if given not in allowed:
            raise unknown_name(f"{what} ({place})", str(given), allowed)
    how = str(entry.get("how", ""))
    if bool(how) == (entry["ours"] == "same"):
        raise InputError(
            f"{place}: expected 'how' where ours departs or is absent, and only there; received {entry['ours']!r} "
            f"{'with' if how else 'without'} 'how'; say how and why in a whole sentence, or correct the verdict"
        )
    letter, says, ours = str(entry["source"]), str(entry["says"]), cast(Verdict, entry["ours"])
    return Point(cast(Kind, kind), about, topic, letter, says, ours, how, entry.get("value"))


def chosen(kind: str | None = None, verdict: str | None = None, about: str | None = None) -> list[Point]:
    """The points of a kind, with a verdict, about something (None: all).

    Errors: InputError for a kind or a verdict that there is not, with the nearest match.
    """
    for what, given, allowed in (("kind", kind, get_args(Kind)), ("verdict", verdict, get_args(Verdict))):
        if given is not None and given not in allowed:
            raise unknown_name(what, given, allowed)
    wanted = (("kind", kind), ("ours", verdict), ("about", about))
    asked = [(field, value) for field, value in wanted if value is not None]
    return [one for one in points() if all(getattr(one, field) == value for field, value in asked)]


def value(kind: str, about: str, topic: str) -> Any:
    """The value of a point (InputError if there is no such point, or it has none)."""
    name = f"{kind}/{about}/{topic}"
    found = {one.name: one.value for one in points() if one.value is not None}
    if name not in found:
        raise unknown_name("point of sources.yaml with a value", name, found)
    return found[name]


def counts(of: Iterable[Point]) -> dict[Verdict, int]:
    """How many points have which verdict, hypotheses and decisions of ours apart."""
    given = [one.ours for one in of if not one.own]
    return {verdict: given.count(verdict) for verdict in get_args(Verdict)}


Origin = Literal["author", "adapted", "package", "user"]
"""Whose an experiment is; ``adapted``: of the author's code, with networks, sets or data that it does not have."""


def origin(experiment: str) -> Origin:
    """Whose an experiment is: one of the author's code, one of this package, or a user's own.

    >>> origin("mine")
    'user'
    """
    compared = chosen("comparison", about=experiment)
    if not compared:
        return "user"
    return "package" if all(one.own for one in compared) else "author"


def _content() -> dict[str, Any]:
    import yaml

    text = (files("cnn_invariance") / "paper" / "sources.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return content

"""Reading a YAML file so that every problem in it can be reported with its path and line."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import BaseModel, ValidationError

from cnn_invariance.errors import InputError, shortened, shown, unknown_name

Location = tuple[str | int, ...]

EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "tuple_type": "a list",
    "too_short": "at least one entry",
}
"""What pydantic's kinds of error ask for, in the words of a YAML file."""


@dataclass(frozen=True)
class Problem:
    """Something wrong at one place of a document; the place is the keys and indices that lead to it."""

    location: Location
    message: str


@dataclass(frozen=True)
class Document:
    """A YAML mapping with the line of each of its parts."""

    path: Path
    content: dict[str, Any]
    lines: dict[Location, int]

    def error(self, problems: Iterable[Problem]) -> InputError:
        """One error for all the problems: one line each, in the order of the file; of many, the first."""
        found = sorted(problems, key=lambda problem: (self._line(problem.location), str(problem)))
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        more = [f"  and {len(found) - NAMED} more"] if len(found) > NAMED else []
        return InputError("\n".join([f"{self.path}: {count}", *map(self._describe, found[:NAMED]), *more]))

    def _describe(self, problem: Problem) -> str:
        place = ".".join(map(str, problem.location)) or "preset"
        return f"  line {self._line(problem.location)}: {shortened(place)}: {shortened(problem.message, MESSAGE)}"

    def _line(self, location: Location) -> int:
        """The line of a part, or of the innermost part around it that the document has."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


def read(path: Path) -> Document:
    """Read a YAML file that holds a mapping. It may come from anybody: see `Limits`.

    Errors: InputError for a file that is missing, is not text, is not YAML (with the line), repeats
    a key, does not hold a mapping, or exceeds a limit.
    """
    text = _text(path)
    try:
        _check(text)
        node = yaml.compose(text, Loader=_Loader)
        content = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}: line {line}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        kind = "nothing" if content is None else f"a {type(content).__name__}"
        raise InputError(f"{path}: expected a mapping of keys to values, received {kind}")
    assert node is not None  # a document with content has a node
    lines = {(): 1} | _lines(node, ())
    document = Document(path, content, lines)
    if repeated := list(_repeated(node, ())):
        raise document.error(repeated)
    return document


def problems(error: ValidationError, model: type[BaseModel], inside: Location = ()) -> list[Problem]:
    """What pydantic found, in the words of this package; ``model`` was validated at ``inside``."""
    return [
        Problem(inside + _place(detail["loc"]), message)
        for detail in error.errors()
        for message in _messages(dict(detail), model)
    ]


class Limits:
    """What a file may hold. The largest file of this package has a tenth of each.

    Tags (``!!python``, ``!!binary``) are refused, and aliases that expand to more than all this, or to themselves.
    Dates are texts. A text holds no control characters, which a terminal would obey, and no halves of characters.
    """

    bytes = 256 * 1024
    depth = 20
    parts = 20_000
    """Keys, values and lists, those that aliases repeat too."""
    text = 8000
    """Characters in one text."""


NAMED, MESSAGE = 50, 2000
"""How many problems of a file are named, and how long each may be."""


def _text(path: Path) -> str:
    """The text of a file that may be anything: a device, a pipe, a huge file."""
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: is no file; expected a YAML file")
        with path.open("rb") as file:
            content = file.read(Limits.bytes + 1)
        if len(content) > Limits.bytes:
            raise InputError(f"{path}: has more than {Limits.bytes:,} bytes; no preset is that large")
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; the presets are in config/") from None
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read: {error}") from None


def _check(text: str) -> None:
    """Refuse what exceeds the limits, and what is not YAML, in the better words of the slower parser."""
    try:
        _check_events(text, _Loader)
    except _BeyondLimitsError:
        raise
    except yaml.YAMLError:
        _check_events(text, yaml.SafeLoader)
        raise


def _check_events(text: str, loader: Any) -> None:
    """Refuse what exceeds the limits, from the events of a parser, before anything is built of them."""
    sizes: dict[str, int] = {}  # of what has an anchor, with all that aliases in it repeat
    open_parts: list[tuple[str | None, int]] = []  # the anchors of the parts that the parser is in, and what was before
    parts = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in (anchor for anchor, _ in open_parts):
                raise _refused(event, f"the alias *{event.anchor} stands inside of what it repeats")
            parts += sizes.get(str(event.anchor), 1)
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            if event.tag is not None and not (isinstance(event, yaml.ScalarEvent) and event.tag == "!"):
                raise _refused(event, f"the tag {shortened(event.tag, 60)} is not read here; leave it out")
            parts += 1
            if isinstance(event, yaml.ScalarEvent):
                _check_text(event)
                if event.anchor:
                    sizes[event.anchor] = 1
            else:
                open_parts.append((event.anchor, parts - 1))
                if len(open_parts) > Limits.depth:
                    raise _refused(event, f"more than {Limits.depth} levels inside each other")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_parts.pop()
            if anchor:
                sizes[anchor] = parts - before
        if parts > Limits.parts:
            raise _refused(event, f"more than {Limits.parts:,} keys and values, with those that aliases repeat")


def _check_text(event: yaml.ScalarEvent) -> None:
    if len(event.value) > Limits.text:
        raise _refused(event, f"a text of {len(event.value):,} characters; at most {Limits.text:,} are read")
    if odd := _ODD.search(event.value):
        raise _refused(event, f"a text with the character {odd[0]!a}, which is not to be printed")


_ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tab and line end, those that turn the direction of writing, and halves of characters."""


class _BeyondLimitsError(yaml.MarkedYAMLError):
    """YAML that is not read here."""


def _refused(event: yaml.Event, problem: str) -> _BeyondLimitsError:
    return _BeyondLimitsError(problem=problem, problem_mark=event.start_mark)  # type: ignore[arg-type]  # of C's parser


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader, which also reads 1e-4 as a number, as YAML 1.2 does (YAML 1.1: a string); a date is a text."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _number(loader: Any, node: Any) -> Any:
    """A number, as YAML has it; one that is malformed or endless is named with its line."""
    whole = node.tag == "tag:yaml.org,2002:int"
    try:
        number = loader.construct_yaml_int(node) if whole else loader.construct_yaml_float(node)
        if whole and number.bit_length() > 63:
            raise OverflowError
        return number
    except (ValueError, OverflowError):
        kind, text = "whole number of at most 63 bits" if whole else "number", shortened(node.value, 60)
        raise yaml.MarkedYAMLError(problem=f"{text} is no {kind}", problem_mark=node.start_mark) from None


for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _number)

_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d[\d_]*)(\.\d*)?[eE][-+]?\d+$"),  # whole: 09e669c7... is a fingerprint
    list("-+0123456789"),
)


def _lines(node: yaml.Node, location: Location) -> dict[Location, int]:
    found: dict[Location, int] = {}
    for key, key_node, value in _children(node):
        found[(*location, key)] = key_node.start_mark.line + 1
        found |= _lines(value, (*location, key))
    return found


def _children(node: yaml.Node) -> Iterable[tuple[str | int, yaml.Node, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        return [(str(key.value), key, value) for key, value in node.value]
    if isinstance(node, yaml.SequenceNode):
        return [(index, value, value) for index, value in enumerate(node.value)]
    return []


def _repeated(node: yaml.Node, location: Location) -> Iterable[Problem]:
    seen = set()
    for key, _, value in _children(node):
        if key in seen:
            yield Problem((*location, key), "the key is given twice")
        seen.add(key)
        yield from _repeated(value, (*location, key))


def _place(loc: Location) -> Location:
    """Pydantic's location without what is no part of the document (``[key]``, names of types)."""
    return tuple(part for part in loc if isinstance(part, int) or re.fullmatch(r"[\w.:/ -]+", part))


def _messages(detail: dict[str, Any], model: type[BaseModel]) -> list[str]:
    loc, received = detail["loc"], detail["input"]
    match detail["type"]:
        case "extra_forbidden":
            return [str(unknown_name("key", loc[-1], _fields(model, loc[:-1])))]
        case "missing":
            return [f"the key {loc[-1]!r} is missing"]
        case "value_error":
            return str(detail["ctx"]["error"]).splitlines()
        case kind:
            expected = EXPECTED.get(kind, detail["msg"].removeprefix("Input should be "))
            return [f"expected {expected}; received {shown(received)}"]


def _fields(model: Any, loc: Location) -> list[str]:
    """The keys allowed at a place below a model."""
    for part in loc:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[str(part)].annotation
        else:  # dict[str, X], tuple[X, ...]: the place is a key or an index of it
            model = next(arg for arg in reversed(model.__args__) if arg is not Ellipsis)
    return list(model.model_fields)

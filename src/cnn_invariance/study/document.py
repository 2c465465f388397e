"""Reading a YAML file so that every problem in it can be reported with its path and line."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from cnn_invariance.errors import InputError, unknown_name

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
        """One error for all the problems: one line each, in the order of the file."""
        found = sorted(problems, key=lambda problem: (self._line(problem.location), str(problem)))
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        return InputError("\n".join([f"{self.path}: {count}", *map(self._describe, found)]))

    def _describe(self, problem: Problem) -> str:
        place = ".".join(map(str, problem.location)) or "preset"
        return f"  line {self._line(problem.location)}: {place}: {problem.message}"

    def _line(self, location: Location) -> int:
        """The line of a part, or of the innermost part around it that the document has."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


def read(path: Path) -> Document:
    """Read a YAML file that holds a mapping.

    Errors: InputError for a file that is missing, is not text, is not YAML (with the line), repeats
    a key, or does not hold a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; the presets are in config/") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    try:
        node = yaml.compose(text, Loader=_Loader)
        content = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}: line {line}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {error}") from None
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


class _Loader(yaml.SafeLoader):
    """The safe loader, which also reads 1e-4 as a number, as YAML 1.2 does (YAML 1.1: a string)."""


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
            return [f"expected {expected}; received {received!r}"]


def _fields(model: Any, loc: Location) -> list[str]:
    """The keys allowed at a place below a model."""
    for part in loc:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[str(part)].annotation
        else:  # dict[str, X], tuple[X, ...]: the place is a key or an index of it
            model = next(arg for arg in reversed(model.__args__) if arg is not Ellipsis)
    return list(model.model_fields)

"""Whether the files of this package that define a network or a measure are those that a result was made with.

The file of a user's own network or measure is part of the spec of its cells. A file of this package is not: its changes
are counted by the revisions of `cnn_invariance.study.cells`, which somebody who edits a file may not know of. So a
result records a digest of each such file, and files are compared with it. Of older results the files are compared with
those of the commit that is recorded. Only the definitions count that the network or the measure is computed by, not
what is said of it or stands beside it. Comments, docstrings, annotations, layout and the order of definitions do not
count.
"""

import ast
import hashlib
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from cnn_invariance import models
from cnn_invariance.measures import requests
from cnn_invariance.plugins import references
from cnn_invariance.results.code import PACKAGE, is_commit_known, statements
from cnn_invariance.results.store import Results
from cnn_invariance.study import Cell

DIGITS = 16
ENTRIES = ("build", "statistics", "combine", "of_output", "own_pass", "OPTIONS", "LIMITED", "UNDONE")
"""What a network or a measure is computed by: with all that these definitions use, they are the digest of a file."""


class Changed(NamedTuple):
    """A file of this package that was changed since some results were made with it.

    path: of the file, inside the package; ``cells``: those whose results were made with another one
    """

    path: str
    cells: tuple[Cell, ...]


def files(cell: Cell) -> tuple[str, ...]:
    """The files of this package that define the network and the measures of a cell, by their paths inside it."""
    name = cell.network.model.name
    found = [] if references.is_reference(name) else [models.file_of(name)]
    if cell.measured is not None:
        own = (requests.check(text).full_name for text in cell.measured.measures)
        found += [requests.family(one).path for one in own if ":" not in one]
    return tuple(sorted({path.relative_to(PACKAGE).as_posix() for path in found}))


def recorded(cell: Cell) -> dict[str, Any]:
    """What a result records of these files: a digest of each, and the version of Python that reads them."""
    return {"definitions": {name: _here(name) for name in files(cell)}}


def changed(results: Results, cells: Iterable[Cell]) -> list[Changed]:
    """The files that are not those with which the results of these cells were made, as far as that is known."""
    made = {cell: results.provenance(cell) for cell in cells if results.has(cell)}
    wanted = {
        (str(one["commit"]), name)
        for cell, one in made.items()
        if is_commit_known(one.get("commit")) and "definitions" not in one
        for name in files(cell)
    }
    earlier = _earlier(frozenset(wanted)) if wanted else {}
    found: dict[str, list[Cell]] = {}
    for cell, one in made.items():
        for name in files(cell):
            then = _then(one, name, earlier)
            if then is not None and then != _here(name):
                found.setdefault(name, []).append(cell)
    return [Changed(name, tuple(of)) for name, of in sorted(found.items())]


def _then(made: Mapping[str, Any], name: str, earlier: Mapping[tuple[str, str], str]) -> str | None:
    """The digest of a file when a result was made; None if it is not known."""
    if "definitions" in made:
        alike = str(made.get("python", "")).split(".")[:2] == platform.python_version().split(".")[:2]
        return made["definitions"].get(name) if alike else None
    return earlier.get((str(made.get("commit")), name))


@cache
def _here(name: str) -> str:
    return digest((PACKAGE / name).read_text(encoding="utf-8"))


def digest(text: str) -> str:
    """The digest of the definitions in a Python file.

    >>> digest("OPTIONS = 1  # one") == digest("OPTIONS=1\\nOTHER = 3"), digest("OPTIONS = 1") == digest("OPTIONS = 2")
    (True, False)
    """
    tree = ast.parse(text)
    tree.body = _used(tree.body)
    whole = hashlib.sha256()
    for statement in sorted(statements(tree)):
        whole.update(hashlib.sha256(statement.encode()).digest())
    return whole.hexdigest()[:DIGITS]


def _used(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements that the entries of a file use, and those that define no name; the others compute nothing."""
    defined = {name: node for node in body for name in _names(node)}
    waiting, found = [defined[name] for name in ENTRIES if name in defined], [node for node in body if not _names(node)]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.append(node)
            used = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
            waiting += [defined[name] for name in used if name in defined]
    return found


def _names(node: ast.stmt) -> list[str]:
    """The names that a statement defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def _earlier(wanted: frozenset[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The digests of files at commits; without those that are not in this checkout."""
    command = ["git", "-C", str(PACKAGE), "cat-file", "--batch"]
    order = sorted(wanted)
    asked = "".join(f"{commit}:./{name}\n" for commit, name in order)
    try:
        done = subprocess.run(command, input=asked.encode(), capture_output=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    return {place: digest(text) for place, text in zip(order, _answers(done.stdout), strict=False) if text is not None}


def _answers(output: bytes) -> Iterator[str | None]:
    """The text of each object that git was asked for; None for one that it does not have."""
    while output:
        header, _, output = output.partition(b"\n")
        if header.endswith(b" missing") or not header.split()[-1].isdigit():
            yield None
            continue
        size = int(header.split()[-1])
        yield output[:size].decode()
        output = output[size + 1 :]

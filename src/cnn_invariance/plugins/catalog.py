"""Discovery of the names, arguments and defaults in a Python file, without running it.

A model, a dataset source or a family of measures is a Python file in its folder that states its names as
literal constants at the top and takes its arguments as keyword-only parameters. Reading the syntax tree is
enough to know both, so the study checks a preset in milliseconds and never imports torch for it.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

LARGEST = 2**22
"""Bytes of a Python file that is read."""


@dataclass(frozen=True)
class Function:
    """A top-level function: its keyword-only arguments, with their literal defaults."""

    name: str
    arguments: dict[str, Any]
    required: frozenset[str]


@dataclass(frozen=True)
class Module:
    """A Python file seen from outside: its literal constants and its top-level functions."""

    path: Path
    constants: dict[str, Any]
    functions: dict[str, Function]

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def folder(name: str) -> tuple[Module, ...]:
    """The public modules of a folder of this package, by file name (``"models"``)."""
    return _folder(Path(__file__).parents[1] / name)


@cache
def _folder(path: Path) -> tuple[Module, ...]:
    return tuple(read(file) for file in sorted(path.glob("*.py")) if not file.name.startswith("_"))


def read(path: Path) -> Module:
    """The constants and functions of one file, from its syntax tree (SyntaxError, UnicodeDecodeError: it has none)."""
    if path.stat().st_size > LARGEST:
        raise SyntaxError(f"{path.stat().st_size:,} bytes, and a Python file has {LARGEST:,} at most")
    try:
        return _parsed(path, path.read_text(encoding="utf-8"))
    except (RecursionError, MemoryError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise
        raise SyntaxError(f"it cannot be parsed ({type(error).__name__}: {error})") from error


@cache
def _parsed(path: Path, text: str) -> Module:
    tree = ast.parse(text, filename=str(path))
    functions = [_function(node) for node in tree.body if isinstance(node, ast.FunctionDef)]
    return Module(path, dict(_constants(tree)), {function.name: function for function in functions})


def _constants(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ) if name.isupper():
                try:
                    yield name, ast.literal_eval(value)
                except ValueError:  # computed at import: not a name that a preset may use
                    continue


def _function(node: ast.FunctionDef) -> Function:
    arguments = {}
    required = set()
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        arguments[argument.arg] = None if default is None else _literal(default)
        if default is None:
            required.add(argument.arg)
    return Function(node.name, arguments, frozenset(required))


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None

"""Which code computed a result: a digest of the code that computes, the same wherever it stands.

A result records the commit that it was computed by. Most commits change nothing that computes: they change figures,
documents, or where a function stands. The digest of a commit is the SHA-256 of the sorted set of the top-level
definitions in all modules that computing a cell can reach, each without its docstrings, annotations and comments, and
with names of the package's modules left out of references to what is in them. A module that is moved or renamed
therefore does not change the digest; a changed statement does.

What computing can reach follows from the imports. The search starts at the stages (`cnn_invariance.workflow.stages`)
and follows every import, of functions too, except into the rooms that plan, record and show (`NOT_COMPUTING`). A
package that is reached counts as a whole, because its modules are also found by name.
"""

import ast
import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath

PACKAGE = Path(__file__).parents[1]
STAGES = "stages.py"
"""The module that computes cells."""

NOT_COMPUTING = {
    *("study", "results", "workflow", "storage", "plugins", "plotting", "experiments", "report"),
    *("errors", "files", "catalog", "references"),  # modules outside the rooms, now or in earlier commits
}
"""The rooms whose code determines which cells there are and what is shown of them, but no number in a result."""


@cache
def same_code(one: str | None, other: str | None, package: Path = PACKAGE) -> bool:
    """Whether two recorded commits are known to compute the same: equal, or with equal digests.

    A commit that is not known, or that ends in ``-dirty``, cannot be compared.
    """
    if one is None or other is None or one.endswith("-dirty") or other.endswith("-dirty"):
        return False
    if one == other:
        return True
    first, second = digest(one, package), digest(other, package)
    return first is not None and first == second


@cache
def digest(commit: str, package: Path = PACKAGE) -> str | None:
    """The digest of a commit's code; None where the commit is not in this checkout."""
    sources = _sources(commit, package)
    return None if not sources else digest_of(sources)


def digest_of(sources: Mapping[PurePosixPath, str]) -> str:
    """The digest of files by their path inside the package: Python, and C sources beside it."""
    modules = {_dotted(path, "cnn_invariance"): path for path in sources if path.suffix == ".py"}
    reached = _reached(sources, modules)
    rooms = {path.parts[0] for path in reached if path.name != STAGES}
    computing = [path for path in modules.values() if path in reached or path.parts[0] in rooms]
    statements = {one for path in computing for one in _hashes(sources[path], _module_names(sources[path], modules))}
    statements |= {_hash(text) for path, text in sources.items() if path.suffix != ".py" and path.parts[0] in rooms}
    return hashlib.sha256(b"".join(sorted(statements))).hexdigest()


def _sources(commit: str, package: Path) -> dict[PurePosixPath, str]:
    """The package as it was at a commit."""
    prefix = _git(package, "rev-parse", "--show-prefix")
    names = _git(package, "ls-tree", "-r", "--name-only", commit, ".")
    if prefix is None or not names:
        return {}
    wanted = [name for name in names.splitlines() if name.endswith((".py", ".c"))]
    contents = _contents(package, [f"{commit}:{prefix.strip()}{name}" for name in wanted])
    return {PurePosixPath(name): text for name, text in zip(wanted, contents, strict=True)}


def _contents(package: Path, objects: list[str]) -> list[str]:
    """The texts of objects of git, in one process."""
    command = ["git", "-C", str(package), "cat-file", "--batch"]
    done = subprocess.run(command, input="\n".join(objects).encode(), capture_output=True, timeout=60, check=True)
    found, rest = [], done.stdout
    for _ in objects:
        header, _, rest = rest.partition(b"\n")
        size = int(header.split()[-1])
        found.append(rest[:size].decode())
        rest = rest[size + 1 :]
    return found


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _dotted(path: PurePosixPath, root: str) -> str:
    parts = path.with_suffix("").parts
    return ".".join((root, *(parts[:-1] if parts[-1] == "__init__" else parts)))


def _reached(sources: Mapping[PurePosixPath, str], modules: Mapping[str, PurePosixPath]) -> set[PurePosixPath]:
    """The computing modules that can be reached from the stages by imports."""
    waiting = [path for path in modules.values() if path.name == STAGES]
    seen = set(waiting)
    while waiting:
        for module, name, _ in _imports(sources[waiting.pop()]):
            inside = f"{module}.{name}"
            found = inside if inside in modules else module
            path = modules.get(found)
            if path is None or (name and found == "cnn_invariance"):
                continue
            if path not in seen and PurePosixPath(path.parts[0]).stem not in NOT_COMPUTING:
                seen.add(path)
                waiting.append(path)
    return seen


@cache
def _imports(text: str) -> tuple[tuple[str, str, str], ...]:
    """What a module imports: from which module, what (empty: the module itself), and its name here."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(alias.name, "", alias.asname or alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, alias.name, alias.asname or alias.name) for alias in node.names]
    return tuple(found)


def is_commit_known(commit: object) -> bool:
    """Whether a recorded commit says which code it was: not where files had been edited, and not without a checkout."""
    return isinstance(commit, str) and not commit.endswith("-dirty")


def statements(tree: ast.Module, names: frozenset[str] = frozenset()) -> Iterator[str]:
    """The top-level statements of one module, as far as they compute: without imports, texts and annotations.

    names: those by which it calls other modules, which are left out of references to what is in them
    """
    bare = _Bare(names)
    for node in tree.body:
        if not isinstance(node, ast.Import | ast.ImportFrom) and not _is_text(node):
            yield ast.dump(bare.visit(node))


@cache
def _hashes(text: str, names: frozenset[str]) -> frozenset[bytes]:
    """The hashes of a module's statements; most modules are the same in many commits."""
    return frozenset(map(_hash, statements(ast.parse(text), names)))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _module_names(text: str, modules: Mapping[str, PurePosixPath]) -> frozenset[str]:
    """The names by which a module calls other modules of the package."""
    return frozenset(name for module, what, name in _imports(text) if what and f"{module}.{what}" in modules)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


class _Bare(ast.NodeTransformer):
    """Leaves out docstrings, imports, annotations, and the names of modules in ``module.name``."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id in self.names:
            return ast.Name(node.attr, node.ctx)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [one for one in body if not isinstance(one, ast.Import | ast.ImportFrom) and not _is_text(one)]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
        return super().generic_visit(node)

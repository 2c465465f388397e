"""Whether the tests see an error of one line: mutations of the source, drawn at random, each run against the tests.

Each mutation changes one line of ``src/cnn_invariance``: an operator or ``min`` and ``max`` exchanged, a number changed
by one, ``not`` added or removed, True for False, a default or a returned value replaced by None, a bound of a slice
left out. At most one is drawn from a line. It is planted in a copy of the checkout in a temporary folder, where first
the tests nearest to it run, then all others, until one fails.

Never mutated: strings (docstrings, messages, f-strings with what is in them), comments, imports, annotations, ``|`` (it
mostly joins types), ``raise`` statements, ``__all__``, and blocks under ``if TYPE_CHECKING``.

    python benchmarks/mutations.py --count 40 --outcomes mutations.json     a Markdown table; status 1 if below 90 %

With ``--outcomes``, what is in the file already is not run again: delete an entry to run it again.
"""

import argparse
import ast
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE = "src/cnn_invariance"
GOAL = 0.9
NEAREST = {  # the part of the package, and its tests
    "activations.py": "measures models extend", "cli": "cli workflow", "datasets": "datasets cli",
    "devices.py": "training measures", "errors.py": "measures datasets", "experiments": "experiments",
    "inspection.py": "cli extend", "machine.py": "study measures verification", "measures": "measures extend",
    "models": "models extend", "paper": "experiments page", "plotting": "plotting experiments",
    "plugins": "transformations datasets extend", "report": "page experiments", "results": "results verification",
    "statistics": "experiments", "storage": "test_files_atomic.py results verification", "study": "study extend",
    "training": "training", "transformations": "transformations measures", "verification": "verification workflow",
    "workflow": "study workflow cli",
}  # fmt: skip
OPERATORS: dict[type[ast.AST], tuple[str, ...]] = {  # as it is written, then what replaces it
    ast.Lt: ("<", "<=", ">="), ast.LtE: ("<=", "<", ">"), ast.Gt: (">", ">=", "<="), ast.GtE: (">=", ">", "<"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"), ast.Add: ("+", "-"), ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "/"), ast.Mod: ("%", "*"), ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"), ast.And: ("and", "or"), ast.Or: ("or", "and"),
}  # fmt: skip
NAMES = {"min": "max", "max": "min"}


class Mutation(NamedTuple):
    """A line of a file, before and after; ``start`` and ``stop`` are the bytes of the file that ``text`` replaces."""

    path: str
    line: int
    before: str
    after: str
    start: int
    stop: int
    text: str

    @property
    def key(self) -> str:
        return f"{self.path}:{self.line}: {self.before} -> {self.after}"


class Source:
    """A file whose nodes are places in its bytes."""

    def __init__(self, path: Path) -> None:
        self.path, self.content = path.relative_to(ROOT).as_posix(), path.read_bytes()
        self.tree = ast.parse(self.content)
        self.starts = [0, *(place.end() for place in re.finditer(rb"\n", self.content))]

    def span(self, node: ast.AST) -> tuple[int, int]:
        return self.starts[node.lineno - 1] + node.col_offset, self.starts[node.end_lineno - 1] + node.end_col_offset

    def mutations(self) -> Iterator[Mutation]:
        """All mutations of this file that stay on one line."""
        for node in _computing(self.tree):
            for start, stop, text in (*self._operators(node), *self._values(node), *self._removed(node)):
                if b"\n" not in self.content[start:stop]:
                    yield self._mutation(start, stop, text)

    def changes(self, mutation: Mutation) -> bool:
        """Whether Python reads the mutated file, and as another program."""
        try:
            return ast.dump(ast.parse(self.mutated(mutation))) != ast.dump(self.tree)
        except SyntaxError:
            return False

    def mutated(self, mutation: Mutation) -> bytes:
        return self.content[: mutation.start] + mutation.text.encode() + self.content[mutation.stop :]

    def _mutation(self, start: int, stop: int, text: str) -> Mutation:
        line = self.content.count(b"\n", 0, start)
        first, last = self.starts[line], self.content.find(b"\n", stop)
        whole = (self.content[first:last], self.content[first:start] + text.encode() + self.content[stop:last])
        return Mutation(self.path, line + 1, *(one.decode().strip() for one in whole), start, stop, text)

    def _operators(self, node: ast.AST) -> Iterator[tuple[int, int, str]]:
        for left, operator, right in _pairs(node):
            written, *others = OPERATORS.get(type(operator), ("",))
            start = self.content.find(written.encode(), self.span(left)[1], self.span(right)[0])
            if others and start >= 0:
                yield from ((start, start + len(written), other) for other in others)

    def _values(self, node: ast.AST) -> Iterator[tuple[int, int, str]]:
        match node:
            case ast.Constant(value=bool(value)):
                yield *self.span(node), str(not value)
            case ast.Constant(value=int(value) | float(value)):
                yield from ((*self.span(node), repr(other)) for other in (value + 1, value - 1))
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in NAMES:
                stop = self.span(node)[1]
                yield stop - len(name), stop, NAMES[name]
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
                yield from self._negated([test])
            case ast.comprehension(ifs=tests):
                yield from self._negated(tests)

    def _negated(self, tests: list[ast.expr]) -> Iterator[tuple[int, int, str]]:
        for start, stop in map(self.span, tests):
            yield start, stop, f"not ({self.content[start:stop].decode()})"

    def _removed(self, node: ast.AST) -> Iterator[tuple[int, int, str]]:
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield self.span(node)[0], self.span(operand)[0], "(" * self._opened(node, operand)
            case ast.arguments(defaults=defaults, kw_defaults=more):
                yield from ((*self.span(value), "None") for value in (*defaults, *more) if value is not None)
            case ast.Return(value=ast.expr()):
                yield self.span(node)[0], self.span(node)[1], "return None"
            case ast.Slice(lower=lower, upper=upper):
                yield from ((*self.span(value), "") for value in (lower, upper) if value is not None)

    def _opened(self, node: ast.AST, operand: ast.AST) -> int:
        return self.content.count(b"(", self.span(node)[0], self.span(operand)[0])


def _computing(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below a node, without those that the module's docstring leaves out."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns") or (
            name == "body" and "TYPE_CHECKING" in _names(getattr(node, "test", None))
        ):
            continue
        for child in value if isinstance(value, list) else [value]:
            excluded = ast.Import | ast.ImportFrom | ast.Raise | ast.JoinedStr
            if isinstance(child, ast.AST) and not isinstance(child, excluded) and not _lists_names(child):
                yield child
                yield from _computing(child)


def _names(node: ast.AST | None) -> set[str]:
    return set() if node is None else {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _lists_names(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and any("__all__" in _names(target) for target in node.targets)


def _pairs(node: ast.AST) -> list[tuple[ast.AST, ast.AST, ast.AST]]:
    """Each operator of a node, between its operands."""
    match node:
        case ast.Compare(left=left, ops=operators, comparators=others):
            return list(zip([left, *others], operators, others, strict=False))
        case ast.BoolOp(op=operator, values=values):
            return [(one, operator, other) for one, other in pairwise(values)]
        case ast.BinOp(left=left, op=operator, right=right):
            return [(left, operator, right)]
        case ast.AugAssign(target=target, op=operator, value=value):
            return [(target, operator, value)]
    return []


def draw(count: int, seed: int, only: Path) -> list[tuple[Source, Mutation]]:
    """Mutations of different lines, drawn at random; every line that can be mutated is equally probable."""
    files = sorted(only.rglob("*.py")) if only.is_dir() else [only]
    lines: dict[tuple[str, int], list[tuple[Source, Mutation]]] = {}
    for source in map(Source, files):
        for mutation in source.mutations():
            lines.setdefault((source.path, mutation.line), []).append((source, mutation))
    generator, drawn = random.Random(seed), []
    for line in generator.sample(list(lines), len(lines)):
        valid = [
            (source, one) for source, one in generator.sample(lines[line], len(lines[line])) if source.changes(one)
        ]
        drawn += valid[:1]
        if len(drawn) == count:
            break
    return drawn


def plant(source: Source, mutation: Mutation, folder: Path) -> None:
    """Copy the files that git tracks into a folder, one of them mutated."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    (folder / mutation.path).write_bytes(source.mutated(mutation))


def nearest(mutation: Mutation) -> list[str]:
    """The tests nearest to a mutated file: those of its folder, and its own doctests."""
    part = Path(mutation.path).relative_to(PACKAGE).parts[0]
    return [*(f"tests/{name}" for name in NEAREST.get(part, "").split()), mutation.path]


def failing_test(folder: Path, tests: list[str], seconds: float) -> str | None:
    """The first test that fails, or what else shows the mutation; None if all pass."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests]
    environment = os.environ | {
        "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"no end within {seconds:.0f} s"
    if process.returncode in (0, 5):  # 5: no test was collected
        return None
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
    return found[1] if found else f"pytest ended with status {process.returncode}"


def outcome(source: Source, mutation: Mutation, seconds: float) -> str | None:
    """What caught a mutation; None if it survived."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plant(source, mutation, folder)
        return failing_test(folder, nearest(mutation), seconds) or failing_test(folder, ["src", "tests"], seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40, help="how many mutations")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--jobs", type=int, default=2, help="mutations at once")
    parser.add_argument("--only", type=Path, default=ROOT / PACKAGE, help="a file or folder of the source")
    parser.add_argument("--outcomes", type=Path, help="JSON of outcomes, which are not run again")
    parser.add_argument("--seconds", type=float, default=900, help="that a run of tests may take")
    given = parser.parse_args()
    known = json.loads(given.outcomes.read_text()) if given.outcomes and given.outcomes.exists() else {}
    drawn = draw(given.count, given.seed, given.only.resolve())
    lock = threading.Lock()

    def run(pair: tuple[Source, Mutation]) -> None:
        source, mutation = pair
        if mutation.key in known:
            return
        caught = outcome(source, mutation, given.seconds)
        with lock:
            known[mutation.key] = caught
            print(f"{len(known)}: {mutation.key}: {caught or 'SURVIVED'}", file=sys.stderr, flush=True)
            if given.outcomes:
                given.outcomes.write_text(json.dumps(known, indent=1) + "\n")

    with ThreadPoolExecutor(given.jobs) as pool:
        list(pool.map(run, drawn))
    found = [known[mutation.key] for _, mutation in drawn]
    print("| place | before | after | caught by |\n|---|---|---|---|")
    for (_, mutation), caught in zip(drawn, found, strict=True):
        row = (
            f"{mutation.path}:{mutation.line}",
            f"`{mutation.before}`",
            f"`{mutation.after}`",
            caught or "**survived**",
        )
        print(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |")
    caught = sum(one is not None for one in found)
    print(f"\n{caught} of {len(found)} mutations were caught.")
    return 0 if found and caught >= GOAL * len(found) else 1


if __name__ == "__main__":
    sys.exit(main())

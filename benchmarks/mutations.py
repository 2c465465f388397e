"""Whether the tests see an error of one line: mutations of the source, drawn at random, each run against the tests.

A mutation changes one line of ``src/cnn_invariance``: an operator, or ``min`` and ``max``, exchanged; a number changed
by one; ``not`` added or removed; True for False; a default or a returned value replaced by None; a bound of a slice
left out. At most one is drawn from a line. It is planted in a copy of the checkout in a temporary folder, where first
the tests nearest to it run, then all others, until one fails. A test that fails without the mutation too proves
nothing and is left out.

Never mutated: strings (docstrings, messages, f-strings with what is in them, names in ``__all__``), comments, imports,
``if TYPE_CHECKING``, annotations, ``raise`` statements, and ``|``, which mostly joins types.

    python benchmarks/mutations.py --outcomes mutations.json     a table in Markdown; status 1 if below 90 %

Outcomes that are in the file already are not run again; delete one to run it again.
"""

import argparse
import ast
import bisect
import contextlib
import io
import itertools
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
import tokenize
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "src/cnn_invariance"
GOAL = 0.9
LIMITS = (1800, 7200)  # seconds, for the nearest tests and for the others
NEAREST = {  # the parts of the package, and their tests
    "activations": "measures models extend", "cli": "cli workflow", "datasets": "datasets cli",
    "devices": "training measures", "errors": "measures datasets", "experiments": "experiments",
    "inspection": "cli extend", "machine": "study measures verification", "measures": "measures extend",
    "models": "models extend", "paper": "page experiments", "plotting": "plotting experiments",
    "plugins": "transformations datasets extend", "report": "page experiments", "results": "results verification",
    "storage": "test_files_atomic.py results verification", "study": "study", "training": "training",
    "transformations": "transformations measures", "verification": "verification workflow",
    "workflow": "study workflow cli",
}  # fmt: skip
EXCHANGED = {  # a token, and what may stand for it
    "<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",),
    "is": ("is not",), "in": ("not in",), "not": ("",), "and": ("or",), "or": ("and",), "+": ("-",), "-": ("+",),
    "*": ("/",), "/": ("*",), "//": ("/",), "%": ("*",), "**": ("*",), "&": ("|",), "+=": ("-=",), "-=": ("+=",),
    "*=": ("/=",), "/=": ("*=",), "min": ("max",), "max": ("min",), "True": ("False",), "False": ("True",),
}  # fmt: skip
Edit = tuple[int, int, str]
"""The characters of a file from one place to another, and what replaces them."""


class Mutation(NamedTuple):
    """A line of a file before and after, and the text of the mutated file."""

    path: str
    line: int
    before: str
    after: str
    text: str

    @property
    def key(self) -> str:
        return f"{self.path}:{self.line}: {self.before} -> {self.after}"


class Source:
    """A file, what may be edited in it, and the mutations that result."""

    def __init__(self, path: Path) -> None:
        self.path, self.text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        self.tree, self.lines = ast.parse(self.text), self.text.split("\n")
        self.starts = [0, *itertools.accumulate(len(line) + 1 for line in self.lines)]

    def edits(self) -> Iterator[Edit]:
        """Every edit that stays on one line, outside what is never mutated."""
        excluded = [self._span(node) for node in _excluded(self.tree)]
        of_nodes = itertools.chain.from_iterable(map(self._of, ast.walk(self.tree)))
        for start, stop, text in (*self._of_tokens(), *of_nodes):
            if self.line(start) == self.line(stop) and not any(first <= start < last for first, last in excluded):
                yield start, stop, text

    def line(self, place: int) -> int:
        return bisect.bisect_right(self.starts, place)

    def mutation(self, edit: Edit) -> Mutation | None:
        """The mutation by an edit; None if Python cannot read it, or reads the same program."""
        start, stop, new = edit
        text, line = self.text[:start] + new + self.text[stop:], self.line(start)
        try:
            if ast.dump(ast.parse(text)) == ast.dump(self.tree):
                return None
        except SyntaxError:
            return None
        return Mutation(self.path, line, self.lines[line - 1].strip(), text.split("\n")[line - 1].strip(), text)

    def _span(self, node: ast.AST) -> tuple[int, int]:
        ends = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
        return tuple(self.starts[line - 1] + len(self.lines[line - 1].encode()[:at].decode()) for line, at in ends)

    def _of_tokens(self) -> Iterator[Edit]:
        before = ""
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            start, others = self.starts[token.start[0] - 1] + token.start[1], EXCHANGED.get(token.string, ())
            if token.type == tokenize.NUMBER:
                value = ast.literal_eval(token.string)
                others = (repr(value + 1), repr(value - 1))
            if token.string not in ("*", "**") or before not in ("(", "[", "{", ",", ":", "lambda"):  # two operands
                yield from ((start, start + len(token.string) + (not other), other) for other in others)
            before = token.string if token.string.strip() and token.type != tokenize.COMMENT else before

    def _of(self, node: ast.AST) -> Iterator[Edit]:
        match node:
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) | ast.comprehension(ifs=[test]):
                start, stop = self._span(test)
                yield start, stop, f"not ({self.text[start:stop]})"
            case ast.arguments(defaults=defaults, kw_defaults=others):
                yield from ((*self._span(value), "None") for value in (*defaults, *others) if value is not None)
            case ast.Return(value=ast.expr()):
                yield *self._span(node), "return None"
            case ast.Slice(lower=lower, upper=upper):
                yield from ((*self._span(value), "") for value in (lower, upper) if value is not None)


def _excluded(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        checks_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if checks_types or isinstance(node, ast.Import | ast.ImportFrom | ast.Raise | ast.JoinedStr):
            yield node
        notes = (getattr(node, "annotation", None), getattr(node, "returns", None))
        yield from (note for note in notes if note is not None)


def draw(count: int, seed: int, only: Path) -> list[Mutation]:
    """Mutations of different lines, drawn at random: each line that can be mutated is equally probable."""
    lines: dict[tuple[str, int], list[tuple[Source, Edit]]] = {}
    for source in map(Source, sorted(only.rglob("*.py")) if only.is_dir() else [only]):
        for edit in source.edits():
            lines.setdefault((source.path, source.line(edit[0])), []).append((source, edit))
    generator, drawn = random.Random(seed), []
    for line in generator.sample(list(lines), len(lines)):
        tried = (source.mutation(edit) for source, edit in generator.sample(lines[line], len(lines[line])))
        drawn += [mutation for mutation in tried if mutation is not None][:1]
        if len(drawn) >= count:
            break
    return drawn


class Trials:
    """Runs of the tests in copies of the checkout as it is now, below a temporary folder."""

    def __init__(self, work: Path) -> None:
        self.work, self.lock = work, threading.Lock()
        self.whole, self.fail_anyway = work / "whole" / "tree", dict[str, bool]()
        self.running, self.stopped = set[subprocess.Popen](), False
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0"):
            if name and (ROOT / name).is_file():
                (self.whole / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.whole / name)
        status, output = self._pytest(self.whole, ["--collect-only", "src", "tests"], LIMITS[0])
        if status:
            raise SystemExit(f"the tests cannot be collected without a mutation:\n{output}")

    def outcome(self, mutation: Mutation) -> str:
        """What catches a mutation, or SURVIVED."""
        with tempfile.TemporaryDirectory(dir=self.work, ignore_cleanup_errors=True) as folder:
            tree = Path(folder, "tree")
            shutil.copytree(self.whole, tree, ignore=shutil.ignore_patterns("__pycache__"))
            path = tree / mutation.path
            times = path.stat().st_atime_ns, path.stat().st_mtime_ns
            path.write_text(mutation.text, encoding="utf-8", newline="")
            os.utime(path, ns=times)  # a source that is newer than the committed figures would make them old
            near = nearest(mutation.path)
            rest = ["src", "tests", *(f"--ignore={one}" for one in near)]
            return self._catcher(tree, near, LIMITS[0]) or self._catcher(tree, rest, LIMITS[1]) or "SURVIVED"

    def _catcher(self, tree: Path, arguments: list[str], limit: float) -> str:
        """The test that fails because of the mutation; empty if there is none."""
        left_out: list[str] = []
        while True:
            status, output = self._pytest(tree, [*arguments, *(f"--deselect={test}" for test in left_out)], limit)
            if status in (0, 5):  # all passed, or there are none
                return ""
            failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.MULTILINE)
            if failed is None:
                return f"no test: still running after {limit:g} s" if status is None else f"no test: status {status}"
            if failed[1] in left_out or not self._fails_anyway(failed[1]):
                return failed[1]
            left_out.append(failed[1])

    def _fails_anyway(self, test: str) -> bool:
        with self.lock:
            if test not in self.fail_anyway:
                self.fail_anyway[test] = self._pytest(self.whole, [test], LIMITS[0])[0] not in (0, 4, 5)
                if self.fail_anyway[test]:
                    print(f"left out, fails without a mutation: {test}", file=sys.stderr)
            return self.fail_anyway[test]

    def _pytest(self, tree: Path, arguments: list[str], limit: float) -> tuple[int | None, str]:
        """The status of a run of the tests, None past its limit, and what it printed."""
        own = {"PYTHONPATH": tree / "src", "TMPDIR": tree.parent / "tmp", "XDG_CACHE_HOME": tree.parent / "cache"}
        own["TMPDIR"].mkdir(exist_ok=True)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *arguments]
        environment = {"OMP_NUM_THREADS": "1", **os.environ, **{name: str(place) for name, place in own.items()}}
        with (tree.parent / "output").open("w+b") as output:
            places = {"cwd": tree, "stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
            run = subprocess.Popen(command, env=environment, start_new_session=True, **places)
            self.running.add(run)
            try:
                status = run.wait(limit)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                kill(run)
                self.running.discard(run)
            if self.stopped or status == -signal.SIGKILL:  # it says nothing about the mutation
                raise InterruptedError("a run of the tests was killed")
            output.seek(0)
            return status, output.read().decode(errors="replace")

    def stop(self) -> None:
        self.stopped = True
        for run in list(self.running):
            kill(run)


def kill(run: subprocess.Popen) -> None:
    """End a run and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def nearest(path: str) -> list[str]:
    """The tests that most probably see a mutation of a file: those of its part, and the examples in its folder."""
    part = PurePosixPath(path).relative_to(PACKAGE)
    named = NEAREST.get(part.with_suffix("").parts[0], "extend measures").split()
    return [*(f"tests/{name}" for name in named), path if len(part.parts) == 1 else str(PurePosixPath(path).parent)]


def run_all(trials: Trials, mutations: list[Mutation], outcomes: dict[str, str], jobs: int, file: Path | None) -> None:
    """Add the outcomes that are missing, and write each to the file as soon as it is known."""
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(trials.outcome, one): one for one in mutations if one.key not in outcomes}
        try:
            for future in as_completed(futures):
                outcomes[futures[future].key] = future.result()
                print(f"{futures[future].key}: {future.result()}", file=sys.stderr, flush=True)
                if file:
                    file.with_suffix(".part").write_text(json.dumps(outcomes, indent=1), encoding="utf-8")
                    file.with_suffix(".part").replace(file)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            trials.stop()
            raise


def table(mutations: list[Mutation], outcomes: dict[str, str]) -> str:
    rows = [("", "line", "before", "after", "caught by"), (":---",) * 5]
    for number, one in enumerate(mutations, 1):
        code = (f"`{text}`" for text in (one.before, one.after))
        rows.append((str(number), f"{one.path.removeprefix(PACKAGE)[1:]}:{one.line}", *code, outcomes[one.key]))
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="mutations that are tried at once")
    parser.add_argument("--only", type=Path, default=ROOT / PACKAGE, help="a file or folder of the package")
    parser.add_argument("--outcomes", type=Path, help="JSON; a run that was ended goes on from it")
    return parser.parse_args()


def main() -> int:
    options = parsed()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    mutations = draw(options.count, options.seed, options.only.resolve())
    there = options.outcomes is not None and options.outcomes.exists()
    outcomes = json.loads(options.outcomes.read_text(encoding="utf-8")) if there else {}
    if any(one.key not in outcomes for one in mutations):
        with tempfile.TemporaryDirectory(prefix="mutations-", ignore_cleanup_errors=True) as work:
            run_all(Trials(Path(work)), mutations, outcomes, options.jobs, options.outcomes)
    caught = sum(outcomes[one.key] != "SURVIVED" for one in mutations)
    print(f"{table(mutations, outcomes)}\n\n{caught} of {len(mutations)} caught; goal: {GOAL:.0%}")
    return int(caught < GOAL * len(mutations))


if __name__ == "__main__":
    sys.exit(main())

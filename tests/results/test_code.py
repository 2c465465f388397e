"""Which commits compute the same."""

import subprocess
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from cnn_invariance.results.code import digest, digest_of, same_code

STAGES = "def train():\n    from cnn_invariance.training import loop\n    return loop.train()\n"
LOOP = """
from cnn_invariance.storage import files

def train(count: int = 2) -> int:
    '''Train.'''
    return files.write(count + 1)  # how many
"""
PACKAGE = {
    "workflow/stages.py": STAGES,
    "training/__init__.py": "",
    "training/loop.py": LOOP,
    "training/state.py": "EPOCHS = 3\n",
    "training/loops.c": "int x;\n",
    "storage/files.py": "def write(count):\n    return count\n",
    "plotting/lines.py": "WIDTH = 1\n",
}


def of(**changes: str | None) -> str:
    """The digest of the package with changed files; the folder and the name of a file are parted by two underscores."""
    named = {
        name.replace("__", "/", 1) + (".c" if name.endswith("loops") else ".py"): text for name, text in changes.items()
    }
    files = {name: text for name, text in (PACKAGE | named).items() if text is not None}
    return digest_of({PurePosixPath(name): text for name, text in files.items()})


@pytest.mark.parametrize(
    "change",
    [
        {"plotting__lines": "WIDTH = 2\n"},
        {"storage__files": "def write(count):\n    return 2 * count\n"},
        {"training__loop": LOOP.replace("Train.", "Trains a network.").replace("# how many", "# one more")},
        {"training__loop": LOOP.replace("(count: int = 2) -> int", "(count=2)")},
        {"training__loop": None, "training__epochs": LOOP, "workflow__stages": STAGES.replace("loop", "epochs")},
        {"training__loop": LOOP.replace("import files", "import files as f").replace("files.write", "f.write")},
    ],
    ids=["plotting", "storage", "docstring and comment", "annotations", "a module renamed", "another name of a module"],
)
def test_what_does_not_compute_changes_no_digest(change):
    assert of(**change) == of()


@pytest.mark.parametrize(
    "change",
    [
        {"training__loop": LOOP.replace("count + 1", "count + 2")},
        {"training__loop": LOOP.replace("= 2", "= 3")},
        {"training__state": "EPOCHS = 4\n"},
        {"training__loops": "int y;\n"},
        {"workflow__stages": STAGES.replace("loop.train()", "loop.train(3)")},
    ],
    ids=["statement", "default", "module of a package that is reached", "C source", "stages"],
)
def test_what_computes_changes_the_digest(change):
    assert of(**change) != of()


def test_a_module_that_is_moved_to_another_package_does_not_change_the_digest():
    moved = {name.replace("training/", "learning/"): text for name, text in PACKAGE.items()}
    moved["workflow/stages.py"] = STAGES.replace("training", "learning")
    assert digest_of({PurePosixPath(name): text for name, text in moved.items()}) == of()


@pytest.fixture
def commit(tmp_path) -> Callable[..., str]:
    """Commit files of a package; returns the commit."""

    def run(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def make(files: dict[str, str]) -> str:
        for name, text in files.items():
            path = tmp_path / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        run("init")
        run("add", ".")
        run("commit", "-m", "c")
        return run("rev-parse", "HEAD")

    return make


def test_commits_that_change_nothing_that_is_computed_are_the_same_code(tmp_path, commit):
    package = tmp_path / "src"
    first = commit(PACKAGE)
    second = commit({"plotting/lines.py": "WIDTH = 2\n"})
    third = commit({"training/state.py": "EPOCHS = 4\n"})
    assert digest(first, package) == digest_of({PurePosixPath(name): text for name, text in PACKAGE.items()})
    assert same_code(first, second, package)
    assert not same_code(second, third, package)
    assert not same_code(first, f"{second}-dirty", package)
    assert not same_code(first, None, package)
    assert not same_code(first, "f" * 40, package), "a commit that is not here"


def test_the_digest_of_this_package_covers_what_computes():
    folder = Path(__file__).parents[2] / "src" / "cnn_invariance"
    sources = {
        PurePosixPath(path.relative_to(folder).as_posix()): path.read_text(encoding="utf-8")
        for path in folder.rglob("*.*")
        if path.suffix in (".py", ".c")
    }
    unchanged = digest_of(sources)
    for room in ("activations.py", "datasets/", "devices.py", "measures/", "models/", "training/", "transformations/"):
        path = next(path for path in sorted(sources) if str(path).startswith(room) and path.name != "__init__.py")
        assert digest_of(sources | {path: sources[path] + "\nCHANGED = 1\n"}) != unchanged, path
    rooms = ("plotting/", "report/", "experiments/", "cli/", "verification/", "results/")
    others = [next(path for path in sorted(sources) if str(path).startswith(room)) for room in rooms]
    assert digest_of(sources | {path: sources[path] + "\nCHANGED = 1\n" for path in others}) == unchanged

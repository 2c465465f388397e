"""The rooms of the house: nothing imports what stands above it, and the library is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "src" / "cnn_invariance"
FLOORS = (
    {"errors", "machine", "devices", "storage", "__init__"},
    {"plugins", "roles"},
    {"activations", "statistics"},
    {"transformations", "datasets"},
    {"models", "measures"},
    {"training", "inspection", "inspection_page", "assertions"},
    {"study", "plotting"},
    {"results", "paper"},
    {"experiments"},
    {"workflow"},
    {"verification", "report", "known_answers"},
    {"export"},
    {"cli", "__main__"},
)
"""From the ground up. A room may import rooms below it, and rooms of its own floor as long as they form no circle."""

STUDY_PACKAGES = {"yaml", "pydantic", "snakemake", "jinja2", "typer", "pyarrow", "mlxtend", "statsmodels", "pandas"}


def floor_of(room: str) -> int:
    (found,) = (number for number, rooms in enumerate(FLOORS) if room in rooms)
    return found


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[tuple[str, bool]]:
    """The rooms that a file imports, and whether it does so for type checkers alone."""
    found = set()

    def visit(node: ast.AST, typing: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ImportFrom) and (child.module or "").split(".")[0] == "cnn_invariance":
                parts = child.module.split(".")
                names = [parts[1]] if len(parts) > 1 else [alias.name for alias in child.names]
                found.update(
                    (name, typing) for name in names if (ROOT / name).is_dir() or (ROOT / f"{name}.py").is_file()
                )
            visit(child, typing or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)))

    visit(ast.parse(path.read_text(encoding="utf-8")), False)
    return found


def arrows(*, typing: bool) -> dict[tuple[str, str], list[str]]:
    """The imports between rooms, those inside functions too; ``typing``: also those for type checkers alone."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        for room, only_typing in imported(path):
            if room != room_of(path) and (typing or not only_typing):
                found.setdefault((room_of(path), room), []).append(str(path.relative_to(ROOT)))
    return found


def test_every_room_has_a_floor():
    assert {room_of(path) for path in ROOT.rglob("*.py")} == set().union(*FLOORS)


# What a function of a lower room asks of a higher one, when it is called and not before: a figure of a result.
UPWARD = {("measures", "plotting")}


def test_no_room_imports_a_room_above_it():
    upward = {pair: files for pair, files in arrows(typing=False).items() if floor_of(pair[1]) > floor_of(pair[0])}
    assert set(upward) <= UPWARD, upward


def test_no_circle_between_rooms():
    graph: dict[str, set[str]] = {}
    for start, end in arrows(typing=False):
        if (start, end) not in UPWARD:
            graph.setdefault(start, set()).add(end)
    seen: set[str] = set()

    def visit(room: str, path: tuple[str, ...]) -> None:
        assert room not in path, f"circle: {' -> '.join([*path, room])}"
        if room not in seen:
            for other in graph.get(room, ()):
                visit(other, (*path, room))
            seen.add(room)

    for room in graph:
        visit(room, ())


def loaded(program: str) -> set[str]:
    code = f"import sys\n{program}\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_pass_loads_few_modules_and_none_of_the_study():
    kept = "import random; before = random.getstate(); "
    modules = loaded(f"{kept}import cnn_invariance as ci; ci.measure; assert random.getstate() == before")
    ours = [name for name in modules if name.split(".")[0] == "cnn_invariance"]
    assert len(ours) <= 30
    assert not modules & STUDY_PACKAGES


def test_what_computes_cells_loads_nothing_that_draws_or_plans():
    """A broken experiment, or a broken document of the paper's points, cannot stop a training."""
    modules = loaded("from cnn_invariance.workflow import jobs, stages")
    rooms = {name.split(".")[1] for name in modules if name.startswith("cnn_invariance.")}
    assert not rooms & {"experiments", "paper", "plotting", "report", "verification"}
    assert "cnn_invariance.workflow.plan" not in modules


@pytest.mark.parametrize("room", ["transformations", "datasets", "models", "measures", "activations", "inspection"])
def test_the_library_imports_without_the_packages_of_the_study(room):
    assert not loaded(f"import cnn_invariance.{room}") & (STUDY_PACKAGES - {"pandas", "pyarrow"})


def test_an_experiment_is_named_in_its_own_file_and_nowhere_else_in_the_source():
    """The name as a whole word of a string; words that mean something else, too, are left out."""
    names = {path.stem for path in (ROOT / "experiments").glob("[!_]*.py")}
    names -= {"accuracy", "structure", "aggregation", "stratified", "departures", "transformation_sets"}
    others = [path for path in ROOT.rglob("*.py") if path.parent != ROOT / "experiments"]
    named = {
        (str(path.relative_to(ROOT)), node.value)
        for path in others
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in names
    }
    assert named == set()


DOCUMENTED = "torch.utils._python_dispatch"
"""The one place from which PyTorch's own documents import a TorchDispatchMode."""


def test_private_modules_are_used_in_their_own_package_alone():
    outside = []
    for path in [*ROOT.rglob("*.py"), *(ROOT.parents[1] / "envs").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = (
                    []
                    if node.module == DOCUMENTED
                    else [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                )
                for module in modules:
                    *package, last = module.split(".")
                    inside = path.parent == ROOT.parent.joinpath(*package)
                    if last.startswith("_") and not last.startswith("__") and not inside:
                        outside.append((str(path), module))
    assert outside == []

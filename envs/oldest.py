"""Run the library's tests with the oldest packages that pyproject.toml allows, without the packages of the study.

    make oldest                  the lower bounds of pyproject.toml
    make oldest TRY="2.5 2.6"    these versions of PyTorch, and the lower bounds of the rest

So the lower bound of PyTorch was found: it is the oldest version with which all of these tests pass, those of the
kernels for GPUs among them (in Triton's interpreter, where there is no GPU). Each version is installed from PyPI into a
folder that is deleted afterwards; with CUDA it takes up to 7 GB there. Run it with the oldest Python that is supported.
"""

import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = (
    *("tests/measures", "tests/transformations", "tests/models", "tests/assertions", "tests/cli/test_inspect.py"),
    "--ignore=tests/measures/test_tmeasures.py",  # tmeasures asks for packages of its own
    "--ignore=tests/models/test_author_layers.py",  # it reads results of the study
    "--deselect=tests/models/test_published_weights.py::test_they_are_written_as_safetensors_that_a_preset_can_pin",
)
WARNINGS = "filterwarnings=default"  # old packages warn of new ones, which says nothing about this one


def lower_bounds(torch: str | None) -> list[str]:
    """The core dependencies at their lower bounds, for pip; torchvision as the version of PyTorch needs it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = []
    for requirement in project["dependencies"]:
        name, _, bound = requirement.partition(">=")
        if name == "torch" and torch is not None:
            bound = torch
        pins.append(name if name == "torchvision" else f"{name}=={bound}.*")
    return pins


def passes(torch: str | None) -> bool:
    """Whether the tests pass with a version of PyTorch; None: the lower bound."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = f"{folder}/bin/python"
        pip = [python, "-m", "pip", "install", "--quiet", "--no-cache-dir"]
        subprocess.run([*pip, *lower_bounds(torch), "pytest>=8", "hypothesis>=6.100"], check=True)
        subprocess.run([*pip, "--no-deps", str(ROOT)], check=True)
        subprocess.run([python, "-c", "import torch, numpy; print(torch.__version__, numpy.__version__)"], check=True)
        tests = [python, "-m", "pytest", "-p", "no:cacheprovider", "--override-ini", WARNINGS, *TESTS]
        return subprocess.run(tests, cwd=ROOT, check=False).returncode == 0


def main(versions: list[str]) -> None:
    """Try each version; status 1 if one fails."""
    found = {version or "the lower bound": passes(version) for version in versions or [None]}
    for version, passed in found.items():
        print(f"PyTorch {version}: {'passes' if passed else 'fails'}")
    raise SystemExit(not all(found.values()))


if __name__ == "__main__":
    main(sys.argv[1:])

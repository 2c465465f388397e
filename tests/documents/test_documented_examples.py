"""What README and CONTRIBUTING show works as it stands there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)\)")


def blocks(document, language):
    found = BLOCK.findall((ROOT / document).read_text(encoding="utf-8"))
    return [dedent(text) for _, kind, text in found if kind == language]


def files(document):
    """The blocks that are whole files, by their paths."""
    headed = (re.match(r"# (src/\S+)\n(.*)", text, re.DOTALL) for text in blocks(document, "python"))
    return {match[1]: match[2] for match in headed if match}


def run(*arguments, at, source=ROOT / "src"):
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=at, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readme_shows_the_claims_as_they_came_out():
    """The first table of the page of claims stands in README as it is."""
    page = (ROOT / "results/laptop/claims.md").read_text(encoding="utf-8").splitlines()
    table = "\n".join(page[2 : page.index("", 2)])
    assert table.startswith("| experiment |")
    assert table in (ROOT / "README.md").read_text(encoding="utf-8"), f"README needs this table:\n{table}"


def test_the_readme_s_use_as_a_library_runs(tmp_path):
    (example,) = blocks("README.md", "python")
    printed = run("-W", "error", "-c", example, at=tmp_path)
    assert "log_softmax" in printed


@pytest.fixture
def extended(tmp_path):
    """A copy of the package with every file that CONTRIBUTING adds."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for path, text in files("CONTRIBUTING.md").items():
        assert not (ROOT / path).exists(), f"{path} is there already: show another example"
        (tmp_path / path).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_additions_in_contributing_make_a_study(extended):
    assert {Path(path).parent.name for path in files("CONTRIBUTING.md")} == {
        "models", "measures", "transformations", "datasets", "experiments",
    }  # fmt: skip
    fingerprint = re.search(r"\b[0-9a-f]{64}\b", command(extended, "dataset", "digits8"))[0]
    preset = {
        "name": "added",
        "description": "What CONTRIBUTING adds.",
        "seeds": [0],
        "measures": ["TV", "SV", "NV", "ShareT"],
        "samples": {"count": 20},
    }
    for text in blocks("CONTRIBUTING.md", "yaml"):
        preset |= yaml.safe_load(text)
    preset["datasets"]["digits8"] |= {"fingerprint": fingerprint, "accuracy_floor": 0}
    (extended / "preset.yaml").write_text(yaml.safe_dump(preset), encoding="utf-8")

    planned = command(extended, "plan", "--cells", "--preset", "preset.yaml")
    (network,) = re.findall(r"^network (\S+)$", planned, re.MULTILINE)
    (cell,) = re.findall(r"^measure cell (\S+)$", planned, re.MULTILINE)
    for stage in (["train", network], ["measure", cell], ["draw", "layer_means"]):
        command(extended, *stage, "--preset", "preset.yaml")
    table = (extended / "results/added/tables/layer_means.csv").read_text(encoding="utf-8")
    header, row = table.splitlines()
    assert header == "dataset,network,transformations,mean"
    assert row.startswith("digits8,TwoConv,shear,0.")


def command(at, *arguments):
    call = "from cnn_invariance.cli import app; app()"
    return run("-c", call, *arguments, at=at, source=at / "src")


def test_files_that_contributing_shows_are_well_formed(tmp_path):
    for path, text in files("CONTRIBUTING.md").items():
        (tmp_path / Path(path).name).write_text(text, encoding="utf-8")
    settings = ["--config", ROOT / "pyproject.toml", "--config", "lint.isort.known-first-party = ['cnn_invariance']"]
    run("-m", "ruff", "check", *settings, ".", at=tmp_path)
    run("-m", "ruff", "format", "--check", *settings, ".", at=tmp_path)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(document):
    targets = set(LINK.findall((ROOT / document).read_text(encoding="utf-8")))
    assert targets
    assert [target for target in sorted(targets) if not (ROOT / target).exists()] == []

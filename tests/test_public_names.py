"""What the package shows of itself, and the two ways to its commands."""

import re
import subprocess
import sys
from pathlib import Path

import cnn_invariance as ci
import cnn_invariance.measures


def test_dir_shows_the_public_names_and_nothing_private():
    names = dir(ci)
    assert {"measure", "assert_equivariant", "assert_invariant", "transformations", "models", "InputError"} <= set(
        names
    )
    assert not [name for name in names if name.startswith("_")]
    assert all(hasattr(ci, name) for name in names)
    assert {name for name in ci.__all__ if not name.startswith("_")} == set(names)


def test_dir_is_the_same_before_and_after_use():
    code = "import cnn_invariance as ci; before = dir(ci); ci.measure, ci.transformations; assert dir(ci) == before"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "cnn_invariance", "version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ci.__version__


def test_the_measures_show_what_a_file_of_measures_needs():
    assert dir(cnn_invariance.measures) == sorted(cnn_invariance.measures.__all__)
    assert all(hasattr(cnn_invariance.measures, name) for name in dir(cnn_invariance.measures))


def test_the_reference_has_every_public_name():
    page = (Path(__file__).parents[1] / "docs/api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"::(?: \w+)? cnn_invariance\.(\w+)", page))
    assert named >= {*dir(ci), "measures"}

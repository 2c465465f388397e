"""What the package shows of itself, and the two ways to its commands."""

import subprocess
import sys

import cnn_invariance as ci


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

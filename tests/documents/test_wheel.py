"""The wheel: what it asks for, and that measure, plot and inspect need nothing of the study."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]

BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
USE = """
import runpy, sys
target, study = sys.argv[1], set(sys.argv[2].split(","))

class WithoutTheStudy:  # as if its packages were not installed
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in study:
            raise ModuleNotFoundError(f"the test takes {name} away", name=name)

sys.path.insert(0, target)
sys.meta_path.insert(0, WithoutTheStudy())
import torch
import cnn_invariance as ci
assert ci.__file__.startswith(target), ci.__file__
import pathlib
from PIL import Image
network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU()).eval()
result = ci.measure(network, torch.rand(4, 3, 8, 8), ci.transformations.rotation(n=3, closed=False), ["NV", "NVSE"])
result.save("result.parquet")
result.plot("NV").savefig("plot.png")
pathlib.Path("photos").mkdir()
for k in range(3):
    Image.effect_noise((8, 8), 50).convert("RGB").save(f"photos/{k}.png")
sys.argv = ["cnn_invariance", "inspect", "net.py:build", "--images", "photos", "--set", "n=3", "--set", "closed=false"]
runpy.run_module("cnn_invariance", run_name="__main__", alter_sys=True)
"""
NET = """
from torch import nn
def build(input_shape, classes):
    return nn.Sequential(nn.Conv2d(input_shape[0], 2, 3), nn.Flatten(), nn.LazyLinear(classes))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built in a copy, so that nothing is written beside the sources."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "COMMIT"))
    done = subprocess.run([sys.executable, "-c", BUILD, out], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.whl")
    return built


def asked_for(wheel):
    """The requirements in the wheel, by extra; of the package itself under an empty name."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        told = Parser().parsestr(archive.read(name).decode())
    found = {"": set()} | {extra: set() for extra in told.get_all("Provides-Extra")}
    for requirement in map(Requirement, told.get_all("Requires-Dist")):
        extra = re.search(r"extra == ['\"](\w+)['\"]", str(requirement.marker))
        found[extra[1] if extra else ""].add(requirement.name.lower())
    return found


def with_what_they_ask_for(names):
    """Installed packages and, in turn, those that they ask for."""
    found, left = set(), set(names)
    while left:
        name = canonicalize_name(left.pop())
        found.add(name)
        for requirement in map(Requirement, metadata.requires(name) or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                left |= {canonicalize_name(requirement.name)} - found
    return found


def test_the_wheel_asks_for_what_the_library_needs_and_for_the_study_as_an_extra(wheel):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = asked_for(wheel)
    assert found[""] == {Requirement(one).name.lower() for one in project["dependencies"]}
    assert found[""] >= {"torch", "numpy", "pandas", "matplotlib", "rich", "safetensors", "pillow"}
    assert "snakemake" in found["study"]
    assert not found["study"] & found[""]


def test_what_is_in_the_wheel_measures_plots_and_inspects_without_the_study(wheel, tmp_path):
    target = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    (tmp_path / "net.py").write_text(NET)
    asked, modules = asked_for(wheel), {"pyyaml": "yaml", "scikit-learn": "sklearn"}
    taken = asked["study"] - with_what_they_ask_for(asked[""])
    assert taken >= {"snakemake", "pyyaml", "mlxtend"}
    taken = sorted(modules.get(name, name) for name in taken)
    command = [sys.executable, "-W", "error", "-c", USE, str(target), ",".join(taken)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "network   net.py:build" in done.stdout
    assert (tmp_path / "result.parquet").is_file()
    assert (tmp_path / "plot.png").stat().st_size > 1000

"""A study as small as can be, computed once for real, and copies of it to break."""

import fcntl
import os
import random
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan

ROOT = Path(__file__).parents[2]
PIN = "431ccb07ecd1af0274b77e08cda92d8c7c33d4feec3c76007dfacee4ea4406aa"
TINY = f"""\
name: tiny
description: The smallest study that has everything.
datasets:
  mnist5k: {{fingerprint: {PIN}, accuracy_floor: 0}}
models:
  SimpleConv: {{arguments: {{width: 1, dense: 2}}, learning_rate: 1e-3, epochs: 0}}
  AllConvolutional: {{arguments: {{width: 1}}, learning_rate: 1e-3, epochs: 1}}
transformation_sets:
  rotation: {{parameters: {{n: 2, closed: false}}}}
training: {{augmentation_epochs: same}}
seeds: [0]
samples: {{count: 10}}
measures: [TV, SV, NV, "NV[aggregate=mean]"]
experiments:
  compare_models: {{}}
  heatmap: {{models: [SimpleConv]}}
"""


@dataclass(frozen=True)
class Tree:
    """A checkout with the tiny study in it."""

    root: Path

    @property
    def preset(self):
        return self.root / "config" / "tiny.yaml"

    def snakemake(self, *arguments, preset="config/tiny.yaml", environment=None, **options):
        """Run Snakemake, by default on the tiny preset; everything it says, and its status."""
        command = [sys.executable, "-m", "snakemake", *map(str, arguments)]
        if preset and "--configfile" not in command:
            command += ["--configfile", preset]
        kept = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            command,
            cwd=self.root,
            env=kept | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **options,
        )

    def planned(self, *arguments):
        """The jobs of a dry run, as "Train KEY"; without the target, which is no work."""
        done = self.snakemake("-n", *arguments)
        assert done.returncode == 0, done.stdout
        return sorted(re.findall(r"^Job \d+: ((?:Prepare|Train|Measure|Draw) .*)$", done.stdout, re.M))

    def run(self, *arguments):
        """Run for real; everything must succeed."""
        done = self.snakemake("--cores", 2, *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def refused(self, *arguments):
        """What a run says that ends before its first job."""
        done = self.snakemake("--cores", 1, *arguments)
        assert done.returncode != 0
        assert "Job stats" not in done.stdout
        assert "Traceback" not in done.stdout
        return done.stdout

    def edit(self, old, new):
        """Change the preset in one place."""
        text = self.preset.read_text()
        assert text.count(old) == 1
        self.preset.write_text(text.replace(old, new))

    def plan(self):
        """The plan of the preset as it is now."""
        folders = (self.root / name for name in ("data", "models", "results", "figures", "report"))
        return Plan(Programme.load(self.preset), Folders(*folders))


def _checkout(root):
    for name in ("Snakefile", "workflow", "profiles", "envs", "config"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, root / name)
    tree = Tree(root)
    tree.preset.write_text(TINY)
    return tree


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The tree after one run from nothing; tests copy it. Processes that test together share it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    tree = Tree(shared / "finished")
    with (shared / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "finished.done").exists():
            shutil.rmtree(tree.root, ignore_errors=True)
            tree.root.mkdir()
            _checkout(tree.root).run()
            (shared / "finished.done").touch()
    return tree


@pytest.fixture
def tree(finished, tmp_path):
    """A copy of the finished tree, file times and Snakemake's records included."""
    shutil.copytree(finished.root, tmp_path / "tree")
    return Tree(tmp_path / "tree")


@pytest.fixture
def clone(finished, tmp_path):
    """A fresh clone: cached results and nothing else of the run, with file times in any order."""
    fresh = _checkout(tmp_path)
    shutil.copytree(finished.root / "results", fresh.root / "results")
    shutil.rmtree(fresh.root / "results" / "tiny" / "tables")
    times, now = random.Random(0), int(time.time())
    for path in fresh.root.rglob("*"):
        moment = times.randrange(10**9, now)
        os.utime(path, (moment, moment))
    return fresh


@pytest.fixture
def empty(tmp_path):
    """A checkout where nothing has run."""
    return _checkout(tmp_path)

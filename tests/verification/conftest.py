"""A study of five seeds a design, trained and measured for real on bars and blocks, and computed again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cnn_invariance.datasets import save
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.results import provenance
from cnn_invariance.study import MeasureSpec, TrainSpec
from cnn_invariance.verification import Verification, sample
from cnn_invariance.verification.sampling import Sampling
from cnn_invariance.workflow import stages
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from helpers_training import problem
from helpers_verification import rewrite

PRESET = """\
name: bars
description: Bars and blocks.
datasets:
  bars: {{source: "folder:bars", fingerprint: {fingerprint}, accuracy_floor: 0}}
models:
  SimpleConv: {{arguments: {{width: 2, dense: 8}}, learning_rate: 5e-3, epochs: 5}}
transformation_sets:
  rotation: {{parameters: {{n: 3, angle_deg: 30}}}}
  scale: {{parameters: {{n: 1}}}}
training: {{batch_size: 16, augmentation_epochs: same}}
seeds: [0, 1, 2, 3, 4]
samples: {{count: 20}}
measures: [TV, SV, NV, "NV[aggregate=mean]"]
experiments:
  random_initialization: {{seeds: 5}}
  feature_maps: {{transformation_sets: [rotation], shown: 2, seeds: 1}}
"""
COMMIT = "c" * 40


def compute(plan: Plan) -> None:
    """Every cell of a plan."""
    for cell in plan.cells:
        stages.compute(plan.job(cell), plan.folders, threads=1)


@pytest.fixture(scope="session")
def bars(tmp_path_factory) -> Verification:
    """The study with its cache and all of it computed again, by code of a known commit, on a CPU."""
    root, data = tmp_path_factory.mktemp("bars"), problem(100)
    save(data, root / "data" / "bars.npz")
    (root / "bars.yaml").write_text(PRESET.format(fingerprint=data.fingerprint), encoding="utf-8")
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "commit", lambda _: COMMIT)
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        done = verification(root)
        compute(done.plan)
        compute(done.beside)
    torch.set_num_threads(threads)
    return done


def verification(root: Path) -> Verification:
    """The verification of all cells of the study in a folder."""
    names = ("data", "models", "results", "figures", "verification")
    folders = Folders(**{name: root / name for name in names})
    return Verification(Plan(Programme.load(root / "bars.yaml"), folders), Sampling(1000, minutes=1e6))


@pytest.fixture
def done(bars, tmp_path, monkeypatch) -> Verification:
    """A copy of it to tamper with."""
    monkeypatch.setattr(sample, "commit", lambda _: COMMIT)
    source = bars.plan.folders.results.parent
    for name in ("data", "results", "verification"):
        shutil.copytree(source / name, tmp_path / name)
    shutil.copy(source / "bars.yaml", tmp_path)
    return verification(tmp_path)


@pytest.fixture
def network(done) -> TrainSpec:
    """The augmented network of seed 0."""
    return next(one for one in done.plan.networks if one.augmentation.name == "rotation" and one.seed == 0)


@pytest.fixture
def cell(done, network) -> MeasureSpec:
    """Its measure cell."""
    return next(one for one in done.plan.measurements if one.network == network)


@pytest.fixture
def elsewhere() -> Callable[[Verification], None]:
    """Make the whole cache one of another machine."""

    def move(done: Verification) -> None:
        for cell in done.plan.cells:
            rewrite(done.plan.results, cell, made={"cpu": "Another", "cpu_id": "Other 1-1-1"})

    return move

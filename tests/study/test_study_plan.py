"""What is left to compute, from the files that are there; nothing here trains or measures."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnn_invariance.datasets import Dataset, save
from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.results import write_measure, write_training
from cnn_invariance.results.measures import SCHEMA
from cnn_invariance.study import Study
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products
from cnn_invariance.workflow.run import one_of
from helpers_study import started

DATA = Dataset.create(
    "mnist",
    np.zeros((30, 1, 28, 28), dtype=np.uint8),
    np.arange(30) % 10,
    {"train": np.arange(10), "validation": np.arange(10, 20), "test": np.arange(20, 30)},
    [str(digit) for digit in range(10)],
)
PIN = DATA.fingerprint
TESTS = str(Path(__file__).parents[1])
PRESET = f"""\
name: tiny
description: A study.
datasets:
  mnist: {{fingerprint: {PIN}, accuracy_floor: 0}}
models:
  SimpleConv: {{learning_rate: 5e-4, epochs: 5}}
  ResNet18: {{learning_rate: 5e-4, epochs: 4}}
transformation_sets:
  rotation: {{parameters: {{n: 3, closed: false}}}}
seeds: [0]
measures: ["NV[aggregate=mean]"]
experiments:
  compare_models: {{models: [SimpleConv, ResNet18]}}
"""


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """A function that plans the study as a new run would."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(PRESET)
    return lambda: Plan(Programme.load("tiny.yaml"))


def finish(plan):
    """Write what a whole run of the study would, without running it."""
    import pandas as pd

    row = {"layer_index": 1, "layer": "a", "kind": "b", "measure": "NV", "value": 1.0}
    frame = pd.DataFrame([row], columns=SCHEMA.names)
    for network in plan.networks:
        write_training(plan.results.path(network), network, {"epochs": 1}, {})
        for epoch in plan.epochs(network):
            path = plan.folders.checkpoint(network, epoch)
            path.parent.mkdir(exist_ok=True)
            path.touch()
    for cell in plan.measurements:
        write_measure(plan.results.path(cell), cell, frame, None, {})
    prepare(plan, PIN)


def prepare(plan, fingerprint):
    path = plan.folders.dataset("mnist")
    path.parent.mkdir(exist_ok=True)
    if fingerprint == DATA.fingerprint:
        save(DATA, path)
    else:
        np.savez(path, fingerprint=np.array(fingerprint))


def rules():
    """The rules of trainings: their names, whether they leave a record, and the early epochs they keep."""
    return [(one.rule, one.record, one.epochs) for one in started("tiny.yaml").trainings]


def counts(plan):
    return len(plan.to_prepare), len(plan.todo("train")), len(plan.todo("measure"))


def test_from_nothing_everything_is_missing(plan):
    assert len(plan().networks) == len(plan().measurements) == 2
    assert counts(plan()) == (1, 2, 2)
    assert rules() == [("train", True, ())]


def test_when_all_is_there_nothing_is_missing(plan):
    finish(plan())
    assert counts(plan()) == (0, 0, 0)
    assert rules() == []


def test_results_alone_are_enough(plan):
    """A fresh clone: no data, no checkpoints."""
    finish(plan())
    for path in (*plan().folders.models.iterdir(), *plan().folders.data.iterdir()):
        path.unlink()
    assert counts(plan()) == (0, 0, 0)


def test_a_missing_cell_with_its_checkpoint_is_only_measured(plan):
    finish(plan())
    plan().results.path(plan().measurements[0]).unlink()
    assert counts(plan()) == (0, 0, 1)


def test_a_missing_cell_without_its_checkpoint_trains_its_network_alone_and_keeps_the_record(plan):
    finish(plan())
    cell, other = plan().measurements
    plan().results.path(cell).unlink()
    for network in plan().networks:
        plan().folders.checkpoint(network).unlink()
    assert plan().todo("train") == (cell.network,)
    assert rules() == [("train_again", False, ())]
    assert other.network != cell.network


def test_a_missing_record_trains_its_network_alone(plan):
    finish(plan())
    network = plan().networks[1]
    plan().results.path(network).unlink()
    assert plan().todo("train") == (network,)
    assert counts(plan()) == (0, 1, 0)


def test_a_dataset_is_prepared_only_if_a_job_needs_it(plan):
    finish(plan())
    plan().folders.dataset("mnist").unlink()
    assert counts(plan()) == (0, 0, 0)
    plan().results.path(plan().measurements[0]).unlink()
    assert counts(plan()) == (1, 0, 1)


@pytest.mark.parametrize(("content", "found"), [("cd" * 32, "cd" * 32), (None, r"\(unreadable\)")])
def test_other_data_than_the_pinned_is_an_error_if_a_job_needs_it(plan, content, found):
    finish(plan())
    if content is None:
        plan().folders.dataset("mnist").write_bytes(b"no npz")
    else:
        prepare(plan(), content)
    assert counts(plan()) == (0, 0, 0)
    plan().results.path(plan().measurements[0]).unlink()
    message = (
        f"dataset mnist: the preset pins the fingerprint {PIN}, data/mnist.npz holds {found}; "
        "delete data/mnist.npz and run again, or pin the other fingerprint in a copy"
    )
    with pytest.raises(InputError, match=message):
        plan().to_prepare  # noqa: B018


def test_early_epochs_are_kept_by_the_one_training(plan, monkeypatch):
    """A cell at an early epoch needs a checkpoint there, and a rule that leaves it."""
    real = Study.measurement
    early = {"SimpleConv": 2}
    monkeypatch.setattr(
        Study,
        "measurement",
        lambda self, network, *rest: real(self, network, *rest, epoch=early.get(network.model.name)),
    )
    assert rules() == [("train_e2", True, (2,)), ("train", True, ())]
    finish(plan())
    cell = plan().measurements[0]
    plan().results.path(cell).unlink()
    assert counts(plan()) == (0, 0, 1)
    plan().folders.checkpoint(cell.network).unlink()
    assert counts(plan()) == (0, 0, 1), "the last checkpoint is not what the cell measures"
    plan().folders.checkpoint(cell.network, cell.epoch).unlink()
    assert plan().todo("train") == (cell.network,)
    assert rules() == [("train_again_e2", False, (2,))]


def test_all_files_are_the_targets(plan):
    files = {str(path) for path in Products(plan()).every()}
    assert f"results/tiny/training/{plan().networks[0].key}.json" in files
    assert f"results/tiny/measures/{plan().measurements[0].key}.parquet" in files
    assert "figures/tiny/compare_models/compare_models.svg" in files
    assert "results/tiny/tables/compare_models.tex" in files


def test_cells_are_found_by_key(plan):
    network, cell = plan().networks[0], plan().measurements[0]
    assert plan().cell(network.key, "train") == network
    assert plan().cell(cell.key, "measure") == cell
    message = f"unknown network '{network.key[:-1]}'; did you mean '{network.key}'"
    with pytest.raises(InputError, match=message):
        plan().cell(network.key[:-1], "train")
    with pytest.raises(InputError, match="unknown measure cell 'x'; list all with"):
        plan().cell("x", "measure")


def test_a_run_takes_one_preset_and_options_that_say_where_files_are(plan):
    run = started("tiny.yaml", results_dir="elsewhere", data_dir="d")
    assert run.results.parts == ("elsewhere", "tiny")
    assert run.study_options("data", "models", "results") == "--preset tiny.yaml --data-dir d --results-dir elsewhere"
    assert run.command_options("data", "models") == "--data-dir d"
    assert started("tiny.yaml").study_options("data", "figures") == "--preset tiny.yaml"
    with pytest.raises(InputError, match=r"one preset at a time; received a\.yaml, b\.yaml"):
        started("a.yaml", "b.yaml")
    with pytest.raises(InputError) as caught:
        started("tiny.yaml", result_dir="x")
    assert str(caught.value) == (
        "unknown --config option 'result_dir'; did you mean 'results_dir'? allowed: compute, data_dir, "
        "figures_dir, models_dir, report_dir, results_dir, trust, verification_dir, verify_cells, verify_minutes, "
        "verify_seed; to change the study, edit a copy of tiny.yaml and give it with --configfile"
    )


def test_folders_are_quoted_for_the_shell(plan):
    run = started("tiny.yaml", data_dir="my data; rm x")
    assert run.study_options("data") == "--preset tiny.yaml --data-dir 'my data; rm x'"


def test_a_preset_below_the_current_folder_is_named_from_there(plan, tmp_path):
    assert started(tmp_path / "tiny.yaml").study_options() == "--preset tiny.yaml"


def test_one_of_matches_whole_keys_only():
    import re

    assert re.fullmatch(one_of(["a.b", "c"]), "a.b")
    assert not re.fullmatch(one_of(["a.b", "c"]), "axb")
    assert not re.match(one_of([]), "")


def test_planning_imports_no_torch(plan):
    code = (
        "import sys; from helpers_study import started\n"
        "run = started('tiny.yaml'); run.every(); run.trainings; run.start()\n"
        "import cnn_invariance.cli\n"
        "heavy = {'torch', 'torchvision', 'matplotlib', 'scipy', 'mlxtend'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    plan()
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": TESTS},
    )
    assert done.returncode == 0, done.stderr

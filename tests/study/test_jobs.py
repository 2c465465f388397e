"""The files of jobs: all that a command needs to compute one cell."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from typer.testing import CliRunner

from cnn_invariance.cli import app
from cnn_invariance.errors import InputError
from cnn_invariance.study import ResponseSpec, SampleSpec
from cnn_invariance.workflow import preparation
from cnn_invariance.workflow.jobs import Job
from helpers_study import TINY, cell, network, started

RESPONSE = ResponseSpec(measured=cell(), by="NV", sample=SampleSpec(count=1), members=(0, 1), kind="ELU")


@pytest.mark.parametrize("one", [network(), cell(), RESPONSE], ids=lambda one: one.stage)
def test_a_job_that_was_written_is_read_with_the_same_cell(tmp_path, one):
    job = Job(preset="tiny", cell=one, epochs=(0, 15), pretrained="w.safetensors", recorded=True)
    job.write(tmp_path / "job.json")
    read = Job.read(tmp_path / "job.json")
    assert read == job
    assert read.cell.key == one.key


def test_a_file_with_the_same_content_is_left_alone(tmp_path):
    path, job = tmp_path / "job.json", Job(preset="tiny", cell=network())
    job.write(path)
    first = path.stat()
    job.write(path)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"preset": "tiny"}', '{"preset": "tiny", "cell": {"stage": "cook"}}'])
def test_a_file_that_is_not_a_job_is_named(tmp_path, text):
    (tmp_path / "job.json").write_text(text)
    with pytest.raises(InputError, match=r"job\.json: expected the JSON of a job"):
        Job.read(tmp_path / "job.json")
    with pytest.raises(InputError, match=r"absent\.json: no such file; a run of snakemake writes"):
        Job.read(tmp_path / "absent.json")


def test_an_unknown_key_in_a_job_is_named(tmp_path):
    path = tmp_path / "job.json"
    Job(preset="tiny", cell=network()).write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prest": "x"}))
    with pytest.raises(InputError, match="prest"):
        Job.read(path)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a preset, in which a run has started."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    run = started("tiny.yaml")
    run.start()
    return run


def test_a_submitted_job_has_the_same_rules_after_the_preset_was_edited_or_broken(here, tmp_path):
    for text in (TINY.replace("epochs: 2", "epochs: 3"), "name: [", TINY.replace("compare_models", "no_such")):
        (tmp_path / "tiny.yaml").write_text(text)
        job = started("tiny.yaml", main=False)
        assert (job.name, job.results) == (here.name, here.results)
        assert [(one.rule, sorted(one.keys.split("|"))) for one in job.trainings] == [
            (one.rule, sorted(one.keys.split("|"))) for one in here.trainings
        ]
        assert sorted(job.keys("measure").split("|")) == sorted(here.keys("measure").split("|"))
        assert (job.drawn, job.every(), job.datasets) == ((), [], "(?!)")
        for key in here.jobs.by_key:
            assert job.data([key]) == here.data([key])


def test_a_dry_run_writes_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    started("tiny.yaml").every()
    assert not (tmp_path / "specs").exists()


def test_each_cell_to_compute_has_a_file(here, tmp_path):
    assert yaml.safe_load(TINY)["name"] == "tiny"
    names = {path.stem for path in (tmp_path / "specs" / "tiny").iterdir()}
    assert names == {one.key for one in here.plan.cells}


BROKEN = """
import sys
from cnn_invariance.experiments.framework import registry

for name in registry.names():  # as if no file of an experiment could be imported
    sys.modules[f"cnn_invariance.experiments.{name}"] = None
from cnn_invariance.cli import app
app(sys.argv[1:])
"""


def test_experiments_that_fail_to_import_do_not_stop_a_job(here, tmp_path):
    folders = ["--data-dir", "data", "--models-dir", "models", "--results-dir", "results"]
    preparation.prepare(here.plan.study, here.folders, "mnist5k")
    for job in here.jobs.by_key.values():
        command = [sys.executable, "-c", BROKEN, job.cell.stage, str(here.jobs.path(job.cell.key)), *folders]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
    assert here.plan.anew().to_compute == ()


def test_a_job_of_another_stage_says_which_command_takes_it(here):
    path = next(here.jobs.path(job.cell.key) for job in here.jobs.at("train"))
    done = CliRunner().invoke(app, ["measure", str(path)])
    assert done.exit_code == 2
    assert f"error: {path} is the job of a network: cnn-invariance train {path}" in done.output

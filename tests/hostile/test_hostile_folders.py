"""Folders of any name: quoted wherever a shell sees them."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cnn_invariance.workflow.folders import Folders
from helpers_study import TINY, started

ROOT = Path(__file__).parents[2]
ODD = ["$(touch ran)", "a b", "a;touch ran", "it's", 'a"b', "100%", "`touch ran`", "a&b|c", "é*?", "~x", "a\\b", "#a"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


@pytest.mark.parametrize("name", ODD)
def test_options_of_commands_are_what_a_shell_reads_again(here, name):
    run = started("tiny.yaml", data_dir=name, results_dir=name, figures_dir=name)
    said = shlex.split(run.study_options("data", "results", "figures"))
    assert said == ["--preset", "tiny.yaml", "--data-dir", name, "--results-dir", name, "--figures-dir", name]
    assert Folders(models=Path(name)).options("models") == [f"--models-dir {shlex.quote(name)}"]


@pytest.mark.parametrize("name", ["$(touch ran)", "a b;touch ran", "it's `touch ran`"])
def test_a_shell_runs_nothing_of_the_name_of_a_folder(here, name):
    """The command of a rule as Snakemake gives it to a shell, which is made to print its words instead."""
    (here / "report.smk").write_text(
        "rule report:\n    output: page=config['report_dir'] + '/page.html'\n    log: config['report_dir'] + '/log'\n"
        "    shell: \"printf '%s\\n' --output {output.page:q} > {log:q} 2>&1; touch {output.page:q}\"\n"
    )
    shells = [line for line in (ROOT / "Snakefile").read_text(encoding="utf-8").splitlines() if "2>&1" in line]
    assert len(shells) > 5
    assert all("> {log:q} 2>&1" in line or "tee {log:q}" in line for line in shells)
    assert not any("{output.page}" in line for line in shells)
    command = [sys.executable, "-m", "snakemake", "-s", "report.smk", "--cores", "1", "--config"]
    done = subprocess.run([*command, f"report_dir={name}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (here / name / "page.html").is_file()
    assert not (here / "ran").exists()

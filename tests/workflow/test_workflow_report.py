"""The page of the study as a target of the workflow."""

import re
import shlex
from pathlib import Path

import pandas as pd
from typer.testing import CliRunner

from cnn_invariance.cli import app
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.plotting import Canvas
from cnn_invariance.workflow import failures
from cnn_invariance.workflow.jobs import Jobs
from cnn_invariance.workflow.options import RunOptions
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products
from cnn_invariance.workflow.run import Run


def jobs(tree, *arguments):
    """How many jobs of each rule a dry run plans."""
    done = tree.snakemake(*arguments, "-n", "-q", "host", "reason", "rules")
    assert done.returncode == 0, done.stdout
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.M)}


def test_a_run_leaves_the_page(finished):
    plan = finished.plan()
    page = Products(plan).page.read_text(encoding="utf-8")
    assert all(f'id="experiment-{name}"' in page for name in plan.study.experiments)
    assert all(cell.key in page for cell in plan.cells)


def test_the_page_alone_is_written_again_if_it_is_gone(tree):
    Products(tree.plan()).page.unlink()
    assert jobs(tree, "report") == {"report": 1, "total": 1}


def test_a_verification_is_shown_by_the_next_page_and_starts_nothing_else(tree):
    results = tree.plan().results.root
    Canvas(results, results).table("verification", pd.DataFrame({"cell": ["a"], "verdict": ["agrees"]}), "Again.")
    assert jobs(tree) == {"all": 1, "report": 1, "total": 2}
    tree.run("report")
    assert "agrees" in Products(tree.plan()).page.read_text(encoding="utf-8")
    assert jobs(tree) == {}


def test_a_network_below_its_floor_leaves_a_page_that_says_so(tree, monkeypatch):
    """What Snakemake does at the end of a run in which jobs failed, `onerror`, without the run."""
    monkeypatch.chdir(tree.root)
    tree.edit("accuracy_floor: 0", "accuracy_floor: 1")
    (failing,) = tree.plan().failed  # SimpleConv is not trained, and so never a failed run
    record = tree.plan().results.path(failing)
    kept = record.read_bytes()
    record.unlink()
    preset = Path("config/tiny.yaml")
    run = Run(RunOptions(preset), Jobs.of(Path("specs"), []), Plan(Programme.load(preset)))
    assert (run.plan.failed, failures.commands(run)) == ({}, {})  # the network is still to be trained
    record.write_bytes(kept)  # the heat maps are drawn already
    assert [*failures.commands(run)] == ["specifications", "claims", "overview", "costs", "report"]
    for command in failures.commands(run).values():
        done = CliRunner().invoke(app, shlex.split(command))
        assert done.exit_code == 0, done.output
    page = Products(tree.plan()).page.read_text(encoding="utf-8")
    assert f"AllConvolutional: {failing.key} is a failed run" in page
    assert 'id="experiment-heatmap"' in page
    next(tree.plan().folders.figure_folder("tiny", "heatmap").glob("*.png")).unlink()
    assert next(iter(failures.commands(run))) == "draw/heatmap"
    assert run.closing_lines == [run.plan.anew().failed[failing]]

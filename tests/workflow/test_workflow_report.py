"""The page of the study as a target of the workflow."""

import re

import pandas as pd

from cnn_invariance.plotting import Canvas
from cnn_invariance.workflow.products import Products


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

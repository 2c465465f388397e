"""A thousand cells are planned in seconds."""

import re
import resource

import pandas as pd
import pytest

from cnn_invariance.results import write_measure, write_training
from cnn_invariance.results.measures import SCHEMA

SEEDS = 250


@pytest.fixture
def large(empty):
    empty.edit("seeds: [0]", f"seeds: {list(range(SEEDS))}")
    empty.edit("compare_models: {}", f"compare_models: {{seeds: {SEEDS}}}")
    return empty


def dry_run(tree):
    """The count of each kind of job, and the processor time of the dry run in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = tree.snakemake("-n", "-q", "host", "reason", "rules")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout
    counts = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, re.M))
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {name: int(count) for name, count in counts.items()}, seconds


def test_a_thousand_missing_cells(large):
    counts, seconds = dry_run(large)
    assert counts["train"] + counts["measure"] >= 1000
    assert seconds < 30  # processor time on any machine, others busy: a guard of how planning grows, no measurement


def test_a_thousand_cached_cells_are_checked_too(large):
    plan = large.plan()
    rows = [
        {"layer_index": 1 + k // 100, "layer": f"conv{k // 100}", "kind": "Conv2d", "measure": "NV",
         "map": k % 100 or None, "value": k / 7}
        for k in range(4000)
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=SCHEMA.names)
    for network in plan.networks:
        write_training(plan.results.path(network), network, {"history": [{"loss": 1.5}] * 40}, {})
    for cell in plan.measurements:
        write_measure(plan.results.path(cell), cell, frame, [0.5] * 25, {})
    counts, seconds = dry_run(large)
    names = ("draw_compare_models", "draw_heatmap", "claims", "specifications", "costs", "overview", "report")
    assert counts == dict.fromkeys(names, 1) | {"all": 1, "total": 8}
    assert seconds < 30

"""Costs of measured cells, and what they say about missing ones."""

import json

import pytest

from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.results import Results, write_training
from cnn_invariance.study import Recipe, TrainSpec
from cnn_invariance.workflow import costs, status
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from helpers_study import TINY, cell, network


def recipe(epochs: int) -> Recipe:
    return Recipe(learning_rate=5e-4, epochs=epochs, epoch_samples=1000)


def written(results: Results, spec: TrainSpec, seconds: float) -> TrainSpec:
    write_training(results.path(spec), spec, {}, {"wall_s": seconds, "cpu": "A", "peak_memory_bytes": 2**30})
    return spec


def test_a_missing_cell_is_estimated_from_the_measured_ones_most_like_it(tmp_path):
    results = Results(tmp_path)
    known = [written(results, network(recipe=recipe(10), seed=seed), 20.0 + seed) for seed in range(3)]
    rates = costs.Rates.measured(results, [*known, network(recipe=recipe(11))])
    assert rates.cells == 3
    assert rates.estimate(network(recipe=recipe(30))) == pytest.approx(63)
    other = network(recipe=recipe(30)).model_copy(update={"model": known[0].model.model_copy(update={"name": "Other"})})
    assert rates.estimate(TrainSpec(**other.model_dump())) == pytest.approx(63)  # of the stage
    assert rates.estimate(cell()) is None
    assert rates.estimate(network()) is None  # of all samples, nothing was measured
    assert rates.total([network(recipe=recipe(30)), network(recipe=recipe(10))]) == pytest.approx(84)
    assert rates.total([network(recipe=recipe(30)), cell()]) is None


def test_the_work_of_a_cell():
    assert network(recipe=recipe(10)).work == 10_000
    assert network(recipe=recipe(0)).work == 1
    assert cell().work == 200 * 13


def test_the_table_sums_cells_of_a_kind(tmp_path):
    results = Results(tmp_path)
    known = [written(results, network(recipe=recipe(10), seed=seed), 20.0 + seed) for seed in range(3)]
    frame = costs.table(results, [*known, cell()])
    (row,) = frame.to_dict("records")
    assert (row["stage"], row["network"], row["device"], row["cells"]) == ("train", "SimpleConv", "A", 3)
    assert (row["mean_s"], row["total_s"], row["peak_memory_gib"]) == (21, 63, 1)


def test_the_plan_says_how_long_it_will_take(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    plan = Plan(Programme.load(tmp_path / "tiny.yaml"), Folders(results=tmp_path / "results"))
    assert "no estimate of the time: nothing like the missing cells was computed yet" in status.of_plan(plan)
    (asked,) = plan.networks
    written(plan.results, asked, 100.0)
    assert json.loads(plan.results.path(asked).read_text(encoding="utf-8"))["provenance"]["wall_s"] == 100
    rates = costs.Rates.measured(plan.results, plan.cells)
    assert rates.total([asked]) == pytest.approx(100)


def test_the_estimate_is_by_every_result_there_is(tmp_path):
    """Of another preset, of no cell of any, and damaged ones, which count for nothing."""
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    plan = Plan(Programme.load(tmp_path / "tiny.yaml"), Folders(results=tmp_path / "results"))
    (asked,) = plan.networks
    other = asked.model_copy(update={"seed": 77})
    written(plan.folders.cells("other"), other, 50.0)
    assert costs.Rates.known(plan).estimate(asked) == pytest.approx(50)
    assert costs.Rates.known(plan).cells == 1
    assert "for 1 of 2 missing cells one after the other" in "\n".join(status.of_plan(plan))
    assert "nothing like the others (measure cells) was computed yet" in "\n".join(status.of_plan(plan))
    (plan.folders.cells("other").path(other)).write_text("{}")
    assert costs.Rates.known(plan).cells == 0
    written(plan.folders.cells("other"), other, 50.0)
    written(plan.results, asked, 20.0)
    assert costs.Rates.known(plan).estimate(asked) == pytest.approx(20)  # its own before another's
    assert costs.Rates.known(plan, "A").cells == 2
    assert costs.Rates.known(plan, "B").cells == 0

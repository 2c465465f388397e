"""Which cells a campaign computes first, which it leaves, and that the time is kept."""

import sys
import time

import pytest
import yaml

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.study import MeasureSpec, TrainSpec
from cnn_invariance.workflow import campaign
from cnn_invariance.workflow.campaign import Step, affordable, order
from cnn_invariance.workflow.costs import Rates
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from helpers_experiments import PRESET

NOTHING_KNOWN = Rates({}, 0)
EXPERIMENTS = {
    "random_initialization": {"seeds": 3},
    "heatmap": {"models": ["SimpleConv"], "transformation_sets": ["scale"]},
    "compare_models": {},
}


@pytest.fixture
def plan(tmp_path) -> Plan:
    path = tmp_path / "preset.yaml"
    path.write_text(yaml.safe_dump(PRESET | {"experiments": EXPERIMENTS}), encoding="utf-8")
    return Plan(Programme.load(path), Folders(results=tmp_path / "results"))


def test_what_completes_experiments_soonest_comes_first(plan):
    cells = [step.cell for step in order(plan, NOTHING_KNOWN)]
    assert len(cells) == len(set(cells)) == len(plan.cells)
    first = set(plan.study.cells["heatmap"])  # the fewest cells
    assert first | {cell.network for cell in first} == set(cells[:4])
    finished = {name: max(cells.index(cell) for cell in plan.study.cells[name]) for name in plan.study.experiments}
    assert finished["heatmap"] < finished["compare_models"] < finished["random_initialization"]


def test_one_seed_comes_before_many_and_networks_before_what_measures_them(plan):
    cells = [step.cell for step in order(plan, NOTHING_KNOWN)]
    seeds = [cell.seed if isinstance(cell, TrainSpec) else cell.network.seed for cell in cells]
    assert seeds == sorted(seeds)
    for cell in cells:
        if isinstance(cell, MeasureSpec):
            assert cells.index(cell.network) < cells.index(cell)


def test_measured_costs_decide(plan):
    slow = {("train", "some", "AllConvolutional"): 1.0}
    whole = {("train", "all"): 1.0, ("measure", "some"): 0.0}
    steps = order(plan, Rates(whole | slow, 5))
    assert steps[0].seconds > 0
    assert sum(step.seconds for step in steps) < campaign.UNKNOWN * len(steps)


def test_what_does_not_fit_is_passed_over_with_all_that_needs_it(plan):
    network = plan.networks[0]
    measured = next(cell for cell in plan.measurements if cell.network == network)
    other = plan.networks[1]
    steps = [Step(network, 100.0), Step(measured, 1.0), Step(other, 20.0)]
    assert affordable(steps, 50, at_once=2) == [other]
    assert affordable(steps, 101, at_once=2) == [network, measured, other]
    assert affordable(steps, 101, at_once=1) == [network, measured]  # 20 s are not left
    assert affordable(steps, 0.5, at_once=8) == []


def test_a_command_is_stopped_when_the_time_is_over(tmp_path, monkeypatch):
    monkeypatch.setattr(campaign, "PATIENCE", 0.3)
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    started = time.monotonic()
    campaign._until([sys.executable, "-c", stubborn], started + 1.0)
    assert time.monotonic() - started < 20


def test_a_budget_must_be_positive(plan):
    with pytest.raises(InputError, match="expected minutes above 0"):
        campaign.run(lambda: plan, 0, 2)


def test_nothing_is_started_that_cannot_end_in_time(plan, monkeypatch):
    said = []
    monkeypatch.setattr(campaign, "_until", lambda command, end: pytest.fail("started something"))
    assert campaign.run(lambda: plan, 0.5, 2, say=said.append) == []
    (line,) = said
    assert "none of them fits into the 30 s that are left" in line


def test_what_a_killed_campaign_computed_is_packed_by_the_next(plan, tmp_path, monkeypatch):
    journal = tmp_path / "archives" / "some.unpacked"
    there: set = set()
    monkeypatch.setattr(type(plan.results), "has", lambda self, cell: cell in there)
    monkeypatch.setattr(campaign.Rates, "measured", lambda results, cells: NOTHING_KNOWN)
    old, of_killed, of_next = plan.networks[:3]
    there.add(old)

    def killed(command, end):
        there.add(of_killed)
        raise KeyboardInterrupt

    monkeypatch.setattr(campaign, "_until", killed)
    with pytest.raises(KeyboardInterrupt):
        campaign.run(lambda: plan, 60, 2, say=lambda line: None, journal=journal)
    monkeypatch.setattr(campaign, "_until", lambda command, end: there.add(of_next))
    assert campaign.run(lambda: plan, 60, 2, say=lambda line: None, journal=journal) == [of_killed, of_next]


def test_on_a_gpu_no_more_cells_run_at_once_than_the_preset_says(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(campaign, "gpus", lambda: 1)
    commands = []
    monkeypatch.setattr(campaign, "_until", lambda command, end: commands.append(command))
    campaign.run(lambda: plan, 60, 16, say=lambda line: None)
    targets = [command[command.index("--") + 1 :] for command in commands]
    assert plan.study.preset.cells_per_gpu == 1  # if the preset says nothing
    assert {len(some) for some in targets[:-1]} == {4}  # rounds of four for each that runs at once

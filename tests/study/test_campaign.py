"""Which cells a campaign computes first, which it leaves, and that the time is kept."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from cnn_invariance.errors import FailedError, InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.storage import locks
from cnn_invariance.study import MeasureSpec, TrainSpec
from cnn_invariance.workflow import campaign, running
from cnn_invariance.workflow.campaign import Campaign, Step, affordable, order
from cnn_invariance.workflow.costs import Rates
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.parts import Part
from cnn_invariance.workflow.plan import Plan
from helpers_experiments import PRESET

NOTHING_KNOWN = Rates({}, 0)
EXPERIMENTS = {
    "random_initialization": {"seeds": 3},
    "heatmap": {"models": ["SimpleConv"], "transformation_sets": ["scale"]},
    "compare_models": {},
}


@pytest.fixture
def planned(tmp_path):
    """The plan of some experiments, in folders where nothing is."""

    def make(experiments) -> Plan:
        path = tmp_path / "preset.yaml"
        path.write_text(yaml.safe_dump(PRESET | {"experiments": experiments}), encoding="utf-8")
        return Plan(Programme.load(path), Folders(models=tmp_path / "models", results=tmp_path / "results"))

    return make


@pytest.fixture
def plan(planned) -> Plan:
    return planned(EXPERIMENTS)


def campaign_of(minutes, cores=2, **changes) -> Campaign:
    return Campaign(minutes, cores, **{"say": lambda line: None, **changes})


def test_what_completes_experiments_soonest_comes_first(plan):
    cells = [step.cell for step in order(plan, NOTHING_KNOWN)]
    assert len(cells) == len(set(cells)) == len(plan.cells)
    first = set(plan.study.cells["random_initialization"])  # the only one with a primary claim
    first |= {cell.network for cell in first}
    assert first == set(cells[: len(first)])
    finished = {name: max(cells.index(cell) for cell in plan.study.cells[name]) for name in plan.study.experiments}
    assert finished["random_initialization"] < finished["compare_models"]
    assert finished["heatmap"] < finished["compare_models"]  # of the others, what is complete soonest


def test_of_primary_claims_the_cheapest_to_complete_comes_first(planned):
    plan = planned({"random_initialization": {"seeds": 5}, "augmentation_intensity": {"seeds": 1}, "heatmap": {}})
    cells = [step.cell for step in order(plan, NOTHING_KNOWN)]
    finished = {name: max(cells.index(cell) for cell in plan.study.cells[name]) for name in plan.study.experiments}
    assert finished["augmentation_intensity"] < finished["random_initialization"] < finished["heatmap"]


def test_one_seed_comes_before_many_and_networks_before_what_measures_them(plan, planned):
    for chosen in (plan, planned({"random_initialization": {"seeds": 3}})):
        cells = [step.cell for step in order(chosen, NOTHING_KNOWN)]
        for cell in cells:
            if isinstance(cell, MeasureSpec):
                assert cells.index(cell.network) < cells.index(cell)
    seeds = [cell.network.seed for cell in cells]
    assert seeds == sorted(seeds)
    assert len(set(seeds)) == 3


def test_of_one_seed_the_network_that_most_cells_need_comes_first(planned):
    """A second experiment, which takes longer and so comes later, measures some networks of the first, too."""
    plan = planned({"activation_function": {"seeds": 1}, "dataset_subset": {"seeds": 5}})
    networks = [step.cell for step in order(plan, NOTHING_KNOWN) if isinstance(step.cell, TrainSpec)]
    networks = networks[: len({cell.network for cell in plan.study.cells["activation_function"]})]
    needed = [sum(network in cell.needs for cell in plan.cells) for network in networks]
    assert needed == sorted(needed, reverse=True)
    assert len(set(needed)) > 1


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
        campaign.run(lambda: plan, campaign_of(0))


def test_nothing_is_started_that_cannot_end_in_time(plan, monkeypatch):
    said = []
    monkeypatch.setattr(campaign, "_until", lambda *started: pytest.fail("started something"))
    assert campaign.run(lambda: plan, campaign_of(0.5, say=said.append)) == ([], [])
    *designs, last = said
    assert "none of them fits into the 30 s that are left" in last
    networks = sum(cell.model.name == "SimpleConv" for cell in plan.networks)
    said_of = f"not started: mnist5k-SimpleConv, {networks} networks of 1 min 0 s or more"
    assert any(line.startswith(said_of) for line in designs)


def test_what_a_killed_campaign_computed_is_packed_by_the_next(plan, tmp_path, monkeypatch):
    journal = tmp_path / "archives" / "some.unpacked"
    there: set = set()
    monkeypatch.setattr(type(plan.results), "has", lambda self, cell: cell in there)
    monkeypatch.setattr(campaign, "known", lambda plan: NOTHING_KNOWN)
    old, of_killed, of_next = plan.networks[:3]
    there.add(old)

    def killed(command, end, handles):
        there.add(of_killed)
        raise KeyboardInterrupt

    monkeypatch.setattr(campaign, "_until", killed)
    with pytest.raises(KeyboardInterrupt):
        campaign.run(lambda: plan, campaign_of(60, journal=journal))
    monkeypatch.setattr(campaign, "_until", lambda *started: there.add(of_next))
    assert campaign.run(lambda: plan, campaign_of(60, journal=journal)).new == [of_killed, of_next]


def test_a_journal_of_another_folder_hides_nothing_that_is_computed_here(plan, tmp_path, monkeypatch):
    """It came with archives from another machine, names what that one has, and is cut in the middle of a letter."""
    journal = tmp_path / "some.unpacked"
    old, new = plan.networks[:2]
    journal.write_bytes(f"{old.key}\n{new.key}\n".encode() + b"\xc3")
    there: set = {old}
    monkeypatch.setattr(type(plan.results), "has", lambda self, cell: cell in there)
    monkeypatch.setattr(campaign, "known", lambda plan: NOTHING_KNOWN)
    monkeypatch.setattr(campaign, "_until", lambda *started: there.add(new))
    assert campaign.run(lambda: plan, campaign_of(60, journal=journal)).new == [new]


HELD = """
import sys, time
from cnn_invariance.storage.locks import locked
from pathlib import Path
with locked(Path(sys.argv[1]), "a campaign in this folder", "wait"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("folder", ["models", "results/synthetic"])
def test_two_campaigns_in_one_folder_are_refused_until_the_first_is_dead(plan, tmp_path, monkeypatch, folder):
    monkeypatch.setattr(campaign, "_until", lambda *started: None)
    lock = tmp_path / folder / ".campaign.lock"
    with subprocess.Popen([sys.executable, "-c", HELD, str(lock)], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=rf"a campaign in this folder is running already \(process {other.pid}\)"):
            campaign.run(lambda: plan, campaign_of(60))
        other.kill()
    assert campaign.run(lambda: plan, campaign_of(60)).new == []


def test_what_a_killed_campaign_started_still_holds_its_lock(tmp_path):
    """Its Snakemake goes on for a while when the campaign alone is killed: no cell is computed twice."""
    lock = tmp_path / "lock"
    starts = HELD.replace(
        'with locked(Path(sys.argv[1]), "a campaign in this folder", "wait"):',
        'import subprocess\nwith locked(Path(sys.argv[1]), "a campaign", "wait") as lock:\n'
        '    child = subprocess.Popen(["sleep", "60"], pass_fds=[lock.handle], stdout=subprocess.DEVNULL)\n'
        "    print(child.pid, flush=True)",
    )
    with subprocess.Popen([sys.executable, "-c", starts, str(lock)], stdout=subprocess.PIPE) as first:
        child = int(first.stdout.readline())
        first.kill()
    assert not locks.is_free(lock)
    first.wait()
    with pytest.raises(
        InputError, match=rf"\(process {first.pid}, which is dead, and of which a process that it started"
    ):
        locks.locked(lock, "a campaign", "wait").__enter__()
    os.kill(child, signal.SIGKILL)
    ended = time.monotonic() + 10
    while not locks.is_free(lock) and time.monotonic() < ended:
        time.sleep(0.05)
    assert locks.is_free(lock)


def test_a_full_disk_ends_a_campaign_with_a_message_and_keeps_what_is_there(plan, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2**40, 2**40 - 2**20, 2**20))
    monkeypatch.setattr(campaign, "_until", lambda *started: pytest.fail("started something"))
    with pytest.raises(
        FailedError, match=r"models, .*: 1.0 MiB free on the disk, and a campaign needs 256.0 MiB; make"
    ):
        campaign.run(lambda: plan, campaign_of(60))


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_parts_never_overlap_and_together_are_everything(preset):
    plan = Plan(Programme.load(Path(__file__).parents[2] / "config" / f"{preset}.yaml"))
    parts = [Part(number, 5) for number in range(1, 6)]
    shares = [set(part.of(plan.cells)) for part in parts]
    assert sum(map(len, shares)) == len(plan.cells) == len(set().union(*shares))
    for share in shares:
        assert share.issuperset(need for cell in share for need in cell.needs)
    assert all(len(share) > len(plan.cells) / 15 for share in shares)
    ordered = [[step.cell for step in order(plan, NOTHING_KNOWN, part)] for part in parts]
    missing = {cell for cell in plan.cells if not plan.results.has(cell) and cell.network not in plan.failed}
    assert sorted(cell.key for cells in ordered for cell in cells) == sorted(cell.key for cell in missing)


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "2/", "a/b", "-1/2", "1/0", "1.5/2", ""])
def test_a_part_that_is_none_is_refused(text):
    with pytest.raises(InputError, match="expected a part such as 2/5"):
        Part.read(text)


def test_on_a_gpu_no_more_cells_run_at_once_than_the_preset_says(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(campaign, "gpus", lambda: 1)
    commands = []
    monkeypatch.setattr(campaign, "_until", lambda command, end, handles: commands.append(command))
    campaign.run(lambda: plan, campaign_of(60, 16))
    targets = [command[command.index("--") + 1 :] for command in commands]
    assert plan.study.preset.cells_per_gpu == 1  # if the preset says nothing
    assert {len(some) for some in targets[:-1]} == {4}  # rounds of four for each that runs at once


def test_cells_that_fail_are_named_with_the_end_of_their_log(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Snakefile").touch()
    monkeypatch.setattr(campaign, "known", lambda plan: NOTHING_KNOWN)
    monkeypatch.setattr(campaign, "_until", lambda *started: 1)
    said: list[str] = []
    first, second = [cell for cell in plan.networks if cell.model.name == "SimpleConv"][:2]
    log = tmp_path / "logs" / plan.study.name / "train" / f"{first.key}.log"
    log.parent.mkdir(parents=True)
    log.write_text("epoch 1/2\nValueError: boom\n\n", encoding="utf-8")
    done = campaign.run(lambda: plan, campaign_of(60, say=said.append))
    assert done.new == []
    assert {first, second} <= set(done.failed)
    assert f"{first.key} failed: ValueError: boom ({log.relative_to(tmp_path)})" in said
    assert f"{second.key} was not computed: it has no log" in said


def test_a_campaign_takes_the_snakefile_of_the_checkout_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert running.found_snakefile() == Path(__file__).parents[2] / "Snakefile"
    monkeypatch.setattr(running, "CHECKOUT", tmp_path)
    with pytest.raises(InputError, match="expected a Snakefile in the current folder or the checkout"):
        running.found_snakefile()
    (tmp_path / "workflow").mkdir()
    (tmp_path / "workflow" / "Snakefile").touch()
    assert running.found_snakefile() == Path("workflow/Snakefile")

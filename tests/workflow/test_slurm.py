"""The profile for Slurm: what its jobs ask for, and a run through a real Slurm of one node."""

import importlib.util
import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from cnn_invariance.results import write_training
from helpers_slurm import Cluster, NoSlurmError, cluster

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("snakemake_executor_plugin_slurm") is None,
    reason="snakemake-executor-plugin-slurm is not installed: make install-slurm",
)
PROFILE = ("--workflow-profile", "profiles/slurm")
QUICKLY = (
    *("--slurm-status-command", "squeue"),  # this Slurm keeps no accounts
    *("--slurm-init-seconds-before-status-checks", 1, "--seconds-between-status-checks", 1),
)


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    try:
        with cluster() as running:
            yield running
    except NoSlurmError as error:
        pytest.skip(str(error))


def asked(tree, *arguments):
    """What the dry run of the profile says that the jobs ask for: (minutes, megabytes, GPUs) by job."""
    said = tree.snakemake("-n", *PROFILE, *arguments).stdout
    found = re.findall(r"^Job \d+: (.*) \(asks for (\d+) min, (\d+) MB, (\d+) GPU\)$", said, re.M)
    return {job: (int(minutes), int(megabytes), int(gpus)) for job, minutes, megabytes, gpus in found}


def test_a_dry_run_says_what_each_job_asks_for(empty):
    plan = empty.plan()
    jobs = [f"Train {network.key}" for network in plan.networks]
    jobs += [f"Measure {cell.key}" for cell in plan.measurements]
    assert asked(empty) == dict.fromkeys(jobs, (60, 8000, 0)), "nothing was measured yet"
    assert asked(empty, "--default-resources", "gpu=1") == dict.fromkeys(jobs, (60, 8000, 1))


def test_measured_costs_are_asked_for_and_a_rule_can_be_given_more(empty):
    empty.edit("seeds: [0]", "seeds: [0, 1]")
    empty.edit("compare_models: {}", "compare_models: {seeds: 2}")
    plan = empty.plan()
    known, like_it = (network for network in plan.networks if network.recipe.epochs)
    cost = {"wall_s": 600, "peak_memory_bytes": 4 * 10**9, "device": "cpu"}
    write_training(plan.results.path(known), known, {}, cost)
    job = f"Train {like_it.key}"
    assert asked(empty)[job] == (31, 6600, 0)
    assert asked(empty, "--set-resources", "train:runtime=90", "train:mem_mb=3000")[job] == (90, 3000, 0)
    assert asked(empty, "--default-resources", "gpu=1")[job] == (60, 8000, 1), "the other was not trained on a GPU"


def test_a_killed_training_goes_on_with_more_time_and_memory(empty, slurm):
    """From nothing to a measure, on a GPU that is none, with a training that the scheduler ends once."""
    empty.edit("epochs: 1}", "epochs: 25}")
    empty.edit("augmentation_epochs: same", "epoch_samples: 500")
    plan = empty.plan()
    (cell,) = (each for each in plan.measurements if each.network.recipe.epochs)
    target = plan.results.path(cell).relative_to(empty.root)
    with ThreadPoolExecutor(1) as pool:
        arguments = (target, *PROFILE, *QUICKLY, "--default-resources", "gpu=1")
        run = pool.submit(empty.snakemake, *arguments, environment=slurm.environment, timeout=400)
        _cancel_after_an_epoch(slurm, plan.folders.state(cell.network), run)
        done = run.result()
    assert done.returncode == 0, done.stdout
    plan.check()
    assert plan.results.has(cell)
    assert plan.results.provenance(cell.network)["resumed_after"], "it started again from nothing"
    jobs = slurm.jobs()
    assert [job["Comment"].split("_wildcards_")[0] for job in jobs] == ["rule_train", "rule_train", "rule_measure"]
    assert [job["JobState"] for job in jobs] == ["CANCELLED", "COMPLETED", "COMPLETED"]
    assert [job["TimeLimit"] for job in jobs] == ["01:00:00", "02:00:00", "01:00:00"]
    assert [job["MinMemoryNode"] for job in jobs] == ["8000M", "16000M", "8000M"]
    assert {job["TresPerJob"] for job in jobs} == {"gres:gpu:1"}
    assert (empty.root / "data" / "mnist5k.npz").is_file(), "and no job of Slurm prepared it"


def _cancel_after_an_epoch(slurm: Cluster, state, run: Future) -> None:
    """End the one job that runs, as the scheduler does when its time is over, once it has something to go on from."""
    while not state.exists():
        assert not run.done(), run.result().stdout
        time.sleep(0.02)
    (job,) = (job["JobId"] for job in slurm.jobs() if job["JobState"] == "RUNNING")
    slurm.ask("scancel", job)

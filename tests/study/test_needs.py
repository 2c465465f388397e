"""What the job of a cell asks a scheduler for."""

import math
from pathlib import Path

import pytest

from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.results import Results, write_training
from cnn_invariance.study import Recipe, TrainSpec
from cnn_invariance.workflow import resources
from cnn_invariance.workflow.costs import Rates
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.resources import Resources, megabytes, minutes
from helpers_study import TINY

PRESET = TINY.replace("compare_models: {}", "compare_models: {seeds: 2}")
UNKNOWN = (60, 8000)


@pytest.fixture
def plan(tmp_path, monkeypatch) -> Plan:
    """A study beside the folders of a checkout, in which nothing was computed."""
    monkeypatch.chdir(tmp_path)
    return Plan(Programme.load(written("tiny")), Folders())


def written(name: str) -> Path:
    """The preset, under a name."""
    path = Path("config") / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(PRESET.replace("tiny", name), encoding="utf-8")
    return path


def computed(results: Results, network: TrainSpec, seconds: float, peak: float, device: str = "cpu") -> None:
    made = {"wall_s": seconds, "peak_memory_bytes": int(peak), "device": device}
    write_training(results.path(network), network, {}, made)


def asked(plan: Plan, attempt: int = 1, **options: bool) -> tuple[int, int]:
    """The minutes and megabytes that the plan's last network asks for."""
    one = Resources(plan, **options)
    wildcards = [plan.networks[-1].key]
    return one.runtime(wildcards, attempt), one.mem_mb(wildcards, attempt)


@pytest.mark.parametrize("seconds", [0.0, 60.0, 700.0, 5000.0])
def test_time_has_a_margin_a_floor_and_a_cap_and_doubles(seconds):
    first = minutes(seconds, 1)
    assert first == max(10, math.ceil((60 + 3 * seconds) / 60))
    assert minutes(seconds, 2) == min(1440, math.ceil(2 * max(600, 60 + 3 * seconds) / 60))
    assert minutes(seconds, 12) == 24 * 60


@pytest.mark.parametrize("peak", [10**6, 1_000_000_000, 5_000_000_000])
def test_memory_has_a_margin_a_floor_and_a_cap_and_doubles(peak):
    first = megabytes(peak, 1)
    assert first == max(2000, 600 + 1.5 * peak / 10**6)
    assert [megabytes(peak, attempt) for attempt in (2, 3)] == [2 * first, 4 * first]
    assert megabytes(peak, 12) == 64_000


def test_more_is_asked_for_what_took_more():
    assert minutes(900, 1) < minutes(901, 1)
    assert megabytes(2 * 10**9, 1) < megabytes(2 * 10**9 + 10**6, 1)


def test_what_nothing_is_known_about_asks_for_an_hour_and_grows(plan):
    assert asked(plan) == UNKNOWN
    assert asked(plan, attempt=2) == (120, 16_000)


def test_a_cell_asks_for_what_cells_like_it_took(plan):
    computed(plan.results, plan.networks[0], seconds=600, peak=3e9)
    longer = plan.networks[-1].recipe.epochs / plan.networks[0].recipe.epochs
    assert asked(plan) == (math.ceil(1 + 30 * longer), 5100)
    assert asked(plan, attempt=2) == (math.ceil(2 + 60 * longer), 10_200)


def test_what_ran_without_a_gpu_says_nothing_about_a_job_on_one(plan):
    computed(plan.results, plan.networks[0], seconds=600, peak=3e9)
    assert asked(plan, gpu=True) == UNKNOWN
    computed(plan.results, plan.networks[1], seconds=60, peak=6e9, device="cuda")
    assert asked(plan, gpu=True)[1] == 9600
    assert asked(plan)[1] == 5100


def test_the_time_of_untrained_networks_says_nothing_about_trained_ones(plan):
    network = plan.networks[0]
    untrained = network.model_copy(update={"recipe": Recipe(learning_rate=1, epochs=0)})
    computed(plan.results, TrainSpec(**untrained.model_dump()), seconds=3, peak=1e9)
    rates = Rates.measured(plan.results, [TrainSpec(**untrained.model_dump())])
    assert rates.cells == 1
    assert rates.estimate(network) is None


def test_results_of_other_presets_are_the_fallback_and_the_own_ones_come_first(plan):
    written("other")
    computed(Folders().cells("other"), plan.networks[0], seconds=600, peak=3e9)
    assert asked(plan)[1] == 5100
    computed(plan.results, plan.networks[0], seconds=600, peak=2e9)
    assert asked(plan)[1] == 3600


def test_a_run_in_another_results_folder_knows_what_the_usual_one_has(plan):
    computed(plan.results, plan.networks[0], seconds=600, peak=3e9)
    assert asked(Plan(plan.study, Folders(results=plan.folders.results / "elsewhere")))[1] == 5100


def test_a_preset_that_is_not_in_order_tells_nothing(plan):
    computed(Folders().cells("broken"), plan.networks[0], seconds=600, peak=3e9)
    Path("config/broken.yaml").write_text("name: broken\n", encoding="utf-8")
    assert asked(plan) == UNKNOWN
    written("broken")
    assert asked(plan)[1] == 5100
    Folders().cells("broken").path(plan.networks[0]).write_text("{}", encoding="utf-8")
    assert asked(plan) == UNKNOWN


def test_a_job_on_its_node_reads_no_results(plan, monkeypatch):
    monkeypatch.setattr(resources.Rates, "measured", lambda *_: pytest.fail("results were read"))
    one = Resources(None)
    assert (one.runtime([plan.networks[-1].key], 1), one.mem_mb([plan.networks[-1].key], 1)) == UNKNOWN

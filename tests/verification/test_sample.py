"""Which cells a verification draws: at random, by seed, from every kind and experiment, within the time."""

from dataclasses import replace
from itertools import chain
from types import SimpleNamespace

import pytest

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.verification import Verification
from cnn_invariance.verification.run import VerificationRun
from cnn_invariance.verification.sample import draw
from cnn_invariance.verification.sampling import Sampling
from cnn_invariance.workflow.costs import Rates
from cnn_invariance.workflow.plan import Plan
from helpers_study import started
from helpers_verification import rewrite

LAPTOP = Plan(Programme.load("config/laptop.yaml"))
LAPTOP.__dict__["results"] = SimpleNamespace(has=lambda cell: True)  # as if all were computed
TRAINING = {("train", extent): 1e-3 for extent in ("some", "all")}
RATES = Rates({**TRAINING, ("train", "none"): 1.0, ("measure", "some"): 1e-3, ("respond", "some"): 1.0}, 5)


def drawn(cells=12, seed=0, minutes=1e6, plan=LAPTOP):
    return draw(plan, RATES, Sampling(cells, seed, minutes))


def seconds(cells):
    """Of the cells and what they need, each once."""
    return RATES.total(list(dict.fromkeys(chain.from_iterable((*cell.needs, cell) for cell in cells))))


def test_the_draw_is_random_by_its_seed():
    assert drawn() == drawn()
    assert len(set(drawn())) == 12
    assert set(drawn(seed=1)) != set(drawn(seed=2))


def test_every_kind_and_every_experiment_has_its_share():
    assert {cell.stage for cell in drawn(3)} == {"train", "measure", "respond"}
    many = drawn(60)
    covered = set(chain.from_iterable(LAPTOP.users[cell] for cell in many))
    assert covered == set(LAPTOP.study.experiments)
    assert {cell.network.dataset.name for cell in many} == set(LAPTOP.study.datasets)


def test_the_time_is_kept_and_used():
    for minutes in (1, 3, 10):
        few = drawn(1000, minutes=minutes)
        assert 0.8 * 60 * minutes < seconds(few) <= 60 * minutes
    assert len(drawn(1000, minutes=3)) < len(drawn(1000, minutes=10))


def test_cells_that_share_a_network_fill_what_is_left_of_the_time():
    cells = drawn(1000, minutes=3)
    alone = sum(seconds([cell]) for cell in cells)
    assert alone > 2 * seconds(cells)


def test_only_what_is_cached_is_drawn(tmp_path):
    empty = Verification(replace(LAPTOP, folders=replace(LAPTOP.folders, results=tmp_path)))
    with pytest.raises(InputError, match="no results to verify; compute them first"):
        _ = empty.chosen


def test_too_little_time_is_refused_before_any_job(done):
    hasty = Verification(done.plan, Sampling(12, 0, 1e-9))
    with pytest.raises(InputError, match=r"the cheapest takes about \d+ s: give more with --config verify_minutes="):
        _ = hasty.cells


def test_what_other_code_left_beside_the_cache_is_refused_before_any_job(done, cell):
    done.check_code()
    rewrite(done.beside.results, cell, made={"commit": "a" * 40})
    with pytest.raises(InputError, match=f"was computed by commit {'a' * 40}, and this is {'c' * 40}: delete the fol"):
        done.check_code()


def test_results_are_written_beside_the_cache_only(done):
    cache, beside = done.plan.folders, done.beside.folders
    assert beside.data == cache.data
    assert cache.verification in beside.results.parents
    assert cache.verification in beside.models.parents


@pytest.mark.parametrize(
    "options",
    [
        {"verify_cells": 0},
        {"verify_cells": 2.5},
        {"verify_cells": "many"},
        {"verify_cells": True},
        {"verify_seed": -1},
        {"verify_minutes": 0},
        {"verify_minutes": "long"},
        {"verify_minutes": float("inf")},
    ],
)
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(
        InputError, match="expected verify_cells of at least 1 and verify_seed of at least 0, both whole"
    ):
        Sampling.of_run(options)


def test_options_of_a_run_are_those_of_the_command():
    run = started("config/quick.yaml", verify_cells=3, verify_minutes=2.5)
    again = VerificationRun(run, Sampling.of_run(run.options.others))
    assert again.sampling == Sampling(3, 0, 2.5)
    assert again.command_options == "--preset config/quick.yaml --cells 3 --seed 0 --minutes 2.5"


def test_a_submitted_job_of_a_verification_reads_its_file_alone(done, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = {f"{name}_dir": name for name in ("data", "results", "verification")}
    run = started("bars.yaml", **folders)
    again = VerificationRun(run, Sampling(2, 0, 1e6))
    again.start()
    assert not (tmp_path / "verification" / "specs").exists(), "no verification was asked for"
    results = again.results()
    again.start()
    (tmp_path / "bars.yaml").write_text("broken: [")
    job = VerificationRun(started("bars.yaml", main=False, **folders), Sampling(2, 0, 1e6))
    for path in results:
        wildcards = SimpleNamespace(cell=path.stem)
        assert (job.folder / f"{path.stem}.json").is_file()
        assert job.inputs(wildcards) == again.inputs(wildcards)
    assert job.results() == []

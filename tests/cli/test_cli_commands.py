"""The commands by hand: one small network from its data to a measured cell, and all errors."""

import json
import re

import pytest
import typer
from typer.testing import CliRunner

from cnn_invariance.cli import app
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan

PIN = "431ccb07ecd1af0274b77e08cda92d8c7c33d4feec3c76007dfacee4ea4406aa"
PRESET = f"""\
name: tiny
description: The smallest study.
datasets:
  mnist5k: {{fingerprint: {PIN}, accuracy_floor: 0}}
models:
  SimpleConv: {{arguments: {{width: 1, dense: 2}}, learning_rate: 1e-3, epochs: 0}}
transformation_sets:
  rotation: {{parameters: {{n: 2, closed: false}}}}
seeds: [0]
samples: {{count: 10}}
measures: [TV, SV, NV, "NV[aggregate=mean]"]
experiments:
  compare_models: {{}}
"""


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A folder where the commands were given one after the other, and what each of them said."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("by_hand")
        patch.chdir(root)
        (root / "tiny.yaml").write_text(PRESET)
        plan = Plan(Programme.load("tiny.yaml"))
        said = {"before": run("plan", "--preset", "tiny.yaml")}
        for stage, key in (
            ("dataset", "mnist5k"),
            ("train", plan.networks[0].key),
            ("measure", plan.measurements[0].key),
            ("draw", "compare_models"),
        ):
            said[stage] = run(stage, key, "--preset", "tiny.yaml")
        said["after"] = run("plan", "--preset", "tiny.yaml", "--cells")
        yield root, said


@pytest.fixture
def here(tree, monkeypatch):
    monkeypatch.chdir(tree[0])
    return Plan(Programme.load("tiny.yaml"))


def test_every_stage_succeeds(tree):
    for stage, done in tree[1].items():
        assert done.exit_code == 0, f"{stage}: {done.output}"


def test_plan_before_and_after(tree, here):
    before, after = (tree[1][name].output.splitlines() for name in ("before", "after"))
    assert before[0] == "tiny.yaml: The smallest study."
    assert [line.split() for line in before[2:5]] == [
        ["cached", "missing"],
        ["networks", "0", "1"],
        ["measure", "cells", "0", "1"],
    ]
    assert before[6].startswith("no estimate of the time: nothing like the missing cells")
    assert before[8:] == [
        "prepare mnist5k: no data/mnist5k.npz",
        f"train {here.networks[0].key}: no record",
        f"measure {here.measurements[0].key}: no result",
    ]
    assert after[3].split() == ["networks", "1", "0"]
    assert after[6] == "nothing to compute: every result is there"
    assert after[8:] == [
        f"network {here.networks[0].key}",
        f"measure cell {here.measurements[0].key}",
    ]


def test_a_report_of_what_is_not_there_yet_is_an_error_and_leaves_no_page(here):
    done = run("report", "--preset", "tiny.yaml")
    assert done.exit_code == 2
    assert done.output.startswith("error: results/tiny/claims.json is missing; `snakemake report` draws")
    assert not here.folders.page(here.study.name).exists()


def test_a_report_goes_where_it_is_told(here, tmp_path):
    for command in (["claims", "--specifications"], ["claims"], ["overview"], ["costs"]):
        assert run(*command, "--preset", "tiny.yaml").exit_code == 0
    done = run("report", "--preset", "tiny.yaml", "--output", tmp_path / "new" / "page.html")
    assert done.exit_code == 0, done.output
    assert "compare models" in (tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    assert not here.folders.page(here.study.name).exists()


def test_the_record_says_how_it_was_made(here):
    (network,) = here.networks
    made = here.results.provenance(network)
    assert made["device"] in {"cpu", "cuda"}
    assert {"torch", "python", "cpu", "started", "wall_s", "peak_memory_bytes"} <= made.keys()
    assert "wall_s" not in here.results.training(network)
    assert here.results.training(network)["accuracies"].keys() == {"train", "validation", "test"}


def test_the_cell_was_measured_on_the_recorded_weights(here):
    (cell,) = here.measurements
    table = here.results.measure(cell)
    recorded = here.results.training(cell.network)["weights_sha256"]
    assert table.provenance["weights_sha256"] == recorded
    assert len(table.accuracy) == 2
    assert set(table.frame["measure"]) == {"TV", "SV", "NV", "NV[aggregate=mean]"}
    assert len(table.profile("NV")) == 17


def test_training_again_keeps_the_record(here):
    (network,) = here.networks
    record, weights = here.results.path(network), here.folders.checkpoint(network)
    before = record.read_bytes(), weights.read_bytes()
    weights.unlink()
    done = run("train", network.key, "--preset", "tiny.yaml", "--threads", 1)
    assert done.exit_code == 0, done.output
    assert record.read_bytes() == before[0]
    assert f"the same weights as in {record}, which stays as it is" in done.stderr
    assert weights.read_bytes() == before[1]


def test_check_of_results(here, tmp_path):
    done = run("results", "check", "--preset", "tiny.yaml")
    assert done.output == "results/tiny: 2 of 2 results are there, all of them whole\n"
    stray = here.results.root / "measures" / "old-0123456789.parquet"
    stray.write_bytes(b"")
    done = run("results", "check", "--preset", "tiny.yaml")
    stray.unlink()
    assert (
        done.output.splitlines()[1]
        == f"{stray}: no cell of this preset, and no spec can be read from it; it is left as it is"
    )


@pytest.mark.parametrize("command", [("plan",), ("results", "check"), ("draw", "compare_models")])
def test_a_damaged_result_is_named(here, command):
    path = here.results.path(here.measurements[0])
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + b"x" + whole[-8:])
    done = run(*command, "--preset", "tiny.yaml")
    path.write_bytes(whole)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {path}: damaged: ")
    assert "Traceback" not in done.output


def test_a_failed_run_keeps_its_record_and_is_judged_anew_by_another_floor(here, tmp_path):
    text = PRESET.replace("accuracy_floor: 0", "accuracy_floor: 1").replace("epochs: 0", "epochs: 1")
    preset = tmp_path / "floor.yaml"
    preset.write_text(text)
    folders = ("--results-dir", tmp_path)
    plan = Plan(Programme.load(preset), Folders(results=tmp_path))
    network = plan.networks[0]
    done = run("train", network.key, "--preset", preset, *folders)
    assert done.exit_code == 0
    failed = f"{network.key} is a failed run: its accuracy on training samples, under its augmentation, is "
    assert failed in done.stderr
    assert "below the floor of 1; its record and weights are kept: lower the accuracy floor" in done.stderr
    assert plan.results.has(network)
    refused = run("measure", next(one.key for one in plan.measurements if one.network == network), "--preset", preset,
                  *folders)  # fmt: skip
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"error: {failed}")
    judged = plan.anew()
    assert list(judged.failed) == [network]
    assert not any(cell.network == network for cell in judged.to_compute)
    assert failed in run("plan", "--preset", preset, *folders).output
    assert f"note: {failed}" in run("results", "check", "--preset", preset, *folders).output
    preset.write_text(text.replace("accuracy_floor: 1", "accuracy_floor: 0"))
    again = Plan(Programme.load(preset), Folders(results=tmp_path))
    assert not again.failed
    assert again.results.has(again.networks[0])
    assert any(cell.network == network for cell in again.to_compute)


def test_data_of_another_fingerprint_is_refused_by_every_stage(here, tmp_path):
    preset, other = tmp_path / "other.yaml", PIN[::-1]
    preset.write_text(PRESET.replace(PIN, other))
    plan = Plan(Programme.load(preset))
    for command in (
        ("plan",),
        ("train", plan.networks[0].key),
        ("dataset", "mnist5k", "--data-dir", tmp_path / "data"),
    ):
        done = run(*command, "--preset", preset)
        assert done.exit_code == 2
        assert PIN in done.stderr
        assert other in done.stderr
    assert not (tmp_path / "data" / "mnist5k.npz").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("train", "mnist5k-SimpleConv"), r"unknown network 'mnist5k-SimpleConv'"),
        (("measure", "x"), r"unknown measure cell 'x'; list all with: cnn-invariance plan --cells"),
        (("draw", "heatmaps"), r"unknown experiment in this preset: 'heatmaps'; allowed: compare_mo"),
        (("dataset", "mnist6k"), r"unknown dataset in this preset: 'mnist6k'; did you mean 'mnist5k'"),
        (("plan", "--preset", "none.yaml"), r"none\.yaml: no such file"),
    ],
)
def test_errors_are_one_plain_line(here, command, message):
    preset = () if "--preset" in command else ("--preset", "tiny.yaml")
    done = run(*command, *preset)
    assert done.exit_code == 2
    assert re.match(f"error: {message}", done.stderr)
    assert done.stdout == ""


def test_debug_shows_where_an_error_came_from(here):
    done = run("--debug", "plan", "--preset", "none.yaml")
    assert done.exception is not None
    assert type(done.exception).__name__ == "InputError"


def test_a_source_that_no_preset_pins_is_prepared_and_its_fingerprint_printed(here, tmp_path):
    done = run("dataset", "mnist5k", "--data-dir", tmp_path)
    assert done.exit_code == 0
    assert f"fingerprint: {PIN}" in done.output
    assert (tmp_path / "mnist5k.npz").is_file()


def test_results_are_json_without_special_numbers(here):
    (network,) = here.networks
    json.loads(here.results.path(network).read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("parameters", "note"),
    [
        (
            "n: 4",
            "note: rotation(n=4, angle_deg=360.0, closed=True): 2 of 4 members are the identity: 3 different maps",
        ),
        ("n: 25", "note: rotation(n=25, angle_deg=360.0, closed=True): 2 of 25 members are the identity: 24 different"),
    ],
)
def test_plan_says_which_members_of_a_set_are_one_map(tmp_path, monkeypatch, parameters, note):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(PRESET.replace("n: 2, closed: false", parameters))
    done = run("plan", "--preset", "tiny.yaml")
    assert done.exit_code == 0, done.output
    assert sum(line.startswith(note) for line in done.output.splitlines()) == 1


@pytest.mark.parametrize("compute", ["missing", "cached"])
@pytest.mark.parametrize("parameters", ["n: 2", "n: 1, closed: false", "n: 9, angle_deg: 0"])
def test_plan_refuses_to_measure_under_one_map_alone(tmp_path, monkeypatch, parameters, compute):
    monkeypatch.chdir(tmp_path)
    text = PRESET.replace("n: 2, closed: false", parameters)
    (tmp_path / "tiny.yaml").write_text(f"{text}\ncompute: {compute}\n")
    done = run("plan", "--preset", "tiny.yaml")
    assert done.exit_code == 2
    assert "one map, and invariance is measured over different ones; expected at least two" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "my.yaml"),
        ("campaign", "my.yaml", "--budget", 1),
        ("results", "check", "my.yml"),
        ("draw", "x", "my.yaml"),
    ],
)
def test_a_preset_without_its_option_is_told_so(words):
    done = run(*words)
    assert done.exit_code == 2
    preset = next(word for word in words if ".y" in str(word))
    assert f"received the preset {preset} as an argument; a preset is an option: --preset {preset}" in done.stderr


def test_every_command_on_a_study_takes_the_preset_as_an_option():
    commands = dict(typer.main.get_command(app).commands)
    commands |= commands.pop("results").commands
    commands |= commands.pop("export").commands
    of_no_study = {"data-pages", "experiments", "inspect", "known-answers", "schema", "sources", "version", "weights"}
    for name, command in commands.items():
        assert any("--preset" in one.opts for one in command.params) != (name in of_no_study), name

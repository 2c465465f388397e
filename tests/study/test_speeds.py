"""What designs cost on this processor: timed, kept, and what it says about cells."""

import json
import re

import pytest

from cnn_invariance import machine
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.results import write_training
from cnn_invariance.study import Recipe
from cnn_invariance.workflow import preparation, speeds, status, timing
from cnn_invariance.workflow.campaign import known
from cnn_invariance.workflow.costs import Known, Rates, processor_here
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.speeds import Speeds
from cnn_invariance.workflow.under_way import epochs_done
from helpers_study import cell, network

SIZES = {"train": 3500, "validation": 500, "test": 1000, "evaluated test": 1000, "validated": 500}
PRESET = """\
name: tiny
description: Two networks under one set.
datasets: {mnist5k: {fingerprint: 431ccb07ecd1af0274b77e08cda92d8c7c33d4feec3c76007dfacee4ea4406aa, accuracy_floor: 0}}
models:
  SimpleConv: {arguments: {width: 2, dense: 2}, learning_rate: 1e-3, epochs: 2}
  ResNet18: {arguments: {width: 16}, learning_rate: 1e-3, epochs: 200}
transformation_sets: {rotation: {parameters: {n: 3, closed: false}}}
training: {epoch_samples: 1000, augmentation_epochs: same}
seeds: [0]
samples: {count: 50}
measures: ["NV[aggregate=mean]"]
experiments: {compare_models: {}}
"""


@pytest.fixture
def plan(tmp_path) -> Plan:
    (tmp_path / "tiny.yaml").write_text(PRESET, encoding="utf-8")
    folders = Folders(*(tmp_path / name for name in ("data", "models", "results")))
    return Plan(Programme.load(tmp_path / "tiny.yaml"), folders)


def test_each_design_is_timed_once_and_a_slow_network_is_known_to_be_slow(plan):
    said: list[str] = []
    timing.fill(plan, list(plan.to_compute), 60, said.append)
    assert len(said) == 4  # two designs, trained and measured
    found = known(plan)
    seconds = {one.model.name: found.estimate(one) for one in plan.networks}
    assert seconds["ResNet18"] > 100 > seconds["SimpleConv"] > speeds.START
    assert all(found.estimate(one) > speeds.START for one in plan.cells)
    timing.fill(plan, list(plan.to_compute), 60, said.append)
    assert len(said) == 4
    assert any("timed designs" in line and "about" in line for line in status.of_plan(plan))


def test_a_dataset_that_cannot_be_had_is_said_once(plan, monkeypatch):
    def absent(*_):
        raise preparation.InputError("no raw files")

    monkeypatch.setattr(timing.preparation, "prepare", absent)
    said: list[str] = []
    assert timing.fill(plan, list(plan.to_compute), 60, said.append) == Speeds()
    assert said == ["no raw files"]


def test_a_network_that_fails_is_named_and_the_others_are_timed(plan, monkeypatch):
    real = timing.training

    def fails(one, data):
        if one.model.name == "ResNet18":
            raise RuntimeError("no memory")
        return real(one, data)

    monkeypatch.setattr(timing, "training", fails)
    said: list[str] = []
    timing.fill(plan, list(plan.networks), 60, said.append)
    failed, timed = sorted(said, key=lambda line: "no memory" not in line)
    assert failed.startswith("mnist5k-ResNet18-")
    assert timed.startswith("train SimpleConv mnist5k")


def test_the_work_of_a_cell_gives_its_seconds():
    of_all = network(recipe=Recipe(learning_rate=5e-4, epochs=10))
    found = Speeds().with_speed(of_all, 0.01, SIZES).with_speed(cell(), 0.002, SIZES)
    looked_at = (2 * 1000 + 10 * 500) / 3  # under the augmentation, too, at the end
    assert found.estimate(of_all) == pytest.approx(speeds.START + 0.01 * (10 * 3500 + looked_at))
    assert found.estimate(cell(samples={"count": None})) == pytest.approx(speeds.START + 0.002 * 1000 * 13)
    assert found.estimate(network(model={"name": "VGG16D"})) is None


def test_of_a_design_that_was_not_timed_the_slowest_of_its_like_counts():
    wide = network(model={"name": "SimpleConv", "arguments": {"width": 64}})
    narrow = network(model={"name": "SimpleConv", "arguments": {"width": 4}})
    found = Speeds().with_speed(wide, 0.1, SIZES).with_speed(narrow, 0.001, SIZES)
    assert found.unit(network()) == 0.1
    assert found.unit(narrow) == 0.001


def test_what_was_computed_on_another_processor_says_nothing(plan):
    one = plan.networks[0]
    write_training(plan.results.path(one), one, {}, {"wall_s": 9.0, "peak_memory_bytes": 1, "cpu": "A", "cpu_id": "1"})
    assert Known.of(plan, "A 1").estimate(one) == pytest.approx(9)
    assert Known.of(plan, "A 2").estimate(one) is None  # another generation of the same name
    assert Known.of(plan, processor_here()).estimate(one) is None
    timed = Known(Rates.measured(plan.results, [one], processor="A 1"), Speeds().with_speed(one, 1.0, SIZES))
    assert timed.estimate(one) == pytest.approx(9)  # what such cells took counts before what was timed
    assert timed.estimate(plan.networks[-1].model_copy(update={"seed": 5})) != pytest.approx(9)


def test_a_file_of_speeds_that_is_damaged_or_of_another_torch_says_nothing(tmp_path):
    path = tmp_path / "speeds.json"
    kept = Speeds().with_speed(network(), 0.5, SIZES)
    kept.write(path)
    assert Speeds.read(path) == kept
    content = json.loads(path.read_text())
    for changed in ("", "[]", "{}", "null", json.dumps(content | {"torch": "0"}), json.dumps(content | {"speeds": 3})):
        path.write_text(changed)
        assert Speeds.read(path) == Speeds()
    assert Speeds.read(tmp_path) == Speeds()


def test_a_training_goes_on_in_another_folder_on_another_processor(plan, tmp_path, monkeypatch):
    """Its state names no machine; how far it is, is known without torch."""
    from cnn_invariance.training import learner
    from cnn_invariance.workflow import stages

    one = next(network for network in plan.networks if network.model.name == "SimpleConv")
    preparation.prepare(plan.study, plan.folders, "mnist5k")
    run_epoch = learner.Learner.run_epoch

    def killed(self, epoch, on_step):
        if epoch == 2:
            raise KeyboardInterrupt
        return run_epoch(self, epoch, on_step)

    monkeypatch.setattr(learner.Learner, "run_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        stages.compute(plan.job(one), plan.folders, threads=1)
    monkeypatch.setattr(learner.Learner, "run_epoch", run_epoch)
    state = plan.folders.state(one)
    assert epochs_done(state, one) == 1
    assert epochs_done(state, plan.networks[-1]) == 0
    assert not {machine.cpu(), machine.cpu_id()}.intersection(state.read_bytes().decode("latin-1").split('"'))
    plan.folders.models.rename(tmp_path / "carried")
    monkeypatch.setattr("cnn_invariance.results.provenance.cpu", lambda: "another")
    there = Plan(plan.study, Folders(plan.folders.data, tmp_path / "carried", tmp_path / "there"))
    stages.compute(there.job(one), there.folders, threads=1)
    made = there.results.provenance(one)
    assert (made["resumed_after"], made["cpu"]) == ([1], "another")


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0[]", b"\x08\0\0\0\0\0\0\0" + b"[" * 8])
def test_a_state_that_is_none_has_no_epochs(tmp_path, content):
    (tmp_path / "x.state").write_bytes(content)
    assert epochs_done(tmp_path / "x.state", network()) == 0


FLAGS = "processor\t: 0\nflags\t\t: fpu avx2 avx512f {}\n"


@pytest.mark.parametrize(
    ("architecture", "info", "expected"),
    [
        ("x86_64", FLAGS.format(""), True),
        ("x86_64", FLAGS.format("avx512_bf16"), False),
        ("x86_64", FLAGS.format("amx_bf16 amx_tile"), False),
        ("x86_64", "", None),
        ("aarch64", FLAGS.format(""), None),
    ],
)
def test_whether_a_processor_emulates_bf16(monkeypatch, tmp_path, architecture, info, expected):
    (tmp_path / "cpuinfo").write_text(info)
    monkeypatch.setattr(machine.platform, "machine", lambda: architecture)
    monkeypatch.setattr(machine, "Path", lambda path: tmp_path / "cpuinfo")
    assert machine.emulates_bf16() is expected


@pytest.mark.parametrize("emulates", [True, False, None])
def test_a_training_says_before_it_starts_that_its_precision_is_emulated(plan, monkeypatch, capsys, emulates):
    from cnn_invariance.workflow import stages
    from cnn_invariance.workflow.jobs import Job

    monkeypatch.setattr(timing, "emulates_bf16", lambda: emulates)
    preparation.prepare(plan.study, plan.folders, "mnist5k")
    fast = next(one for one in plan.networks if one.model.name == "SimpleConv")
    recipe = fast.recipe.model_copy(update={"precision": "bf16", "epochs": 1})
    stages.compute(Job(preset="tiny", cell=fast.model_copy(update={"recipe": recipe}), epochs=(1,)), plan.folders)
    said = capsys.readouterr().err
    expected = r"which this processor emulates.*: [\d,]+ images a second, and [\d,]+ in fp32;.*\n(.*\n)*epoch 1/1"
    assert bool(re.search(expected, said)) == bool(emulates)

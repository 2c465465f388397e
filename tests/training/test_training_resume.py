"""Interruption, resumption and failure."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from cnn_invariance.datasets import Dataset
from cnn_invariance.errors import InputError
from cnn_invariance.training import TrainingError, learner, loop, state, tensorfile, train
from helpers_training import DROPOUT_AND_NORM, paths, problem, run, spec, without_times

STATE = "state.safetensors"


def interrupt(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Stop the next run in the middle of an epoch, as control-C would."""
    original = learner.Learner.run_epoch

    def run_epoch(self, epoch, on_step):
        if epoch == at:
            monkeypatch.setattr(learner.Learner, "run_epoch", original)
            raise KeyboardInterrupt
        return original(self, epoch, on_step)

    monkeypatch.setattr(learner.Learner, "run_epoch", run_epoch)


def begin(asked, data: Dataset, folder: Path, monkeypatch, *, at: int, epochs=None) -> None:
    interrupt(monkeypatch, at)
    with pytest.raises(KeyboardInterrupt):
        run(asked, data, folder, epochs)


@pytest.mark.parametrize("settings", [{}, DROPOUT_AND_NORM], ids=["plain", "dropout and norm"])
@pytest.mark.parametrize("stops", [(2,), (4,), (2, 3)])
def test_a_resumed_run_ends_as_an_uninterrupted_one(
    data: Dataset, tmp_path: Path, settings, stops, monkeypatch, capsys
) -> None:
    asked = spec(data, **settings, epochs=4)
    expected = run(asked, data, tmp_path / "whole", (0, 1, 4))
    for stop in stops:
        begin(asked, data, tmp_path / "parts", monkeypatch, at=stop, epochs=(0, 1, 4))
    capsys.readouterr()
    torch.manual_seed(99)
    record = run(asked, data, tmp_path / "parts", (0, 1, 4))
    assert f"resuming after epoch {stops[-1] - 1} of 4" in capsys.readouterr().err
    assert without_times(record) == without_times(expected)
    assert record["resumed_after"] == [stop - 1 for stop in stops]
    for epoch in (0, 1, 4):
        name = f"e{epoch}.safetensors"
        whole, parts = (tmp_path / folder / name for folder in ("whole", "parts"))
        assert whole.read_bytes() == parts.read_bytes()
    assert not (tmp_path / "parts" / STATE).exists()


CHILD = """
import sys, time
from pathlib import Path
from helpers_training import DROPOUT_AND_NORM, problem, run, spec
from cnn_invariance.training import learner

folder, steps, original = Path(sys.argv[1]), [], learner.Learner.step

def step(self, taken, prepared):
    steps.append(original(self, taken, prepared))
    if len(steps) == 2 * 4 + 3:  # in the middle of epoch 3
        (folder / "ready").touch()
        time.sleep(600)
    return steps[-1]

learner.Learner.step = step
data = problem()
run(spec(data, **DROPOUT_AND_NORM, epochs=5), data, folder, (0, 1, 5))
"""


def test_a_killed_run_is_resumed_to_the_same_bytes(data: Dataset, tmp_path: Path, capsys) -> None:
    """SIGKILL to another process in the middle of an epoch; this one goes on from its files."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    killed = tmp_path / "killed"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(killed)],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 300
        while not (killed / "ready").exists():
            assert child.poll() is None, child.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == -signal.SIGKILL
    left = {path.name for path in killed.iterdir()} - {"ready"}
    assert left == {STATE, "e0.safetensors", "e1.safetensors"}

    asked = spec(data, **DROPOUT_AND_NORM, epochs=5)
    record = run(asked, data, killed, (0, 1, 5))
    assert "resuming after epoch 2 of 5" in capsys.readouterr().err
    assert record["resumed_after"] == [2]
    expected = run(asked, data, tmp_path / "whole", (0, 1, 5))
    assert without_times(record) == without_times(expected)
    for name in ("e0.safetensors", "e1.safetensors", "e5.safetensors"):
        assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def flip(path: Path, place: float) -> None:
    """Change one bit at a share of the file's length."""
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("place", [0.0, 0.01, 0.3, 0.6, 0.9, 1.0])
def test_a_state_with_one_wrong_bit_is_not_used(
    data: Dataset, tmp_path: Path, place: float, monkeypatch, capsys
) -> None:
    asked = spec(data)
    expected = run(asked, data, tmp_path / "whole")
    begin(asked, data, tmp_path / "parts", monkeypatch, at=3)
    flip(tmp_path / "parts" / STATE, place)
    record = run(asked, data, tmp_path / "parts")
    assert "starting again from epoch 0: " in capsys.readouterr().err
    assert record["resumed_after"] == []
    assert without_times(record) == without_times(expected)


@pytest.mark.parametrize("content", [b"", b"no tensors"])
def test_a_state_that_is_no_state_is_not_used(data: Dataset, files: Path, content: bytes, capsys) -> None:
    (files / STATE).write_bytes(content)
    assert run(spec(data), data, files)["resumed_after"] == []
    assert "starting again from epoch 0" in capsys.readouterr().err


def test_a_state_cut_short_is_not_used(data: Dataset, files: Path, monkeypatch, capsys) -> None:
    begin(spec(data), data, files, monkeypatch, at=3)
    content = (files / STATE).read_bytes()
    (files / STATE).write_bytes(content[: len(content) // 2])
    assert run(spec(data), data, files)["resumed_after"] == []
    assert "starting again from epoch 0" in capsys.readouterr().err


def test_the_state_of_another_spec_is_not_used(data: Dataset, tmp_path: Path, monkeypatch, capsys) -> None:
    begin(spec(data, seed=1), data, tmp_path / "other", monkeypatch, at=3)
    expected = run(spec(data), data, tmp_path / "whole")
    record = run(spec(data), data, tmp_path / "other")
    assert "belongs to another spec" in capsys.readouterr().err
    assert without_times(record) == without_times(expected)


def test_the_state_of_a_network_whose_code_has_changed_is_not_used(
    data: Dataset, tmp_path: Path, monkeypatch, capsys
) -> None:
    """Not in part either: the biases of the old network would fit the new one."""
    file = tmp_path / "mine.py"
    source = (
        "from torch import nn\n"
        "def make(shape, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(256, WIDTH), nn.Linear(WIDTH, classes))\n"
    )
    file.write_text("WIDTH = 4\n" + source)
    asked = spec(data, model=f"{file}:make", arguments={})
    begin(asked, data, tmp_path / "parts", monkeypatch, at=3)
    file.write_text("WIDTH = 55\n" + source)
    expected = run(asked, data, tmp_path / "whole")
    record = run(asked, data, tmp_path / "parts")
    assert "starting again from epoch 0: the network's code was changed" in capsys.readouterr().err
    assert without_times(record) == without_times(expected)


@pytest.mark.parametrize("damage", ["missing", "flipped"])
def test_a_state_past_a_checkpoint_that_is_not_there_is_not_used(
    data: Dataset, tmp_path: Path, damage: str, monkeypatch, capsys
) -> None:
    asked = spec(data)
    run(asked, data, tmp_path / "whole", (1, 3))
    begin(asked, data, tmp_path / "parts", monkeypatch, at=3, epochs=(1, 3))
    earlier = tmp_path / "parts" / "e1.safetensors"
    if damage == "missing":
        earlier.unlink()
    else:
        flip(earlier, 0.99)
    run(asked, data, tmp_path / "parts", (1, 3))
    assert f"{earlier}, the checkpoint of epoch 1, is" in capsys.readouterr().err
    assert earlier.read_bytes() == (tmp_path / "whole" / "e1.safetensors").read_bytes()


def test_the_state_has_the_optimiser_in_it(data: Dataset, files: Path, monkeypatch) -> None:
    asked = spec(data)
    begin(asked, data, files, monkeypatch, at=3)
    kept = state.read(files / STATE, asked)
    assert kept.epoch == 2
    assert kept.optimiser["conv1.weight/step"] == 2 * 4  # 72 samples in batches of 16, 8 of them dropped
    assert kept.optimiser["conv1.weight/exp_avg"].shape == (2, 1, 3, 3)
    with pytest.raises(state.UnusableStateError, match="another spec"):
        state.read(files / STATE, spec(data, seed=1))


def test_a_loss_that_is_not_finite_ends_the_run(data: Dataset, files: Path) -> None:
    with pytest.raises(TrainingError, match=r"after epoch 1 of 3 .*lower the learning rate") as e:
        run(spec(data, learning_rate=1e30), data, files, (0, 1, 3))
    assert spec(data, learning_rate=1e30).key in str(e.value)
    assert list(files.iterdir()) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run_whatever_the_weights(
    data: Dataset, files: Path, monkeypatch, value: float
) -> None:
    monkeypatch.setattr(learner.Learner, "step", lambda self, taken, prepared: torch.tensor(value))
    with pytest.raises(TrainingError, match=f"loss is {value} and the weights are finite"):
        run(spec(data), data, files)


def test_weights_that_are_not_finite_end_the_run(data: Dataset, files: Path, monkeypatch) -> None:
    """The last step of an epoch can spoil the weights after the last loss was computed."""
    original = learner.Learner.step
    calls = []

    def spoil(self, taken, prepared):
        loss = original(self, taken, prepared)
        calls.append(loss)
        if len(calls) == 8:  # the last step of epoch 2
            next(self.model.parameters()).data[0] = float("nan")
        return loss

    monkeypatch.setattr(learner.Learner, "step", spoil)
    with pytest.raises(TrainingError, match=r"after epoch 2 of 3 .* weights are not finite"):
        run(spec(data), data, files, (1, 3))
    assert list(files.iterdir()) == []


def test_other_errors_leave_the_state_to_resume_from(data: Dataset, files: Path, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(learner.Learner, "evaluate", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(spec(data), data, files)
    assert [path.name for path in files.iterdir()] == [STATE]  # not the last checkpoint
    assert run(spec(data), data, files)["resumed_after"] == [3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoints": {4: Path("e4")}}, r"epoch 4 of .* allowed: 0 to 3"),
        ({"checkpoints": {-1: Path("e")}}, r"epoch -1 of .* allowed: 0 to 3"),
        ({"device": "gpu"}, "device 'gpu' cannot be used"),
        ({"device": "cuda:99"}, "device 'cuda:99' cannot be used"),
        ({"threads": 0}, "expected 1 or more threads, received 0"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    data: Dataset, files: Path, changes: dict, message: str
) -> None:
    arguments = {"checkpoints": paths(files, (0,)), "state": files / STATE, "device": "cpu"}
    with pytest.raises(InputError, match=message):
        train(spec(data), data, **{**arguments, **changes})
    assert list(files.iterdir()) == []


def test_another_dataset_is_refused(data: Dataset, files: Path) -> None:
    with pytest.raises(InputError, match="fingerprint"):
        run(spec(problem(per_class=10)), data, files)


def test_states_and_checkpoints_are_written_atomically(data: Dataset, files: Path, monkeypatch) -> None:
    """A write that fails half-way leaves the state of the epoch before, which is used."""
    original = tensorfile.save_file

    def fail(tensors, path, metadata):
        if b'\\"epoch\\": 2' in metadata[tensorfile.ENTRY].encode():
            Path(path).write_bytes(b"half")
            raise OSError("no space left")
        original(tensors, path, metadata=metadata)

    with monkeypatch.context() as patch:
        patch.setattr(tensorfile, "save_file", fail)
        with pytest.raises(OSError, match="no space left"):
            run(spec(data), data, files)
    assert [path.name for path in files.iterdir()] == [STATE]
    assert run(spec(data), data, files)["resumed_after"] == [1]


def test_the_state_is_written_after_the_checkpoint_of_its_epoch(data: Dataset, files: Path, monkeypatch) -> None:
    """Otherwise a kill between the two would leave a state past a checkpoint that is missing."""
    order = []
    for module in (loop.checkpoint, loop.states):
        original = module.write
        monkeypatch.setattr(
            module,
            "write",
            lambda *args, original=original, name=module.__name__, **named: (
                order.append((name.rpartition(".")[2], named["epoch"])),
                original(*args, **named),
            ),
        )
    run(spec(data, epochs=2), data, files, (0, 1, 2))
    assert order == [
        ("checkpoint", 0), ("checkpoint", 1), ("state", 1), ("state", 2), ("checkpoint", 2),
    ]  # fmt: skip

"""Numbers agree: captured and single steps, CPU and GPU, bf16 and fp32. On a machine with a GPU."""

import statistics
from pathlib import Path

import numpy as np
import pytest
import torch

import cnn_invariance as ci
from cnn_invariance import datasets
from cnn_invariance.datasets import Dataset
from cnn_invariance.study import DatasetSpec, ModelSpec, Recipe, TrainSpec
from cnn_invariance.training import load_network, train
from cnn_invariance.training.captured import WARM_UP, Captured
from helpers_training import DROPOUT_AND_NORM, spec, without_times

gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


class Recorded(Captured):
    """The order of calls, where there is no GPU to record on."""

    def __init__(self, works: bool = True) -> None:
        super().__init__(lambda taken, prepared: self.did("alone", taken), torch.device("cpu"))
        self.works, self.done = works, []

    def did(self, what: str, taken: torch.Tensor) -> torch.Tensor:
        self.done.append((what, len(taken)))
        return torch.zeros(())

    def _aside(self, taken, prepared):
        return self.did("aside", taken)

    def _record(self, taken, prepared):
        if not self.works:
            self._wanted = False
            return False
        self._graph = "recorded"
        return True

    def _replay(self, taken, prepared):
        return self.did("replayed", taken)


def test_batches_of_another_size_are_never_recorded():
    steps = Recorded()
    for size in (8, 8, 3, 8, 8, 3, 8):
        steps(torch.zeros(size), None)
    assert WARM_UP == 3
    expected = ["aside", "aside", "alone", "aside", "replayed", "alone", "replayed"]
    assert [what for what, _ in steps.done] == expected


def test_a_step_that_cannot_be_recorded_runs_as_it_is():
    steps = Recorded(works=False)
    for _ in range(6):
        steps(torch.zeros(8), None)
    assert [what for what, _ in steps.done] == ["aside"] * 3 + ["alone"] * 3


def test_recording_can_be_turned_off(monkeypatch):
    monkeypatch.setenv("CNN_INVARIANCE_CAPTURE", "0")
    steps = Recorded()
    for _ in range(6):
        steps(torch.zeros(8), None)
    assert [what for what, _ in steps.done] == ["alone"] * 6


class TestOnGpu:
    pytestmark = gpu

    @pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
    def test_captured_steps_give_the_weights_of_single_steps(self, data: Dataset, tmp_path, monkeypatch, precision):
        asked = spec(data, **DROPOUT_AND_NORM, precision=precision, epochs=4)
        records = []
        for setting in ("1", "0"):
            monkeypatch.setenv("CNN_INVARIANCE_CAPTURE", setting)
            record = train(asked, data, checkpoints={}, state=tmp_path / setting, device="cuda")
            record.pop("peak_memory_bytes")
            records.append(without_times(record))
        assert records[0] == records[1]

    def test_a_resumed_training_gives_the_same_weights(self, data: Dataset, tmp_path, monkeypatch):
        from cnn_invariance.training import learner

        asked = spec(data, **DROPOUT_AND_NORM, epochs=4)
        whole = train(asked, data, checkpoints={}, state=tmp_path / "whole", device="cuda")
        original = learner.Learner.run_epoch

        def run_epoch(self, epoch, on_step):
            if epoch == 3:
                raise KeyboardInterrupt
            return original(self, epoch, on_step)

        with monkeypatch.context() as patched:
            patched.setattr(learner.Learner, "run_epoch", run_epoch)
            with pytest.raises(KeyboardInterrupt):
                train(asked, data, checkpoints={}, state=tmp_path / "cut", device="cuda")
        resumed = train(asked, data, checkpoints={}, state=tmp_path / "cut", device="cuda")
        assert resumed["resumed_after"] == [2]
        assert resumed["weights_sha256"] == whole["weights_sha256"]

    def test_the_profile_of_a_network_is_that_of_the_cpu(self, digits: Dataset, tmp_path: Path):
        asked = digits_spec(digits, seed=0, precision="fp32")
        path = tmp_path / "weights.safetensors"
        train(asked, digits, checkpoints={asked.recipe.epochs: path}, state=tmp_path / "state", device="cuda")
        chosen = digits.subset("test", 200, seed=0)
        images = digits.normalise(torch.from_numpy(digits.images[chosen]))
        profiles = {}
        for device in ("cpu", "cuda"):
            model = load_network(path, asked, epoch=asked.recipe.epochs, device=device)
            result = ci.measure(model, images, ci.transformations.rotation(n=8, closed=False), ["NV", "NVSE"])
            profiles[device] = np.concatenate([result.profile(name)["value"] for name in ("NV", "NVSE")])
        np.testing.assert_allclose(profiles["cuda"], profiles["cpu"], rtol=1e-3)

    def test_half_precision_learns_as_well(self, digits: Dataset, tmp_path: Path):
        """The mean accuracy of bf16 lies within the spread of fp32 over seeds, or within a hundredth."""
        accuracies: dict[str, list[float]] = {"fp32": [], "bf16": []}
        for precision, reached in accuracies.items():
            for seed in range(5):
                asked = digits_spec(digits, seed=seed, precision=precision)
                record = train(asked, digits, checkpoints={}, state=tmp_path / asked.hash, device="cuda")
                reached.append(record["accuracies"]["test"]["plain"])
        spread = max(statistics.stdev(accuracies["fp32"]), 0.005)
        assert abs(statistics.mean(accuracies["bf16"]) - statistics.mean(accuracies["fp32"])) < 2 * spread


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return datasets.prepare("mnist5k", tmp_path_factory.mktemp("digits") / "mnist5k.npz")


def digits_spec(data: Dataset, *, seed: int, precision: str) -> TrainSpec:
    return TrainSpec(
        dataset=DatasetSpec(name=data.name, fingerprint=data.fingerprint),
        model=ModelSpec(name="SimpleConv", arguments={"width": 8}),
        augmentation=None,
        recipe=Recipe(learning_rate=2e-3, epochs=4, precision=precision),
        seed=seed,
    )

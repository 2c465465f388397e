"""What a training computes and returns."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnn_invariance import models
from cnn_invariance.datasets import Dataset
from cnn_invariance.errors import InputError
from cnn_invariance.training import learner, load_network, seeds, train
from cnn_invariance.transformations import transform_all
from helpers_training import DROPOUT_AND_NORM, ROTATION, paths, run, spec, without_times


def accuracy_by_hand(network: nn.Module, data: Dataset, split: str) -> float:
    """One sample at a time."""
    images, labels = data.split(split)
    with torch.no_grad():
        outputs = [network(data.normalise(torch.from_numpy(image[None]))) for image in images]
    return float(np.mean([o.argmax().item() == y for o, y in zip(outputs, labels, strict=True)]))


def test_a_network_learns(data: Dataset, files: Path) -> None:
    record = run(spec(data, epochs=15, learning_rate=1e-2), data, files)
    assert record["accuracies"]["train"]["plain"] >= 0.9
    assert record["accuracies"]["test"]["plain"] >= 0.9
    losses = [entry["loss"] for entry in record["history"]]
    assert losses[-1] < 0.5 * losses[0]


def test_the_record_is_complete_and_json(data: Dataset, files: Path) -> None:
    asked = spec(data, augmentation=ROTATION)
    record = run(asked, data, files)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert [entry["epoch"] for entry in record["history"]] == [1, 2, 3]
    assert set(record["accuracies"]) == {"train", "validation", "test"}
    assert record["samples"] == {"train": 72, "validation": 24, "test": 24}
    assert record["epochs"] == 3
    assert record["threads"] == 1
    assert record["device"] == "cpu"
    assert record["resumed_after"] == []
    assert record["peak_memory_bytes"] is None
    assert record["wall_s"] >= sum(entry["seconds"] for entry in record["history"]) > 0
    network = load_network(files / "e3.safetensors", asked, epoch=3)
    assert record["parameters"] == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("augmentation", [None, ROTATION])
def test_accuracies_are_those_of_the_checkpoint(data: Dataset, files: Path, augmentation) -> None:
    asked = spec(data, augmentation=augmentation, epochs=4)
    record = run(asked, data, files)
    network = load_network(files / "e4.safetensors", asked, epoch=4)
    assert not network.training
    for split, accuracies in record["accuracies"].items():
        assert accuracies["plain"] == pytest.approx(accuracy_by_hand(network, data, split))
    last = record["history"][-1]["validation_accuracy"]
    assert last == record["accuracies"]["validation"]["plain"]


def test_augmented_accuracy_is_under_one_drawn_transformation_each(data: Dataset, files: Path) -> None:
    asked = spec(data, augmentation=ROTATION, epochs=4)
    record = run(asked, data, files)
    network = load_network(files / "e4.safetensors", asked, epoch=4)
    images, labels = data.split("train")
    every = transform_all(data.normalise(torch.from_numpy(images)), ROTATION.build().matrices)
    with torch.no_grad():
        right = torch.stack([network(m).argmax(1) == torch.from_numpy(labels) for m in every])
    generator = seeds.generator(asked.seed, "evaluation on train")
    members = torch.randint(len(every), (len(images),), generator=generator)
    expected = right[members, torch.arange(len(images))].double().mean().item()
    assert record["accuracies"]["train"]["augmented"] == pytest.approx(expected)
    # and it is no constant that would be the same for any draw
    assert 0 < right.double().mean() < 1


def test_plain_training_has_one_accuracy(data: Dataset, files: Path) -> None:
    accuracies = run(spec(data), data, files)["accuracies"]
    assert all(each["plain"] == each["augmented"] for each in accuracies.values())


@pytest.mark.parametrize("augmentation", [None, ROTATION])
def test_the_weights_are_those_of_a_loop_written_by_hand(data: Dataset, files: Path, augmentation) -> None:
    """Float32, contiguous tensors, an unfused optimiser, one transformation of one image each."""
    asked = spec(data, augmentation=augmentation, epochs=2, weight_decay=0.1)
    record = run(asked, data, files)
    with seeds.InitialWeights(asked.seed):
        network = models.build("SimpleConv", data.input_shape, 3, width=2, dense=8)
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=0.1, fused=False, foreach=False)
    images, labels = (torch.from_numpy(array) for array in data.split("train"))
    for epoch in (1, 2):
        order = torch.randperm(72, generator=seeds.generator(asked.seed, f"order {epoch}"))[:64]
        seen = ((images.float() / 255 - data.mean.item()) / data.std.item())[order]
        if augmentation is not None:
            matrices = augmentation.build().matrices
            generator = seeds.generator(asked.seed, f"augmentation {epoch}")
            members = torch.randint(len(matrices), (72,), generator=generator)[:64]
            seen = torch.cat(
                [transform_all(x[None], matrices[m : m + 1])[0] for x, m in zip(seen, members.tolist(), strict=True)]
            )
        losses = []  # of each sample of the four full batches; the 8 samples that are left are dropped
        for start in range(0, 64, 16):
            optimiser.zero_grad()
            batch = slice(start, start + 16)
            each = F.nll_loss(network(seen[batch]), labels[order][batch], reduction="none")
            each.mean().backward()
            optimiser.step()
            losses += each.tolist()
        assert record["history"][epoch - 1]["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    trained = load_network(files / "e2.safetensors", asked, epoch=2).state_dict()
    for name, expected in network.state_dict().items():
        torch.testing.assert_close(trained[name], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("settings", [{}, DROPOUT_AND_NORM], ids=["plain", "dropout and norm"])
def test_the_same_spec_gives_the_same_bytes(data: Dataset, tmp_path: Path, settings: dict) -> None:
    asked = spec(data, **settings)
    torch.manual_seed(1)
    first = run(asked, data, tmp_path / "a", (0, 1, 3))
    torch.manual_seed(2)  # nothing depends on the caller's generator
    second = run(asked, data, tmp_path / "b", (0, 1, 3))
    assert without_times(first) == without_times(second)
    for epoch in (0, 1, 3):
        name = f"e{epoch}.safetensors"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_dropout_draws_anew_in_each_epoch(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, seen = learner.Learner.step, []

    def step(self, taken, prepared):
        seen.append(torch.initial_seed())
        return original(self, taken, prepared)

    monkeypatch.setattr(learner.Learner, "step", step)
    for folder in ("a", "b"):
        run(spec(data), data, tmp_path / folder)
    assert len(seen) == 2 * 3 * 4
    assert len(set(seen)) == 3
    assert seen[:12] == seen[12:]


def test_seeds_and_settings_change_the_weights(data: Dataset, tmp_path: Path) -> None:
    specs = [
        spec(data),
        spec(data, seed=1),
        spec(data, augmentation=ROTATION),
        spec(data, weight_decay=0.5),
        spec(data, precision="bf16"),
        spec(data, batch_size=8),
    ]
    digests = {run(s, data, tmp_path / s.hash)["weights_sha256"] for s in specs}
    assert len(digests) == len(specs)


def test_half_precision_is_close_to_full(data: Dataset, tmp_path: Path) -> None:
    """The same draws, because they are made from the same hash, in two precisions."""
    losses = {}
    for precision in ("fp32", "bf16"):
        asked = spec(data, epochs=1, precision=precision)
        object.__setattr__(asked, "hash", "the same")
        losses[precision] = run(asked, data, tmp_path / precision)["history"][0]["loss"]
    assert losses["fp32"] != losses["bf16"]
    assert losses["fp32"] == pytest.approx(losses["bf16"], rel=0.02)


def test_the_callers_torch_is_left_as_it_was(data: Dataset, files: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    run(spec(data, **DROPOUT_AND_NORM, epochs=1), data, files)
    assert torch.equal(torch.rand(1), expected)
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_number_of_threads_is_the_one_asked_for_and_is_put_back(data: Dataset, files: Path) -> None:
    torch.set_num_threads(2)
    assert run(spec(data, epochs=0), data, files)["threads"] == 1
    assert torch.get_num_threads() == 2


def test_checkpoints_are_of_the_epochs_asked_for(data: Dataset, files: Path) -> None:
    asked = spec(data)
    run(asked, data, files, (0, 2, 3))
    assert sorted(path.name for path in files.iterdir()) == [
        "e0.safetensors", "e2.safetensors", "e3.safetensors",
    ]  # fmt: skip
    weights = [load_network(p, asked, epoch=e)[0].weight for e, p in paths(files, (0, 2, 3)).items()]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    with seeds.InitialWeights(asked.seed):
        untrained = models.build("SimpleConv", data.input_shape, 3, width=2, dense=8)
    assert torch.equal(untrained[0].weight, weights[0])


def test_an_untrained_network_is_a_result_too(data: Dataset, files: Path) -> None:
    record = run(spec(data, epochs=0), data, files)
    assert record["epochs"] == 0
    assert record["history"] == []
    assert record["accuracies"]["test"]["plain"] < 0.9
    assert [path.name for path in files.iterdir()] == ["e0.safetensors"]


def test_large_splits_are_evaluated_on_a_fixed_subset(
    data: Dataset, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learner, "EVALUATED", {"train": 30, "validation": 30, "test": 30})
    asked = spec(data)
    record = run(asked, data, files)
    assert record["samples"] == {"train": 30, "validation": 24, "test": 24}
    network = load_network(files / "e3.safetensors", asked, epoch=3)
    chosen = data.subset("train", 30, 0)
    with torch.no_grad():
        output = network(data.normalise(torch.from_numpy(data.images[chosen])))
    expected = (output.argmax(1).numpy() == data.labels[chosen]).mean()
    assert record["accuracies"]["train"]["plain"] == pytest.approx(expected)


def test_an_empty_validation_split_has_no_accuracy(
    data: Dataset, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = np.empty(0, dtype=np.int64)
    whole = Dataset.create("whole", data.images, data.labels, {**data.splits, "validation": nothing}, data.classes)
    record = run(spec(whole), whole, files)
    assert record["accuracies"]["validation"] == {"plain": None, "augmented": None}
    assert "validation - " in capsys.readouterr().err


def test_networks_that_end_in_logits_are_trained(data: Dataset, tmp_path: Path) -> None:
    """The same dense network with and without its log-softmax takes the same steps."""
    file = tmp_path / "dense.py"
    file.write_text(
        "from torch import nn\n"
        "def make(shape, classes, *, end):\n"
        "    layers = [nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes)]\n"
        "    return nn.Sequential(*layers, *([nn.LogSoftmax(1)] if end else []))\n"
    )
    weights = []
    for end in (True, False):
        asked = spec(data, model=f"{file}:make", arguments={"end": end})
        object.__setattr__(asked, "hash", "the same")
        run(asked, data, tmp_path / str(end))
        weights.append(load_network(tmp_path / str(end) / "e3.safetensors", asked, epoch=3)[1].weight)
    torch.testing.assert_close(weights[0], weights[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_cuda_repeats_to_the_byte(data: Dataset, tmp_path: Path, precision: str) -> None:
    asked = spec(data, **DROPOUT_AND_NORM, precision=precision)
    first, second = (train(asked, data, checkpoints={}, state=tmp_path / name, device="cuda") for name in ("a", "b"))
    assert first.pop("peak_memory_bytes") > 0
    assert second.pop("peak_memory_bytes") > 0
    assert without_times(first) == without_times(second)


def test_an_epoch_takes_as_many_samples_as_the_recipe_says(data: Dataset, files: Path) -> None:
    taken = []

    class Watched(learner.Learner):
        def step(self, samples: torch.Tensor, prepared: torch.Tensor | None) -> torch.Tensor:
            taken.append(len(samples))
            return super().step(samples, prepared)

    watched = Watched(spec(data, epoch_samples=40), data, torch.device("cpu"))
    assert watched.steps == 2
    watched.run_epoch(1, lambda: None)
    assert taken == [16, 16]  # the 8 that are left are no full batch


def test_each_epoch_draws_its_samples_anew(data: Dataset) -> None:
    seen = []

    class Watched(learner.Learner):
        def step(self, taken: torch.Tensor, prepared: torch.Tensor | None) -> torch.Tensor:
            seen[-1].extend(taken.tolist())
            return super().step(taken, prepared)

    watched = Watched(spec(data, epoch_samples=32), data, torch.device("cpu"))
    for epoch in (1, 2, 3, 4, 5, 6, 7, 8):
        seen.append([])
        watched.run_epoch(epoch, lambda: None)
    assert all(len(set(epoch)) == 32 for epoch in seen)
    assert len({value for epoch in seen for value in epoch}) > 60  # of 72


def test_an_epoch_of_more_samples_than_there_are_is_refused(data: Dataset, files: Path) -> None:
    with pytest.raises(InputError, match=r"an epoch takes 73 samples, and the training split of bars has 72"):
        run(spec(data, epoch_samples=73), data, files)
    assert list(files.iterdir()) == []

"""Batches, random streams, files and what a person sees."""

import io
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from cnn_invariance import models
from cnn_invariance.datasets import Dataset
from cnn_invariance.errors import InputError
from cnn_invariance.training import batches, evaluation, learner, load_network, seeds, tensorfile
from cnn_invariance.training.progress import reporter
from cnn_invariance.transformations import AffineSet, rotation, transform_all
from helpers_training import ROTATION, paths, run, spec

CPU = torch.device("cpu")


# Random streams


def test_seeds_are_pinned() -> None:
    """A change would give other networks to the same specs, and needs another revision of them."""
    assert seeds.derive(0, "weights") == 133441691874178746


def test_each_seed_and_each_purpose_has_its_own_stream() -> None:
    derived = {seeds.derive(s, p) for s in (1, 11) for p in ("weights", "order 1", "order 11", "augmentation 1")}
    assert len(derived) == 8
    assert all(0 <= seed < 2**63 for seed in derived)
    first, again = (torch.rand(3, generator=seeds.generator(0, "order 1")) for _ in range(2))
    assert torch.equal(first, again)


def built(seed: int, **arguments: object) -> dict[str, torch.Tensor]:
    with seeds.InitialWeights(seed):
        network = models.build("SimpleConv", (1, 16, 16), 3, **{"width": 2, "dense": 8, **arguments})
    return network.state_dict()


@pytest.mark.parametrize(
    ("change", "alike"),
    [
        ({"activation": "relu"}, 14),
        ({"batch_norm": True}, 14),  # its own weights are no random numbers
        ({"kernel": 5}, 6),  # four convolutions have other shapes, and their biases another range
        ({"dense": 9}, 10),  # the convolutions and their biases
    ],
)
def test_designs_of_one_seed_start_from_the_same_weights_where_shapes_agree(change: dict, alike: int) -> None:
    base, other = built(0), built(0, **change)
    shared = sum(
        any(value.shape == one.shape and torch.equal(value, one) for one in other.values()) for value in base.values()
    )
    assert shared == alike
    assert not any(torch.equal(value, base[name]) for name, value in built(1).items())


def test_no_two_layers_of_one_shape_start_from_the_same_weights() -> None:
    with seeds.InitialWeights(0):
        layers = [nn.Linear(4, 4) for _ in range(3)]
        noise = [torch.randn(4, 4), torch.randn(4, 4)]
    drawn = [layer.weight.detach() for layer in layers] + noise
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(drawn, 2))


def test_weights_of_a_design_are_drawn_from_its_own_distribution() -> None:
    """The mode seeds the draws and nothing else: torch's uniform bound of a linear layer is kept."""
    with seeds.InitialWeights(0):
        weight = nn.Linear(100, 400).weight
    assert weight.abs().max() <= 0.1
    assert weight.std().item() == pytest.approx(0.1 / 3**0.5, rel=0.02)


ORDERS: dict[str, Any] = {
    "learning rate": {"learning_rate": 1e-3},
    "design": {"arguments": {"width": 3, "dense": 8}},
    "plain": {"augmentation": None},
    "shorter epochs": {"epoch_samples": 48},
    "more epochs": {"epochs": 3},
}


@pytest.mark.parametrize("change", ORDERS.values(), ids=ORDERS.keys())
def test_networks_of_one_seed_see_the_same_samples_under_the_same_transformations(
    data: Dataset, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    def seen(**settings: Any) -> list[tuple[Any, Any]]:
        taken = []

        def step(self: learner.Learner, order: torch.Tensor, prepared: torch.Tensor | None) -> torch.Tensor:
            taken.append((order.tolist(), None if prepared is None else prepared.tolist()))
            return torch.zeros(())

        with monkeypatch.context() as patch:
            patch.setattr(learner.Learner, "step", step)
            trained = learner.Learner(spec(data, **{"augmentation": ROTATION, "epochs": 2, **settings}), data, CPU)
            trained.run_epoch(1, lambda: None)
        return taken

    usual, other = seen(), seen(**change)
    assert len(usual) == 4
    for (order, members), (other_order, other_members) in zip(usual, other, strict="epoch_samples" not in change):
        assert order == other_order
        assert other_members in (members, None)
    assert seen(seed=1) != usual


@pytest.mark.parametrize(
    ("size", "steps", "taken"), [(16, 4, 64), (50, 1, 50), (72, 1, 72), (73, 1, 72), (1000, 1, 72)]
)
def test_a_last_batch_that_is_not_full_is_dropped_unless_it_is_the_only_one(
    data: Dataset, monkeypatch: pytest.MonkeyPatch, size: int, steps: int, taken: int
) -> None:
    seen = []

    def step(self: learner.Learner, order: torch.Tensor, prepared: None) -> torch.Tensor:
        seen.append(len(order))
        return torch.ones(())

    monkeypatch.setattr(learner.Learner, "step", step)
    trained = learner.Learner(spec(data, batch_size=size), data, CPU)
    assert trained.run_epoch(1, lambda: None) == 1.0
    assert (trained.steps, len(seen), sum(seen)) == (steps, steps, taken)


def test_all_images_are_those_of_training_and_validation(data: Dataset) -> None:
    trained = learner.Learner(spec(data, images="all"), data, CPU)
    assert len(trained.samples) == 72 + 24
    assert trained.samples.images.sum() == sum(
        torch.from_numpy(data.split(split)[0]).sum() for split in ("train", "validation")
    )


# Batches


def samples(data: Dataset, split: str = "train", count: int | None = None) -> batches.DeviceSamples:
    return batches.load(data, (split,), count, CPU)


@pytest.mark.parametrize("size", [1, 5, 16, 71, 72, 73, 1000])
def test_every_sample_is_seen_once_with_its_label(data: Dataset, size: int) -> None:
    every = samples(data)
    order = torch.randperm(72)
    seen = list(batches.batches(every, size, order=order))
    images, labels = data.split("train")
    expected = data.normalise(torch.from_numpy(images))[order]
    assert torch.equal(torch.cat([x for x, _ in seen]), expected)
    assert torch.equal(torch.cat([y for _, y in seen]), torch.from_numpy(labels)[order])
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x, _ in seen)
    assert [len(x) for x, _ in seen] == [size] * (72 // size) + [72 % size] * (72 % size > 0)


def test_without_an_order_samples_are_seen_as_stored(data: Dataset) -> None:
    labels = torch.cat([y for _, y in batches.batches(samples(data, "test"), 7)])
    assert torch.equal(labels, torch.from_numpy(data.split("test")[1]))


def test_a_large_split_is_cut_to_a_stratified_subset(data: Dataset) -> None:
    assert len(samples(data, count=72)) == 72
    some = samples(data, count=9)
    assert some.labels.bincount().tolist() == [3, 3, 3]
    assert torch.equal(some.images, torch.from_numpy(data.images[data.subset("train", 9, 0)]))


def test_each_sample_is_under_its_own_member(data: Dataset) -> None:
    every, augmentation = samples(data), batches.Augmentation(rotation(5, 180.0), CPU)
    order, members = torch.randperm(72), augmentation.draw(72, torch.Generator().manual_seed(0))
    seen = batches.batches(every, 10, order=order, augmentation=augmentation, members=members)
    plain = data.normalise(torch.from_numpy(data.split("train")[0]))
    expected = transform_all(plain[order], rotation(5, 180.0).matrices)[members, torch.arange(72)]
    torch.testing.assert_close(torch.cat([x for x, _ in seen]), expected, rtol=0, atol=1e-5)


def test_members_are_drawn_uniformly() -> None:
    augmentation = batches.Augmentation(rotation(5), CPU)
    counts = augmentation.draw(50_000, torch.Generator().manual_seed(0)).bincount()
    assert len(counts) == 5
    assert (counts - 10_000).abs().max() < 5 * 90  # five standard deviations


def test_a_set_of_functions_is_applied_by_member(data: Dataset) -> None:
    functions = (lambda x: x, lambda x: x.flip(-1), lambda x: x + 100)
    augmentation = batches.Augmentation(functions, CPU)
    images = torch.randn(7, 1, 4, 4)
    members = torch.tensor([2, 0, 1, 1, 2, 0, 1])
    moved = augmentation.apply(images, augmentation.prepare(members))
    for image, member, result in zip(images, members.tolist(), moved, strict=True):
        assert torch.equal(functions[member](image), result)


def test_a_users_set_of_functions_trains(data: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def flips():\n    return [lambda x: x, lambda x: x.flip(-1)]\n")
    asked = spec(data, augmentation=ROTATION.model_copy(update={"name": f"{file}:flips", "parameters": {}}))
    assert not isinstance(asked.augmentation.build(), AffineSet)
    assert run(asked, data, tmp_path / "run")["epochs"] == 3


# Accuracy


class Constant(nn.Module):
    """Says the class it is told to, and counts in which mode it was called."""

    def __init__(self, answer: int) -> None:
        super().__init__()
        self.answer, self.modes = answer, set()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.modes.add(self.training)
        return nn.functional.one_hot(torch.full((len(images),), self.answer), 3).float()


def test_accuracy_of_a_constant_answer_is_the_share_of_its_class(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "BATCH", 10)  # does not divide 72
    shares = torch.from_numpy(data.split("train")[1]).bincount() / 72
    for answer, share in enumerate(shares.tolist()):
        model = Constant(answer)
        assert evaluation.accuracy(model, samples(data)) == pytest.approx(share)
        assert model.modes == {False}


# Files


def test_equal_content_is_equal_bytes_whatever_the_order(tmp_path: Path) -> None:
    a, b = torch.randn(3), torch.arange(4)
    tensorfile.write(tmp_path / "1", {"a": a, "b": b}, {"x": 1, "y": [2]})
    tensorfile.write(tmp_path / "2", {"b": b, "a": a}, {"y": [2], "x": 1})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    shared = torch.randn(4, 3, 5, 5).contiguous(memory_format=torch.channels_last)
    tensors = {
        "tied/1": shared,
        "tied/2": shared,
        "scalar": torch.tensor(7.0),
        "half": torch.randn(3).bfloat16(),
        "count": torch.tensor([2**60]),
        "flag": torch.tensor([True, False]),
        "empty": torch.empty(0, 3),
        "nan": torch.tensor([float("nan"), -0.0]),
    }
    tensorfile.write(tmp_path / "file", tensors, {"epoch": 3})
    read, document = tensorfile.read(tmp_path / "file")
    assert document == {"epoch": 3}
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name].nan_to_num(), tensor.nan_to_num())


def test_the_digest_covers_names_types_shapes_and_values() -> None:
    a = torch.arange(6).float()
    variants = [
        {"a": a},
        {"b": a},
        {"a": a.view(2, 3)},
        {"a": a.view(torch.int32)},
        {"a": a + 1},
        {"a": a, "b": a},
    ]
    assert len({tensorfile.digest(v) for v in variants}) == len(variants)
    assert tensorfile.digest({"a": a}, "x") != tensorfile.digest({"a": a})
    turned = torch.arange(6).float().view(2, 3).T.contiguous().T
    assert tensorfile.digest({"a": turned}) == tensorfile.digest({"a": a.view(2, 3)})


def test_other_files_are_damaged_files(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    for name in ("other.safetensors", "missing.safetensors"):
        with pytest.raises(tensorfile.DamagedFileError, match=name):
            tensorfile.read(tmp_path / name)


def test_a_checkpoint_says_what_it_is_to_any_reader(data: Dataset, files: Path) -> None:
    asked = spec(data)
    run(asked, data, files)
    with safe_open(files / "e3.safetensors", framework="pt") as file:
        document = json.loads(json.loads(file.metadata()["cnn_invariance"])["document"])
        assert file.get_tensor("conv1.weight").shape == (2, 1, 3, 3)
    assert document == {
        "spec": asked.model_dump(mode="json"),
        "spec_hash": asked.hash,
        "epoch": 3,
        "input_shape": [1, 16, 16],
        "classes": 3,
    }


def test_a_checkpoint_is_only_read_as_what_it_is(data: Dataset, files: Path) -> None:
    asked = spec(data)
    run(asked, data, files)
    path = files / "e3.safetensors"
    with pytest.raises(InputError, match=rf"holds epoch 3 .*expected epoch 2 of spec {asked.hash}"):
        load_network(path, asked, epoch=2)
    with pytest.raises(InputError, match=f"of spec {asked.hash}; expected epoch 3 of spec"):
        load_network(path, spec(data, seed=1), epoch=3)
    with pytest.raises(InputError, match=r"no usable checkpoint: .*e2\.safetensors"):
        load_network(paths(files, (2,))[2], asked, epoch=2)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="does not have its checksum; delete it and train again"):
        load_network(path, asked, epoch=3)


def test_a_checkpoint_of_a_network_whose_code_has_changed_is_refused(data: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    source = (
        "from torch import nn\ndef make(s, k):\n    return nn.Sequential(nn.Flatten(), nn.Linear(256, k, bias=BIAS))\n"
    )
    file.write_text("BIAS = True\n" + source)
    asked = spec(data, model=f"{file}:make", arguments={})
    run(asked, data, tmp_path)
    file.write_text("BIAS = False\n" + source)
    with pytest.raises(InputError, match="whose code was changed since"):
        load_network(tmp_path / "e3.safetensors", asked, epoch=3)


# What a person sees


def test_one_plain_line_per_epoch_where_there_is_no_terminal(
    data: Dataset, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(spec(data), data, files)
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert len(lines) == 3
    for number, line in enumerate(lines, start=1):
        assert re.fullmatch(rf"epoch {number}/3 loss \d\.\d{{3}} validation \d\.\d{{3}} \d+\.\d s", line)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal() -> None:
    screen = Terminal()
    with reporter(show=True, title="bars-SimpleConv-plain-s0", done=5, total=10, stream=screen) as report:
        report.note("resuming [after] epoch 1")
        for _ in range(5):
            report.step()
        report.epoch("epoch 2/2 loss 0.500")
    shown = screen.getvalue()
    assert "resuming [after] epoch 1" in shown
    assert "bars-SimpleConv-plain-s0" in shown
    assert "epoch 2/2 loss 0.500" in shown
    assert "\x1b[" in shown or "━" in shown
    assert report._progress.finished


def test_silence_but_for_notes() -> None:
    stream = io.StringIO()
    with reporter(show=False, title="", done=0, total=1, stream=stream) as report:
        report.step()
        report.epoch("epoch 1/1")
        report.note("starting again")
    assert stream.getvalue() == "starting again\n"

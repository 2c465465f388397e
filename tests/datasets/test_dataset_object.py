"""A dataset in memory: its checks, statistics, normalisation, subsets and fingerprint."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_invariance.datasets import Dataset, fingerprint_of
from cnn_invariance.errors import InputError


def test_what_it_says_of_itself(toy: Dataset) -> None:
    assert len(toy) == 60
    assert toy.input_shape == (2, 4, 5)
    assert repr(toy) == f"<Dataset toy {toy.fingerprint[:10]}: (2, 4, 5), train 36, validation 6, test 18>"


def test_a_split(toy: Dataset) -> None:
    images, labels = toy.split("test")
    np.testing.assert_array_equal(images, toy.images[42:])
    np.testing.assert_array_equal(labels, toy.labels[42:])
    images[:] = 0  # a copy: the dataset stays
    assert toy.images[42:].any()


def test_an_unknown_split(toy: Dataset) -> None:
    for use in (toy.split, toy.indices):
        with pytest.raises(InputError, match="unknown split 'tets'; did you mean 'test'"):
            use("tets")


def test_statistics_are_those_of_the_training_split(toy: Dataset) -> None:
    train = toy.images[:36].astype(np.float64) / 255
    np.testing.assert_allclose(toy.mean, train.mean(axis=(0, 2, 3)), rtol=1e-14)
    np.testing.assert_allclose(toy.std, train.std(axis=(0, 2, 3)), rtol=1e-14)


def test_statistics_over_several_blocks(toy: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnn_invariance.datasets._dataset.BLOCK", 7)
    np.testing.assert_allclose(toy.std, toy.images[:36].std(axis=(0, 2, 3)) / 255, rtol=1e-14)


def test_normalised_training_images_have_mean_0_and_deviation_1(toy: Dataset) -> None:
    normalised = toy.normalise(torch.from_numpy(toy.split("train")[0]))
    assert normalised.dtype == torch.float32
    std, mean = torch.std_mean(normalised.double(), dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros(2, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(std, torch.ones(2, dtype=torch.float64), atol=1e-6, rtol=0)


def test_normalise_is_the_formula_and_leaves_its_input(toy: Dataset) -> None:
    images = torch.from_numpy(toy.images[40:44]).to(memory_format=torch.channels_last)
    before = images.clone()
    expected = (images.numpy() / 255 - toy.mean[:, None, None]) / toy.std[:, None, None]
    normalised = toy.normalise(images)
    np.testing.assert_allclose(normalised.numpy(), expected, atol=1e-6)
    assert torch.equal(images, before)
    assert normalised.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(toy.normalise(images[0]), normalised[0])


def test_a_constant_channel_is_centred_and_not_divided(toy: Dataset) -> None:
    images = toy.images.copy()
    images[:, 1] = 77
    flat = replace(toy, images=images)
    assert flat.std[1] == 1
    normalised = flat.normalise(torch.from_numpy(images))
    assert torch.isfinite(normalised).all()
    assert normalised[:, 1].abs().max() < 1e-7


@pytest.mark.parametrize(
    "images",
    [torch.zeros(1, 2, 4, 5), torch.zeros(1, 3, 4, 5, dtype=torch.uint8), torch.zeros(4, 5, dtype=torch.uint8)],
)
def test_normalise_refuses_other_images(toy: Dataset, images: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"expected uint8 images \(..., 2, H, W\), as toy has them"):
        toy.normalise(images)


def test_no_training_images_no_mean(toy: Dataset) -> None:
    empty = replace(toy, splits={**toy.splits, "train": np.arange(0)})
    with pytest.raises(InputError, match="training split is empty"):
        _ = empty.mean


def balanced(counts: np.ndarray, sizes: np.ndarray) -> bool:
    """Whether counts differ by one at most among the classes that are not used up."""
    left = counts < sizes
    if not left.any():
        return True
    return counts[left].max() - counts[left].min() <= 1 and counts.max() <= counts[left].min() + 1


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**63), st.lists(st.integers(1, 12), min_size=1, max_size=6))
def test_every_prefix_of_a_subset_is_stratified(seed: int, sizes: list[int]) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    everything = np.arange(len(labels))
    splits = {"train": everything, "validation": everything[:0], "test": everything[:0]}
    images = np.zeros((len(labels), 1, 1, 1), dtype=np.uint8)
    dataset = Dataset.create("any", images, labels, splits, [str(i) for i in range(len(sizes))])
    order = dataset.subset("train", None, seed)
    np.testing.assert_array_equal(np.sort(order), everything)
    for count in range(1, len(order) + 1):
        counts = np.bincount(labels[order[:count]], minlength=len(sizes))
        assert balanced(counts, np.array(sizes))


def test_subsets_are_nested_and_of_the_split(toy: Dataset) -> None:
    largest = toy.subset("test", None, 5)
    assert sorted(largest) == list(range(42, 60))
    for count in (1, 7, 18):
        np.testing.assert_array_equal(toy.subset("test", count, 5), largest[:count])


def test_subsets_depend_on_the_seed_alone(toy: Dataset) -> None:
    np.testing.assert_array_equal(toy.subset("train", 20, 1), toy.subset("train", 20, 1))
    assert not np.array_equal(toy.subset("train", 20, 1), toy.subset("train", 20, 2))


def test_a_subset_is_the_same_for_ever(toy: Dataset) -> None:
    turned = replace(toy, labels=np.arange(60) % 3)
    assert turned.subset("test", 8, 0).tolist() == [45, 55, 53, 44, 43, 57, 59, 49]


def test_one_of_each_class_does_not_favour_the_first_class(toy: Dataset) -> None:
    firsts = {int(toy.labels[toy.subset("train", 1, seed)[0]]) for seed in range(40)}
    assert firsts == {0, 1, 2}


@pytest.mark.parametrize("count", [0, -1, 19, 0.5, True, "5"])
def test_counts_that_cannot_be(toy: Dataset, count: int) -> None:
    with pytest.raises(InputError, match="from 1 to 18, the size of toy's test split"):
        toy.subset("test", count, 0)


def test_the_fingerprint_sees_every_part(toy: Dataset) -> None:
    parts = {"images": toy.images, "labels": toy.labels, "splits": dict(toy.splits), "classes": toy.classes}
    assert fingerprint_of(**parts) == toy.fingerprint
    pixel = toy.images.copy()
    pixel[59, 1, 3, 4] ^= 1
    label = toy.labels.copy()
    label[0] = (label[0] + 1) % 3
    moved = {**toy.splits, "train": toy.splits["test"], "test": toy.splits["train"]}
    others = [
        {"images": pixel},
        {"images": toy.images.reshape(60, 2, 5, 4)},
        {"labels": label},
        {"splits": moved},
        {"splits": {**toy.splits, "test": toy.splits["test"][:-1]}},
        {"classes": ("ash", "beech", "larch")},
    ]
    prints = {fingerprint_of(**{**parts, **other}) for other in others}
    assert len(prints) == len(others)
    assert toy.fingerprint not in prints


def test_the_fingerprint_does_not_see_names_memory_or_order_of_splits(toy: Dataset) -> None:
    turned = np.asfortranarray(toy.images)
    big_endian = toy.labels.astype(">i8")
    splits = dict(reversed(toy.splits.items()))
    assert fingerprint_of(turned, big_endian, splits, list(toy.classes)) == toy.fingerprint
    assert replace(toy, name="other").fingerprint == toy.fingerprint


def test_the_fingerprint_is_the_same_for_ever() -> None:
    images = np.arange(12, dtype=np.uint8).reshape(3, 1, 2, 2)
    splits = {"train": np.array([0]), "validation": np.array([1]), "test": np.array([2])}
    assert fingerprint_of(images, np.array([0, 1, 0]), splits, ["a", "b"]) == FINGERPRINT


FINGERPRINT = "08923c6c21cb4af12a10f4a845b14436ef1898aedd81298c808bf05a36678971"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"images": np.zeros((60, 4, 5), np.uint8)}, r"expected uint8 images \(N, C, H, W\)"),
        ({"images": np.zeros((60, 2, 4, 5))}, r"received float64 \(60, 2, 4, 5\)"),
        ({"labels": np.zeros(59, np.int64)}, "a label for each of the 60 images"),
        ({"labels": np.full(60, 3)}, "labels must lie in 0 .. 2"),
        ({"labels": np.full(60, -1)}, "labels must lie in 0 .. 2"),
        ({"splits": {"train": np.arange(60)}}, "expected the splits train, validation, test; received train"),
        (
            {"splits": {"train": np.arange(30), "validation": np.arange(30, 40), "test": np.arange(39, 60)}},
            "in more than one split",
        ),
        (
            {"splits": {"train": np.arange(30), "validation": np.arange(30, 40), "test": np.arange(40, 61)}},
            "outside 0 .. 59",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(toy: Dataset, change: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        replace(toy, **change)  # type: ignore[arg-type]

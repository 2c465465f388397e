"""The fixed splits: exact sizes, strata, determinism."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_invariance.datasets.splits import hold_out, rank_within, raw_stream


def test_proportions_are_kept_exactly_where_they_are_whole() -> None:
    labels = np.repeat([0, 1, 2], [500, 300, 200])
    kept, held = hold_out(labels, np.arange(1000), 100)
    assert np.bincount(labels[held]).tolist() == [50, 30, 20]
    assert np.bincount(labels[kept]).tolist() == [450, 270, 180]


def test_the_count_is_exact_where_proportions_are_not_whole() -> None:
    labels = np.repeat([0, 1, 2], [333, 334, 340])
    _, held = hold_out(labels, np.arange(len(labels)), 101)
    assert len(held) == 101
    assert np.bincount(labels[held]).tolist() == [33, 34, 34]  # exact shares: 33.4, 33.5, 34.1


def test_a_tiny_class_gives_one_sample() -> None:
    labels = np.repeat([0, 1], [1000, 3])
    _, held = hold_out(labels, np.arange(len(labels)), 100)
    assert np.bincount(labels[held]).tolist() == [99, 1]


def test_a_class_raised_to_one_sample_gets_no_second_one() -> None:
    labels = np.repeat([0, 1, 2], [9, 75, 16])
    _, held = hold_out(labels, np.arange(100), 10)
    assert np.bincount(labels[held]).tolist() == [1, 7, 2]  # exact shares: 0.9, 7.5, 1.6


@settings(deadline=None)
@given(st.lists(st.integers(2, 60), min_size=1, max_size=8), st.floats(0.01, 0.5))
def test_the_parts_are_a_partition_and_no_class_is_lost(sizes: list[int], share: float) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    count = max(1, int(share * len(labels)))
    indices = np.arange(len(labels)) * 3 + 5  # the labels of indices, not of positions, count
    spread = np.full(indices.max() + 1, -1)
    spread[indices] = labels
    kept, held = hold_out(spread, indices, count)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held])), indices)
    assert (np.diff(kept) > 0).all()
    assert (np.diff(held) > 0).all()
    counts = np.bincount(spread[held], minlength=len(sizes))
    assert (counts >= 1).all()
    assert (counts < np.array(sizes)).all()
    exact = count * np.array(sizes) / len(labels)
    assert (np.abs(counts - exact) < 1).all() or len(held) >= count
    assert len(held) >= count


def test_a_split_is_the_same_for_ever() -> None:
    _, held = hold_out(np.repeat([0, 1], 10), np.arange(20), 6)
    assert held.tolist() == HELD


HELD = [1, 4, 5, 11, 14, 16]


def test_the_stream_is_numpys_guaranteed_one() -> None:
    assert raw_stream(2, 7).tolist() == np.random.PCG64(7).random_raw(2).tolist()
    assert raw_stream(1, 7).shape == (1,)
    assert raw_stream(0, 7).shape == (0,)


def test_rank_within_its_group() -> None:
    groups = np.array([1, 0, 1, 1, 0])
    keys = np.array([30, 5, 10, 20, 4], dtype=np.uint64)
    assert rank_within(groups, keys).tolist() == [2, 1, 0, 1, 0]


@pytest.mark.parametrize("scale", [1, 7])
def test_the_choice_is_not_the_first_samples(scale: int) -> None:
    _, held = hold_out(np.zeros(100 * scale, np.int64), np.arange(100 * scale), 10 * scale)
    assert held.max() > 50 * scale

"""Fixed, stratified choices of samples: the same ones on every machine and in every version.

They are drawn from the raw 64-bit stream of NumPy's PCG64, whose values NumPy guarantees for ever;
the methods of ``Generator`` (``permutation``, ``shuffle``) come without that promise.
"""

from typing import TypeVar

import numpy as np
from numpy.random import PCG64
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)

SPLIT_SEED = 20210801
"""The seed of every fixed split. Changing it changes every fingerprint."""


def hold_out(labels: Indices, indices: Indices, count: int) -> tuple[Indices, Indices]:
    """Divide ``indices`` into (kept, held out), stratified; about ``count`` samples are held out.

    Each class contributes its share of ``count`` (by largest remainder) and at least one sample, so that with
    many small classes more than ``count`` samples are held out. Both parts are in rising order. The choice
    depends only on ``SPLIT_SEED``, the labels at ``indices`` and ``count``.
    """
    chosen = labels[indices]
    _, group, sizes = np.unique(chosen, return_inverse=True, return_counts=True)
    rank = rank_within(chosen, raw_stream(len(chosen), SPLIT_SEED))
    held = rank < _quotas(sizes, count)[group]
    return indices[~held], indices[held]


def round_robin(labels: Indices, indices: Indices, seed: int) -> Indices:
    """``indices`` in a random order that takes one sample of each class in turn.

    Any prefix holds every class equally often, within one sample, until a class runs out. The
    order within each class, and of the classes within each turn, is random by ``seed``.
    """
    draws = raw_stream(2 * len(indices), seed)
    within, between = draws[: len(indices)], draws[len(indices) :]
    turn = rank_within(labels[indices], within)
    return indices[np.lexsort((between, turn))]


def raw_stream(count: int, seed: int) -> NDArray[np.uint64]:
    """(count,) random 64-bit numbers of a seed."""
    return np.atleast_1d(np.asarray(PCG64(seed).random_raw(count), dtype=np.uint64))


def rank_within(groups: NDArray[Scalar], keys: NDArray[np.uint64]) -> Indices:
    """(n,): the place of each key, from 0, among the keys of its group."""
    order = np.lexsort((keys, groups))
    _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    rank = np.empty(len(groups), dtype=np.int64)
    rank[order] = np.arange(len(groups)) - np.repeat(starts, sizes)
    return rank


def _quotas(sizes: Indices, count: int) -> Indices:
    """The number of samples of each class: ``count`` in proportion to ``sizes``, rounded, at least 1."""
    whole, remainder = np.divmod(count * sizes, sizes.sum())
    remainder[
        whole == 0
    ] = -1  # these are raised to 1 below, so they come last when the remaining samples are given out
    quotas = np.maximum(whole, 1)
    left = max(count - int(quotas.sum()), 0)
    quotas[np.argsort(-remainder, kind="stable")[:left]] += 1
    return quotas

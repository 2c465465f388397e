"""Tiles whose samples are shuffled under each transformation, and the running statistics that are fed with them.

`measures.nulls` says what they are for, and how the samples are drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnn_invariance.activations import Layer
from cnn_invariance.measures.engine.groups import mean_of_finite
from cnn_invariance.measures.nulls import BY_CLASS, OWN_PASS, SAME_UNDER_A_SHUFFLE, Null
from cnn_invariance.measures.requests import Measure
from cnn_invariance.measures.statistics.base import Accumulators, NoValueError, Statistic, Taps, Tile


def places(samples: int, M: int, seed: Sequence[int]) -> Tensor:
    """(M, samples): of each transformation the sample that takes the place of each, never itself.

    A circle in random order, turned by another number of places for each transformation, by all of them where there are
    fewer than M. The same on every machine: NumPy keeps the raw stream of PCG64 for ever.

    >>> places(3, 2, [0]).sort(1).values.tolist(), places(3, 4, [0]).shape
    ([[0, 1, 2], [0, 1, 2]], torch.Size([4, 3]))
    """
    raw = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(2 * samples - 1)
    circle = np.argsort(raw[:samples], kind="stable")
    turns = 1 + np.resize(np.argsort(raw[samples:], kind="stable"), M)
    found = np.empty((M, samples), dtype=np.int64)
    found[:, circle] = circle[(np.arange(samples) + turns[:, None]) % samples]
    return torch.from_numpy(found)


def shared(samples: int, M: int) -> float:
    """The share of pairs of transformations with the same sample, in tiles of so many.

    >>> shared(5, 4), shared(3, 4)
    (0.0, 0.3333333333333333)
    """
    counts = np.bincount(np.arange(M) % (samples - 1))
    return float((counts * (counts - 1)).sum() / max(M * (M - 1), 1))


def taken(columns: Tensor, order: Tensor, reference: int) -> Tensor:
    """(M', b, ...) -> (M + 1, b, ...): each transformation's samples in another order, then the untransformed ones."""
    M = len(order)
    out = columns.new_empty(M + 1, *columns.shape[1:])
    for j in range(M):
        torch.index_select(columns[j], 0, order[j], out=out[j])
    out[M] = columns[reference]
    return out


@dataclass
class ShuffledTile(Tile):
    """A tile in which each transformation has the activations of another sample; the last column is as it was."""

    whole: Tile | None = None
    order: Tensor | None = None

    @classmethod
    def of(cls, tile: Tile, order: Tensor) -> "ShuffledTile":
        """A tile shuffled by `places`."""
        order = order.to(tile.columns.device)
        undo, forward = (None if one is None else _with_reference(one, tile) for one in (tile.undo, tile.forward))
        columns = taken(tile.columns, order, tile.reference)
        return cls(
            columns,
            tile.M,
            tile.M,
            tile.context,
            undo,
            forward,
            tile.pivot,
            None,
            tile.numbers,
            whole=tile,
            order=order,
        )

    @cached_property
    def undone_columns(self) -> Tensor:
        """Those of the tile, shuffled: an undone activation does not depend on the other samples."""
        assert self.whole is not None
        assert self.order is not None
        return taken(self.whole.undone_columns, self.order, self.whole.reference)


def _with_reference(taps: Taps, tile: Tile) -> Taps:
    """The taps of all transformations, and those of the untransformed column behind them."""
    if tile.reference == tile.M:
        return taps
    rows = torch.tensor([*range(tile.M), tile.reference], device=taps.index.device)
    return Taps(taps.index[rows], taps.fraction[rows], taps.exact[rows])


class Shuffles:
    """The running statistics of R shuffles of a pass.

    families: of the measures that are asked for
    main:     the accumulators of the pass, for what does not depend on the pairs
    outputs:  makes empty sums of the output, or gives None
    """

    def __init__(
        self,
        families: Mapping[Measure, ModuleType],
        main: list[Accumulators],
        outputs: Sequence[Any],
        *,
        seed: int,
        size: int,
    ) -> None:
        self.main, self.outputs, self.seed, self.size = main, outputs, seed, size
        self.M = main[0].context.M
        by_class = any(request["stratified"] for request in families)
        self.no_null: dict[str, str] = {}
        self.families: dict[Measure, ModuleType] = {}
        for request, family in families.items():
            if why := BY_CLASS if by_class else self._excuse(request, family):
                self.no_null[str(request)] = why
            else:
                self.families[request] = family
        paired = [
            frozenset(s for r, f in self.families.items() for s in f.statistics(r, layer.context) if s.paired)
            for layer in main
        ]
        self.layers = [
            [Accumulators(layer.context, some) for layer, some in zip(main, paired, strict=True)] for _ in outputs
        ]
        self.orders: list[Tensor] = []
        self.tiles = 0

    def _excuse(self, request: Measure, family: ModuleType) -> str:
        """Why a measure has no null; empty if it has one."""
        if hasattr(family, "own_pass"):
            return OWN_PASS
        if hasattr(family, "of_output"):
            return ""
        needed = [family.statistics(request, layer.context) for layer in self.main]
        return "" if any(s.paired for some in needed for s in some) else SAME_UNDER_A_SHUFFLE

    def draw(self, samples: int) -> None:
        """The shuffles of the next tile; none if it has fewer samples than the others, which then take no part."""
        usual = samples == self.size or samples > self.M or not self.tiles
        self.orders = [
            places(samples, self.M, [self.seed, k, self.tiles])
            for k in range(len(self.layers))
            if usual and samples > 1
        ]
        self.tiles += 1

    def add(self, layer: Layer, tile: Tile) -> None:
        """A tile of a layer."""
        for own, order in zip(self.layers, self.orders, strict=False):
            accumulators = own[layer.index - 1]
            if accumulators.statistics:
                accumulators.update(ShuffledTile.of(tile, order))

    def add_outputs(self, scores: Tensor | None, samples: int, reference: int) -> None:
        """The scores (M' b, K) of a tile."""
        for sums, order in zip(self.outputs, self.orders, strict=False):
            if sums is not None and scores is not None:
                columns = scores.detach().view(-1, samples, *scores.shape[1:])
                sums.add(taken(columns, order.to(columns.device), reference).flatten(0, 1), samples)
            elif sums is not None:
                sums.add(None, samples)

    def finish(self) -> Null:
        """The profiles of all shuffles, and the values of the network."""
        R = len(self.layers)
        profiles = {
            str(request): np.full((len(self.main), R), np.nan)
            for request, family in self.families.items()
            if not hasattr(family, "of_output")
        }
        found: dict[str, list[float]] = {}
        for k, (own, sums) in enumerate(zip(self.layers, self.outputs, strict=True)):
            for row, (accumulators, main) in enumerate(zip(own, self.main, strict=True)):
                self._finish_layer(accumulators, main, profiles, row, k)
            network: dict[str, np.ndarray] = {}
            if sums is not None:
                sums.finish(network, {})
            for name, value in network.items():
                found.setdefault(name, []).append(float(value.mean()))
        network = {name: np.array(values) for name, values in found.items() if name not in self.no_null}
        return Null(R, shared(max(self.size, 2), self.M), profiles, network, self.no_null)

    def _finish_layer(
        self, own: Accumulators, main: Accumulators, profiles: Mapping[str, np.ndarray], row: int, k: int
    ) -> None:
        read: dict[Statistic, Tensor] = {}
        for request, family in self.families.items():
            needed = family.statistics(request, main.context)
            if not any(s.paired for s in needed):
                continue
            try:
                for s in needed:
                    if s not in read:
                        read[s] = (own if s.paired else main).value(s)
                combined = family.combine(request, main.context, *(read[s] for s in needed))
                profiles[str(request)][row, k] = mean_of_finite(combined)
            except NoValueError:
                pass

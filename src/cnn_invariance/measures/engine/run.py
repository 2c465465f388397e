"""The one pass over samples x transformations in which every measure is computed.

A tile is b samples under all M transformations. It is transformed at once, goes through the network at once, and while
each layer's activations are hot a hook hands them to the running statistics that the asked-for measures need. The
network sees every (sample, transformation) once; what cannot be had so, a threshold from all of them or pairs of
samples in the order of another library beside ours, takes one look more. Memory: the activations of one tile, and the
running statistics, which do not grow with the number of samples.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import repeat
from math import ceil
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from cnn_invariance.activations import Layer, LayerFilter, observe
from cnn_invariance.devices import at_precision, full_precision, left_as_found, memory_kept
from cnn_invariance.errors import InputError
from cnn_invariance.measures.aggregation import count_dead
from cnn_invariance.measures.engine.inputs import Callables, MapStyle, TransformedBatch, batch, check_model, scores
from cnn_invariance.measures.engine.prepare import (
    PreparedPass,
    block_of,
    moves_maps,
    out_of_memory,
    undoes_maps,
    uses_untransformed,
)
from cnn_invariance.measures.requests import Measure
from cnn_invariance.measures.result import MeasureResult
from cnn_invariance.measures.statistics.base import (
    Accumulators,
    Context,
    NoValueError,
    SampleOrder,
    Statistic,
    Taps,
    Tile,
)
from cnn_invariance.measures.statistics.scales import Magnitudes
from cnn_invariance.transformations.affine import AffineSet, invert, is_identity
from cnn_invariance.transformations.warp import neighbours

Order = SampleOrder | None
NEGLIGIBLE = 1 << 28  # bytes, for which nobody is asked whether there is room
BY_CLASS = "another measure of this pass is taken class by class; measure this one in a pass without such"


def measure(
    model: nn.Module,
    images: Tensor | MapStyle,
    transformations: AffineSet | Callables,
    measures: Sequence[str] | None = None,
    labels: Tensor | Sequence[int] | None = None,
    *,
    layers: LayerFilter = None,
    device: torch.device | str | None = None,
    tile: int | Literal["fixed"] | None = None,
    progress: bool = False,
    precision: str = "fp32",
    nan: str = "error",
    order_seed: int = 0,
    accuracy: bool = True,
    merge: bool = False,
    uncertainty: bool | int = False,
    null: bool | int = False,
) -> MeasureResult:
    """Measure the invariance and same-equivariance of every unit of every layer of a network.

    Args:
        model: any module in evaluation mode; layers are found by running it (see ``activations``).
        images: (N, C, H, W) floating point, normalised as the network expects; or a map-style dataset of (C, H, W)
            images or of (image, label) pairs.
        transformations: a set of affine maps, or callables that map a batch of images (b, C, H, W) to one of the same
            size; same-equivariance needs the former, as only they can be undone on feature maps.
        measures: names, with options in brackets: ``NV[aggregate=mean]`` is NV of maps, ``NV`` alone NV of units.
            None: all that apply, in the form that the study uses: NV and NVSE of maps, the others with defaults.
        labels: (N,) class of each image, for accuracy, stratified measures and the order by class: a whole number, the
            index of its output. None: taken from the dataset if it yields them.
        layers: names of layers or modules, patterns, classes of modules, or a predicate (see ``activations.select``);
            None: every module that computes something itself.
        device: where the pass runs; None: where the model is.
        tile: samples that go through the network at once, under all transformations; None: by the machine's caches or
            its GPU's memory; ``fixed``: by a rule that does not look at the caches, so that the last digits do not
            depend on them. Sample distances need whole blocks, to which it is rounded up.
        progress: show a progress bar.
        precision: of the forward pass: ``fp32``, ``tf32`` (CUDA) or ``bf16``; statistics are fp32 or better always.
        nan: what to do with activations that are not finite: ``error`` names the layer; ``count`` leaves the units
            out of profiles and counts them.
        order_seed: of the random order in which the samples are paired for sample distances (SD, ND, ...): the ranks of
            the first N raw numbers of NumPy's PCG64 with this seed. Other measures do not depend on it.
        accuracy: False: labels are no classes of the network, and only say which images belong together.
        merge: leave out layers that hand on what the layer before returned, unchanged, such as dropout.
        uncertainty: True, or a number of groups of samples (5 or more; True: 10): also give an interval over samples
            for each layer's profile, from the same pass (see ``measures.uncertainty``). The samples are then taken in
            the random order of ``order_seed``, at most a group at once.
        null: True, or a number of shuffles (True: 5): also give the value of each measure where f(t(x)) is paired with
            another sample, from the same pass (see ``measures.nulls``), with its standard error over shuffles. The
            samples are taken in random order, at least as many at once as there are transformations, and one more.

    Returns:
        The measures per unit, the accuracy per transformation (where the output has scores of two classes or more; else
        ``no_accuracy`` says why not), and what the pass used. The scores are the output, or the tensor (B, K) in it
        that is named ``logits``, ``out`` and the like, or the first one. The pass leaves no trace: modes,
        devices and random generators are as before, and an autocast around it has no effect.

    Raises:
        InputError: before the pass, for anything above that cannot be; after it, for activations that are not finite.

    Example:
        >>> from cnn_invariance.transformations import rotation
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()).eval()
        >>> result = measure(network, torch.rand(10, 1, 8, 8), rotation(n=5, closed=False), ["NV", "NVSE"])
        >>> result.profile("NVSE")["layer"].tolist()
        ['0']
    """
    check_model(model)
    with left_as_found(model), memory_kept():
        prepared = PreparedPass.make(
            model,
            images,
            transformations,
            measures,
            labels,
            layers,
            device,
            tile,
            precision,
            nan,
            order_seed,
            accuracy,
            merge,
            uncertainty,
            null,
        )
        while True:
            try:
                engine = _Engine(prepared, progress)
                result = engine.run()
                if not engine.must_scale(result):
                    break
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                prepared.shrink(error)
            if prepared.device.type == "cuda":
                torch.cuda.empty_cache()  # only now: the error's traceback held the tile
        if prepared.nan == "error":
            _refuse_nan(result.values, prepared.layers)
        return result


class _Engine:
    """One run of a prepared pass."""

    def __init__(self, prepared: PreparedPass, progress: bool) -> None:
        self.prepared = prepared
        self.progress = progress
        untransformed = any(uses_untransformed(request) for request in prepared.requests)
        self.columns = TransformedBatch(prepared.transformations, batch(prepared.images, [0]).shape[1:], untransformed)
        self.correct = torch.zeros(prepared.M, dtype=torch.int64, device=prepared.device)
        self.undos = self._taps(undoes_maps, inverse=True)
        self.forwards = self._taps(moves_maps, inverse=False)
        self.pivots: dict[int, Tensor] = {}
        self.buffer = torch.empty(0, dtype=torch.float32, device=prepared.device)
        self.magnitudes = Magnitudes()
        self.turn = 0  # of the column whose magnitudes are noted
        self.see: Callable[[Layer, Tensor], None]
        self.reasons: dict[str, dict[str, str]] = {}  # of values that are absent, by measure and layer
        self.outputs = self._output_sums()
        self.groups: Any = None  # a SampleGroups, where intervals are asked for
        self.shuffles: Any = None  # a Shuffles, where nulls are asked for

    def _output_sums(self, reference: int | None = None) -> Any:
        """What the measures of the output need of it; None where no such measure is asked for.

        reference: the column of the untransformed samples, if it is not that of the pass
        """
        asked = [r for r, family in self.prepared.requests.items() if hasattr(family, "of_output")]
        if not asked:
            return None
        from cnn_invariance.measures.engine.outputs import OutputSums  # few passes need it

        return OutputSums(asked, self.prepared.M, self.columns.reference if reference is None else reference)

    def run(self) -> MeasureResult:
        """The passes, and the measures from what they left.

        Nearly always it is one pass. Pairs of samples in another order than the main pass's have one of their own.
        """
        prepared = self.prepared
        own_pass = prepared.with_pass_of_their_own()
        if sum(map(len, own_pass.values())) == len(prepared.requests) and prepared.no_accuracy:
            result = self._result({request: [None] * len(prepared.layers) for request in prepared.requests})
            nothing = self._accumulators([], prepared.N)
            return replace(result, nulls=self._shuffled_samples(nothing).finish()) if prepared.shuffles else result
        pooled = [request for request in prepared.requests if not request["stratified"]]
        by_class = [request for request in prepared.requests if request["stratified"]]
        orders = self._orders(pooled, bool(by_class))
        main, *others = [self._accumulators(pooled, prepared.N, wanted) for _, wanted in orders]
        self._check_memory([main, *others])
        for k, ((order, _), own) in enumerate(zip(orders[1:], others, strict=True)):
            self._pass(self._order(order), [own], None if k else main, alone=True)
        groups = self._classes() if by_class else [self._order(orders[0][0])]
        if prepared.groups:
            self.groups = self._sample_groups(main, bool(by_class))
        if prepared.shuffles:
            self.shuffles = self._shuffled_samples(main)
        if _need_all(main) and not others:
            self._pass(torch.arange(prepared.N), [], main, alone=True)
        self._show_untransformed(main, torch.cat(groups))
        averages: dict[Measure, list[Any]] = {}
        for group in groups:
            own = self._accumulators(by_class, len(group))
            if _need_all(own):
                self._pass(group, [], own, alone=True)
            self._show_untransformed(own, group)
            self._pass(group, [main, own])
            for request, values in self._values(by_class, [own]).items():
                _add(averages, request, values, len(groups))
        finished = self._values(pooled, [main, *others]) | averages
        result = self._result({request: finished[request] for request in prepared.requests})
        if self.groups:
            result = replace(result, uncertainty=self.groups.finish())
        return replace(result, nulls=self.shuffles.finish()) if self.shuffles else result

    def _sample_groups(self, main: list[Accumulators], by_class: bool) -> Any:
        """The groups of samples of the main pass."""
        from cnn_invariance.measures.engine.groups import SampleGroups, ends_of_groups  # few passes need it

        prepared = self.prepared
        tiles = [len(tile) for tile in torch.arange(prepared.N).split(self._tile_size([main]))]
        why = {str(r): "it is taken class by class" if r["stratified"] else BY_CLASS for r in prepared.requests}
        return SampleGroups(prepared.requests, main, ends_of_groups(tiles, prepared.groups), why if by_class else {})

    def _shuffled_samples(self, main: list[Accumulators]) -> Any:
        """The statistics of shuffled samples of the main pass; those that look first have seen the samples."""
        from cnn_invariance.measures.engine.shuffles import Shuffles  # few passes need it

        prepared = self.prepared
        outputs = [self._output_sums(reference=prepared.M) for _ in range(prepared.shuffles)]
        shuffles = Shuffles(
            prepared.requests, main, outputs, seed=prepared.order_seed, size=min(prepared.N, self._tile_size([main]))
        )
        for own in shuffles.layers:
            if _need_all(own):
                self._pass(torch.arange(prepared.N), [], own, alone=True)
            self._show_untransformed(own, torch.arange(prepared.N))
        return shuffles

    def _orders(self, pooled: Sequence[Measure], by_class: bool) -> list[tuple[Order, set[Order]]]:
        """The orders of the samples, of the main pass first: each with those that statistics in it may want."""
        statistics = [s for own in self._statistics(pooled, self.prepared.N) for s in own]
        wanted = {statistic.sample_order for statistic in statistics} - {None}
        if not by_class and ("random" in wanted or self.prepared.groups or self.prepared.shuffles):
            first: Order = "random"
        elif not by_class and "class" in wanted and block_of(statistics) <= self.prepared.tile:
            first = "class"
        else:
            first = None
        return [(first, {None, first}), *((order, {order}) for order in sorted(wanted - {first}, key=str))]

    def _order(self, order: Order) -> Tensor:
        """(N): the samples as given, in the random order, or sorted by class."""
        if order == "class":
            return cast(Tensor, self.prepared.labels).argsort(stable=True)
        return torch.arange(self.prepared.N) if order is None else self._shuffled(self.prepared.N)

    def _shuffled(self, n: int) -> Tensor:
        """A random order of n samples, the same on every machine: NumPy keeps the raw stream of PCG64 for ever."""
        draws = np.atleast_1d(np.random.PCG64(self.prepared.order_seed).random_raw(n))
        return torch.from_numpy(np.argsort(draws, kind="stable"))

    def _classes(self) -> list[Tensor]:
        """The samples of each class, in a random order."""
        labels = cast(Tensor, self.prepared.labels)
        groups = [torch.nonzero(labels == label).flatten() for label in labels.unique()]
        return [group[self._shuffled(len(group))] for group in groups]

    def _taps(self, asked: Callable[[Measure], bool], inverse: bool) -> dict[tuple[int, ...], Taps]:
        """How to apply the transformations or their inverses, by size of the feature map; empty when nobody asks."""
        if not any(asked(request) for request in self.prepared.requests):
            return {}
        matrices = cast(AffineSet, self.prepared.transformations).matrices
        if self.columns.appended:
            matrices = np.concatenate([matrices, np.eye(2, 3)[None]])
        exact = torch.from_numpy(is_identity(matrices).astype(np.uint8))
        taps: dict[tuple[int, ...], Taps] = {}
        for size in {(layer.shape[1], layer.shape[2]) for layer in self.prepared.layers if layer.spatial}:
            index, way = neighbours(invert(matrices, size) if inverse else matrices, size)
            taps[size] = Taps(*(t.to(self.prepared.device).contiguous() for t in (index.int(), way.float(), exact)))
        return taps

    def _pivot(self, layer: Layer, activations: Tensor) -> Tensor:
        """The first sample's central pixel, kept for the whole pass."""
        if layer.index not in self.pivots:
            C, H, W = layer.shape
            self.pivots[layer.index] = activations.view(H, W, C)[H // 2, W // 2].clone()
        return self.pivots[layer.index]

    def _room(self, values: int) -> Tensor:
        """Room for the undone activations of a tile, which grows when a pass has larger ones."""
        if len(self.buffer) < values:
            self.buffer = torch.empty(values, dtype=torch.float32, device=self.prepared.device)
        return self.buffer

    def _statistics(self, requests: Sequence[Measure], N: int) -> list[set[Statistic]]:
        """Of each layer, what the measures read."""
        families = self.prepared.requests
        contexts = map(self._context, self.prepared.layers, repeat(N))
        return [{s for r in requests for s in families[r].statistics(r, context)} for context in contexts]

    def _context(self, layer: Layer, N: int) -> Context:
        prepared = self.prepared
        return Context(layer, N, prepared.M, prepared.device, prepared.scales.get(layer.index))

    def _accumulators(
        self, requests: Sequence[Measure], N: int, orders: Collection[Order] | None = None
    ) -> list[Accumulators]:
        """Of each layer, for what the measures read in some orders of the samples, or in any."""
        prepared = self.prepared
        return [
            Accumulators(
                self._context(layer, N),
                frozenset(s for s in statistics if orders is None or s.sample_order in orders),
            )
            for layer, statistics in zip(prepared.layers, self._statistics(requests, N), strict=True)
        ]

    def _check_memory(self, accumulators: Sequence[Sequence[Accumulators]]) -> None:
        """Raise InputError where what is kept of pairs of channels or of positions does not fit into memory."""
        kept: Counter[str] = Counter()
        for one in (one for some in accumulators for one in some):
            kept[one.context.layer.name] += sum(member.bytes_of_pairs for member in one.members.values())
        if (total := sum(kept.values())) < NEGLIGIBLE:
            return
        from cnn_invariance import machine  # few passes keep so much

        device = self.prepared.device
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else machine.free_memory()
        if free is not None and total > free:
            name, most = kept.most_common(1)[0]
            raise InputError(
                "measures that let channels or positions mix keep products of all pairs: "
                f"{total / 1e9:.1f} GB for {sum(map(bool, kept.values()))} layers, {most / 1e9:.1f} GB of them for "
                f"{name}, and {free / 1e9:.1f} GB of memory are free; measure fewer layers (layers=[...]), or leave "
                "these measures out"
            )

    def _show_untransformed(self, accumulators: list[Accumulators], group: Tensor) -> None:
        """Show the untransformed samples once to those whose thresholds come from them."""
        if not any(layer.needs_untransformed_first for layer in accumulators):
            return

        def see(layer: Layer, columns: Tensor) -> None:
            accumulators[layer.index - 1].show_untransformed(columns)

        for chunk in self._tiles(group, self.prepared.tile * self.prepared.M, "thresholds"):
            images = batch(self.prepared.images, chunk.tolist()).to(self.prepared.device, self.prepared.dtype)
            self._forward(images.unsqueeze(0), see)

    def _pass(
        self,
        group: Tensor,
        accumulators: list[list[Accumulators]],
        lookers: list[Accumulators] | None = None,
        *,
        alone: bool = False,
    ) -> None:
        """Add the samples under all transformations to the accumulators, and show them to those that look first.

        alone: it is no main pass, and pairs samples only; tiles that must hold many samples may hold them under few
            transformations
        """
        prepared = self.prepared
        size = self._tile_size(accumulators)
        step = max(1, prepared.tile * prepared.M // size) if alone else prepared.M
        members = slice(0, prepared.M)

        def see(layer: Layer, columns: Tensor) -> None:
            M, reference = members.stop - members.start, 0 if alone else self.columns.reference
            if lookers is not None:
                lookers[layer.index - 1].show_all(columns[:M])
            if not accumulators:
                return
            kept = (self.undos, self.forwards) if layer.spatial else ({}, {})
            undo, forward = (taps.get(layer.shape[1:]) for taps in kept)
            tile = Tile(columns, M, reference, accumulators[0][layer.index - 1].context, numbers=chunk)
            if undo is not None or forward is not None:
                tile.pivot, tile.forward = self._pivot(layer, tile.map_columns[reference, 0]), forward
            if undo is not None:
                tile.undo, tile.buffer = undo.of(members) if alone else undo, self._room(columns.numel())
            for some in accumulators:
                some[layer.index - 1].update(tile)
            if not alone and self.shuffles is not None:
                self.shuffles.add(layer, tile)

        for chunk in self._tiles(group, size, "ordering" if alone else "measuring"):
            if not alone and self.shuffles is not None:
                self.shuffles.draw(len(chunk))
            images = batch(prepared.images, chunk.tolist()).to(prepared.device, prepared.dtype)
            for start in range(0, prepared.M, step):
                members = slice(start, min(start + step, prepared.M))
                output = self._forward(self.columns(images, members if alone else None), see)
            if not alone and not prepared.no_accuracy:
                self._count_correct(output, chunk)
            if not alone and self.outputs is not None:
                found = scores(output, self.columns.count * len(chunk))
                self.outputs.add(found, len(chunk))
                if self.shuffles is not None:
                    self.shuffles.add_outputs(found, len(chunk), self.columns.reference)
            if not alone and self.groups is not None:
                self.groups.add(len(chunk))

    def _tile_size(self, accumulators: list[list[Accumulators]]) -> int:
        """The samples of a tile: whole blocks of every statistic that pairs samples."""
        block = max([1, *(block_of(layer.statistics) for some in accumulators for layer in some)])
        return ceil(self.prepared.tile / block) * block

    def _count_correct(self, output: Any, chunk: Tensor) -> None:
        """Under each transformation, the samples of a tile whose class has the highest score."""
        found = cast(Tensor, scores(output, self.columns.count * len(chunk)))
        guess = found.argmax(1).view(-1, len(chunk))[: self.prepared.M]
        self.correct += (guess == cast(Tensor, self.prepared.labels)[chunk].to(guess.device)).sum(1)

    def _tiles(self, group: Tensor, size: int, what: str) -> Iterator[Tensor]:
        chunks = group.split(size)
        if not self.progress:
            yield from chunks
            return
        from rich.progress import track  # its import draws a random number, which is given back here

        yield from track(chunks, what, transient=True)

    def must_scale(self, result: MeasureResult) -> bool:
        """Whether the pass has to be made again, with layers of unusual magnitude scaled; looked for once."""
        prepared = self.prepared
        if prepared.scaled:
            return False
        unknown = [
            layer.index
            for k, layer in enumerate(prepared.layers)
            if any(np.isnan(v).any() for measure in result.values.values() if (v := measure[k]) is not None)
        ]
        if not self.magnitudes.unusual(unknown):
            return False
        self.magnitudes, prepared.scaled = Magnitudes(), True
        for chunk in self._tiles(torch.arange(prepared.N), prepared.tile, "scaling"):
            images = batch(prepared.images, chunk.tolist()).to(prepared.device, prepared.dtype)
            self._forward(self.columns(images), lambda layer, columns: None, note=slice(None))
        prepared.scales = self.magnitudes.scales(prepared.layers)
        return bool(prepared.scales)

    def _forward(self, columns: Tensor, see: Callable[[Layer, Tensor], None], note: slice | None = None) -> Any:
        """The network on (M', b, C, H, W); ``see`` gets every layer's activations as (M', b, U).

        The magnitudes of one column are noted, of the next one in the next tile; or of those of ``note``.
        """
        M, b = columns.shape[:2]
        batch = columns.flatten(0, 1).contiguous(memory_format=self.prepared.memory_format)
        missing = {layer.name: layer for layer in self.prepared.layers}

        def look(name: str, module: nn.Module, tensor: Tensor) -> None:
            layer = missing.pop(name, None)
            if layer is None or tensor.shape[1:] != layer.shape:
                raise _changed(name, tuple(tensor.shape[1:]), "absent" if layer is None else layer.shape)
            values = _units_last(tensor).view(M, b, layer.units)
            self.magnitudes.see(layer, values[self.turn % M if note is None else note])
            with full_precision(self.prepared.precision, self.prepared.device):
                see(layer, values if layer.index in self.prepared.scales else values.float())

        with (
            observe(self.prepared.model, self.prepared.observed.roles, M * b, look),
            at_precision(self.prepared.precision, self.prepared.device),
        ):
            output = self.prepared.model(batch)
        self.turn += 1
        for layer in missing.values():
            raise _changed(layer.name, "absent", layer.shape)
        return output

    def _values(
        self, requests: Sequence[Measure], passes: Sequence[list[Accumulators]]
    ) -> dict[Measure, list[tuple[np.ndarray, int] | None]]:
        """Each measure: for each layer its values and how many are 0 / 0; None where it has none."""
        finished: dict[Measure, list[tuple[np.ndarray, int] | None]] = {request: [] for request in requests}
        for own in zip(*passes, strict=True):
            places = {statistic: layer for layer in own for statistic in layer.statistics}
            read = cache(lambda s, places=places: places[s].value(s))  # what several measures need is finished once
            for request in requests:
                finished[request].append(self._value(request, own[0].context, read))
        return finished

    def _value(
        self, request: Measure, context: Context, read: Callable[[Statistic], Tensor]
    ) -> tuple[np.ndarray, int] | None:
        """One measure on one layer."""
        family = self.prepared.requests[request]
        try:
            needed = [read(statistic) for statistic in family.statistics(request, context)]
            if not needed:
                raise NoValueError(family.absent(request, context) if hasattr(family, "absent") else "")
            return family.combine(request, context, *needed).numpy(), count_dead(request, *needed)
        except NoValueError as reason:
            if str(reason):
                self.reasons.setdefault(str(request), {})[context.layer.name] = str(reason)
            return None

    def _result(self, finished: Mapping[Measure, list[Any]]) -> MeasureResult:
        prepared = self.prepared
        values = {str(r): [None if v is None else v[0] for v in layers] for r, layers in finished.items()}
        dead = {str(r): [0 if v is None else v[1] for v in layers] for r, layers in finished.items()}
        network: dict[str, np.ndarray] = {}
        if self.outputs is not None:
            self.outputs.finish(network, self.reasons)
        for family, asked in prepared.with_pass_of_their_own().items():
            family.own_pass(prepared, asked, values, network, self.reasons, self.progress)
        accuracy = None
        if not prepared.no_accuracy:
            accuracy = self.correct.cpu().numpy() / prepared.N
        labels = (
            prepared.transformations.labels
            if isinstance(prepared.transformations, AffineSet)
            else [getattr(t, "__name__", repr(t)) for t in prepared.transformations]
        )
        info = {
            "tile": prepared.tile,
            "order_seed": prepared.order_seed,
            "precision": prepared.precision,
            "device": prepared.device.type,
            "no_accuracy": prepared.no_accuracy,
        }
        return MeasureResult(
            tuple(prepared.layers), values, accuracy, prepared.N, tuple(labels), dead, info, prepared.observed.skipped,
            network, self.reasons,
        )  # fmt: skip


def _need_all(accumulators: list[Accumulators]) -> bool:
    """Whether some thresholds come from all samples under all transformations."""
    return any(layer.needs_all_first for layer in accumulators)


def _changed(name: str, now: object, first: object) -> InputError:
    return InputError(
        f"layer {name} changed between images: now {now}, at first {first}; a network must compute the same layers "
        "for all"
    )


def _units_last(activations: Tensor) -> Tensor:
    """Contiguous, feature maps with channels last."""
    if activations.ndim == 4:
        activations = activations.permute(0, 2, 3, 1)
    return activations.contiguous()


def _add(averages: dict[Measure, list[Any]], request: Measure, values: list[Any], classes: int) -> None:
    """Average over classes as they come: the mean of the values, the sum of the dead."""
    shares = [None if v is None else (v[0] / classes, v[1]) for v in values]
    before = averages.get(request)
    if before is None:
        averages[request] = shares
    else:
        averages[request] = [
            None if a is None or b is None else (a[0] + b[0], a[1] + b[1]) for a, b in zip(before, shares, strict=True)
        ]


def _refuse_nan(values: Mapping[str, Sequence[np.ndarray | None]], layers: Sequence[Layer]) -> None:
    for k, layer in enumerate(layers):
        here = [measure[k] for measure in values.values()]
        broken = max((int(np.isnan(v).sum()) for v in here if v is not None), default=0)
        if broken:
            raise InputError(
                f"layer {layer.name} (number {layer.index}, {layer.kind}) has activations that are not finite: "
                f"{broken} of {layer.units} units; correct the network, its inputs or the transformations, or pass "
                "nan='count' to leave them out and count them"
            )

"""The one pass over samples x transformations in which every measure is computed.

A tile is b samples under all M transformations. It is transformed at once, goes through the network at once, and
while each layer's activations are hot a hook hands them to the running statistics that the asked-for measures
need. The network sees every (sample, transformation) once. Memory: the activations of one tile, and the running
statistics, which do not grow with the number of samples.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, cast

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from cnn_invariance.activations import Layer, LayerFilter, observe
from cnn_invariance.devices import at_precision
from cnn_invariance.errors import InputError
from cnn_invariance.measures.aggregation import count_dead
from cnn_invariance.measures.engine.inputs import Callables, MapStyle, TransformedBatch, batch
from cnn_invariance.measures.engine.prepare import BLOCK, PreparedPass, out_of_memory, undoes, uses_untransformed
from cnn_invariance.measures.requests import Measure
from cnn_invariance.measures.result import MeasureResult
from cnn_invariance.measures.statistics.base import Accumulators, Context, Statistic, Tile, Undo
from cnn_invariance.transformations.affine import AffineSet, invert, is_identity
from cnn_invariance.transformations.warp import neighbours


def measure(
    model: nn.Module,
    images: Tensor | MapStyle,
    transformations: AffineSet | Callables,
    measures: Sequence[str] | None = None,
    labels: Tensor | Sequence[int] | None = None,
    *,
    layers: LayerFilter = None,
    device: torch.device | str | None = None,
    tile: int | None = None,
    progress: bool = False,
    precision: str = "fp32",
    nan: str = "error",
) -> MeasureResult:
    """Measure the invariance and same-equivariance of every unit of every layer of a network.

    Args:
        model: any module in evaluation mode; layers are found by running it (see ``activations``).
        images: (N, C, H, W) floating point, normalised as the network expects; or a map-style dataset of (C, H, W)
            images or of (image, label) pairs.
        transformations: a set of affine maps, or callables that map a batch of images (b, C, H, W) to one of the same
            size; same-equivariance needs the former, as only they can be undone on feature maps.
        measures: names, with options in brackets (see ``measures.names``); None: all that apply, with defaults.
        labels: (N,) class of each image, for accuracy and stratified measures; None: taken from the dataset if it
            yields them.
        layers: names, patterns or a predicate (see ``activations.select``); None: every module without children.
        device: where the pass runs; None: where the model is.
        tile: samples that go through the network at once, under all transformations; None: by the memory. Sample
            distances need whole blocks of 8 samples, to which it is rounded up.
        progress: show a progress bar.
        precision: of the forward pass: ``fp32``, ``tf32`` (CUDA) or ``bf16``; statistics are fp32 or better always.
        nan: what to do with activations that are not finite: ``error`` names the layer; ``count`` leaves the units
            out of profiles and counts them.

    Returns:
        The measures per unit, the accuracy per transformation, and what the pass used.

    Raises:
        InputError: before the pass, for anything above that cannot be; after it, for activations that are not finite.

    Example:
        >>> from cnn_invariance.transformations import rotation
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()).eval()
        >>> result = measure(network, torch.rand(10, 1, 8, 8), rotation(n=5, closed=False), ["NV", "NVSE"])
        >>> result.profile("NVSE")["layer"].tolist()
        ['0']
    """
    prepared = PreparedPass.make(model, images, transformations, measures, labels, layers, device, tile, precision, nan)
    while True:
        try:
            return _Engine(prepared, progress).run()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            prepared.shrink(error)
        torch.cuda.empty_cache()  # only now: the error's traceback held the tile


class _Engine:
    """One run of a prepared pass."""

    def __init__(self, prepared: PreparedPass, progress: bool) -> None:
        self.prepared = prepared
        self.progress = progress
        untransformed = any(uses_untransformed(request) for request in prepared.requests)
        self.columns = TransformedBatch(prepared.transformations, batch(prepared.images, [0]).shape[1:], untransformed)
        self.correct = torch.zeros(prepared.M, dtype=torch.int64, device=prepared.device)
        self.undos = self._undos()
        self.pivots: dict[int, Tensor] = {}
        room = max(
            (
                (prepared.M + self.columns.appended) * prepared.tile * layer.units
                for layer in prepared.layers
                if layer.shape[1:] in self.undos
            ),
            default=0,
        )
        self.buffer = torch.empty(room, device=prepared.device)
        self.see: Callable[[Layer, Tensor], None]

    def run(self) -> MeasureResult:
        """The pass, and the measures from what it left."""
        prepared = self.prepared
        pooled = [request for request in prepared.requests if not request["stratified"]]
        by_class = [request for request in prepared.requests if request["stratified"]]
        groups = self._classes() if by_class else [torch.arange(prepared.N)]
        together = self._accumulators(pooled, prepared.N)
        self._show_untransformed(together, torch.cat(groups))
        averages: dict[Measure, list[Any]] = {}
        for group in groups:
            own = self._accumulators(by_class, len(group))
            self._show_untransformed(own, group)
            self._pass(group, [together, own])
            for request, values in self._values(by_class, own).items():
                _add(averages, request, values, len(groups))
        finished = self._values(pooled, together) | averages
        return self._result({request: finished[request] for request in prepared.requests})

    def _classes(self) -> list[Tensor]:
        labels = cast(Tensor, self.prepared.labels)
        return [torch.nonzero(labels == label).flatten() for label in labels.unique()]

    def _undos(self) -> dict[tuple[int, ...], Undo]:
        """How to undo the transformations, by size of the feature map; empty when nobody asks."""
        if not any(undoes(request) for request in self.prepared.requests):
            return {}
        matrices = cast(AffineSet, self.prepared.transformations).matrices
        if self.columns.appended:
            matrices = np.concatenate([matrices, np.eye(2, 3)[None]])
        exact = torch.from_numpy(is_identity(matrices).astype(np.uint8))
        undos: dict[tuple[int, ...], Undo] = {}
        for size in {(layer.shape[1], layer.shape[2]) for layer in self.prepared.layers if layer.spatial}:
            index, way = neighbours(invert(matrices, size), size)
            undos[size] = Undo(*(t.to(self.prepared.device).contiguous() for t in (index.int(), way.float(), exact)))
        return undos

    def _pivot(self, layer: Layer, activations: Tensor) -> Tensor:
        """The first untransformed sample's central pixel, kept for the whole pass."""
        if layer.index not in self.pivots:
            C, H, W = layer.shape
            self.pivots[layer.index] = activations.view(H, W, C)[H // 2, W // 2].clone()
        return self.pivots[layer.index]

    def _accumulators(self, requests: Sequence[Measure], N: int) -> list[Accumulators]:
        prepared = self.prepared
        contexts = [Context(layer, N, prepared.M, prepared.device, BLOCK) for layer in prepared.layers]
        return [
            Accumulators(
                context,
                frozenset(s for r in requests for s in prepared.requests[r].statistics(r, context)),
            )
            for context in contexts
        ]

    def _show_untransformed(self, accumulators: list[Accumulators], group: Tensor) -> None:
        """Show the untransformed samples once to those whose thresholds come from them."""
        if not any(layer.needs_untransformed_first for layer in accumulators):
            return

        def see(layer: Layer, columns: Tensor) -> None:
            accumulators[layer.index - 1].prepare(columns)

        for chunk in self._tiles(group, self.prepared.tile * self.prepared.M, "thresholds"):
            images = batch(self.prepared.images, chunk.tolist()).to(self.prepared.device, self.prepared.dtype)
            self._forward(images.unsqueeze(0), see)

    def _pass(self, group: Tensor, accumulators: list[list[Accumulators]]) -> None:
        prepared = self.prepared
        reference = self.columns.reference

        def see(layer: Layer, columns: Tensor) -> None:
            context = accumulators[0][layer.index - 1].context
            undo = self.undos.get(layer.shape[1:]) if layer.spatial else None
            pivot = None if undo is None else self._pivot(layer, columns[reference, 0])
            tile = Tile(columns, prepared.M, reference, context, undo, pivot, self.buffer)
            for some in accumulators:
                some[layer.index - 1].update(tile)

        for chunk in self._tiles(group, prepared.tile, "measuring"):
            images = batch(prepared.images, chunk.tolist()).to(prepared.device, prepared.dtype)
            output = self._forward(self.columns(images), see)
            if prepared.labels is not None and prepared.classes is not None:
                guess = output.argmax(1).view(-1, len(chunk))[: prepared.M]
                self.correct += (guess == prepared.labels[chunk].to(prepared.device)).sum(1)

    def _tiles(self, group: Tensor, size: int, what: str) -> Iterator[Tensor]:
        chunks = group.split(size)
        yield from track(chunks, what, disable=not self.progress, transient=True)

    def _forward(self, columns: Tensor, see: Callable[[Layer, Tensor], None]) -> Any:
        """The network on (M', b, C, H, W); ``see`` gets every layer's activations as (M', b, U)."""
        M, b = columns.shape[:2]
        batch = columns.flatten(0, 1).contiguous(memory_format=self.prepared.memory_format)
        missing = {layer.name: layer for layer in self.prepared.layers}

        def look(name: str, module: nn.Module, tensor: Tensor) -> None:
            layer = missing.pop(name, None)
            if layer is None and name.endswith("]"):
                return  # another dimension of a tuple's item, by chance as long as this batch
            if layer is None or tensor.shape[1:] != layer.shape:
                raise _changed(name, tuple(tensor.shape[1:]), "absent" if layer is None else layer.shape)
            see(layer, _units_last(tensor).view(M, b, layer.units))

        with (
            observe(self.prepared.model, self.prepared.modules, M * b, look),
            torch.inference_mode(),
            at_precision(self.prepared.precision, self.prepared.device),
        ):
            output = self.prepared.model(batch)
        for layer in missing.values():
            raise _changed(layer.name, "absent", layer.shape)
        return output

    def _values(
        self, requests: Sequence[Measure], accumulators: list[Accumulators]
    ) -> dict[Measure, list[tuple[np.ndarray, int] | None]]:
        """Each measure: for each layer its values and how many are 0 / 0; None where it has none."""
        finished: dict[Measure, list[tuple[np.ndarray, int] | None]] = {request: [] for request in requests}
        for layer in accumulators:
            read = cache(layer.value)  # a statistic that several measures need is finished once
            for request in requests:
                finished[request].append(self._value(request, layer.context, read))
        return finished

    def _value(
        self, request: Measure, context: Context, read: Callable[[Statistic], Tensor]
    ) -> tuple[np.ndarray, int] | None:
        """One measure on one layer."""
        family = self.prepared.requests[request]
        needed = [read(statistic) for statistic in family.statistics(request, context)]
        if not needed:
            return None
        return family.combine(request, context, *needed).numpy(), count_dead(request, *needed)

    def _result(self, finished: Mapping[Measure, list[Any]]) -> MeasureResult:
        prepared = self.prepared
        values = {str(r): [None if v is None else v[0] for v in layers] for r, layers in finished.items()}
        dead = {str(r): [0 if v is None else v[1] for v in layers] for r, layers in finished.items()}
        if prepared.nan == "error":
            _refuse_nan(values, prepared.layers)
        accuracy = None
        if prepared.labels is not None and prepared.classes is not None:
            accuracy = self.correct.cpu().numpy() / prepared.N
        labels = (
            prepared.transformations.labels
            if isinstance(prepared.transformations, AffineSet)
            else [getattr(t, "__name__", repr(t)) for t in prepared.transformations]
        )
        info = {
            "tile": prepared.tile,
            "block": BLOCK,
            "precision": prepared.precision,
            "device": prepared.device.type,
        }
        return MeasureResult(tuple(prepared.layers), values, accuracy, prepared.N, tuple(labels), dead, info)


def _changed(name: str, now: object, first: object) -> InputError:
    return InputError(
        f"layer {name} changed between images: now {now}, at first {first}; a network must compute the same layers "
        "for all"
    )


def _units_last(activations: Tensor) -> Tensor:
    """Float32 and contiguous, feature maps with channels last."""
    if activations.ndim == 4:
        activations = activations.permute(0, 2, 3, 1)
    return activations.float().contiguous()


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

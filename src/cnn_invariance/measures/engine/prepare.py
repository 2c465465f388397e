"""A request for a pass, checked before anything runs that can take long."""

import importlib
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from math import ceil
from types import ModuleType
from typing import Any, cast

import torch
from torch import Tensor, nn

from cnn_invariance.activations import Layer, LayerFilter, find_layers, select
from cnn_invariance.devices import at_precision
from cnn_invariance.errors import InputError
from cnn_invariance.measures import requests
from cnn_invariance.measures.backends import c_loops
from cnn_invariance.measures.engine.inputs import (
    Callables,
    MapStyle,
    TransformedBatch,
    batch,
    check_choice,
    check_images,
    check_model,
    check_seed,
    check_transformations,
    labels_of,
    placement,
)
from cnn_invariance.measures.requests import Measure, undoes
from cnn_invariance.measures.statistics.base import Context, SampleOrder, Statistic
from cnn_invariance.measures.statistics.distances import PairDistance
from cnn_invariance.transformations.affine import AffineSet
from cnn_invariance.transformations.warp import check_members

CPU_SLAB = 24 << 20  # bytes of the largest layer of a tile: stays in a last-level cache
TORCH_SLAB = 72 << 20  # where torch operations do the work: they read a tile many times, and start for each anew
GPU_SHARE = 0.02  # of the free memory, for the largest layer of a tile
PRECISIONS = ("fp32", "tf32", "bf16")
PROBES = 5  # images in the run that finds the layers: more than one tells inputs from other dimensions of size 1


@dataclass
class PreparedPass:
    """A checked request: everything that can be wrong has been found by now."""

    model: nn.Module
    images: Tensor | MapStyle
    transformations: AffineSet | Callables
    requests: dict[Measure, ModuleType]
    labels: Tensor | None
    modules: Mapping[str, nn.Module]
    layers: list[Layer]
    classes: int | None  # of the output, where it is (batch, classes)
    device: torch.device
    dtype: torch.dtype
    memory_format: torch.memory_format
    tile: int
    granule: int  # tiles are multiples of this many samples
    precision: str
    nan: str
    order_seed: int

    @classmethod
    def make(
        cls,
        model: nn.Module,
        images: Tensor | MapStyle,
        transformations: AffineSet | Callables,
        measures: Sequence[str] | None,
        labels: Tensor | Sequence[int] | None,
        layers: LayerFilter,
        device: torch.device | str | None,
        tile: int | None,
        precision: str,
        nan: str,
        order_seed: int = 0,
    ) -> "PreparedPass":
        """Check everything, run the network on one image, settle the tile."""
        check_choice("precision", precision, PRECISIONS)
        check_choice("nan", nan, ("error", "count"))
        check_seed(order_seed)
        check_model(model)
        place, dtype = placement(model, device)
        if precision == "tf32" and place.type != "cuda":
            raise InputError(f"precision 'tf32' is of CUDA devices, and the pass runs on {place}; use 'fp32'")
        N = check_images(images)
        M = check_transformations(transformations)
        classes = labels_of(images, labels, N)
        requests = _requests(measures, isinstance(transformations, AffineSet), classes is not None)
        model = model.to(place)
        example = batch(images, [0]).to(place, dtype)
        with at_precision(precision, place):
            if not isinstance(transformations, AffineSet):
                check_members(transformations, example, finite=nan == "error")
            TransformedBatch(transformations, example.shape[1:], untransformed=False)(example)
            found, output, memory_format = _try_network(model, example, layers)
        _try_user_measures(requests, found)
        granule = main_block(requests, [Context(layer, N, M, place) for layer in found])
        logits = isinstance(output, Tensor) and output.ndim == 2
        prepared = cls(
            model, images, transformations, requests, classes, select(model, layers), found,
            output.shape[1] if logits else None, place, dtype, memory_format, 0, granule, precision, nan, order_seed,
        )  # fmt: skip
        prepared.tile = prepared.fit(tile)
        return prepared

    @property
    def N(self) -> int:  # noqa: N802
        """The number of samples."""
        return len(cast(Sized, self.images))

    @property
    def M(self) -> int:  # noqa: N802
        """The number of transformations."""
        return len(self.transformations)

    def fit(self, tile: int | None) -> int:
        """The samples in a tile: as asked, or so that the largest layer stays in the cache (GPU: is a small share)."""
        if tile is not None and tile < 1:
            raise InputError(f"a tile of {tile} samples; expected at least 1")
        if tile is None:
            largest = max(layer.units for layer in self.layers) * self.M * 4
            room = CPU_SLAB if c_loops.available(self.device) else TORCH_SLAB
            if self.device.type == "cuda":
                room = int(torch.cuda.mem_get_info(self.device)[0] * GPU_SHARE)
            tile = max(1, room // largest)
        return min(ceil(tile / self.granule), ceil(self.N / self.granule)) * self.granule

    def shrink(self, error: Exception) -> None:
        """Halve the tile after the device ran out of memory."""
        if self.tile <= self.granule:
            raise InputError(
                f"{self.device} has too little memory for one tile of {self.tile} samples x {self.M} transformations; "
                "use fewer transformations, fewer layers (layers=...), fewer measures, or another device"
            ) from error
        self.tile = max(self.granule, self.tile // 2 // self.granule * self.granule)


def _try_network(
    model: nn.Module, example: Tensor, layers: LayerFilter
) -> tuple[list[Layer], Any, torch.memory_format]:
    """The layers, the output, and the memory format that the network takes: channels last is the faster one."""
    images = example.expand(PROBES, *example.shape[1:])
    try:
        return *_find(model, images.contiguous(memory_format=torch.channels_last), layers), torch.channels_last
    except RuntimeError:  # such as Tensor.view of feature maps, which must be contiguous
        pass
    try:
        return *_find(model, images.contiguous(), layers), torch.contiguous_format
    except RuntimeError as error:
        raise InputError(
            f"the network cannot run on images of shape {tuple(example.shape[1:])}: {error}; give images of the size "
            "and channels it was made for"
        ) from error


def _find(model: nn.Module, images: Tensor, layers: LayerFilter) -> tuple[list[Layer], Any]:
    """The layers and the output; of a tuple's items those that have one entry per image for two numbers of images.

    The state of a recurrent network has one entry per layer, by chance as many as images.
    """
    found, output = find_layers(model, images, layers)
    if output is None:
        raise InputError(
            f"{type(model).__name__} has layers, but its forward pass returned nothing; a missing 'return'? "
            "expected its output, log-probabilities (B, K) or any other"
        )
    if any(layer.name.endswith("]") for layer in found):
        fewer = {layer.name for layer in find_layers(model, images[1:], layers)[0]}
        found = [layer for layer in found if layer.name in fewer]
        found = [replace(layer, index=k) for k, layer in enumerate(found, 1)]
    return found, output


def out_of_memory(error: Exception) -> bool:
    """On any device; torch has no class of its own for a CPU's."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def _requests(measures: Sequence[str] | None, affine: bool, labelled: bool) -> dict[Measure, ModuleType]:
    if measures is None:
        chosen = [requests.check(name) for name in requests.names()]
        chosen = [request for request in chosen if affine or not undoes(request)]
    else:
        chosen = list(requests.check_all([measures] if isinstance(measures, str) else measures))
    if not chosen:
        raise InputError(f"no measure is asked for; allowed: {', '.join(requests.names())}")
    for request in chosen:
        if undoes(request) and not affine:
            raise InputError(
                f"{request} needs transformations that can be undone on feature maps: a set from "
                "cnn_invariance.transformations; callables have no inverse"
            )
        if request["stratified"] and not labelled:
            raise InputError(f"{request} is taken per class; give labels")
        if not labelled and any(order_of(statistic) == "class" for statistic in _probe(request)):
            raise InputError(f"{request} takes the samples sorted by class; give labels, or leave out order=class")
    return {request: _family(request) for request in chosen}


def _try_user_measures(requests: Iterable[Measure], layers: list[Layer]) -> None:
    """Try measures that are not part of this package on made-up statistics of these layers."""
    for request in requests:
        if request.file is not None:
            from cnn_invariance.measures import user_measures

            user_measures.check(request, layers)


def _family(request: Measure) -> ModuleType:
    if request.file is not None:
        from cnn_invariance.measures import user_measures  # few passes need it

        return user_measures.load(request.file)
    return importlib.import_module(f"cnn_invariance.measures.families.{requests.family(request.name).name}")


def order_of(statistic: Statistic) -> SampleOrder | None:
    """The order of the samples that a statistic wants; None where none matters."""
    wanted = isinstance(statistic, PairDistance) and statistic.axis == "samples"
    return cast(PairDistance, statistic).order if wanted else None


def block_of(statistics: Iterable[Statistic]) -> int:
    """The samples that must be in a tile together: the largest block (sizes are powers of two); 1 without any."""
    return max((cast(PairDistance, s).block for s in statistics if order_of(s) is not None), default=1)


def main_block(requests: Mapping[Measure, ModuleType], contexts: Sequence[Context]) -> int:
    """The largest block in the main pass, to which its tiles are rounded.

    It has the stratified measures, if there are any, else those that want the samples in a random order; others that
    pair samples have a pass of their own.
    """
    stratified = any(request["stratified"] for request in requests)
    return block_of(
        statistic
        for request, family in requests.items()
        if request["stratified"] == stratified
        for context in contexts
        for statistic in family.statistics(request, context)
        if stratified or order_of(statistic) == "random"
    )


def uses_untransformed(request: Measure) -> bool:
    """Whether the untransformed samples are part of the pass."""
    return any(s.untransformed for s in _probe(request))


def moves_maps(request: Measure) -> bool:
    """Whether a measure transforms feature maps."""
    return any(s.moved for s in _probe(request))


def undoes_maps(request: Measure) -> bool:
    """Whether a measure undoes the transformation on feature maps."""
    return any(s.undone for s in _probe(request))


def _probe(request: Measure) -> list[Statistic]:
    """The statistics of a request on a layer of feature maps."""
    layer = Layer(1, "", "", (1, 1, 1))
    return _family(request).statistics(request, Context(layer, 1, 1, torch.device("cpu")))

"""The one pass over samples x transformations in which every measure is computed.

A tile is b samples under all M transformations. It is transformed at once, goes through the network at once, and
while each layer's activations are hot a hook hands them to the running statistics that the asked-for measures
need. The network sees every (sample, transformation) once. Memory: the activations of one tile, and the running
statistics, which do not grow with the number of samples.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from types import ModuleType
from typing import Any, Protocol, cast

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from cnn_invariance import devices
from cnn_invariance.activations import Layer, LayerFilter, find_layers, observe, select
from cnn_invariance.errors import InputError
from cnn_invariance.measures import names
from cnn_invariance.measures.names import Request
from cnn_invariance.measures.result import MeasureResult
from cnn_invariance.measures.statistics import (
    Accumulators,
    Context,
    Firing,
    PairDistance,
    Simple,
    Statistic,
    Tile,
    Undo,
)
from cnn_invariance.transformations.affine import AffineSet, invert, is_identity
from cnn_invariance.transformations.warp import neighbours, transform_all

Callables = Sequence[Callable[[Tensor], Tensor]]
BLOCK = 8  # samples in a block of a column, for sample distances
CPU_SLAB = 24 << 20  # bytes of the largest layer of a tile: stays in a last-level cache
GPU_SHARE = 0.02  # of the free memory, for the largest layer of a tile
PRECISIONS = ("fp32", "tf32", "bf16")
PROBES = 5  # images in the run that finds the layers: more than one tells inputs from other dimensions of size 1


class MapStyle(Protocol):
    """A map-style dataset: ``len()`` and indexing by sample, images alone or (image, label)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


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
        >>> result = measure(network, torch.rand(10, 1, 8, 8), rotation(n=5), ["NV", "NVSE"])
        >>> result.profile("NVSE")["layer"].tolist()
        ['0']
    """
    plan = _Plan.make(model, images, transformations, measures, labels, layers, device, tile, precision, nan)
    while True:
        try:
            return _Engine(plan, progress).run()
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
            plan.shrink(error)
        torch.cuda.empty_cache()  # only now: the error's traceback held the tile


# ---- before the pass ----


@dataclass
class _Plan:
    """A checked request: everything that can be wrong has been found by now."""

    model: nn.Module
    images: Tensor | MapStyle
    transformations: AffineSet | Callables
    requests: dict[Request, ModuleType]
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
    ) -> "_Plan":
        """Check everything, run the network on one image, settle the tile."""
        _check_choice("precision", precision, PRECISIONS)
        _check_choice("nan", nan, ("error", "count"))
        _check_model(model)
        place, dtype = _placement(model, device)
        if precision == "tf32" and place.type != "cuda":
            raise InputError(f"precision 'tf32' is of CUDA devices, and the pass runs on {place}; use 'fp32'")
        N = _check_images(images)
        M = _check_transformations(transformations)
        classes = _labels(images, labels, N)
        requests = _requests(measures, isinstance(transformations, AffineSet), classes is not None)
        model = model.to(place)
        example = _batch(images, [0]).to(place, dtype)
        with _precision(precision, place):
            _Columns(transformations, example.shape[1:], untransformed=False)(example)
            found, output, memory_format = _try_network(model, example, layers)
        granule = BLOCK if _needs_blocks(requests, found, M, N, place) else 1
        logits = isinstance(output, Tensor) and output.ndim == 2
        plan = cls(
            model, images, transformations, requests, classes, select(model, layers), found,
            output.shape[1] if logits else None, place, dtype, memory_format, 0, granule, precision, nan,
        )  # fmt: skip
        plan.tile = plan.fit(tile)
        return plan

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
            room = CPU_SLAB
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
        return *find_layers(model, images.contiguous(memory_format=torch.channels_last), layers), torch.channels_last
    except RuntimeError:  # such as Tensor.view of feature maps, which must be contiguous
        pass
    try:
        return *find_layers(model, images.contiguous(), layers), torch.contiguous_format
    except RuntimeError as error:
        raise InputError(
            f"the network cannot run on images of shape {tuple(example.shape[1:])}: {error}; give images of the size "
            "and channels it was made for"
        ) from error


def _out_of_memory(error: Exception) -> bool:
    """On any device; torch has no class of its own for a CPU's."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def _check_choice(what: str, received: str, allowed: Sequence[str]) -> None:
    if received not in allowed:
        raise InputError(f"{what} {received!r} is not known; allowed: {', '.join(allowed)}")


def _check_model(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise InputError(f"the model is a {type(model).__name__}; expected a torch.nn.Module")
    training = [name or type(model).__name__ for name, module in model.named_modules() if module.training]
    if training:
        raise InputError(
            f"the model is in training mode ({training[0]} and {len(training) - 1} more modules); call model.eval()"
        )


def _placement(model: nn.Module, device: torch.device | str | None) -> tuple[torch.device, torch.dtype]:
    parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
    own = torch.device("cpu") if parameter is None else parameter.device
    dtype = torch.float32 if parameter is None else parameter.dtype
    return own if device is None else devices.choose(str(device)), dtype


def _check_images(images: Tensor | MapStyle) -> int:
    if not (hasattr(images, "__len__") and hasattr(images, "__getitem__")):
        raise InputError(
            f"images is a {type(images).__name__}; expected a tensor (N, C, H, W) or a dataset with len() and indexing"
        )
    if len(images) == 0:
        raise InputError("there are no images; expected at least one")
    first = images[0]
    image = first if isinstance(images, Tensor) else _image(first)
    if image.ndim != 3:
        raise InputError(f"an image has shape {tuple(image.shape)}; expected (C, H, W)")
    if not image.is_floating_point():
        raise InputError(
            f"the images are {image.dtype}; expected floating point, scaled and normalised as in the network's training"
        )
    return len(images)


def _check_transformations(transformations: AffineSet | Callables) -> int:
    if not isinstance(transformations, AffineSet):
        if not isinstance(transformations, Sequence) or not all(map(callable, transformations)):
            raise InputError(
                f"transformations is a {type(transformations).__name__}; expected a set from "
                "cnn_invariance.transformations, or a sequence of callables on a batch of images"
            )
        if len(transformations) == 0:
            raise InputError("there are no transformations; expected at least one")
    return len(transformations)


def _image(item: Any) -> Tensor:
    image = item[0] if isinstance(item, tuple | list) else item
    if not isinstance(image, Tensor):
        raise InputError(f"the dataset yields {type(image).__name__}; expected tensors (C, H, W)")
    return image


def _batch(images: Tensor | MapStyle, indices: Sequence[int]) -> Tensor:
    if isinstance(images, Tensor):
        return images[list(indices)]
    items = [_image(images[i]) for i in indices]
    shapes = {tuple(item.shape) for item in items}
    if len(shapes) > 1:
        raise InputError(
            f"images have different shapes, {' and '.join(map(str, sorted(shapes)))}; expected one for all"
        )
    return torch.stack(items)


def _labels(images: Tensor | MapStyle, labels: Tensor | Sequence[int] | None, N: int) -> Tensor | None:
    if labels is None and not isinstance(images, Tensor) and isinstance(images[0], tuple | list):
        labels = [int(images[i][1]) for i in range(N)]
    if labels is None:
        return None
    try:
        tensor = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"labels cannot be read as numbers ({error}); expected the class index of each image"
        ) from error
    if tensor.shape != (N,):
        raise InputError(f"labels have shape {tuple(tensor.shape)}; expected ({N},), one for each image")
    return tensor.long().cpu()


def _requests(measures: Sequence[str] | None, affine: bool, labelled: bool) -> dict[Request, ModuleType]:
    if measures is None:
        chosen = [names.check(name) for name in names.names()]
        chosen = [request for request in chosen if affine or not _undoes(request)]
    else:
        chosen = list(names.check_all([measures] if isinstance(measures, str) else measures))
    if not chosen:
        raise InputError(f"no measure is asked for; allowed: {', '.join(names.names())}")
    for request in chosen:
        if _undoes(request) and not affine:
            raise InputError(
                f"{request} needs transformations that can be undone on feature maps: a set from "
                "cnn_invariance.transformations; callables have no inverse"
            )
        if request["stratified"] and not labelled:
            raise InputError(f"{request} is taken per class; give labels")
    if any(request["stratified"] for request in chosen) and any(
        _pairs_samples(request) and not request["stratified"] for request in chosen
    ):
        raise InputError(
            "stratified measures visit the samples class by class, and pooled sample distances need them in the given "
            "order; ask for them in two calls"
        )
    return {request: _family(request.name) for request in chosen}


def _family(name: str) -> ModuleType:
    return importlib.import_module(f"cnn_invariance.measures.{names.families()[name].name}")


def _undoes(request: Request) -> bool:
    return any(s.undone for s in _probe(request))


def _pairs_samples(request: Request) -> bool:
    return any(isinstance(s, PairDistance) and s.axis == "samples" for s in _probe(request))


def _compares(request: Request) -> bool:
    """Whether the untransformed samples are part of the pass."""
    return any(isinstance(s, Firing | Simple) for s in _probe(request))


def _probe(request: Request) -> list[Statistic]:
    """The statistics of a request on a layer of feature maps."""
    layer = Layer(1, "", "", (1, 1, 1))
    return _family(request.name).statistics(request, Context(layer, 1, 1, torch.device("cpu"), BLOCK))


def _needs_blocks(
    requests: Mapping[Request, ModuleType],
    layers: list[Layer],
    M: int,
    N: int,
    device: torch.device,
) -> bool:
    contexts = [Context(layer, N, M, device, BLOCK) for layer in layers]
    return any(
        isinstance(s, PairDistance) and s.axis == "samples"
        for request, family in requests.items()
        for context in contexts
        for s in family.statistics(request, context)
    )


@contextmanager
def _precision(precision: str, device: torch.device) -> Iterator[None]:
    """The forward pass at a precision; on CUDA, fp32 is IEEE's and not whatever torch was set to."""
    if precision == "bf16":
        with torch.autocast(device.type, dtype=torch.bfloat16):
            yield
        return
    if device.type != "cuda":
        yield
        return
    parts: tuple[Any, ...] = (getattr(torch.backends.cudnn, "conv"), torch.backends.cuda.matmul)  # noqa: B009 (no stub)
    before = [part.fp32_precision for part in parts]
    for part in parts:
        part.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    try:
        yield
    finally:
        for part, value in zip(parts, before, strict=True):
            part.fp32_precision = value


# ---- the columns of a tile ----


class _Columns:
    """A batch of images under every transformation, and the untransformed batch among them if it is needed.

    Attributes:
        reference: the column of the untransformed batch; 0 where it is neither there nor needed.
        appended: whether that column is one more than the transformation set has.
    """

    def __init__(self, transformations: AffineSet | Callables, shape: Sequence[int], untransformed: bool) -> None:
        self.transformations = transformations
        self.shape = tuple(shape)
        identity = _identity(transformations)
        self.appended = untransformed and identity is None
        self.reference = len(transformations) if self.appended else identity or 0

    def __call__(self, images: Tensor) -> Tensor:
        """(b, C, H, W) -> (M', b, C, H, W)."""
        if tuple(images.shape[1:]) != self.shape:
            raise InputError(
                f"an image has shape {tuple(images.shape[1:])}, the first one {self.shape}; expected one shape for all"
            )
        if isinstance(self.transformations, AffineSet):
            affine = transform_all(images, self.transformations.matrices)
            return torch.cat([affine, images.unsqueeze(0)]) if self.appended else affine
        columns = [transformation(images.clone()) for transformation in self.transformations]  # it may work in place
        for column in columns:
            if not isinstance(column, Tensor) or column.shape != images.shape:
                received = tuple(column.shape) if isinstance(column, Tensor) else type(column).__name__
                raise InputError(
                    f"a transformation turns a batch of shape {tuple(images.shape)} into {received}; expected the same"
                )
        return torch.stack([*columns, images] if self.appended else columns)


def _identity(transformations: AffineSet | Callables) -> int | None:
    """The index of the identity member, if there is one that is known to be."""
    if not isinstance(transformations, AffineSet):
        return None
    members = np.flatnonzero(is_identity(transformations.matrices))
    return int(members[0]) if members.size else None


# ---- the pass ----


class _Engine:
    """One run of a plan."""

    def __init__(self, plan: _Plan, progress: bool) -> None:
        self.plan = plan
        self.progress = progress
        untransformed = any(_compares(request) for request in plan.requests)
        self.columns = _Columns(plan.transformations, _batch(plan.images, [0]).shape[1:], untransformed)
        self.correct = torch.zeros(plan.M, dtype=torch.int64, device=plan.device)
        self.undos = self._undos()
        self.pivots: dict[int, Tensor] = {}
        room = max(
            (
                (plan.M + self.columns.appended) * plan.tile * layer.units
                for layer in plan.layers
                if layer.shape[1:] in self.undos
            ),
            default=0,
        )
        self.buffer = torch.empty(room, device=plan.device)
        self.see: Callable[[Layer, Tensor], None]

    def run(self) -> MeasureResult:
        """The pass, and the measures from what it left."""
        plan = self.plan
        pooled = [request for request in plan.requests if not request["stratified"]]
        by_class = [request for request in plan.requests if request["stratified"]]
        groups = self._classes() if by_class else [torch.arange(plan.N)]
        together = self._accumulators(pooled, plan.N)
        self._look_before(together, torch.cat(groups))
        averages: dict[Request, list[Any]] = {}
        for group in groups:
            own = self._accumulators(by_class, len(group))
            self._look_before(own, group)
            self._pass(group, [together, own])
            for request in by_class:
                _add(averages, request, self._values(request, own), len(groups))
        finished = {request: self._values(request, together) for request in pooled} | averages
        return self._result({request: finished[request] for request in plan.requests})

    def _classes(self) -> list[Tensor]:
        labels = cast(Tensor, self.plan.labels)
        return [torch.nonzero(labels == label).flatten() for label in labels.unique()]

    def _undos(self) -> dict[tuple[int, ...], Undo]:
        """How to undo the transformations, by size of the feature map; empty when nobody asks."""
        if not any(_undoes(request) for request in self.plan.requests):
            return {}
        matrices = cast(AffineSet, self.plan.transformations).matrices
        if self.columns.appended:
            matrices = np.concatenate([matrices, np.eye(2, 3)[None]])
        exact = torch.from_numpy(is_identity(matrices).astype(np.uint8))
        undos: dict[tuple[int, ...], Undo] = {}
        for size in {(layer.shape[1], layer.shape[2]) for layer in self.plan.layers if layer.spatial}:
            index, way = neighbours(invert(matrices, size), size)
            undos[size] = Undo(*(t.to(self.plan.device).contiguous() for t in (index.int(), way.float(), exact)))
        return undos

    def _pivot(self, layer: Layer, activations: Tensor) -> Tensor:
        """The first untransformed sample's central pixel, kept for the whole pass."""
        if layer.index not in self.pivots:
            C, H, W = layer.shape
            self.pivots[layer.index] = activations.view(H, W, C)[H // 2, W // 2].clone()
        return self.pivots[layer.index]

    def _accumulators(self, requests: Sequence[Request], N: int) -> list[Accumulators]:
        plan = self.plan
        contexts = [Context(layer, N, plan.M, plan.device, BLOCK) for layer in plan.layers]
        return [
            Accumulators(
                context,
                frozenset(s for r in requests for s in plan.requests[r].statistics(r, context)),
            )
            for context in contexts
        ]

    def _look_before(self, accumulators: list[Accumulators], group: Tensor) -> None:
        """Show the untransformed samples once to those whose thresholds come from them."""
        if not any(layer.looks_before for layer in accumulators):
            return

        def see(layer: Layer, columns: Tensor) -> None:
            accumulators[layer.index - 1].prepare(columns)

        for chunk in self._tiles(group, self.plan.tile * self.plan.M, "thresholds"):
            images = _batch(self.plan.images, chunk.tolist()).to(self.plan.device, self.plan.dtype)
            self._forward(images.unsqueeze(0), see)

    def _pass(self, group: Tensor, accumulators: list[list[Accumulators]]) -> None:
        plan = self.plan
        reference = self.columns.reference

        def see(layer: Layer, columns: Tensor) -> None:
            context = accumulators[0][layer.index - 1].context
            undo = self.undos.get(layer.shape[1:]) if layer.spatial else None
            pivot = None if undo is None else self._pivot(layer, columns[reference, 0])
            tile = Tile(columns, plan.M, reference, context, undo, pivot, self.buffer)
            for some in accumulators:
                some[layer.index - 1].update(tile)

        for chunk in self._tiles(group, plan.tile, "measuring"):
            images = _batch(plan.images, chunk.tolist()).to(plan.device, plan.dtype)
            output = self._forward(self.columns(images), see)
            if plan.labels is not None and plan.classes is not None:
                guess = output.argmax(1).view(-1, len(chunk))[: plan.M]
                self.correct += (guess == plan.labels[chunk].to(plan.device)).sum(1)

    def _tiles(self, group: Tensor, size: int, what: str) -> Iterator[Tensor]:
        chunks = group.split(size)
        yield from track(chunks, what, disable=not self.progress, transient=True)

    def _forward(self, columns: Tensor, see: Callable[[Layer, Tensor], None]) -> Any:
        """The network on (M', b, C, H, W); ``see`` gets every layer's activations as (M', b, U)."""
        M, b = columns.shape[:2]
        batch = columns.flatten(0, 1).contiguous(memory_format=self.plan.memory_format)
        missing = {layer.name: layer for layer in self.plan.layers}

        def look(name: str, module: nn.Module, tensor: Tensor) -> None:
            layer = missing.pop(name, None)
            if layer is None and name.endswith("]"):
                return  # another dimension of a tuple's item, by chance as long as this batch
            if layer is None or tensor.shape[1:] != layer.shape:
                raise _changed(name, tuple(tensor.shape[1:]), "absent" if layer is None else layer.shape)
            see(layer, _units_last(tensor).view(M, b, layer.units))

        with (
            observe(self.plan.modules, M * b, look),
            torch.inference_mode(),
            _precision(self.plan.precision, self.plan.device),
        ):
            output = self.plan.model(batch)
        for layer in missing.values():
            raise _changed(layer.name, "absent", layer.shape)
        return output

    def _values(self, request: Request, accumulators: list[Accumulators]) -> list[tuple[np.ndarray, int] | None]:
        """One measure: for each layer its values and how many are 0 / 0; None where it has none."""
        family = self.plan.requests[request]
        values: list[tuple[np.ndarray, int] | None] = []
        for layer in accumulators:
            needed = [layer.value(s) for s in family.statistics(request, layer.context)]
            if not needed:
                values.append(None)
                continue
            dead = int(((needed[0] == 0) & (needed[1] == 0)).sum()) if len(needed) == 2 else 0
            values.append((family.combine(request, layer.context, *needed).numpy(), dead))
        return values

    def _result(self, finished: Mapping[Request, list[Any]]) -> MeasureResult:
        plan = self.plan
        values = {str(r): [None if v is None else v[0] for v in layers] for r, layers in finished.items()}
        dead = {str(r): [0 if v is None else v[1] for v in layers] for r, layers in finished.items()}
        if plan.nan == "error":
            _refuse_nan(values, plan.layers)
        accuracy = None
        if plan.labels is not None and plan.classes is not None:
            accuracy = self.correct.cpu().numpy() / plan.N
        labels = (
            plan.transformations.labels
            if isinstance(plan.transformations, AffineSet)
            else [getattr(t, "__name__", repr(t)) for t in plan.transformations]
        )
        info = {
            "tile": plan.tile,
            "block": BLOCK,
            "precision": plan.precision,
            "device": plan.device.type,
        }
        return MeasureResult(tuple(plan.layers), values, accuracy, plan.N, tuple(labels), dead, info)


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


def _add(averages: dict[Request, list[Any]], request: Request, values: list[Any], classes: int) -> None:
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
                f"{broken} of {layer.units} units; correct the network or its inputs, or pass nan='count' to leave "
                "them out and count them"
            )

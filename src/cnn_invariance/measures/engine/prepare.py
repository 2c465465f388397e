"""A request for a pass, checked before anything runs that can take long."""

import importlib
import warnings
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import zip_longest
from math import ceil
from types import ModuleType
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from cnn_invariance.activations import Layer, LayerFilter, Observed, look
from cnn_invariance.devices import at_precision
from cnn_invariance.errors import InputError
from cnn_invariance.measures import requests
from cnn_invariance.measures.backends import c_loops
from cnn_invariance.measures.engine.inputs import (
    LEAST_GROUPS,
    Callables,
    MapStyle,
    OneSampleWarning,
    TransformedBatch,
    batch,
    check_choice,
    check_groups,
    check_images,
    check_labels,
    check_seed,
    check_shuffles,
    check_transformations,
    labels_of,
    no_classes,
    placement,
    scores,
)
from cnn_invariance.measures.requests import Measure, undoes
from cnn_invariance.measures.statistics.base import Context, Statistic
from cnn_invariance.measures.statistics.scales import Scale
from cnn_invariance.roles import PROBES, tensors_of
from cnn_invariance.transformations.affine import AffineSet
from cnn_invariance.transformations.warp import check_members

SLAB = 24 << 20  # bytes of the largest layer of a tile: stays in a last-level cache
IMAGES = 100  # in a batch, fewer are slow in any network, whatever the caches
TORCH_SLABS = 3  # so many where torch operations do the work: they read a tile many times, and start for each anew
GPU_SHARE = 0.02  # of the free memory, for the largest layer of a tile
TileSize = int | Literal["fixed"] | None
PRECISIONS = ("fp32", "tf32", "bf16")


@dataclass
class PreparedPass:
    """A checked request: everything that can be wrong has been found by now."""

    model: nn.Module
    images: Tensor | MapStyle
    transformations: AffineSet | Callables
    requests: dict[Measure, ModuleType]
    labels: Tensor | None
    observed: Observed
    no_accuracy: str  # why the pass has none; empty where it has one
    device: torch.device
    dtype: torch.dtype
    memory_format: torch.memory_format
    tile: int
    granule: int  # tiles are multiples of this many samples
    precision: str
    nan: str
    order_seed: int
    scales: dict[int, Scale]  # of layers whose activations are of unusual magnitude, by number
    scaled: bool = False  # whether such layers have been looked for
    groups: int = 0  # of samples, for intervals; 0: none are asked for
    shuffles: int = 0  # of the samples, for nulls; 0: none are asked for

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
        tile: TileSize,
        precision: str,
        nan: str,
        order_seed: int = 0,
        accuracy: bool = True,
        merge: bool = False,
        uncertainty: bool | int = False,
        null: bool | int = False,
    ) -> "PreparedPass":
        """Check everything, run the network on one image, settle the tile."""
        check_choice("precision", precision, PRECISIONS)
        check_choice("nan", nan, ("error", "count"))
        check_seed(order_seed)
        place, dtype = placement(model, device)
        if precision == "tf32" and place.type != "cuda":
            raise InputError(f"precision 'tf32' is of CUDA devices, and the pass runs on {place}; use 'fp32'")
        N = check_images(images)
        M = check_transformations(transformations)
        classes = labels_of(images, labels, N)
        requests = _requests(measures, isinstance(transformations, AffineSet), classes is not None)
        model = model if device is None else model.to(place)
        example = batch(images, [0]).to(place, dtype)
        with at_precision(precision, place):
            if not isinstance(transformations, AffineSet):
                check_members(transformations, example, finite=nan == "error")
            TransformedBatch(transformations, example.shape[1:], untransformed=False)(example)
            found, memory_format = _try_network(model, example, layers, _format(images), merge)
        _try_user_measures(requests, found.layers)  # only then are they asked for their statistics
        _check_order(requests, classes)
        if alone := _one_sample(requests, N, classes):
            warnings.warn(alone, OneSampleWarning, stacklevel=3)  # the line that called measure()
        granule = main_block(requests, [Context(layer, N, M, place) for layer in found.layers])
        of_classes = scores(found.output, PROBES[0])
        no_accuracy = no_classes(of_classes) if classes is not None and accuracy else "there are no labels of classes"
        if classes is not None and of_classes is not None and not no_accuracy:
            check_labels(classes, of_classes.shape[1])
        prepared = cls(
            model, images, transformations, requests, classes, found,
            no_accuracy, place, dtype, memory_format, 0, granule, precision, nan, order_seed, {},
        )  # fmt: skip
        prepared.groups = check_groups(uncertainty, N)
        prepared.shuffles = check_shuffles(null, N)
        prepared.tile = prepared.fit(tile)
        for family, asked in prepared.with_pass_of_their_own().items():
            family.try_pass(prepared, asked)
        return prepared

    def with_pass_of_their_own(self) -> dict[ModuleType, list[Measure]]:
        """The families that are computed in a pass of their own, and what is asked of each."""
        found: dict[ModuleType, list[Measure]] = {}
        for request, family in self.requests.items():
            if hasattr(family, "own_pass"):
                found.setdefault(family, []).append(request)
        return found

    @property
    def layers(self) -> list[Layer]:
        """The layers, in forward order."""
        return self.observed.layers

    @property
    def N(self) -> int:  # noqa: N802
        """The number of samples."""
        return len(cast(Sized, self.images))

    @property
    def M(self) -> int:  # noqa: N802
        """The number of transformations."""
        return len(self.transformations)

    def fit(self, tile: TileSize) -> int:
        """The samples in a tile: as asked, or so that the largest layer stays in the cache (GPU: is a small share)."""
        if tile is not None and tile != "fixed" and (isinstance(tile, str) or tile < 1):
            raise InputError(f"a tile of {tile!r} samples; expected at least 1, 'fixed', or None")
        if not isinstance(tile, int):
            tile = self._fitting(by_caches=tile is None)
        most = max(self.granule, self.N // self.groups) if self.groups else self.N
        if self.shuffles:
            least = self._least_to_shuffle()
            tile, most = max(tile, least), max(most, least)
        tile = min(tile, most // self.granule * self.granule) if self.groups else tile
        return min(ceil(tile / self.granule), ceil(self.N / self.granule)) * self.granule

    def _least_to_shuffle(self) -> int:
        """The samples of a tile in which no two transformations get the same one; fewer where memory does not allow."""
        from cnn_invariance.measures import nulls  # few passes need it

        largest = max(layer.units for layer in self.layers) * self.M * 4
        wanted = max(2, min(self.M + 1, nulls.MOST_BYTES // largest))
        if self.groups:
            wanted = min(wanted, max(2, self.N // LEAST_GROUPS))
        return min(self.N, ceil(wanted / self.granule) * self.granule)

    def _fitting(self, by_caches: bool) -> int:
        """The samples of a tile before rounding."""
        largest = max(layer.units for layer in self.layers) * self.M * 4
        if self.device.type == "cuda":
            return max(1, int(torch.cuda.mem_get_info(self.device)[0] * GPU_SHARE) // largest)
        slabs = 1 if c_loops.available(self.device) else TORCH_SLABS
        most = max(1, SLAB * slabs // largest)
        from cnn_invariance import machine  # only this rule reads it

        share = machine.cache_of_a_core() if by_caches else None
        if share is None:
            return most
        return min(most, max(share * torch.get_num_threads() * slabs // largest, ceil(IMAGES / self.M)))

    def shrink(self, error: Exception) -> None:
        """Halve the tile after the device ran out of memory."""
        if self.tile <= max(self.granule, 2 if self.shuffles else 1):
            raise InputError(
                f"{self.device} has too little memory for one tile of {self.tile} samples x {self.M} transformations; "
                "use fewer transformations, fewer layers (layers=...), fewer measures, or another device"
            ) from error
        self.tile = max(self.granule, self.tile // 2 // self.granule * self.granule)


def _format(images: Tensor | MapStyle) -> torch.memory_format:
    """The memory format of a batch of the images."""
    if not isinstance(images, Tensor) or images.is_contiguous():
        return torch.contiguous_format
    last = images.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def _try_network(
    model: nn.Module, example: Tensor, layers: LayerFilter, own: torch.memory_format, merge: bool
) -> tuple[Observed, torch.memory_format]:
    """The layers, and the memory format: channels last, the faster one, if it changes nothing.

    own: the format in which the caller's own images would reach the network; it is kept where a network reads its
         input's memory, asserts a format, or takes a view that only one format allows.
    """
    images = example.expand(2, *example.shape[1:])
    other = torch.channels_last if own == torch.contiguous_format else torch.contiguous_format
    try:
        found = _find(model, images.contiguous(memory_format=own), layers, merge)
    except (InputError, Warning):
        raise
    except Exception as error:  # the network is anyone's code
        if out_of_memory(error):
            raise
        try:
            return _find(model, images.contiguous(memory_format=other), layers, merge), other
        except (InputError, Warning):
            raise
        except Exception:
            raise _cannot_run(example, error) from error
    if own == torch.channels_last:
        return found, own
    try:
        same = _same(*(model(images.clone(memory_format=each)) for each in (own, other)))
    except Exception:  # such as Tensor.view of feature maps, which must be contiguous
        return found, own
    return found, other if same else own


def _same(output: Any, other: Any) -> bool:
    """Whether two outputs of a network differ by rounding alone."""
    pairs = list(zip_longest(tensors_of(output), tensors_of(other)))
    return all(one and two and one[0] == two[0] and _close(one[1], two[1]) for one, two in pairs)


def _close(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    largest = one[one.isfinite()].abs().max().item() if one.isfinite().any() else 0.0
    return torch.allclose(one, other, rtol=0, atol=largest * torch.finfo(one.dtype).eps ** 0.5, equal_nan=True)


def _cannot_run(example: Tensor, error: Exception) -> InputError:
    advice = "give images of the size and channels it was made for"
    if "does not require grad" in str(error):
        advice = "it takes gradients in its forward pass, which runs without: enter torch.enable_grad() there"
    if "on ScriptModules" in str(error):
        advice = "modules of TorchScript cannot be observed: measure the module that it was made of"
    name = "" if isinstance(error, RuntimeError) else f"{type(error).__name__}: "
    return InputError(f"the network cannot run on images of shape {tuple(example.shape[1:])}: {name}{error}; {advice}")


def _find(model: nn.Module, images: Tensor, layers: LayerFilter, merge: bool) -> Observed:
    """The layers, their roles, and the output."""
    found = look(model, images, layers, merge=merge)
    if found.output is None:
        raise InputError(
            f"{type(model).__name__} has layers, but its forward pass returned nothing; a missing 'return'? "
            "expected its output, log-probabilities (B, K) or any other"
        )
    return found


def out_of_memory(error: Exception) -> bool:
    """On any device; torch has no class of its own for a CPU's."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def _requests(measures: Sequence[str] | None, affine: bool, labelled: bool) -> dict[Measure, ModuleType]:
    if measures is None:
        chosen = [requests.check(requests.study_form(name)) for name in requests.names()]
        chosen = [request for request in chosen if affine or not undoes(request)]
    else:
        chosen = list(requests.check_all([measures] if isinstance(measures, str) else measures))
    if not chosen:
        raise InputError(f"no measure is asked for; allowed: {', '.join(requests.families())}")
    for request in chosen:
        if request["stratified"] and (requests.level(request) == "network" or hasattr(_family(request), "own_pass")):
            raise InputError(
                f"{request} is not taken per class: leave out stratified, and measure each class by itself"
            )
        if undoes(request) and not affine:
            raise InputError(
                f"{request} needs transformations that can be undone on feature maps: a set from "
                "cnn_invariance.transformations; callables have no inverse"
            )
        if request["stratified"] and not labelled:
            raise InputError(f"{request} is taken per class; give labels")
    return {request: _family(request) for request in chosen}


def _check_order(requests: Iterable[Measure], classes: Tensor | None) -> None:
    """Refuse a measure that takes the samples sorted by class where there are no labels."""
    for request in requests if classes is None else ():
        if any(one.sample_order == "class" for one in _probe(request)):
            raise InputError(f"{request} takes the samples sorted by class; give labels, or leave out order=class")


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


def block_of(statistics: Iterable[Statistic]) -> int:
    """The samples that must be in a tile together: the largest block (sizes are powers of two); 1 without any."""
    return max((one.block for one in statistics if one.sample_order), default=1)


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
        if stratified or statistic.sample_order == "random"
    )


def uses_untransformed(request: Measure) -> bool:
    """Whether the untransformed samples are part of the pass."""
    return requests.level(request) == "network" or any(s.untransformed for s in _probe(request))


def moves_maps(request: Measure) -> bool:
    """Whether a measure transforms feature maps."""
    return any(s.moved for s in _probe(request))


def undoes_maps(request: Measure) -> bool:
    """Whether a measure undoes the transformation on feature maps."""
    return any(s.undone for s in _probe(request))


def _one_sample(requests: Iterable[Measure], N: int, classes: Tensor | None) -> str:
    """Which measures have no value because they compare samples, and there is one, or a class has one; else empty."""
    comparing = [request for request in requests if any(one.compares_samples for one in _probe(request))]
    if N == 1 and comparing:
        said, found = "there is one sample", comparing
    else:
        found = [request for request in comparing if request["stratified"]]
        if not found or classes is None:
            return ""
        labels, counts = classes.unique(return_counts=True)
        if not (counts == 1).any():
            return ""
        said = f"class {int(labels[counts == 1][0])} has one sample"
    return (
        f"{said}, which has no spread over samples: what {', '.join(map(str, found))} would compare is 0, and what is "
        "divided by it is infinite, or 0 / 0; give two samples or more"
    )


def _probe(request: Measure) -> list[Statistic]:
    """The statistics of a request on a layer of feature maps."""
    layer = Layer(1, "", "", (1, 1, 1))
    return _family(request).statistics(request, Context(layer, 1, 1, torch.device("cpu")))

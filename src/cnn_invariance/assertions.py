"""Assertions for tests of one's own: a network, or some of its layers, are equivariant or invariant to transformations.

    import cnn_invariance as ci

    def test_turns():
        quarters = ci.transformations.rotation(n=4, closed=False)
        ci.assert_equivariant(network, images, quarters, 1e-5, layers="features*")
        ci.assert_invariant(network, images, quarters, 1e-5)

A measure says how much a layer varies; an assertion says whether it does at all, where first, and under which map.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cnn_invariance.activations import Layer, LayerFilter, Observed, look, observe
from cnn_invariance.devices import at_precision, left_as_found
from cnn_invariance.errors import InputError
from cnn_invariance.measures.engine.inputs import Callables, MapStyle, batch, check_images, check_model, placement
from cnn_invariance.transformations.affine import AffineSet
from cnn_invariance.transformations.warp import check_members, described, transform_all

AT_ONCE = 16
"""Images that go through the network together."""


def assert_equivariant(
    model: nn.Module,
    images: Tensor | MapStyle,
    transformations: AffineSet | Callables,
    tolerance: float = 1e-4,
    layers: LayerFilter = None,
) -> None:
    """Assert that feature maps are transformed as the image is: ``a(T x) = T a(x)`` for every image x and member T.

    The deviation of a layer under a member is ``max |a(T x) - T a(x)| / max |a(x)|``: the largest difference of any
    activation under any image, as a share of the largest activation of the layer. Feature maps keep their places: a
    layer that permutes them, such as a convolution over a group before it is pooled over the group, is not equivariant
    in this sense. A layer of which rows and columns cannot be told is not compared, with a warning that names it.

    Args:
        model: any module in evaluation mode.
        images: (N, C, H, W) floating point; or a map-style dataset of such images.
        transformations: an affine set, which moves feature maps by the same shares of their sides; or functions, which
            are applied to feature maps (N, C', H', W') as they are to images. One is enough.
        tolerance: the largest deviation that is allowed. Rounding in float32 is about 1e-6.
        layers: those that are looked at (see ``activations.select``); None: all that have rows and columns.

    Raises:
        AssertionError: a layer deviates. The message names the first such layer in forward order, the feature map, the
            member, the size of the deviation and where it is, and how many other layers deviate.
        InputError: nothing can be compared: no layer has rows and columns, no member changes an image, a function
            cannot be applied to feature maps, or the network is no function of an image.

    Example:
        >>> from cnn_invariance.transformations import rotation
        >>> quarters, images = rotation(n=4, closed=False), torch.rand(4, 1, 8, 8)
        >>> assert_equivariant(nn.Sequential(nn.Conv2d(1, 3, 1), nn.MaxPool2d(2)).eval(), images, quarters)
    """
    check = _Check(model, images, transformations, tolerance)
    with left_as_found(model):
        found = check.look(layers)
        there = [layer for layer in found.layers if layer.spatial]
        _refuse_without_maps(found.layers, layers)
        check.run(found, there, lambda before, member: check.members[member].apply(before))
    check.judge(there, "equivariant")
    if unknown := [f"{layer.name} ({layer.kind}; {layer.why})" for layer in found.layers if layer.why]:
        warnings.warn(f"not compared: {', '.join(unknown)}", stacklevel=2)


def assert_invariant(
    model: nn.Module,
    images: Tensor | MapStyle,
    transformations: AffineSet | Callables,
    tolerance: float = 1e-4,
    layers: LayerFilter = None,
) -> None:
    """Assert that activations do not change: ``a(T x) = a(x)`` for every image x and every member T.

    The deviation is ``max |a(T x) - a(x)| / max |a(x)|``, as of `assert_equivariant`.

    Args:
        model, images, transformations, tolerance: as of `assert_equivariant`.
        layers: those that are looked at; None: what the network returns.

    Raises:
        AssertionError: a layer, or the output, deviates; the message is as of `assert_equivariant`.
        InputError: nothing can be compared.

    Example:
        >>> from cnn_invariance.transformations import rotation
        >>> network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
        >>> assert_invariant(network, torch.rand(4, 1, 8, 8), rotation(n=4, closed=False))
    """
    check = _Check(model, images, transformations, tolerance)
    with left_as_found(model):
        found = check.look(type(model).__name__ if layers is None else layers)
        check.run(found, found.layers, lambda before, member: before)
    check.judge(found.layers, "invariant", output=layers is None)


class _Member(NamedTuple):
    """One transformation: what it is called, and how it is applied to images or feature maps (B, C, H, W)."""

    name: str
    apply: Callable[[Tensor], Tensor]


class _Place(NamedTuple):
    """The largest difference of a layer under a member, and where it is."""

    size: float
    image: int
    unit: tuple[int, ...]


@dataclass
class _Check:
    """The comparison of one network under one set."""

    model: nn.Module
    images: Tensor | MapStyle
    transformations: AffineSet | Callables
    tolerance: float
    members: list[_Member] = field(init=False)
    scales: dict[str, float] = field(default_factory=dict)  # the largest activation, by layer
    worst: dict[tuple[str, int], _Place] = field(default_factory=dict)  # by layer and member

    def __post_init__(self) -> None:
        check_model(self.model)
        if not (isinstance(self.tolerance, int | float) and 0 <= self.tolerance < math.inf):
            raise InputError(f"tolerance is {self.tolerance!r}; expected a finite number, 0 or greater, such as 1e-4")
        self.count = check_images(self.images)
        self.device, self.dtype = placement(self.model, None)
        self.members = list(_members(self.transformations))

    def look(self, layers: LayerFilter) -> Observed:
        """The layers, after the transformations were tried."""
        first = self.batch(range(min(2, self.count)))
        if not isinstance(self.transformations, AffineSet):
            check_members(self.transformations, first)
        if all(torch.equal(member.apply(first.clone()), first) for member in self.members):
            raise InputError("no transformation changes the first images, so that nothing is compared; expected others")
        return look(self.model, first[:1], layers, in_order=False)  # a layer that mixes up its rows must be found

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Some images, where the network is."""
        return batch(self.images, indices).to(self.device, self.dtype)

    def run(self, found: Observed, layers: Sequence[Layer], expected: Callable[[Tensor, int], Tensor]) -> None:
        """Compare all layers under all members; ``expected`` is what a member should give, of what there was before."""
        for start in range(0, self.count, AT_ONCE):
            images = self.batch(range(start, min(start + AT_ONCE, self.count)))
            before = self.activations(found, layers, images)
            for layer in layers:
                largest = float(before[layer.name].abs().amax())
                self.scales[layer.name] = max(self.scales.get(layer.name, 0.0), largest)
            for number, member in enumerate(self.members):
                after = self.activations(found, layers, member.apply(images.clone()))
                for layer in layers:
                    wanted = _applied(expected, before[layer.name], number, layer, member)
                    self.note(layer, number, start, after[layer.name], wanted)

    def activations(self, found: Observed, layers: Sequence[Layer], images: Tensor) -> dict[str, Tensor]:
        """What each layer gives, by name."""
        names = {layer.name for layer in layers}
        seen: dict[str, Tensor] = {}

        def see(name: str, module: nn.Module, tensor: Tensor) -> None:
            if name in names:
                seen[name] = tensor.detach().clone()  # a later module may work in place

        with observe(self.model, found.roles, len(images), see), at_precision("fp32", self.device):
            self.model(images.clone())  # it may work in place
        return seen

    def note(self, layer: Layer, member: int, start: int, after: Tensor, wanted: Tensor) -> None:
        """Keep the largest difference; one that is no number is larger than any."""
        if after.shape != wanted.shape:
            place = _Place(math.inf, start, ())
        else:
            difference = (after.double() - wanted.double()).abs().nan_to_num(math.inf, posinf=math.inf)
            image, *unit = map(int, np.unravel_index(int(difference.argmax()), difference.shape))
            place = _Place(float(difference.max()), start + image, tuple(unit))
        before = self.worst.get((layer.name, member))
        if before is None or place.size > before.size:
            self.worst[layer.name, member] = place

    def judge(self, layers: Sequence[Layer], what: str, *, output: bool = False) -> None:
        """Raise AssertionError if a layer deviates by more than the tolerance."""
        __tracebackhide__ = True
        bad = [layer for layer in layers if self.deviation(layer) > self.tolerance]
        if bad:
            raise AssertionError(self.message(bad, len(layers), what, output))

    def deviation(self, layer: Layer, member: int | None = None) -> float:
        """Of a layer, as a share of its largest activation: under one member, or the largest under any."""
        chosen = range(len(self.members)) if member is None else [member]
        size = max(self.worst[layer.name, k].size for k in chosen)
        scale = self.scales[layer.name]
        return 0.0 if size == 0 else size / scale if 0 < scale < math.inf else math.inf

    def message(self, bad: Sequence[Layer], looked_at: int, what: str, output: bool) -> str:
        """What deviates, where first, and by how much."""
        layer = bad[0]
        member = max(range(len(self.members)), key=lambda k: self.worst[layer.name, k].size)
        place, shape = self.worst[layer.name, member], " x ".join(map(str, layer.shape))
        name = "the output" if output else f"layer {layer.name}"
        failing = [k for k in range(len(self.members)) if self.deviation(layer, k) > self.tolerance]
        lines = [
            f"{name} ({layer.kind}, {shape}) is not {what} to {self.members[member].name}, "
            f"member {member + 1} of {len(self.members)}:",
            f"  {_where(layer, place)} deviates by {self.deviation(layer, member):.3g} of the largest activation of "
            f"the layer ({self.scales[layer.name]:.3g}); tolerance {self.tolerance:.3g}",
            f"  it deviates under {len(failing)} of {len(self.members)} members",
        ]
        if len(bad) > 1:
            worst = max(bad, key=self.deviation)
            lines.append(
                f"  {len(bad)} of {looked_at} layers deviate; this one is the first, and {worst.name} deviates most, "
                f"by {self.deviation(worst):.3g}"
            )
        return "\n".join(lines)


def _members(transformations: AffineSet | Callables) -> Iterator[_Member]:
    if isinstance(transformations, AffineSet):
        for label, matrix in zip(transformations.labels, transformations.matrices, strict=True):
            yield _Member(label, lambda maps, matrix=matrix: transform_all(maps, matrix[None])[0])  # type: ignore[misc]
        return
    if not isinstance(transformations, Sequence) or not transformations or not all(map(callable, transformations)):
        raise InputError(
            f"transformations is a {type(transformations).__name__}; expected a set from "
            "cnn_invariance.transformations, or a sequence of callables on a batch of images, one at least"
        )
    for member in transformations:
        yield _Member(described(member), lambda maps, member=member: member(maps).clone())  # type: ignore[misc]


def _refuse_without_maps(found: Sequence[Layer], layers: LayerFilter) -> None:
    """Raise InputError for layers that were named and have no rows and columns, or where none has them."""
    chosen = [layers] if isinstance(layers, str) else layers if isinstance(layers, Sequence) else []
    without = [layer for layer in found if not layer.spatial]
    named = [layer for layer in without if layer.name in chosen]
    if named or len(without) == len(found):
        layer = (named or without)[0]
        raise InputError(
            f"layer {layer.name} ({layer.kind}) is {layer.form} without rows and columns"
            f"{f' ({layer.why})' if layer.why else ''}, on which nothing can be transformed; name layers of feature "
            "maps, or use assert_invariant"
        )


def _applied(
    expected: Callable[[Tensor, int], Tensor], before: Tensor, number: int, layer: Layer, member: _Member
) -> Tensor:
    """What a member should make of a layer."""
    try:
        return expected(before.clone(), number)
    except Exception as error:  # a function may be anyone's code
        shape = " x ".join(map(str, layer.shape))
        raise InputError(
            f"{member.name} cannot be applied to the feature maps of layer {layer.name} ({shape}): "
            f"{type(error).__name__}: {error}; expected a function of any batch (B, C, H, W)"
        ) from error


def _where(layer: Layer, place: _Place) -> str:
    if not place.unit:
        return "the size of its feature maps, which the transformation changes,"
    kind = "feature map" if layer.spatial else "token" if len(layer.shape) == 2 else "unit"
    rest = f" at {', '.join(map(str, place.unit[1:]))}" if place.unit[1:] else ""
    return f"{kind} {place.unit[0]}{rest} of image {place.image}"

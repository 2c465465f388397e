"""Observation of the layers of any ``nn.Module``: their names, their order, their activations.

A layer is what one call of a module computed: of a module without children (every convolution, activation function,
pooling, ...), of one with children that computes something itself (a parametrised convolution, attention, a block that
adds its input), or of one that a filter names. Layers are found by running the network, so they stand in forward order,
a module that is called twice is two layers (``relu`` and ``relu#2``), and one that is never called is none. A module
that returns several tensors has one layer for each (``lstm[0]``, ``lstm[1]``).

Which side of a tensor are the images, which are rows and columns, is found by experiment, see `cnn_invariance.roles`.
Feature maps are seen as (B, C, H, W), tokens as (B, T, D), dense layers as (B, K).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from cnn_invariance.errors import InputError, unknown_name

if TYPE_CHECKING:
    from cnn_invariance.roles import Role, Run

LayerFilter = Callable[[str, nn.Module], bool] | Sequence[str | type[nn.Module]] | type[nn.Module] | str | None


@dataclass(frozen=True)
class Layer:
    """One observed layer: its place in forward order (from 1), its name, its module's class, its output's shape."""

    index: int
    name: str
    kind: str
    shape: tuple[int, ...]  # of one sample: (C, H, W) for feature maps, (T, D) for tokens, (K,) for a dense layer
    why: str = ""  # why it has no rows and columns, where that is not plain from its form

    @property
    def units(self) -> int:
        """The number of activations."""
        return prod(self.shape)

    @property
    def spatial(self) -> bool:
        """Whether the output is feature maps, which an affine map can be undone on."""
        return len(self.shape) == 3

    @property
    def maps(self) -> int:
        """The number of feature maps; of activations where there are no maps."""
        return self.shape[0] if self.spatial else self.units

    @property
    def form(self) -> str:
        """What its output is, in words.

        >>> [Layer(1, "", "", shape).form for shape in ((8, 4, 4), (17, 32), (10,))]
        ['feature maps', 'tokens', 'units']
        """
        return {1: "units", 2: "tokens", 3: "feature maps"}.get(len(self.shape), "an array")


@dataclass(frozen=True)
class Observed:
    """What one look at a network found.

    layers:  in forward order
    roles:   how the tensor of each layer is seen, by its key: the layer's name, without what parts of it add
    skipped: every module that ran and is no layer, and why, by its name or its key
    output:  of the network, for the images looked at
    """

    layers: list[Layer]
    roles: "dict[str, Role]"
    skipped: dict[str, str]
    output: Any


def select(model: nn.Module, layers: LayerFilter, keys: Iterable[str] = ()) -> dict[str, nn.Module]:
    """The modules that ``layers`` chooses, by name.

    Args:
        model: any module.
        layers: names or patterns (``"features.*"``) of modules, with or without children, names of layers as they are
            printed (``relu#2``, ``lstm[0]``), classes of modules, or several of these; or a predicate on (name,
            module), asked for modules without children.
        keys: the names of layers that there are.

    Raises:
        InputError: a name, pattern or class fits nothing, or nothing is left.
    """
    everything = {name or type(model).__name__: module for name, module in model.named_modules()}
    if callable(layers) and not isinstance(layers, type):
        leaves = {name: module for name, module in everything.items() if next(module.children(), None) is None}
        chosen = {name: module for name, module in leaves.items() if layers(name, module)}
        if not chosen:
            raise InputError(f"the layer filter leaves none of the {len(leaves)} layers: {', '.join(leaves)}")
        return chosen
    wanted = [layers] if isinstance(layers, str | type) else list(cast(Iterable[Any], layers))
    chosen = {}
    for one in wanted:
        fits = {name: module for name, module in everything.items() if _fits(name, module, one)}
        if not fits and one not in set(keys):
            if isinstance(one, type):
                kinds = sorted({type(module).__name__ for module in everything.values()})
                raise InputError(f"no module is a {one.__name__}; there are: {', '.join(kinds)}")
            raise unknown_name("layer", one, {*everything, *keys})
        chosen |= fits
    if not wanted:
        raise InputError("the layer filter is empty; expected names, patterns or classes of modules, or None for all")
    return chosen


def _fits(name: str, module: nn.Module, wanted: Any) -> bool:
    if isinstance(wanted, type):
        return isinstance(module, wanted)
    return name == wanted or fnmatchcase(name, wanted)


@contextmanager
def without_fast_path() -> Iterator[None]:
    """Transformer layers call their modules one by one, instead of one fused operation that shows nothing."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def observe(
    model: nn.Module, roles: "Mapping[str, Role]", images: int, see: Callable[[str, nn.Module, Tensor], None]
) -> Iterator[None]:
    """Call ``see(layer name, module, activations)`` for what the modules of a model return for so many images.

    For one forward pass, while the context is open: layers are numbered by the calls of their module.

    roles: those that `look` found; nothing else is seen

    Errors: InputError for a tensor of another number of images than there are.
    """
    calls: dict[str, int] = {}
    names = {name for seen in roles for name in _perhaps_named(seen)}

    def hook(module: nn.Module, _: Any, output: Any) -> None:
        name = named[module]
        calls[name] = calls.get(name, 0) + 1
        for suffix, tensor in tensors_of(output):
            key = key_of(name, calls[name], suffix)
            if key in roles:
                try:
                    found = list(roles[key].parts(tensor, images))
                except ValueError as error:
                    raise InputError(f"layer {key} changed between images: {error}") from None
                for part, activations in found:
                    see(key + part, module, activations)

    from cnn_invariance.roles import key_of, names_of, tensors_of

    named = names_of(model)
    with without_fast_path(), ExitStack() as stack:
        for module, name in named.items():
            if name in names:
                stack.callback(module.register_forward_hook(hook).remove)
        yield


def _perhaps_named(key: str) -> Iterator[str]:
    """The names of modules that may have this key, see `cnn_invariance.roles.key_of`; names may hold # and [."""
    yield key
    yield from (key[:place] for place, letter in enumerate(key) if letter in "#[")


def look(
    model: nn.Module, images: Tensor, layers: LayerFilter = None, *, merge: bool = False, in_order: bool = True
) -> Observed:
    """Find the layers of a network in forward order, by running it on a few images (see `cnn_invariance.roles`).

    images: (B, C, H, W); one is enough
    layers: which are kept, see `select`
    merge:  leave out layers that hand on what the layer before returned, unchanged (Identity, Dropout in evaluation)
    in_order: False: also see maps whose rows are in another order than those of the image as feature maps

    Errors: InputError where no layer is left, and for a network that is no function of an image; what the network
    raises.
    """
    from cnn_invariance import roles

    with without_fast_path():
        found, skipped, run, output = roles.assign(model, images, in_order=in_order)
    skipped |= _of_torchscript(model, run)
    chosen = _chosen(model, run, layers)
    handed_on = _handed_on(model, images, {key for key in found if key in chosen}) if merge else {}
    kept: list[Layer] = []
    for key, role in list(found.items()):
        one = run[key]
        if key not in chosen:
            del found[key]
            if layers is None:
                skipped[key] = "it holds other modules, and hands on what one of them returned"
            continue
        if key in handed_on:
            del found[key]
            skipped[key] = f"it hands on what {handed_on[key]} returned, unchanged"
            continue
        for part, tensor in role.parts(cast(Tensor, one.tensor), roles.PROBES[0]):
            kind = type(one.module).__name__
            kept.append(Layer(len(kept) + 1, key + part, kind, tuple(tensor.shape[1:]), role.why))
    if not kept:
        raise InputError(_nothing(model, run, skipped, layers))
    return Observed(kept, found, skipped, output)


def _of_torchscript(model: nn.Module, run: "Run") -> dict[str, str]:
    """The modules inside of traced ones, which call them unseen."""
    seen = {one.name for one in run.values()}
    why = "it is part of a module of TorchScript, which does not show it"
    return {
        name: why
        for name, module in model.named_modules()
        if isinstance(module, torch.jit.ScriptModule) and name and name not in seen
    }


def find_layers(model: nn.Module, example: Tensor, layers: LayerFilter = None) -> tuple[list[Layer], Any]:
    """The layers of a network in forward order, and its output for three images that are made of ``example``."""
    with torch.no_grad():
        found = look(model, example, layers)
    return found.layers, found.output


def _chosen(model: nn.Module, run: "Run", layers: LayerFilter) -> set[str]:
    """The keys of the tensors that a filter keeps: of modules that compute by themselves, if it is None."""
    if layers is None:
        return {key for key, one in run.items() if one.own}
    modules = select(model, layers, keys=run)
    exact = (
        {layers}
        if isinstance(layers, str)
        else set()
        if callable(layers)
        else {x for x in layers if isinstance(x, str)}
    )
    return {key for key, one in run.items() if key in exact or modules.get(one.name) is one.module}


def _handed_on(model: nn.Module, images: Tensor, keys: Collection[str]) -> dict[str, str]:
    """Which of some tensors have the numbers of the one before, by the key of that one.

    They are compared as they are made, because a later module that works in place overwrites them.
    """
    from cnn_invariance import roles

    last: tuple[str, Tensor] | None = None
    found: dict[str, str] = {}

    def compare(key: str, tensor: Tensor) -> None:
        nonlocal last
        if key not in keys:
            return
        if last and last[1].shape == tensor.shape and torch.equal(last[1], tensor):
            found[key] = last[0]
        else:
            last = key, tensor.clone()

    with without_fast_path():
        roles.run(model, roles.probes_of(images), compare)
    return found


def _nothing(model: nn.Module, run: "Run", skipped: Mapping[str, str], layers: LayerFilter) -> str:
    """Why no layer is left, in words."""
    reasons = "; ".join(f"{name}: {why}" for name, why in list(skipped.items())[:5])
    return (
        f"{type(model).__name__} has no layer that returns a floating-point tensor with one entry per image; "
        "check the layer filter, and that the model returns its activations" + (f" ({reasons})" if reasons else "")
    )

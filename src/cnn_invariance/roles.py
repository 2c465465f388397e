"""Roles: which side of a tensor that a module returns are the images, which the rows, the columns and the features.

Nothing is concluded from the class of a module. The network is run on a few images, and what it returns is compared:

- The *images* are the one side whose size is that of the batch for two numbers of images; or so many times that size,
  if a change of one image changes only the entries that stand together for it (windows, patches, heads).
- *Rows* and *columns* are the one side each that grows when the image grows in height, and in width. Where a network
  does not run on another size, or its maps keep their size, they are the sides along which a change moves when it moves
  from the top of the image to its bottom, and from its left to its right.
- A side that grows is of rows only if it is in their order: a change that moves along it must come by all places, and
  of an image that is there twice, one above the other, the layer's upper half must be like the layer of the image
  alone. A spectrum, or rows in another order, is not. (Maps that are mirrored or shifted as a whole are maps.)
- *Tokens* form a grid where a change of one patch of the image is largest at the token of that patch, for several
  patches; tokens before and after the grid (of the class, registers) are kept apart.

Where none of this tells, the tensor has no rows and columns, and the reason is kept.
"""

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from math import prod
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from cnn_invariance.devices import TRIES, RandomNumbersWarning, random_state
from cnn_invariance.errors import InputError

PROBES = (3, 2)
"""How many images are run at once, to see which side follows them."""
FEWER = [1, 0]
"""Those of the second run: in another order, so that an answer that depends on the images before, or after, is another.
"""
MOVED, FAR, STILL = 0.3, 0.7, 1 / 2
"""Along rows a change must move at least so far, as a share of the side, the second number if there is doubt; along
others at most so much of that.
"""
NEAR, NARROW, FIT = 0.25, 0.15, (0.9, 0.5)
"""Centres of changes that are farther apart than the first number, as a share of the side, must lie in the order of the
changed spots: with the first correlation where the changes are narrower than the second number; else, such as after
attention within windows, with the second.
"""
IN_ORDER = 0.1
"""The least correlation of rows with those of an image that is there twice, see `_in_order`."""
PATCHES = 6
"""How many patches are changed, to see whether tokens form a grid."""
APART = 16
"""At most so many tokens may stand beside a grid."""
DIFFERING = 0.01
"""The share of a layer's activations that may differ between two runs which should agree."""
UNKNOWN = "rows and columns cannot be told: {}"
MIXED = "its sides follow the image, and not in the order of its rows or columns"


@dataclass(frozen=True)
class Role:
    """How a tensor is seen as activations of each image.

    images: the side of the images; each has ``fold`` entries of it, one after the other
    order:  the other sides, in the order in which they are seen: features, rows, columns; or tokens, features
    grid:   rows and columns of tokens, of which the first is at ``start``; the others stand apart
    why:    why there are no rows and columns; empty where there are
    """

    images: int = 0
    fold: int = 1
    order: tuple[int, ...] = ()
    grid: tuple[int, int] | None = None
    start: int = 0
    why: str = ""

    def parts(self, tensor: Tensor, images: int) -> Iterator[tuple[str, Tensor]]:
        """The activations (images, C, H, W), (images, T, D) or (images, K), with what follows the layer's name.

        Errors: ValueError for a tensor of another number of images.
        """
        if tensor.ndim <= self.images or tensor.shape[self.images] != images * self.fold:
            raise ValueError(f"a tensor {tuple(tensor.shape)} is not of {images} images")
        seen = tensor.movedim(self.images, 0) if self.images else tensor
        if self.fold > 1:
            seen = seen.reshape(images, self.fold, *seen.shape[1:])
        if self.order != tuple(range(seen.ndim - 1)):
            seen = seen.permute(0, *(1 + side for side in self.order))
        if seen.ndim == 1:
            seen = seen.unsqueeze(1)
        if seen.ndim > 3 and self.why:
            seen = seen.flatten(1, -2)  # so many more tokens
        if self.grid is None:
            yield "", seen
            return
        end = self.start + prod(self.grid)
        apart = torch.cat([seen[:, : self.start], seen[:, end:]], 1)
        if apart.shape[1] == 1:
            yield "[class token]", apart[:, 0]
        elif apart.shape[1]:
            yield "[tokens apart]", apart
        yield "", seen[:, self.start : end].transpose(1, 2).unflatten(2, self.grid)


class Seen(NamedTuple):
    """A tensor that a call of a module returned, or why what it returned is none."""

    name: str
    module: nn.Module
    tensor: Tensor | None
    why: str = ""
    own: bool = True  # whether the module computed it, and does not hand on what a module inside returned


Run = dict[str, Seen]
"""What all calls of all modules returned in one forward pass, by key: the name, the call, the place in the output."""


def tensors_of(output: Any) -> Iterator[tuple[str, Any]]:
    """The tensors in what a module returned, with a suffix each: those of mappings, sequences, data classes, and of
    objects with a ``tensor``.
    """
    if isinstance(output, Tensor):
        yield "", output
        return
    if isinstance(output, Mapping):
        items = list(output.items())
    elif isinstance(output, tuple | list):
        items = list(enumerate(output))
    elif is_dataclass(output) and not isinstance(output, type):
        items = [(field.name, getattr(output, field.name)) for field in fields(output)]
    elif isinstance(tensor := getattr(output, "tensor", None), Tensor):
        yield "", tensor
        return
    else:
        return
    for key, item in items:
        for suffix, tensor in tensors_of(item):
            yield f"[{key}]{suffix}", tensor


def key_of(name: str, call: int, suffix: str) -> str:
    """The key of a tensor: ``relu``, ``relu#2`` for the second call, ``lstm[0]`` for the first of several tensors."""
    return f"{name}{f'#{call}' if call > 1 else ''}{suffix}"


def names_of(model: nn.Module) -> dict[nn.Module, str]:
    """Every module by its name; the model itself by its class."""
    return {module: name or type(model).__name__ for name, module in model.named_modules()}


def run(model: nn.Module, images: Tensor, watch: Callable[[str, Tensor], None] | None = None) -> tuple[Run, Any]:
    """What every call of every module returned, and the output. A network that fails keeps what it returned until then.

    watch: is called with the key of each tensor as soon as it is there; later it may be overwritten where it lies

    Errors: what the network raises, with the run so far as ``error.seen``.
    """
    seen: Run = {}
    calls: dict[str, int] = {}
    made: dict[int, list[tuple[str, Tensor, int]]] = {}  # outputs by their memory, with their state then
    kept: list[Any] = []  # so that no memory is used twice
    names = names_of(model)

    def note(module: nn.Module, given: Any, output: Any) -> None:
        name = names[module]
        calls[name] = calls.get(name, 0) + 1
        kept.append((given, output))
        within = "" if module is model else f"{name}."
        passed = {_memory(tensor) for _, tensor in tensors_of(given)}
        found = list(tensors_of(output))
        if not found:
            seen[key_of(name, calls[name], "")] = Seen(
                name, module, None, f"it returned no tensor: {type(output).__name__}"
            )
        for suffix, tensor in found:
            memory = _memory(tensor)
            inside = any(
                other.startswith(within) and other != name and version == tensor._version and _alike(tensor, one)
                for other, one, version in made.get(memory, ())
            )
            has_children = next(module.children(), None) is not None
            own = not (has_children and (inside or (memory in passed and not _changed_in_place(made, memory, tensor))))
            why = _no_activations(tensor)
            key = key_of(name, calls[name], suffix)
            seen[key] = Seen(name, module, None if why else tensor, why, own)
            if watch and not why:
                watch(key, tensor)
            made.setdefault(memory, []).append((name, tensor, tensor._version))

    handles = [module.register_forward_hook(note) for module in names]
    try:
        return seen, model(images.clone())  # it may work in place
    except Exception as error:
        error.seen = seen  # type: ignore[attr-defined]
        raise
    finally:
        for handle in handles:
            handle.remove()


def _memory(tensor: Any) -> int:
    try:
        return int(tensor.untyped_storage().data_ptr())
    except (AttributeError, NotImplementedError, RuntimeError):
        return 0


def _alike(tensor: Tensor, other: Tensor) -> bool:
    """Whether two tensors in one memory hold the same numbers, in one form or another."""
    return tensor.numel() == other.numel() and tensor.dtype == other.dtype


def _changed_in_place(made: Mapping[int, Sequence[tuple[str, Tensor, int]]], memory: int, tensor: Tensor) -> bool:
    """Whether what was passed in was changed where it lay."""
    return any(version != tensor._version for _, _, version in made.get(memory, ()))


def _no_activations(tensor: Tensor) -> str:
    if tensor.is_complex():
        return "its numbers are complex"
    if not tensor.is_floating_point():
        return f"its numbers are {str(tensor.dtype).removeprefix('torch.')}, not floating point"
    return "" if tensor.ndim else "it is one number for all images"


def assign(
    model: nn.Module, images: Tensor, *, in_order: bool = True
) -> tuple[dict[str, Role], dict[str, str], Run, Any]:
    """The role of every tensor that follows the images, why the others are none, one run, and its output.

    images:   (B, C, H, W), one is enough: others are made of it
    in_order: False: rows need not be in the order of those of the image

    Errors: what the network raises on these images; InputError for a network that is no function of an image.
    """
    probes = probes_of(images)
    first, output = run(model, probes)  # it may make its lazy layers now, of random numbers
    before = random_state()
    fewer, _ = run(model, _as_in(probes, probes[FEWER]))
    draws = random_state() != before
    found: dict[str, Role] = {}
    none: dict[str, str] = {}
    for key, one in first.items():
        other = fewer.get(key)
        if one.tensor is None:
            none[key] = one.why
        elif other is None or other.tensor is None:
            none[key] = "with another number of images, it is not called"
        else:
            place = _of_images(tuple(one.tensor.shape), tuple(other.tensor.shape))
            if isinstance(place, str):
                none[key] = place
            else:
                found[key] = Role(*place)
    folded = [key for key, role in found.items() if role.fold > 1]
    if folded:
        changed = probes.clone()
        changed[0] = _other(probes[0])
        moved, _ = run(model, changed)
        for key in folded:
            if not _only_first(first[key].tensor, moved[key].tensor, found[key]):
                none[key] = "it holds several entries for each image, not one after the other"
                del found[key]
    _refuse_no_function(model, probes, first, fewer, found, draws)
    return _with_sides(model, probes, first, found, in_order), none, first, output


def probes_of(images: Tensor) -> Tensor:
    """So many different images, made of the first: moved sideways, and the last of a larger range."""
    width = images.shape[-1]
    moved = [images[0].roll(k * max(1, width // PROBES[0]), -1) for k in range(PROBES[0])]
    probes = torch.stack([*moved[:-1], 1.5 * moved[-1]])
    return _as_in(images, probes)


def _as_in(images: Tensor, others: Tensor) -> Tensor:
    """Others in the memory format of images."""
    last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
    return others.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def _of_images(shape: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, int] | str:
    """The side of the images and how many entries each has; or why there is none. Shapes are of 3 and of 2 images."""
    if len(shape) != len(other):
        return "with another number of images it has another number of sides"
    sides = [side for side, (a, b) in enumerate(zip(shape, other, strict=True)) if a != b]
    if not sides:
        return "its size does not follow the number of images"
    if len(sides) > 1:
        return "several of its sides follow the number of images"
    (side,) = sides
    fold, left = divmod(shape[side], PROBES[0])
    if left or fold * PROBES[1] != other[side] or not fold:
        return "it is not of all images at once"
    return side, fold


def _other(image: Tensor) -> Tensor:
    """Another image of about the same values."""
    return image.flip(-1, -2) + (image.std(correction=0) or 1.0)


def _only_first(before: Tensor | None, after: Tensor | None, role: Role) -> bool:
    """Whether only the entries of the first image changed, and some of them did."""
    if before is None or after is None:
        return False
    changed = (before - after).abs().movedim(role.images, 0).flatten(1).amax(1)
    largest = float(before.abs().max()) or 1.0
    there = changed > largest * torch.finfo(before.dtype).eps ** 0.5
    return bool(there[: role.fold].any()) and not bool(there[role.fold :].any())


def _refuse_no_function(
    model: nn.Module, probes: Tensor, first: Run, fewer: Run, found: Mapping[str, Role], draws: bool
) -> None:
    """Refuse a network whose answer to an image is another each time, or depends on the other images of the batch.

    draws: it has drawn random numbers, and so is run more often
    """
    key = next(_differing(first, fewer, found, FEWER), None)
    if key is None and not draws:
        return
    for _ in range(TRIES[draws]):
        again, _ = run(model, probes)
        if (each_time := next(_differing(first, again, found, range(PROBES[0])), None)) is not None:
            raise InputError(f"{_layer(first, each_time)} {RANDOM}")
    if key is not None:
        raise InputError(f"{_layer(first, key)} {OTHERS}")
    warnings.warn(
        f"{type(model).__name__} draws random numbers, and its layers gave the same {TRIES[True]} times; a measure is "
        "of a network that is a function of the image",
        RandomNumbersWarning,
        stacklevel=2,
    )


def _layer(run: Run, key: str) -> str:
    return f"layer {key} ({run[key].name}: {type(run[key].module).__name__})"


def _differing(first: Run, other: Run, found: Mapping[str, Role], images: Sequence[int]) -> Iterator[str]:
    """The keys of tensors that are not the same in another run, which is of some of the images, in some order."""
    precision = 1e-7
    for key, one in first.items():
        if one.tensor is not None:
            precision = max(precision, torch.finfo(one.tensor.dtype).eps)  # rounding is handed on
        seen = other.get(key)
        if key not in found or one.tensor is None or seen is None or seen.tensor is None:
            continue
        side, fold = found[key].images, found[key].fold
        places = [fold * image + k for image in images for k in range(fold)]
        same = one.tensor.index_select(side, torch.tensor(places, device=one.tensor.device))
        if _apart(same, seen.tensor, precision**0.5):
            yield key


RANDOM = "gives other activations for the same images each time it is called: something in it is random"
OTHERS = (
    "gives an image other activations in a batch of other images or of another size, as batch normalisation does that "
    "keeps no running statistics; measures need a network that is a function of the image alone"
)


def _apart(one: Tensor, other: Tensor, tolerance: float) -> bool:
    if one.shape != other.shape:
        return True
    if torch.equal(one, other):
        return False
    largest = float(one.abs().amax())
    if float((one - other).abs().amax()) <= largest * tolerance:
        return False
    finite = one[one.isfinite()]
    largest = float(finite.abs().max()) if finite.numel() else 0.0
    differing = ~torch.isclose(one, other, rtol=0, atol=largest * tolerance, equal_nan=True)
    return bool(differing.double().mean() > DIFFERING)


def _with_sides(
    model: nn.Module, probes: Tensor, first: Run, found: dict[str, Role], in_order: bool
) -> dict[str, Role]:
    """The roles, with the order of the sides that are not of the images."""

    def sides(key: str) -> tuple[int, ...]:
        tensor = first[key].tensor
        assert tensor is not None
        return _rest(tuple(tensor.shape), found[key], PROBES[0])

    done = {key: replace(role, order=tuple(range(len(sides(key))))) for key, role in found.items()}
    maps = [key for key in found if len(sides(key)) == 3]
    grown = [_grown(model, probes[:1], side) for side in (-2, -1)] if maps else []
    bands, grids = _Moves(model, probes[:1]), _Grids(model, probes[:1])
    doubted: set[tuple[int, ...]] = set()  # the sizes of maps that were mixed: what is made of them may be so, too
    for key in maps:
        role, shape = found[key], sides(key)
        grows = [_grows(shape, role, seen.get(key)) for seen in grown]
        done[key] = _maps(role, shape, grows, lambda key=key, role=role: bands.along(key, role))  # type: ignore[misc]
        if in_order and not done[key].why:
            done[key] = _ordered(done[key], cast(Tensor, first[key].tensor), [seen.get(key) for seen in grown])
            size = tuple(shape[side] for side in done[key].order[1:])
            if not done[key].why and bands.mixed(key, done[key], doubted=size in doubted):
                done[key] = replace(done[key], order=(0, 1, 2), why=UNKNOWN.format(MIXED))
            if done[key].why:
                doubted.add(size)
    of_maps = [tuple(sides(key)[side] for side in done[key].order[1:]) for key in maps if not done[key].why]
    sizes = [(rows, columns) for rows, columns in dict.fromkeys(of_maps) if rows * columns > 1]
    for key in found:
        if len(shape := sides(key)) == 2:
            done[key] = grids.role(key, done[key], shape, sizes)
        elif len(shape) > 3:
            done[key] = replace(done[key], why="it has more sides than feature maps")
    return done


def _grows(shape: tuple[int, ...], role: Role, larger: Seen | None) -> list[int] | None:
    """The sides that are not of the images and grow with one image; None: the network did not run so far."""
    if larger is None or larger.tensor is None:
        return None
    other = _rest(tuple(larger.tensor.shape), role, 1)
    if len(other) != len(shape):
        return None
    return [side for side, (a, b) in enumerate(zip(shape, other, strict=True)) if a != b]


def _rest(shape: tuple[int, ...], role: Role, images: int) -> tuple[int, ...]:
    """The sides of a tensor that are not of the images; of folded ones the entries of an image come first."""
    rest = shape[: role.images] + shape[role.images + 1 :]
    return (shape[role.images] // images, *rest) if role.fold > 1 else rest


def _maps(
    role: Role,
    shape: tuple[int, ...],
    grows: Sequence[list[int] | None],
    moves: Callable[[], list[int | None]],
) -> Role:
    """The role of a tensor with three sides beside the images."""
    plain = replace(role, order=(0, 1, 2))
    of_one = [side for side in range(3) if shape[side] == 1]
    rows, columns = (found[0] if found is not None and len(found) == 1 else None for found in grows)
    if any(found is not None and len(found) > 1 for found in grows):
        return replace(plain, why=UNKNOWN.format("several of its sides grow with the image"))
    if rows is None or columns is None:
        if len(of_one) == 2:
            rows, columns = of_one
        else:
            by_move = moves()
            rows = by_move[0] if rows is None else rows
            columns = by_move[1] if columns is None else columns
    if rows is None or columns is None or rows == columns:
        reason = "none of its sides follows the height and another the width of the image"
        return replace(plain, why=UNKNOWN.format(reason))
    features = 3 - rows - columns
    return replace(role, order=(features, rows, columns))


def _ordered(role: Role, tensor: Tensor, grown: Sequence[Seen | None]) -> Role:
    """The role, or one without rows and columns where these are in another order than those of the image."""
    for side, larger in zip((-2, -1), grown, strict=True):
        if larger is None or larger.tensor is None:
            continue
        entries = larger.tensor.shape[role.images]
        if role.fold == 1 != entries:
            continue
        (_, maps), (_, twice) = (
            next(role.parts(tensor, PROBES[0])),
            next(replace(role, fold=entries).parts(larger.tensor, 1)),
        )
        if twice.shape[side] > maps.shape[side] and not _in_order(maps[0], twice[0], side):
            return replace(role, order=(0, 1, 2), why=UNKNOWN.format(MIXED))
    return role


def _in_order(maps: Tensor, twice: Tensor, side: int) -> bool:
    """Whether the first entries of a side are alike for an image, and for it followed by itself.

    By the correlation of the signs of the differences from the median of the side, without its last quarter, which has
    other neighbours there; (C, H, W) and the same with twice as much of the side.
    """
    size = maps.shape[side]
    if size < 4:
        return True
    length = size - size // 4
    one, other = (each.detach().narrow(side, 0, length) for each in (maps, twice))
    if one.shape != other.shape:
        return True
    one, other = ((each - each.median(side, keepdim=True).values).sign().double() for each in (one, other))
    norms = float(one.norm() * other.norm())
    return not norms > 0 or float((one * other).sum()) / norms >= IN_ORDER


def _copy(model: nn.Module) -> nn.Module:
    """A network of the same parameters, which no forward pass changes, and with buffers and all else of its own."""
    return copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})


def _grown(model: nn.Module, images: Tensor, side: int) -> Run:
    """What a copy of the network returns for an image twice as high, or as wide; as far as it runs."""
    larger = _as_in(images, torch.cat([images, images], dim=side))
    try:
        return run(_copy(model), larger)[0]
    except Exception as error:  # most networks with dense layers take one size
        return getattr(error, "seen", {})


class _Moves:
    """Along which sides of tensors a change moves, when it moves from the top of an image to its bottom."""

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        self.model, self.images = model, images
        self.seen: Run | None = None

    def along(self, key: str, role: Role) -> list[int | None]:
        """The side along which it moves with the rows of the image, and with the columns; None: not one side alone."""
        change = self._change(key, replace(role, order=(0, 1, 2)))
        if change is None:
            return [None, None]
        profiles = [change.sum(tuple(1 + other for other in range(3) if other != side)) for side in range(3)]
        centres = [_centres(profile) for profile in profiles]
        found: list[int | None] = []
        for order in PLACES:
            moved = [_moved(centre, order) for centre in centres]
            far = [side for side in range(3) if moved[side] >= MOVED]
            still = len(far) == 1 and all(abs(moved[k]) <= STILL * moved[far[0]] for k in range(3) if k != far[0])
            found.append(far[0] if still and _on_a_line(profiles[far[0]], order, turned=False) else None)
        return found

    def mixed(self, key: str, role: Role, *, doubted: bool = False) -> bool:
        """Whether a change moves along the rows, or the columns, of feature maps, and not in their order.

        Maps that are mirrored, or shifted round, are in order. Of small ones it is not asked: padding by reflection
        brings two rows together. If ``doubted``, a change must also move as far as the spots.
        """
        if self._largest(key, role) < 8 or (change := self._change(key, role)) is None:
            return False
        place = change.sum(1)  # (spots, H, W)
        return any(
            (doubted and not _moved(_centres(one), order) >= FAR)
            or (bool(_centres(one).max() - _centres(one).min() >= NEAR) and not _on_a_line(one, order))
            for one, order in zip((place.sum(2), place.sum(1)), PLACES, strict=True)
            if one.shape[1] >= 8
        )

    def _tensor(self, key: str) -> Tensor | None:
        if self.seen is None:
            self.seen, _ = run(self.model, _as_in(self.images, _spots(self.images)))
        return self.seen[key].tensor if key in self.seen else None

    def _largest(self, key: str, role: Role) -> int:
        """The larger of the numbers of rows and columns of feature maps; 0: they are not there."""
        tensor = self._tensor(key)
        return 0 if tensor is None else max(_rest(tuple(tensor.shape), role, 1)[side] for side in role.order[1:])

    def _change(self, key: str, role: Role) -> Tensor | None:
        """The size of the change by each spot, (spots, ...); None: that of one is but rounding."""
        if (tensor := self._tensor(key)) is None:
            return None
        wide = tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32))
        ((_, seen),) = role.parts(wide, 1 + len(PLACES[0]))
        change = (seen[1:] - seen[:1]).abs()
        rounding = ROUNDING * torch.finfo(tensor.dtype).eps * seen.abs().amax()
        return change if bool((change.flatten(1).amax(1) > rounding).all()) else None


ROUNDING = 256
"""A change of less than so many units of the last place of the largest activation may be one of rounding."""
PLACES = ((0, 1, 2, 3, 4, 5), (2, 5, 0, 3, 1, 4))
"""In which sixth of the rows, and of the columns, of an image each spot lies that is changed."""


def _spots(images: Tensor) -> Tensor:
    """An image, and the same with one spot changed; a spot is an eighth of the image high and wide."""
    generator = torch.Generator("cpu").manual_seed(0)
    sizes = [max(1, side // 8) for side in images.shape[-2:]]
    noise = torch.randn((images.shape[1], *sizes), generator=generator, dtype=torch.float64, device="cpu").to(images)
    noise = noise * images.std(correction=0).clamp(min=1e-3)
    changed = [images[0]]
    for spot in zip(*PLACES, strict=True):
        one = images[0].clone()
        starts = [k * (side - size) // 5 for k, side, size in zip(spot, one.shape[-2:], sizes, strict=True)]
        one[:, starts[0] : starts[0] + sizes[0], starts[1] : starts[1] + sizes[1]] += noise
        changed.append(one)
    return torch.stack(changed)


def _centres(profiles: Tensor) -> Tensor:
    return torch.tensor([_centre(profile) for profile in profiles], device="cpu")


def _moved(centres: Tensor, order: Sequence[int]) -> float:
    """How far centres move, as a share of the way of the spots, by least squares; NaN: some spot changes nothing."""
    places = torch.tensor(order, dtype=centres.dtype, device="cpu") / (len(order) - 1)
    places = places - places.mean()
    return float((places * centres).sum() / places.square().sum())


def _on_a_line(profiles: Tensor, order: Sequence[int], *, turned: bool = True) -> bool:
    """Whether the centres of changes (spots, side) follow the spots; if ``turned``, backwards or shifted round."""
    centres = _centres(profiles)
    along = centres[torch.tensor(order, device="cpu").argsort()]
    steps = torch.linspace(-1, 1, len(along), dtype=along.dtype, device="cpu")
    ways = torch.stack([along.roll(k) for k in range(len(along) if turned else 1)])
    ways = ways - ways.mean(1, keepdim=True)
    fits = (ways * steps).sum(1) / (ways.norm(dim=1) * steps.norm())
    least = FIT[0 if _spread(profiles) < NARROW else 1]
    return not _torn(profiles, centres) and bool((fits.abs() if turned else fits).max() >= least)


def _spread(profiles: Tensor) -> float:
    """How wide changes (spots, side) are: the deviation of their places, as a share of the side; of all on average."""
    places = torch.linspace(0, 1, profiles.shape[1], dtype=profiles.dtype, device=profiles.device)
    shares = profiles / profiles.sum(1, keepdim=True)
    return float((shares * (places - (shares * places).sum(1, keepdim=True)).square()).sum(1).sqrt().mean())


def _torn(profiles: Tensor, centres: Tensor) -> bool:
    """Whether half of the changes (spots, side) or more are in several pieces, with nothing changed at their centre."""
    changed = profiles > 1e-3 * profiles.amax(1, keepdim=True)
    pieces = (changed & ~changed.roll(1, 1)).sum(1)  # a side is a ring here
    middle = (centres.nan_to_num(0.0) * (profiles.shape[1] - 1)).round().long().to(profiles.device)
    near = torch.arange(-1, 2, device=middle.device) + middle[:, None]  # an edge filter is empty at its own middle
    empty = ~changed.gather(1, near.clamp(0, profiles.shape[1] - 1)).any(1)
    return bool(((pieces > 1) & empty).double().mean() >= 0.5)


def _centre(weights: Tensor) -> float:
    """Where the weights lie on a side, from 0 to 1; NaN: they are all 0, or the side has one entry."""
    if len(weights) == 1:
        return 0.0
    weights = weights.double().cpu()
    places = torch.linspace(0, 1, len(weights), dtype=torch.float64, device="cpu")
    return float((weights * places).sum() / weights.sum())


class _Grids:
    """Whether tokens lie on a grid, by changes of single patches of an image; one run for each size of grid."""

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        self.model, self.images = model, images
        self.seen: dict[tuple[int, int], tuple[list[tuple[int, int]], Run]] = {}

    def role(self, key: str, role: Role, shape: tuple[int, ...], sizes: Sequence[tuple[int, int]]) -> Role:
        """The role of a tensor with two sides beside the images: tokens and features, on a grid if that is seen."""
        for candidates in ([sizes] * 2, [list(self._fitting(size)) for size in shape]):
            found = [one for side in (0, 1) if (one := self._seen_on(key, role, shape, side, candidates[side]))]
            if len(found) == 2 or (found and shape[0] == shape[1] and self._also_across(key, found[0])):
                return replace(role, why="both of its sides are tokens")
            if found:
                return found[0]
        return replace(role, why="tokens, of which no grid is seen")

    def _seen_on(
        self, key: str, role: Role, shape: tuple[int, ...], side: int, grids: Sequence[tuple[int, int]]
    ) -> Role | None:
        """The role with the tokens along a side, if they are seen to lie on one of these grids."""
        tokens = replace(role, order=(side, 1 - side))
        starts = ((grid, self._start(key, tokens, grid, shape[side] - prod(grid))) for grid in grids)
        return next((replace(tokens, grid=grid, start=start) for grid, start in starts if start is not None), None)

    def _fitting(self, tokens: int) -> Iterator[tuple[int, int]]:
        """Grids of about so many tokens with the proportions of the image."""
        height, width = self.images.shape[-2:]
        for spare in range(min(APART, tokens)):
            rows = round(((tokens - spare) * height / width) ** 0.5)
            if rows * rows * width == (tokens - spare) * height and rows > 1:
                yield rows, (tokens - spare) // rows

    def _start(self, key: str, role: Role, grid: tuple[int, int], spare: int) -> int | None:
        """The place of the first token of the grid; None: a change of a patch is not largest at the patch's token.

        On a large grid that is all of the tokens, it may be largest at a neighbour: such is a convolution before.
        """
        if not 0 <= spare <= (APART if prod(grid) >= 9 else 1):
            return None
        cells, places = self._places(key, role, grid)
        starts = {place - row * grid[1] - column for place, (row, column) in zip(places, cells, strict=False)}
        if len(starts) == 1 and 0 <= (start := starts.pop()) <= spare:
            return start
        near = [
            max(abs(place // grid[1] - row), abs(place % grid[1] - column))
            for place, (row, column) in zip(places, cells, strict=False)
        ]
        return 0 if near and not spare and min(grid) >= 6 and max(near) <= 1 else None

    def _also_across(self, key: str, role: Role) -> bool:
        """Whether features are as many as tokens because they are tokens: half of the patches change most the own."""
        assert role.grid is not None
        cells, places = self._places(key, replace(role, order=role.order[::-1], grid=None), role.grid)
        own = [role.start + row * role.grid[1] + column for row, column in cells]
        return 2 * sum(map(int.__eq__, places, own)) >= len(own)

    def _places(self, key: str, role: Role, grid: tuple[int, int]) -> tuple[list[tuple[int, int]], list[int]]:
        """Cells of a grid, and at which token a change of the patch there is largest; none: the tensor is not there."""
        if grid not in self.seen:
            cells, probes = _patches(self.images, grid)
            self.seen[grid] = cells, run(self.model, _as_in(self.images, probes))[0]
        cells, seen = self.seen[grid]
        if key not in seen or (tensor := seen[key].tensor) is None:
            return cells, []
        ((_, tokens),) = role.parts(tensor, 1 + len(cells))
        return cells, (tokens[1:] - tokens[:1]).abs().sum(2).argmax(1).tolist()


def _patches(images: Tensor, grid: tuple[int, int]) -> tuple[list[tuple[int, int]], Tensor]:
    """Places of a grid, none the mirror of another, and an image followed by one changed in the patch of each."""
    height, width = images.shape[-2:]
    draw = torch.Generator("cpu").manual_seed(1)
    order = torch.randperm(prod(grid), generator=draw, device="cpu")[:PATCHES].tolist()
    cells = [divmod(place, grid[1]) for place in order]
    probes = images[0].repeat(1 + len(cells), 1, 1, 1)
    scale = images.std(correction=0).clamp(min=1e-3)
    for k, (row, column) in enumerate(cells, 1):
        rows = slice(row * height // grid[0], (row + 1) * height // grid[0])
        columns = slice(column * width // grid[1], (column + 1) * width // grid[1])
        patch = probes[k, :, rows, columns]
        noise = torch.randn(
            patch.shape, generator=torch.Generator("cpu").manual_seed(2), dtype=torch.float64, device="cpu"
        )
        probes[k, :, rows, columns] = patch + scale * noise.to(patch)
    return cells, probes

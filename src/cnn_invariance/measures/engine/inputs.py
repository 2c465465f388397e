"""What the pass is given, checked: model, images, transformations, labels, and the scores that labels go with."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from cnn_invariance import devices
from cnn_invariance.errors import InputError
from cnn_invariance.transformations import sets
from cnn_invariance.transformations.affine import AffineSet, is_identity
from cnn_invariance.transformations.warp import transform_all

Callables = Sequence[Callable[[Tensor], Tensor]]


class MapStyle(Protocol):
    """A map-style dataset: ``len()`` and indexing by sample, images alone or (image, label)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def check_choice(what: str, received: str, allowed: Sequence[str]) -> None:
    """Refuse what is not among the allowed."""
    if received not in allowed:
        raise InputError(f"{what} {received!r} is not known; allowed: {', '.join(allowed)}")


def check_seed(seed: int) -> None:
    """Refuse what is no seed."""
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"order_seed is {seed!r}; expected a whole number, 0 or greater")


GROUPS = 10
"""Groups of samples, unless said: more would cost more, and an interval is a ninth wider than of very many."""
LEAST_GROUPS = 5
"""Of fewer groups an interval would be several times as wide as of many."""


def check_groups(uncertainty: bool | int, N: int) -> int:
    """The number of groups of samples for intervals, 0 for none; refuses what is no such number."""
    if isinstance(uncertainty, bool):
        return min(GROUPS, N) if uncertainty else 0
    if not isinstance(uncertainty, int) or not LEAST_GROUPS <= uncertainty <= N:
        raise InputError(
            f"uncertainty is {uncertainty!r}; expected True for {GROUPS} groups of samples, False for no intervals, or "
            f"a number of groups from {LEAST_GROUPS} to that of the samples, {N}"
        )
    return uncertainty


def check_shuffles(null: bool | int, N: int) -> int:
    """The number of shuffles for nulls, 0 for none; refuses what is no such number."""
    if null is False:
        return 0
    if isinstance(null, bool):
        from cnn_invariance.measures.nulls import SHUFFLES  # few passes need it

        null = SHUFFLES
    if not isinstance(null, int) or null < 1:
        raise InputError(
            f"null is {null!r}; expected True for the null of a few shuffles, False for none, or the number of shuffles"
        )
    if N < 2:
        raise InputError("a null pairs each sample with another one, and there is one sample; give two or more")
    return null


def check_model(model: nn.Module) -> None:
    """Refuse what is no module, or trains."""
    if not isinstance(model, nn.Module):
        raise InputError(f"the model is a {type(model).__name__}; expected a torch.nn.Module")
    training = [name or type(model).__name__ for name, module in model.named_modules() if module.training]
    if training:
        raise InputError(
            f"the model is in training mode ({training[0]} and {len(training) - 1} more modules); call model.eval()"
        )


def placement(model: nn.Module, device: torch.device | str | None) -> tuple[torch.device, torch.dtype]:
    """The device of the pass, and the floating-point type of the network."""
    parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
    own = torch.device("cpu") if parameter is None else parameter.device
    dtype = torch.float32 if parameter is None else parameter.dtype
    place = own if device is None else devices.choose(str(device))
    devices.check_double(place)
    return place, dtype


def check_images(images: Tensor | MapStyle) -> int:
    """The number of images, which must be floating point (C, H, W)."""
    if not (hasattr(images, "__len__") and hasattr(images, "__getitem__")):
        raise InputError(
            f"images is a {type(images).__name__}; expected a tensor (N, C, H, W) or a dataset with len() and indexing"
        )
    if len(images) == 0:
        raise InputError("there are no images; expected at least one")
    first = images[0]
    image = first if isinstance(images, Tensor) else image_of(first)
    if image.ndim != 3:
        raise InputError(f"an image has shape {tuple(image.shape)}; expected (C, H, W)")
    if not image.is_floating_point():
        raise InputError(
            f"the images are {image.dtype}; expected floating point, scaled and normalised as in the network's training"
        )
    return len(images)


class EqualMembersWarning(UserWarning):
    """Two members of a set of transformations are one map, which then counts twice."""


class OneSampleWarning(UserWarning):
    """Measures that compare samples were asked for, and there is one sample, or a class has one."""


def check_transformations(transformations: AffineSet | Callables) -> int:
    """The number of transformations; refuses a set of one map alone, and warns of members that are one map.

    There is no warning of the author's own sets, ``rotation()`` and ``combined()``, whose circle has both ends:
    captions, ``plan`` and ``inspect`` say how many of their members are different maps. Of functions it is not known.
    """
    if isinstance(transformations, AffineSet):
        transformations.check_different()
        if (said := transformations.coincidence()) and not sets.is_authors(transformations):
            message = f"{transformations.described}: {said}. A map that is there twice counts twice in every measure"
            warnings.warn(message, EqualMembersWarning, stacklevel=4)  # the line that called measure()
        return len(transformations)
    if not isinstance(transformations, Sequence) or not all(map(callable, transformations)):
        raise InputError(
            f"transformations is a {type(transformations).__name__}; expected a set from "
            "cnn_invariance.transformations, or a sequence of callables on a batch of images"
        )
    if len(transformations) == 0:
        raise InputError("there are no transformations; expected at least one")
    if len(transformations) == 1:
        raise InputError(
            "there is one transformation, and invariance is measured over different ones; expected at least two: "
            "add a function that returns the images as they are"
        )
    return len(transformations)


def image_of(item: Any) -> Tensor:
    """The image of a dataset's item, alone or with a label."""
    image = item[0] if isinstance(item, tuple | list) else item
    if not isinstance(image, Tensor):
        raise InputError(f"the dataset yields {type(image).__name__}; expected tensors (C, H, W)")
    return image


def batch(images: Tensor | MapStyle, indices: Sequence[int]) -> Tensor:
    """Some images, (b, C, H, W)."""
    if isinstance(images, Tensor):
        return images[list(indices)]
    items = [image_of(images[i]) for i in indices]
    shapes = {tuple(item.shape) for item in items}
    if len(shapes) > 1:
        raise InputError(
            f"images have different shapes, {' and '.join(map(str, sorted(shapes)))}; expected one for all"
        )
    return torch.stack(items)


def labels_of(images: Tensor | MapStyle, labels: Tensor | Sequence[int] | None, N: int) -> Tensor | None:
    """One label an image, given or taken from the dataset; None without."""
    if labels is None and not isinstance(images, Tensor) and isinstance(first := images[0], tuple | list):
        if len(first) < 2:
            return None
        labels = [_plain(images[i][1]) for i in range(N)]
    if labels is None:
        return None
    try:
        tensor = torch.as_tensor(labels, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        raise _no_label(labels) from error
    if tensor.shape != (N,):
        raise InputError(f"labels have shape {tuple(tensor.shape)}; expected ({N},), one for each image")
    if tensor.is_complex() or not torch.equal(tensor.long().to(tensor.dtype), tensor):
        raise _no_label(labels)
    return tensor.long()


def _no_label(labels: Any) -> InputError:
    received = next((one for one in labels if not _is_class(one)), labels)
    return InputError(
        f"labels cannot be read as numbers of classes ({received!r} is none); expected the class index of each image, "
        "a whole number; number the classes, or give the images without labels"
    )


def _plain(label: Any) -> Any:
    """A number for a tensor or array of one."""
    return label.item() if isinstance(label, Tensor | np.ndarray) and math.prod(label.shape) == 1 else label


def _is_class(label: Any) -> bool:
    try:
        return int(label) == label and not isinstance(label, str)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return False


class TransformedBatch:
    """Makes the columns of a tile: a batch under every transformation, and untransformed if that is needed.

    Attributes:
        reference: the column of the untransformed batch; 0 where it is neither there nor needed.
        appended: whether that column is one more than the transformation set has.
        count: the number of columns.
    """

    def __init__(self, transformations: AffineSet | Callables, shape: Sequence[int], untransformed: bool) -> None:
        self.transformations = transformations
        self.shape = tuple(shape)
        identity = _identity(transformations)
        self.appended = untransformed and identity is None
        self.reference = len(transformations) if self.appended else identity or 0
        self.count = len(transformations) + self.appended

    def __call__(self, images: Tensor, members: slice | None = None) -> Tensor:
        """(b, C, H, W) -> (M', b, C, H, W); or (m, b, C, H, W), under some of the transformations alone."""
        if tuple(images.shape[1:]) != self.shape:
            raise InputError(
                f"an image has shape {tuple(images.shape[1:])}, the first one {self.shape}; expected one shape for all"
            )
        appended = self.appended and members is None
        members = slice(None) if members is None else members
        if isinstance(self.transformations, AffineSet):
            affine = transform_all(images, self.transformations.matrices[members])
            return torch.cat([affine, images.unsqueeze(0)]) if appended else affine
        chosen = self.transformations[members]
        columns = [_copied(transformation(images.clone())) for transformation in chosen]  # it may work in place
        for column in columns:
            if not isinstance(column, Tensor) or column.shape != images.shape:
                received = tuple(column.shape) if isinstance(column, Tensor) else type(column).__name__
                raise InputError(
                    f"a transformation turns a batch of shape {tuple(images.shape)} into {received}; expected the same"
                )
        return torch.stack([*columns, images] if appended else columns)


def _copied(column: Any) -> Any:
    """A copy, because a function may give out one buffer each time."""
    return column.clone() if isinstance(column, Tensor) else column


def _identity(transformations: AffineSet | Callables) -> int | None:
    """The index of the identity member, if there is one that is known to be."""
    if not isinstance(transformations, AffineSet):
        return None
    members = np.flatnonzero(is_identity(transformations.matrices))
    return int(members[0]) if members.size else None


SCORES = ("logits", "out", "output", "scores", "log_probs", "predictions")
"""Under which networks that return several tensors usually have the scores; the first that is there is taken."""


def scores(output: Any, batch: int) -> Tensor | None:
    """The scores of the classes (B, K): the output, or the part of it with a usual name, or the first of such a shape.

    Looked for in mappings, tuples, lists and data classes, and in what they hold; None where nothing has that shape,
    and where the first, without a usual name, is wider than another: it may be features, of which scores are made.
    """
    found = list(_tensors("", output, batch))
    named = [tensor for wanted in SCORES for name, tensor in found if name == wanted]
    others = [tensor for _, tensor in found if tensor.shape[1] > 1] or [tensor for _, tensor in found]
    if not named and others and others[0].shape[1] > min(tensor.shape[1] for tensor in others):
        return None
    return next(iter([*named, *others]), None)


def _tensors(name: str, output: Any, batch: int) -> Iterator[tuple[str, Tensor]]:
    """The tensors (B, K) of an output, each with the innermost name it has."""
    if isinstance(output, Tensor):
        if output.ndim == 2 and len(output) == batch and output.is_floating_point():
            yield name, output
    elif isinstance(output, Mapping):
        for key, item in output.items():
            yield from _tensors(str(key), item, batch)
    elif isinstance(output, tuple | list):
        names = getattr(output, "_fields", [name] * len(output))  # of a named tuple
        for key, item in zip(names, output, strict=True):
            yield from _tensors(key, item, batch)
    elif is_dataclass(output):
        for field in fields(output):
            yield from _tensors(field.name, getattr(output, field.name), batch)


def no_classes(found: Tensor | None) -> str:
    """Why scores have no accuracy; empty where they have one."""
    if found is None:
        return (
            "the network's output has no scores of classes: no tensor (B, K), of K numbers an image; or several, of "
            f"which none is named {SCORES[0]}, {SCORES[1]} or the like, and the first is wider than another"
        )
    if found.shape[1] < 2:
        return "the network's output is one number an image: which of its values mean a class is not known"
    return ""


def check_labels(labels: Tensor, classes: int) -> None:
    """Refuse labels that are no class of the output."""
    outside = labels[(labels < 0) | (labels >= classes)].unique().tolist()
    if outside:
        shown = ", ".join(map(str, outside[:5])) + (", ..." if len(outside) > 5 else "")
        raise InputError(
            f"labels hold {shown}, and the network has {classes} outputs; expected classes from 0 to {classes - 1}, "
            "the index of the output of each image's class; number them so, or pass accuracy=False if they only say "
            "which images belong together"
        )

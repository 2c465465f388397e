"""What a network's output says of classes: where its scores are, and whether labels go with them."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from cnn_invariance.errors import InputError

NAMES = ("logits", "out", "output", "scores", "log_probs", "predictions")
"""Under which networks that return several tensors usually have the scores; the first that is there is taken."""


def scores(output: Any, batch: int) -> Tensor | None:
    """The scores of the classes (B, K): the output, or the part of it with a usual name, or the first of such a shape.

    Looked for in mappings, tuples, lists and data classes, and in what they hold; None where nothing has that shape.
    """
    found = list(_tensors("", output, batch))
    named = [tensor for wanted in NAMES for name, tensor in found if name == wanted]
    return next(iter([*named, *(tensor for _, tensor in found)]), None)


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
        return "the network's output has no scores of classes: no tensor (B, K), of K numbers an image"
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

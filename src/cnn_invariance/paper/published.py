"""The test accuracies that the author logged, network by network, with their variants."""

import csv
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from cnn_invariance import models
from cnn_invariance.paper import points
from cnn_invariance.plugins.references import is_reference
from cnn_invariance.study import Scalar, SetSpec, TrainSpec

EITHER = "one of "
"""What the variant of a row begins with whose network the log does not tell from another."""

VARIANT_ARGUMENTS = ("batch_norm", "activation", "kernel", "pooling")
"""The arguments by which networks of one design differ in the log."""

SIZES = ("width", "dense")
"""The arguments by which ours may differ from the log's; the table says so."""

RANGES: Mapping[str, tuple[str, ...]] = {
    "rotation": ("angle_deg",),
    "scale": ("low", "high"),
    "translation": ("distance",),
    "combined": (),
}
"""The parameters of each set that say how far it goes."""


NO_RANGE = ("rotation:0", "translation:0")
"""Augmentations that are one setting: 25 equal members, so plain images for the epochs of 25."""


class Key(NamedTuple):
    """One setting of the log, as its columns name it."""

    dataset: str
    model: str
    variant: str
    augmentation: str


class Row(NamedTuple):
    """One network of the log.

    accuracy: on the test images that were seen: the logged share of all, divided by the share that was seen
    """

    key: Key
    repetition: int
    epochs: int
    logged: float
    accuracy: float


@cache
def rows() -> tuple[Row, ...]:
    """Every network of the log."""
    text = (files("cnn_invariance") / "paper" / "published_accuracy.csv").read_text(encoding="utf-8")
    seen = points.value("data", "accuracies", "share seen")
    return tuple(
        Row(
            Key(row["dataset"], row["model"], row["variant"], row["augmentation"]),
            int(row["repetition"]),
            int(row["epochs"]),
            logged := float(row["test_accuracy"]),
            logged / seen,
        )
        for row in csv.DictReader(text.splitlines())
    )


@cache
def settings() -> dict[Key, tuple[Row, ...]]:
    """The networks of each setting of the log, in its order."""
    found: dict[Key, list[Row]] = {}
    for row in rows():
        found.setdefault(row.key, []).append(row)
    return {key: tuple(group) for key, group in found.items()}


def of(key: Key) -> tuple[Row, ...]:
    """The networks that the log has of a setting; where it does not tell them from others, all that they may be."""
    if key.augmentation in NO_RANGE:
        equal = (key._replace(augmentation=name) for name in NO_RANGE)
        return tuple(row for one in equal for row in settings().get(one, ()))
    if key in settings():
        return settings()[key]
    places = (key.dataset, key.model, key.augmentation)
    return tuple(
        row
        for row in rows()
        if (row.key.dataset, row.key.model, row.key.augmentation) == places
        and key.variant in candidates(row.key.variant)
    )


def candidates(variant: str) -> tuple[str, ...]:
    """The variants that a row may be of: more than one where the log does not tell.

    >>> candidates("one of kernel=5|kernel=7"), candidates("base")
    (('kernel=5', 'kernel=7'), ('base',))
    """
    return tuple(variant.removeprefix(EITHER).split("|"))


def batch_of(key: Key) -> int:
    """The size of the batches that a network of the log was trained in.

    Networks with batch normalisation, and of designs that cannot have it, are those of the comparison of accuracies.
    """
    batch: Mapping[str, int] = points.value("training", "optimiser", "batch")
    compared = key.variant == "batch_norm" or "batch_norm" not in models.defaults(key.model)
    return batch["accuracy" if compared else "usual"]


def variant_of(name: str, arguments: Mapping[str, Scalar]) -> str | None:
    """The variant of a network as the log names it; None: it is of none, or of several at once.

    >>> variant_of("SimpleConv", {"width": 8, "activation": "prelu"}), variant_of("SimpleConv", {"kernel": 3})
    ('activation=PReLU', 'base')
    """
    if is_reference(name):
        return None
    defaults = models.defaults(name)
    changed = {one: value for one, value in arguments.items() if one not in SIZES and value != defaults.get(one)}
    if len(changed) > 1 or not changed.keys() <= {*VARIANT_ARGUMENTS}:
        return None
    for argument, value in changed.items():
        return argument if argument == "batch_norm" else f"{argument}={_spelt(value)}"
    return "base"


def augmentation_of(spec: SetSpec | None, full: Iterable[SetSpec], *, longer: bool = False) -> str | None:
    """The augmentation of a network as the log names it; None: it is none of the log's.

    full:   the sets of the study at their full range; a set is one of them, or has a smaller range and all else alike
    longer: whether a plain network is trained for the epochs of an augmented one
    """
    if spec is None:
        return NO_RANGE[0] if longer else "none"
    for own in full:
        if spec.name != own.name or spec.name not in RANGES:
            continue
        reach = RANGES[spec.name]
        rest = [{k: v for k, v in one.parameters.items() if k not in reach} for one in (spec, own)]
        if rest[0] != rest[1]:
            continue
        whole = points.value("set", spec.name, "members")
        if all(spec.parameters[one] == whole[one] for one in reach):
            return spec.name
        return f"{spec.name}:{'-'.join(f'{float(spec.parameters[one]):.4g}' for one in reach)}"
    return None


def key_of(network: TrainSpec, family: str, full: Iterable[SetSpec], *, longer: bool = False) -> Key | None:
    """The setting of the log that a network is of, on the author's dataset ``family``; None: of none that it has.

    ``full`` and ``longer``: see `augmentation_of`.
    """
    variant = variant_of(network.model.name, network.model.arguments)
    augmentation = augmentation_of(network.augmentation, full, longer=longer)
    if variant is None or augmentation is None:
        return None
    key = Key(family, network.model.name, variant, augmentation)
    return key if of(key) else None


def _spelt(value: Scalar) -> str:
    """As the log's names spell a value."""
    spelling = {"relu": "ReLU", "prelu": "PReLU", "sigmoid": "Sigmoid"}
    return spelling.get(str(value), str(value))

"""Specs: what a result is computed from, in parts that cells share.

A spec is a closed, frozen pydantic model. Its canonical JSON is hashed, and the hash names the file of the result. A
changed setting therefore names another file, and a result is never read under a setting it was not made with. The
versions of Python and torch, the machine and the date are not part of a spec: a result records them beside it.

The cells themselves, which are made of these parts, are in `cnn_invariance.study.cells`.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from cnn_invariance.errors import InputError
from cnn_invariance.plugins.references import is_reference
from cnn_invariance.study.canonical import Spec

if TYPE_CHECKING:
    from cnn_invariance.transformations.sets import TransformationSet

Scalar = bool | int | float | str
"""What a preset may give as the argument of a model or the parameter of a transformation set."""

Precision = Literal["fp32", "tf32", "bf16"]
"""The arithmetic of the forward and backward pass of a training step: IEEE single precision, CUDA's TensorFloat-32, or
autocast to bfloat16. Weights, optimiser and loss are always in single precision."""


def without_unset(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """The fields of a spec, less those of these names that are not set.

    Fields that were added later are left out where they have no value, so that older specs keep their hashes.
    """
    return {key: value for key, value in fields.items() if key not in names or value}


class DatasetSpec(Spec):
    """A dataset, pinned by the SHA-256 fingerprint of its content."""

    name: str
    fingerprint: str


class ModelSpec(Spec):
    """A network design: its registered name (or ``file.py:callable``) and all its arguments, defaults included.

    ``code`` is the SHA-256 of the file of a design that is not part of this package, else None. ``weights`` is the
    SHA-256 of the file of pretrained weights that training starts from, or None; see `without_unset`.
    """

    name: str
    arguments: dict[str, Scalar] = Field(default_factory=dict)
    code: str | None = None
    weights: str | None = None

    @model_serializer(mode="wrap")
    def _without_unset(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_unset(serialise(self), "weights")


class SetSpec(Spec):
    """A transformation set: its name and all its parameters, defaults included; ``code`` as in `ModelSpec`.

    Of a set of a user's own, a preset states what planning must know, so that its code is not run for it: ``members``,
    how many transformations it has, whether it is ``affine``, and where among its members the ``identity`` is. These
    are None, and left out, for sets of this package, for which the set itself says so.
    """

    name: str
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    code: str | None = None
    members: int | None = Field(default=None, ge=1)
    affine: bool | None = None
    identity: int | None = Field(default=None, ge=0)

    @model_serializer(mode="wrap")
    def _without_unset(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        stated = ("members", "affine", "identity")
        return {key: value for key, value in serialise(self).items() if key not in stated or value is not None}

    def build(self) -> "TransformationSet":
        """The set itself: an `AffineSet` of (M, 2, 3) matrices, or a user's M callables.

        Errors: InputError if it is not as the preset states.
        """
        return _build(self)

    @property
    def own(self) -> bool:
        """Whether it is a set of a user's own, whose code is not run to plan a study."""
        return is_reference(self.name)

    @property
    def size(self) -> int:
        """M, the number of transformations; as stated, where it is stated."""
        return len(self.build()) if self.members is None else self.members

    @property
    def undoable(self) -> bool:
        """Whether its transformations can be undone on feature maps: of affine maps, which have an inverse."""
        return bool(self.affine) if self.own else _is_affine(self.build())


@lru_cache(maxsize=256)
def _build(spec: SetSpec) -> "TransformationSet":
    from cnn_invariance.transformations import sets  # reading a result does not need it

    built = sets.build(spec.name, **spec.parameters)
    if spec.members is not None:
        _check_stated(spec, built)
    return built


def _check_stated(spec: SetSpec, built: "TransformationSet") -> None:
    """Raise InputError unless a set is as it is stated."""
    found: dict[str, Any] = {"size": len(built), "affine": _is_affine(built)}
    stated: dict[str, Any] = {"size": spec.members, "affine": bool(spec.affine)}
    if found["affine"] and stated["affine"]:
        found["identity"], stated["identity"] = built.identity_or_none, spec.identity  # type: ignore[union-attr]
    for key, value in stated.items():
        if value != found[key] and not (key == "identity" and value is None):
            say, has = (str(one).lower() for one in (value, found[key]))
            raise InputError(
                f"{spec.name!r} is not as the preset states: '{key}: {say}'; its function gives {has}; correct the "
                f"preset: '{key}: {has}'"
            )


def _is_affine(built: "TransformationSet") -> bool:
    return not isinstance(built, tuple)


class Recipe(Spec):
    """How a network is trained.

    epochs:        the number of epochs run, after any rule for augmentations
    images:        those it is trained on: the training split, or ``all``, the validation split too
    epoch_samples: the number of samples in an epoch, drawn anew each time without repetition; None means all images

    A last batch that is not full is dropped, unless it is the only one. The floor of accuracy is not part of it: it
    judges a record.
    """

    optimiser: Literal["adamw"] = "adamw"
    learning_rate: float = Field(gt=0, allow_inf_nan=False)
    batch_size: int = Field(64, ge=1)
    weight_decay: float = Field(0.01, ge=0, allow_inf_nan=False)
    epochs: int = Field(ge=0)
    precision: Precision = "fp32"
    images: Literal["train", "all"] = "train"
    epoch_samples: int | None = Field(None, ge=1)


class SampleSpec(Spec):
    """Which samples are measured, drawn stratified by class."""

    split: Literal["train", "validation", "test"] = "test"
    """The split they are from."""
    count: int | None = Field(default=None, ge=1, le=10**8, strict=True)
    """How many; without it, the whole split."""
    seed: int = Field(default=0, ge=0, lt=2**63, strict=True)
    """The seed of the draw."""

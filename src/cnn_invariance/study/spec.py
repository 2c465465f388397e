"""Specs: everything that determines the content of one result, and nothing else.

A spec is a closed, frozen pydantic model. Its canonical JSON is hashed; the hash names the file of the result.
So a changed setting is another file, and no result is ever read under a setting it was not made with. Versions of
Python and torch, the machine and the date are not part of a spec: a result records them beside it.
"""

import hashlib
import json
import math
import re
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

if TYPE_CHECKING:
    from cnn_invariance.transformations.sets import TransformationSet

TRAIN_REVISION = 1
"""Raise by one when a change of the code changes what a training computes: every network is then trained again."""

MEASURE_REVISION = 1
"""Raise by one when a change of the code changes what a measure cell holds: every cell is then measured again."""

RESPONSE_REVISION = 1
"""Raise by one when a change of the code changes what a response cell holds: every one is then made again."""

Scalar = bool | int | float | str
"""What a preset may give as the argument of a model or the parameter of a transformation set."""

Precision = Literal["fp32", "tf32", "bf16"]
"""Of the forward and backward pass of a training step: IEEE single precision, CUDA's TensorFloat-32, or autocast to
bfloat16. Weights, optimiser and loss are single precision always."""


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, and whole numbers without a point.

    A preset may say 360 or 360.0 and means the same. Not-a-number and infinity are refused (ValueError).

    >>> canonical_json({"b": 360.0, "a": [0.5, True, None]})
    '{"a":[0.5,true,null],"b":360}'
    """
    return json.dumps(_normal(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _normal(value: Any) -> Any:
    match value:
        case dict():
            return {key: _normal(item) for key, item in value.items()}
        case list() | tuple():
            return [_normal(item) for item in value]
        case float() if math.isfinite(value) and value.is_integer():
            return int(value)
        case _:
            return value


def _readable(name: str) -> str:
    """A name as part of a file name: ``torchvision:resnet18`` becomes ``torchvision_resnet18``."""
    return re.sub(r"[^A-Za-z0-9_.]+", "_", name).strip("._")


def _without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """The fields of a spec, without one that is not set."""
    return {key: value for key, value in fields.items() if key != name or value}


class Closed(BaseModel):
    """A pydantic model that refuses unknown keys and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Spec(Closed):
    """A closed model with a hash. Two specs are equal if and only if their hashes are."""

    @cached_property
    def canonical(self) -> str:
        """The canonical JSON of the spec: what is hashed, and what a result file keeps."""
        return canonical_json(self.model_dump(mode="json"))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        """Equal when of one class and of one hash."""
        return type(self) is type(other) and self.hash == other.hash

    def __hash__(self) -> int:
        """So that specs can be members of sets and keys of dictionaries."""
        return int(self.hash[:15], 16)


class DatasetSpec(Spec):
    """A dataset, pinned by the SHA-256 fingerprint of its content."""

    name: str
    fingerprint: str


class ModelSpec(Spec):
    """A network design: its registered name (or ``file.py:callable``) and all its arguments, defaults included.

    ``code`` is the SHA-256 of the file of a design that is not part of this package, else None. ``weights`` is that of
    the file of pretrained weights that training starts from; it is left out of the canonical JSON where there is none,
    so that designs keep the hashes they had before there was one.
    """

    name: str
    arguments: dict[str, Scalar] = {}
    code: str | None = None
    weights: str | None = None

    @model_serializer(mode="wrap")
    def _without_unset(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without(serialise(self), "weights")


class SetSpec(Spec):
    """A transformation set: its name and all its parameters, defaults included; ``code`` as in `ModelSpec`."""

    name: str
    parameters: dict[str, Scalar] = {}
    code: str | None = None

    def build(self) -> "TransformationSet":
        """The set itself: (M, 2, 3) matrices, or a user's M callables."""
        return _build(self)

    @property
    def size(self) -> int:
        """M, the number of transformations."""
        return len(self.build())


@lru_cache(maxsize=256)
def _build(spec: SetSpec) -> "TransformationSet":
    from cnn_invariance.transformations import sets  # NumPy only; not needed to read a result

    return sets.build(spec.name, **spec.parameters)


class Recipe(Spec):
    """How a network is trained. ``epochs`` is the number of epochs run, after any rule for augmentations.

    ``epoch_samples`` is how many samples an epoch takes, drawn anew without repetition each time; None: all. It is
    left out of the canonical JSON where it is None, so that recipes keep the hashes they had before there was one.
    """

    optimiser: Literal["adamw"] = "adamw"
    learning_rate: float = Field(gt=0, allow_inf_nan=False)
    batch_size: int = Field(64, ge=1)
    weight_decay: float = Field(0.01, ge=0, allow_inf_nan=False)
    epochs: int = Field(ge=0)
    accuracy_floor: float = Field(ge=0, le=1)
    precision: Precision = "fp32"
    epoch_samples: int | None = Field(None, ge=1)

    @model_serializer(mode="wrap")
    def _without_unset(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without(serialise(self), "epoch_samples")


class TrainSpec(Spec):
    """One trained network: dataset x model x augmentation x recipe x seed.

    Which epochs are kept as checkpoints is not part of it: a network is trained once for all who ask.
    """

    stage: Literal["train"] = "train"
    revision: int = TRAIN_REVISION
    dataset: DatasetSpec
    model: ModelSpec
    augmentation: SetSpec | None
    recipe: Recipe
    seed: int = Field(ge=0)

    @property
    def title(self) -> str:
        """The readable part of the key: ``mnist5k-SimpleConv-rotation-s0``."""
        augmentation = self.augmentation.name if self.augmentation else "plain"
        names = (self.dataset.name, self.model.name, augmentation)
        return "-".join([*map(_readable, names), f"s{self.seed}"])

    @property
    def key(self) -> str:
        """The name of the cell's files: the title and ten digits of the hash."""
        return f"{self.title}-{self.hash[:10]}"


class SampleSpec(Spec):
    """Which samples are measured: ``count`` of a split (None: all), drawn stratified by class with ``seed``."""

    split: Literal["train", "validation", "test"] = "test"
    count: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0)


class MeasureSpec(Spec):
    """One measured checkpoint: network at an epoch x transformation set x samples x measures.

    ``dataset`` is the one measured on; it is the network's own unless said. The measures are a set: their order
    and repetitions do not count. ``code`` has the SHA-256 of each file of measures that is not part of this package;
    it is left out of the canonical JSON where there is none.
    """

    stage: Literal["measure"] = "measure"
    revision: int = MEASURE_REVISION
    network: TrainSpec
    epoch: int = Field(ge=0)
    transformations: SetSpec
    dataset: DatasetSpec
    samples: SampleSpec
    measures: tuple[str, ...] = Field(min_length=1)
    code: dict[str, str] = {}

    @model_serializer(mode="wrap")
    def _without_unset(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without(serialise(self), "code")

    @model_validator(mode="before")
    @classmethod
    def _own_dataset(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("dataset") is None and "network" in values:
            network = values["network"]
            own = network["dataset"] if isinstance(network, dict) else network.dataset
            return {**values, "dataset": own}
        return values

    @field_validator("measures")
    @classmethod
    def _as_set(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(set(names)))

    @model_validator(mode="after")
    def _epoch_was_trained(self) -> Self:
        if self.epoch > (last := self.network.recipe.epochs):
            raise ValueError(f"epoch {self.epoch} of a network trained for {last} epochs")
        return self

    @property
    def title(self) -> str:
        """The readable part of the key: ``mnist5k-SimpleConv-rotation-s0-e15-on-scale``."""
        other = "" if self.dataset == self.network.dataset else f"{_readable(self.dataset.name)}-"
        return f"{self.network.title}-e{self.epoch}-on-{other}{_readable(self.transformations.name)}"

    @property
    def key(self) -> str:
        """The name of the cell's file: the title and ten digits of the hash."""
        return f"{self.title}-{self.hash[:10]}"


class ResponseSpec(Spec):
    """Responses of feature maps to one sample: of the most and the least invariant map of each layer.

    measured: the measure cell whose values rank the maps
    by:       the measure that ranks them, one of those kept for feature maps
    sample:   which single sample is shown (``count`` 1)
    members:  which transformations of the set are shown, by their index
    """

    stage: Literal["respond"] = "respond"
    revision: int = RESPONSE_REVISION
    measured: MeasureSpec
    by: str
    sample: SampleSpec
    members: tuple[int, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.by not in self.measured.measures:
            raise ValueError(f"maps cannot be ranked by {self.by}, which the cell does not measure")
        if self.sample.count != 1:
            raise ValueError(f"responses are of 1 sample; received {self.sample.count}")
        if not all(0 <= member < self.measured.transformations.size for member in self.members):
            raise ValueError(f"members {self.members} of {self.measured.transformations.size} transformations")
        return self

    @property
    def network(self) -> TrainSpec:
        """The network that responds."""
        return self.measured.network

    @property
    def title(self) -> str:
        """The readable part of the key: that of the measure cell, and what it is."""
        return f"{self.measured.title}-responses"

    @property
    def key(self) -> str:
        """The name of the cell's file: the title and ten digits of the hash."""
        return f"{self.title}-{self.hash[:10]}"


Cell = TrainSpec | MeasureSpec | ResponseSpec
"""One unit of work with one result."""


def network_of(cell: Cell) -> TrainSpec:
    """The network that a cell is, or was made of."""
    return cell if isinstance(cell, TrainSpec) else cell.network


def needs(cell: Cell) -> tuple[TrainSpec | MeasureSpec, ...]:
    """The cells that must be there before a cell can be computed, in order."""
    match cell:
        case TrainSpec():
            return ()
        case MeasureSpec():
            return (cell.network,)
        case ResponseSpec():
            return (cell.network, cell.measured)

"""The closed schema of a preset: one YAML file that says what is trained, measured and drawn.

Names, arguments and ranges are checked here, without torch, so that a mistake costs seconds and
never a training. ``config/preset.schema.json`` is this schema for editors.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from cnn_invariance import datasets, models
from cnn_invariance.errors import InputError, shown, unknown_name
from cnn_invariance.measures import requests as measure_names
from cnn_invariance.plugins.references import is_reference
from cnn_invariance.study.canonical import Closed
from cnn_invariance.study.recipes import AugmentationEpochs
from cnn_invariance.study.spec import Precision, SampleSpec, Scalar
from cnn_invariance.transformations import sets

LONGEST_NAME = 40
"""Characters of a label: the name of a result is made of four, and no file system takes more than 255."""
MOST_ENTRIES = 200
"""Labels in a section."""


def _scalar(value: Any) -> Any:
    if not isinstance(value, Scalar):
        raise ValueError(f"expected a number, a text, true or false; received {shown(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"expected a finite number; received {value!r}")
    return value


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"expected a number; received {shown(value)}")
    return value


def _name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ValueError(f"expected letters, digits, '_' and '-'; received {shown(name)}")
    if len(name) > LONGEST_NAME:
        raise ValueError(
            f"expected {LONGEST_NAME} characters at most, as names of files are made of it; received {shown(name)}"
        )
    return name


def _fingerprint(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError(
            f"expected 64 hexadecimal digits, as 'cnn-invariance dataset' prints them; received {shown(text)}"
        )
    return text


def _all(*checks: Callable[[], Any]) -> None:
    """Make all the checks; one ValueError has the messages of all that failed, a line each."""
    messages = []
    for check in checks:
        try:
            check()
        except InputError as error:
            messages.append(str(error))
    if messages:
        raise ValueError("\n".join(messages))


T = TypeVar("T")
ShortText = Annotated[str, Field(max_length=300)]
"""A name or a path."""
Number = Annotated[float, BeforeValidator(_no_truth_value)]
LearningRate = Annotated[Number, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[Number, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[StrictInt, Field(ge=1, le=10**8)]
BatchSize = Annotated[StrictInt, Field(ge=1, le=2**16)]
Epochs = Annotated[StrictInt, Field(ge=0, le=10**4)]
Seed = Annotated[StrictInt, Field(ge=0, lt=2**32)]
Members = Annotated[StrictInt, Field(ge=1, le=sets.MOST_MEMBERS)]
Arguments = Annotated[dict[ShortText, Annotated[Any, BeforeValidator(_scalar)]], Field(max_length=50)]
Name = Annotated[str, AfterValidator(_name)]
Fingerprint = Annotated[str, AfterValidator(_fingerprint)]


class Changes(Closed):
    """What one dataset changes in a model."""

    arguments: Arguments = Field(default_factory=dict)
    """Arguments of the design that are other than the model's, or further ones."""
    learning_rate: LearningRate | None = None
    """The learning rate on this dataset; without it, the model's."""
    epochs: Epochs | None = None
    """The epochs without augmentation on this dataset; without it, the model's."""


class Variant(Closed):
    """What is trained otherwise where a design has certain arguments."""

    arguments: Arguments = Field(min_length=1)
    """The arguments that a network must have, all of them."""
    learning_rate: LearningRate
    """The learning rate of such a network, on every dataset."""


class DatasetEntry(Closed):
    """A dataset: where it comes from, which content it must have, and what training must reach."""

    source: ShortText
    """A dataset of the package, or ``folder:PATH`` for images by class in a folder or tar archive. Without it, the
    label is the source."""
    fingerprint: Fingerprint
    """The SHA-256 of the content, as ``cnn-invariance dataset`` prints it."""
    accuracy_floor: Share
    """The accuracy on training samples, under the augmentation, below which a network is a failed run. It judges
    records and is part of no spec: a failed run keeps its weights, and another floor judges it anew."""
    precision: Precision | None = None
    """The arithmetic of trainings on this dataset; without it, that of ``training``."""
    models: dict[Name, Changes] = Field(default_factory=dict, max_length=MOST_ENTRIES)
    """What this dataset changes in models, by their labels."""

    @field_validator("source")
    @classmethod
    def _known(cls, source: str) -> str:
        datasets.name_of(source)
        return source


class ModelEntry(Closed):
    """A design with its arguments, and how it is trained."""

    model: ShortText
    """A design of the package, ``torchvision:NAME``, ``timm:NAME``, or ``file.py:function``. Without it, the label is
    the design."""
    weights: ShortText | None = None
    """A safetensors file of weights that training starts from; without it, training starts from random weights."""
    weights_sha256: Fingerprint | None = None
    """The SHA-256 that the file of ``weights`` must have. With it, a study is planned, drawn and checked where the file
    is not; networks with these weights are computed only where it is."""
    arguments: Arguments = Field(default_factory=dict, validate_default=True)
    """Arguments of the design; those that are not given have their defaults."""
    learning_rate: LearningRate
    """The learning rate of AdamW."""
    epochs: Epochs
    """The epochs without augmentation; see ``training.augmentation_epochs`` for the epochs with it."""
    variants: tuple[Variant, ...] = Field(default=(), max_length=50)
    """What is trained otherwise where the design has certain arguments; of several that fit, the first."""

    @field_validator("model")
    @classmethod
    def _known(cls, model: str) -> str:
        if not is_reference(model) and model not in models.names():
            raise unknown_name("model", model, models.names())
        return model

    @field_validator("arguments")
    @classmethod
    def _accepted(cls, arguments: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "model" in info.data:
            models.check_arguments(info.data["model"], arguments)
        return arguments

    @field_validator("variants")
    @classmethod
    def _variants_accepted(cls, variants: tuple[Variant, ...], info: ValidationInfo) -> tuple[Variant, ...]:
        if "model" in info.data:
            _all(*(partial(models.check_arguments, info.data["model"], one.arguments) for one in variants))
        return variants

    @model_validator(mode="after")
    def _pins_a_file(self) -> Self:
        if self.weights_sha256 and not self.weights:
            raise ValueError("'weights_sha256' is of a file; name the file as 'weights', or leave it out")
        return self


class SetEntry(Closed):
    """A transformation set with its parameters."""

    set: ShortText
    """A set of the package, or ``file.py:function``. Without it, the label is the set."""
    size: Members | None = None
    """How many transformations a set of your own has; it is needed for such a set, and for it alone."""
    affine: bool | None = None
    """Whether the function of a set of your own returns an AffineSet, so that same-equivariance can be measured."""
    identity: Annotated[StrictInt, Field(ge=0)] | None = None
    """The place of the identity among the members of a set of your own, from 0; ``accuracy`` needs it."""
    count: Count | None = None
    """How many samples are measured under it; without it, as many as ``samples.count`` says."""
    parameters: Arguments = Field(default_factory=dict, validate_default=True)
    """Parameters of the set; those that are not given have their defaults."""

    @field_validator("set")
    @classmethod
    def _known(cls, name: str) -> str:
        if not is_reference(name) and name not in sets.names():
            raise unknown_name("transformation set", name, sets.names())
        return name

    @field_validator("parameters")
    @classmethod
    def _accepted(cls, parameters: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "set" in info.data and not is_reference(info.data["set"]):
            sets.build(info.data["set"], **parameters)
        return parameters

    @model_validator(mode="after")
    def _stated(self) -> Self:
        """A set of the user's own states what planning must know: its code is not run for that."""
        own = is_reference(self.set)
        if own and self.size is None:
            raise ValueError(
                f"{shown(self.set)} is a set of your own, whose code is not run to plan: add 'size: 3' if it has 3 "
                "transformations, and 'affine: true' if its function returns an AffineSet"
            )
        given = [key for key in ("size", "affine", "identity") if getattr(self, key) is not None]
        if given and not own:
            raise ValueError(f"{given[0]!r} is for sets of your own; {self.set} knows its own; leave it out")
        if self.identity is not None and not (self.affine and self.identity < (self.size or 0)):
            raise ValueError(
                f"'identity' is the place of a member of an affine set, from 0 to size - 1; received {self.identity} "
                f"with 'affine: {str(bool(self.affine)).lower()}' and 'size: {self.size}'"
            )
        return self


class Training(Closed):
    """What all trainings share."""

    batch_size: BatchSize = 64
    """Samples in a step; a last batch of an epoch that is not full is dropped, unless it is the only one."""
    epoch_samples: Count | None = None
    """Samples in an epoch, drawn anew each time; without it, all of the training split."""
    weight_decay: Weight = 0.01
    """The weight decay of AdamW."""
    augmentation_epochs: AugmentationEpochs = "author"
    """How many epochs an augmented network is trained for: ``author``, more for larger sets; ``same``, as many as
    without augmentation."""
    precision: Precision = "fp32"
    """The arithmetic of the forward and backward pass."""


class Preset(Closed):
    """A whole study. Labels of datasets, models and sets name things inside the preset."""

    name: Name
    """The name of the study: of its folders of results and figures."""
    description: str
    """One sentence on the study."""
    compute: Literal["missing", "cached"] = "missing"
    """Whether a run computes the cells without a result (``missing``), or only draws what can be drawn without them."""
    cells_per_gpu: Annotated[StrictInt, Field(ge=1, le=100)] = 1
    """How many cells may share one GPU; small networks leave it idle when alone."""
    datasets: dict[Name, DatasetEntry] = Field(min_length=1, max_length=MOST_ENTRIES)
    """The datasets, by label."""
    models: dict[Name, ModelEntry] = Field(min_length=1, max_length=MOST_ENTRIES)
    """The models, by label."""
    transformation_sets: dict[Name, SetEntry] = Field(min_length=1, max_length=MOST_ENTRIES)
    """The transformation sets, by label."""
    training: Training = Field(default_factory=Training)
    """What all trainings share."""
    seeds: tuple[Seed, ...] = Field(min_length=1, max_length=1000)
    """The seeds that networks are trained with."""
    samples: SampleSpec = SampleSpec()
    """Which samples are measured."""
    measures: tuple[ShortText, ...] = Field(min_length=1, max_length=200)
    """The measures that every measure cell holds: names, with options in brackets."""
    experiments: dict[ShortText, dict[ShortText, Any]] = Field(min_length=1, max_length=MOST_ENTRIES)
    """The experiments, each with its options."""

    @model_validator(mode="before")
    @classmethod
    def _labels_are_names(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        sections = {"datasets": "source", "models": "model", "transformation_sets": "set"}
        return values | {
            section: {label: _named(entry, key, label) for label, entry in entries.items()}
            for section, key in sections.items()
            if isinstance(entries := values.get(section), dict)
        }

    @field_validator("experiments", mode="before")
    @classmethod
    def _empty_options(cls, values: Any) -> Any:
        """``accuracy:`` with nothing behind it is an experiment with its default options."""
        if not isinstance(values, dict):
            return values
        return {name: {} if options is None else options for name, options in values.items()}

    @field_validator("measures")
    @classmethod
    def _known_measures(cls, requests: tuple[str, ...]) -> tuple[str, ...]:
        _all(*(lambda request=request: measure_names.check(request) for request in requests))
        return _distinct(tuple(str(measure_names.check(request)) for request in requests))

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        return _distinct(seeds)


def _named(entry: Any, key: str, label: str) -> Any:
    match entry:
        case dict():
            return {key: label} | entry
        case None:
            return {key: label}
        case _:
            return entry


def _distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    repeated = sorted(str(value) for value, count in Counter(values).items() if count > 1)
    if repeated:
        raise ValueError(f"each at most once; repeated: {', '.join(repeated)}")
    return values


def json_schema() -> str:
    """The schema as JSON, for editors: each key with its description, type and range."""
    schema = Preset.model_json_schema()
    for section, key in {"DatasetEntry": "source", "ModelEntry": "model", "SetEntry": "set"}.items():
        schema["$defs"][section]["required"] = [one for one in schema["$defs"][section]["required"] if one != key]
    text = json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1)
    return text + "\n"

"""The closed schema of a preset: one YAML file that says what is trained, measured and drawn.

Names, arguments and ranges are checked here, without torch, so that a mistake costs seconds and
never a training. The references of each key are in CONTRIBUTING.md and in ``config/quick.yaml``.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

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
from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.measures import requests as measure_names
from cnn_invariance.plugins.references import is_reference
from cnn_invariance.study.canonical import Closed
from cnn_invariance.study.recipes import AugmentationEpochs
from cnn_invariance.study.spec import Precision, Scalar
from cnn_invariance.transformations import sets


def _scalar(value: Any) -> Any:
    if not isinstance(value, Scalar):
        raise ValueError(f"expected a number, a text, true or false; received {value!r}")
    return value


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"expected a number; received {value!r}")
    return value


def _name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ValueError(f"expected letters, digits, '_' and '-'; received {name!r}")
    return name


def _fingerprint(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError(f"expected 64 hexadecimal digits, as 'cnn-invariance dataset' prints them; received {text!r}")
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
Number = Annotated[float, BeforeValidator(_no_truth_value)]
LearningRate = Annotated[Number, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[Number, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[StrictInt, Field(ge=1)]
Epochs = Annotated[StrictInt, Field(ge=0)]
Seed = Annotated[StrictInt, Field(ge=0)]
Arguments = dict[str, Annotated[Any, BeforeValidator(_scalar)]]
Name = Annotated[str, AfterValidator(_name)]
Fingerprint = Annotated[str, AfterValidator(_fingerprint)]


class Changes(Closed):
    """What one dataset changes in a model: more or other arguments, another rate, other epochs."""

    arguments: Arguments = Field(default_factory=dict)
    learning_rate: LearningRate | None = None
    epochs: Epochs | None = None


class DatasetEntry(Closed):
    """A dataset: where it comes from, which content it must have, and what training must reach."""

    source: str
    fingerprint: Fingerprint
    accuracy_floor: Share
    models: dict[Name, Changes] = Field(default_factory=dict)

    @field_validator("source")
    @classmethod
    def _known(cls, source: str) -> str:
        datasets.name_of(source)
        return source


class ModelEntry(Closed):
    """A design with its arguments and how it is trained; ``weights``: a safetensors file that training starts from."""

    model: str
    weights: str | None = None
    arguments: Arguments = Field(default_factory=dict, validate_default=True)
    learning_rate: LearningRate
    epochs: Epochs

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


class SetEntry(Closed):
    """A transformation set with its parameters; ``count``: the samples measured under it, if not those of all."""

    set: str
    count: Count | None = None
    parameters: Arguments = Field(default_factory=dict, validate_default=True)

    @field_validator("set")
    @classmethod
    def _known(cls, name: str) -> str:
        if not is_reference(name) and name not in sets.names():
            raise unknown_name("transformation set", name, sets.names())
        return name

    @field_validator("parameters")
    @classmethod
    def _accepted(cls, parameters: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "set" in info.data:
            sets.build(info.data["set"], **parameters)
        return parameters


class Training(Closed):
    """What all trainings share; ``augmentation_epochs`` is a rule of `study.recipes`.

    ``epoch_samples``: how many samples an epoch takes, drawn anew each time; without it, all of the training split.
    """

    batch_size: Count = 64
    epoch_samples: Count | None = None
    weight_decay: Weight = 0.01
    augmentation_epochs: AugmentationEpochs = "paper"
    precision: Precision = "fp32"


class Samples(Closed):
    """Which samples are measured; without ``count``, the whole split."""

    split: Literal["train", "validation", "test"] = "test"
    count: Count | None = None
    seed: Seed = 0


class Preset(Closed):
    """A whole study. Labels (of datasets, models and sets) name things inside the preset.

    Where an entry does not say otherwise, its label is also the name of the source, model or set.
    ``compute``: whether a run computes the cells without a result, or draws what can be drawn without them.
    ``cells_per_gpu``: how many cells may share one GPU; small networks leave it idle when alone.
    """

    name: Name
    description: str
    compute: Literal["missing", "cached"] = "missing"
    cells_per_gpu: Annotated[StrictInt, Field(ge=1, le=100)] = 1
    datasets: dict[Name, DatasetEntry] = Field(min_length=1)
    models: dict[Name, ModelEntry] = Field(min_length=1)
    transformation_sets: dict[Name, SetEntry] = Field(min_length=1)
    training: Training = Training()
    seeds: tuple[Seed, ...] = Field(min_length=1)
    samples: Samples = Samples()
    measures: tuple[str, ...] = Field(min_length=1)
    experiments: dict[str, dict[str, Any]] = Field(min_length=1)

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
    repeated = sorted({str(value) for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"each at most once; repeated: {', '.join(repeated)}")
    return values

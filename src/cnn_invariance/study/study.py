"""A study: a preset that has been checked, and the specs it stands for. No torch."""

import hashlib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from pydantic import ValidationError

from cnn_invariance import models
from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.measures import requests as measure_names
from cnn_invariance.plugins import catalog, references
from cnn_invariance.storage.paths import expanded
from cnn_invariance.study import document
from cnn_invariance.study.cells import MeasureSpec, TrainSpec
from cnn_invariance.study.document import Document, Problem
from cnn_invariance.study.preset import Changes, ModelEntry, Preset
from cnn_invariance.study.recipes import effective_epochs
from cnn_invariance.study.spec import DatasetSpec, ModelSpec, Recipe, SampleSpec, Scalar, SetSpec
from cnn_invariance.transformations.affine import AffineSet

LARGEST_WEIGHTS = 2**33
"""Bytes of a file of pretrained weights: 8 GiB."""

Asked = ParamSpec("Asked")
Made = TypeVar("Made")
Method = Callable[Concatenate["Study", Asked], Made]


def _once(make: Method[Asked, Made]) -> Method[Asked, Made]:
    """A method of a study that makes a spec for the same arguments once.

    Experiments ask for the same networks many times, and the hash of a spec, which is kept with it, takes longest.
    """

    @wraps(make)
    def found(self: "Study", *args: Asked.args, **asked: Asked.kwargs) -> Made:
        key = make.__name__, _known_by(args), _known_by(asked)
        if key not in self._made:
            self._made[key] = make(self, *args, **asked)
        made: Made = self._made[key]
        return made

    return found


def _known_by(value: Any) -> Hashable:
    """What tells arguments apart, with their types: 1 is not True."""
    match value:
        case Mapping():
            return tuple((name, _known_by(value[name])) for name in sorted(value))
        case list() | tuple():
            return tuple(map(_known_by, value))
        case _:
            return type(value), value


@dataclass(frozen=True)
class Study:
    """A preset, with the specs that its labels stand for.

    Labels are those of the preset: ``study.network(dataset="mnist5k", model="SimpleConv")``.
    """

    path: Path
    preset: Preset

    @classmethod
    def load(cls, path: Path | str) -> "Study":
        """Read and check a preset, but for its experiments; one InputError names every problem, each with its line."""
        source = document.read(Path(path))
        preset, problems = read_preset(source)
        if preset is None or problems:
            raise source.error(problems)
        return cls(source.path, preset)

    @cached_property
    def _made(self) -> dict[Hashable, Any]:
        return {}

    @property
    def name(self) -> str:
        """The preset's name: the folder of its results and figures."""
        return self.preset.name

    @property
    def datasets(self) -> tuple[str, ...]:
        """The labels of the datasets, in the order of the preset."""
        return tuple(self.preset.datasets)

    @property
    def models(self) -> tuple[str, ...]:
        """The labels of the models, in the order of the preset."""
        return tuple(self.preset.models)

    @property
    def sets(self) -> tuple[str, ...]:
        """The labels of the transformation sets, in the order of the preset."""
        return tuple(self.preset.transformation_sets)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that networks are trained with."""
        return self.preset.seeds

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures every cell holds, in the order of the preset."""
        return self.preset.measures

    def dataset(self, label: str) -> DatasetSpec:
        """A dataset with its pinned fingerprint."""
        entry = entry_of("dataset", label, self.preset.datasets)
        return DatasetSpec(name=label, fingerprint=entry.fingerprint)

    def model(self, label: str, dataset: str, arguments: Mapping[str, Scalar] | None = None) -> ModelSpec:
        """A design as it is built for a dataset, all arguments filled in; ``arguments`` make it a variant.

        Errors: InputError for an argument that the design does not have, or a value it does not take.
        """
        entry = entry_of("model", label, self.preset.models)
        changed = self._changes(label, dataset).arguments
        models.check_arguments(entry.model, arguments or {})
        return _complete_model(entry.model, {**entry.arguments, **changed, **(arguments or {})}, _weights(entry))

    def label_of(self, spec: ModelSpec | SetSpec, samples: int | None = None) -> str:
        """What legends, captions and tables call a design or a set: the label of the preset that it is most like.

        A design or set that no entry of the preset names, as an experiment may have, is called by its own name. Of
        labels that mean the same set, it is that under which so many ``samples`` are measured.
        """
        if isinstance(spec, SetSpec):
            given = spec.parameters
            entries = {label: (one.set, one.parameters) for label, one in self.preset.transformation_sets.items()}
        else:
            given = spec.arguments
            same = {label: one for label, one in self.preset.models.items() if _weights(one) == spec.weights}
            entries = {label: (one.model, one.arguments) for label, one in (same or self.preset.models).items()}
        fits = {
            label: sum(given.get(key) == value for key, value in own.items())
            for label, (name, own) in entries.items()
            if name == spec.name
        }
        counts = {label: one.count for label, one in self.preset.transformation_sets.items()}
        usual = self.preset.samples.count
        likeness = {
            label: (fit, samples is not None and (counts.get(label) or usual) == samples) for label, fit in fits.items()
        }
        return max(likeness, key=lambda label: likeness[label]) if likeness else spec.name.rpartition(":")[2]

    def weights(self, model: ModelSpec) -> Path | None:
        """The file of pretrained weights of a design of this preset; None: it has none."""
        entries = (entry for entry in self.preset.models.values() if entry.weights is not None)
        return next((expanded(str(one.weights)) for one in entries if _weights(one) == model.weights), None)

    @_once
    def set(self, label: str | SetSpec) -> SetSpec:
        """A transformation set, all parameters filled in."""
        if isinstance(label, SetSpec):
            if label.own and label.members is None:
                raise InputError(f"{label.name!r} is a set of your own, whose parameters are not changed here")
            return label if label.own else complete_set(label.name, label.parameters)
        entry = entry_of("transformation set", label, self.preset.transformation_sets)
        if not references.is_reference(entry.set):
            return complete_set(entry.set, entry.parameters)
        return SetSpec(
            name=entry.set,
            parameters=dict(entry.parameters),
            code=_code(entry.set),
            members=entry.size,
            affine=entry.affine,
            identity=entry.identity,
        )

    @_once
    def network(
        self,
        *,
        dataset: str,
        model: str,
        augmentation: str | SetSpec | None = None,
        seed: int | None = None,
        arguments: Mapping[str, Scalar] | None = None,
        epochs: int | None = None,
        epochs_for: str | SetSpec | None = None,
        recipe: Mapping[str, Any] | None = None,
    ) -> TrainSpec:
        """A trained network; ``augmentation`` None is plain training, ``seed`` None the first seed.

        arguments:  what makes it a variant of the model
        epochs:     None: the model's, by the preset's rule for augmentations; 0 is an untrained network
        epochs_for: the set whose size gives the epochs by that rule; None: the augmentation
        recipe:     fields of `Recipe` that are other than the preset's, such as ``batch_size``
        """
        label = augmentation
        augmented_by = None if label is None else self.set(label)
        entry = entry_of("model", model, self.preset.models)
        changes = self._changes(model, dataset)
        training = self.preset.training
        design = self.model(model, dataset, arguments)
        if epochs is None:
            counted = augmented_by if epochs_for is None else self.set(epochs_for)
            epochs = effective_epochs(
                entry.epochs if changes.epochs is None else changes.epochs,
                counted.size if counted else 1,
                training.augmentation_epochs,
            )
        asked: dict[str, Any] = {
            "learning_rate": _variant_rate(entry, design) or changes.learning_rate or entry.learning_rate,
            "batch_size": training.batch_size,
            "weight_decay": training.weight_decay,
            "epochs": epochs,
            "precision": self.preset.datasets[dataset].precision or training.precision,
            "epoch_samples": training.epoch_samples,
        }
        return TrainSpec(
            dataset=self.dataset(dataset),
            model=design,
            augmentation=augmented_by,
            recipe=Recipe(**asked | dict(recipe or {})),
            seed=self.seeds[0] if seed is None else seed,
        )

    def floor(self, network: TrainSpec) -> float:
        """The accuracy on training samples below which a network of this study is a failed run."""
        return self.preset.datasets[network.dataset.name].accuracy_floor

    @_once
    def measurement(
        self,
        network: TrainSpec,
        transformations: str | SetSpec,
        *,
        epoch: int | None = None,
        samples: SampleSpec | None = None,
        dataset: str | None = None,
        measures: Sequence[str] | None = None,
    ) -> MeasureSpec:
        """A measured checkpoint of a network.

        epoch:    None is the last
        samples:  None is the preset's, see `samples`
        dataset:  the one whose samples are measured, adapted to the network; None is the network's own
        measures: as results name them; None is the preset's, with which cells are shared between experiments;
                  those that undo the transformation are left out where it cannot be undone

        The values of feature maps are kept for networks of the first seed alone: a figure shows those of one network.

        Errors: InputError if no measure is left.
        """
        chosen = self.set(transformations)
        kept = _measurable(self.measures if measures is None else tuple(measures), chosen)
        return MeasureSpec(
            network=network,
            epoch=network.recipe.epochs if epoch is None else epoch,
            transformations=chosen,
            dataset=network.dataset if dataset is None else self.dataset(dataset),
            samples=samples or self.samples(transformations),
            measures=kept,
            code=_measure_code(kept),
            maps=network.seed == self.seeds[0],
        )

    def samples(self, transformations: str | SetSpec) -> SampleSpec:
        """The samples that the preset measures under a set: its label's own ``count``, else that of all sets."""
        chosen = self.preset.samples.model_dump()
        entry = None if isinstance(transformations, SetSpec) else self.preset.transformation_sets.get(transformations)
        if entry is not None and entry.count is not None:
            chosen["count"] = entry.count
        return SampleSpec(**chosen)

    def _changes(self, model: str, dataset: str) -> Changes:
        return entry_of("dataset", dataset, self.preset.datasets).models.get(model, Changes())


def _variant_rate(entry: ModelEntry, design: ModelSpec) -> float | None:
    """The learning rate of the first variant whose arguments a design has."""
    fits = (one.learning_rate for one in entry.variants if one.arguments.items() <= design.arguments.items())
    return next(fits, None)


def complete_set(name: str, parameters: Mapping[str, Any]) -> SetSpec:
    """The spec of a set of this package with all its parameters, defaults included (InputError if it is none)."""
    built = SetSpec(name=name, parameters=dict(parameters)).build()
    assert isinstance(built, AffineSet)  # all those of this package are
    return SetSpec(name=name, parameters=dict(built.parameters))


def _complete_model(name: str, arguments: Mapping[str, Any], weights: str | None) -> ModelSpec:
    defaults = {} if references.is_reference(name) else models.defaults(name)
    return ModelSpec(name=name, arguments={**defaults, **arguments}, code=_code(name), weights=weights)


def _weights(entry: ModelEntry) -> str | None:
    """The SHA-256 of the weights of a model: that of the file, or the one that is pinned where there is no file.

    Errors: InputError for a file that is not the pinned one, or that is missing and not pinned.
    """
    if entry.weights is None:
        return None
    if entry.weights_sha256 is None:
        return _sha256(entry.weights, " of weights")
    if expanded(entry.weights).exists() and (found := _sha256(entry.weights)) != entry.weights_sha256:
        raise InputError(
            f"the file {entry.weights} has the SHA-256 {found}, and the preset pins {entry.weights_sha256}; make the "
            "file again, or pin the other one, which defines other cells"
        )
    return entry.weights_sha256


def _code(name: str) -> str | None:
    """The SHA-256 of the file of a ``file.py:name``: what it computes is only known by its text."""
    place = name.rpartition(":")[0]
    return _sha256(place, f" (for {name!r})") if place.endswith(".py") else None


def _sha256(place: str, why: str = "") -> str:
    """The SHA-256 of a user's file."""
    file = expanded(place)
    if not file.is_file():
        raise InputError(f"no file {file}{why}; a relative path starts where you run")
    size, most = file.stat().st_size, catalog.LARGEST if file.suffix == ".py" else LARGEST_WEIGHTS
    if not 0 < size <= most:
        raise InputError(f"{file}{why} has {size:,} bytes; expected a file with content, of {most:,} bytes at most")
    return _digest(file, size, file.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(file: Path, size: int, changed: int) -> str:
    """Of a file that is as it was when it had this size and was changed then: weights can be large."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _measurable(measures: tuple[str, ...], transformations: SetSpec) -> tuple[str, ...]:
    """The measures that can be taken under a set: a user's own functions cannot be undone on feature maps."""
    if transformations.undoable:
        return measures
    kept = tuple(measure for measure in measures if not measure_names.undoes(measure_names.check(measure)))
    if not kept:
        raise InputError(
            f"the transformations of {transformations.name!r} cannot be undone on feature maps, and "
            f"{', '.join(measures)} need that; add a measure such as NV to 'measures', leave the set out of the "
            "experiment, or, if its function returns an AffineSet, state 'affine: true' with the set"
        )
    return kept


def _measure_code(measures: tuple[str, ...]) -> dict[str, str]:
    """The SHA-256 of each file of measures that is the user's own."""
    own = [measure for measure in measures if ":" in measure]
    files = {request.file for request in map(measure_names.check, own) if request.file is not None}
    return {file: _sha256(file) for file in sorted(files)}


def entry_of(kind: str, label: str, entries: Mapping[str, Any]) -> Any:
    """The entry of a label (InputError with the nearest match)."""
    if label not in entries:
        raise unknown_name(f"{kind} in this preset:", label, entries)
    return entries[label]


def read_preset(source: Document) -> tuple[Preset | None, list[Problem]]:
    """The preset of a document, None if the schema refuses it, and all that is wrong with it but for experiments."""
    changes = list(_changes(source.content))
    try:
        return Preset.model_validate(source.content), changes
    except ValidationError as error:
        return None, [*document.problems(error, Preset), *changes]


def _changes(content: Mapping[str, Any]) -> Iterable[Problem]:
    """Changes that a dataset makes to a model that is not there, or that the model does not take.

    ``content`` may be wrong in any other way: that is the schema's matter.
    """
    entries = _mapping(content, "models")
    for dataset, entry in _mapping(content, "datasets").items():
        for label, changes in _mapping(entry, "models").items():
            try:
                model = entry_of("model", label, entries)
                given = {**_mapping(model, "arguments"), **_mapping(changes, "arguments")}
                if isinstance(model, dict) and model.get("model", label) in models.names():
                    models.check_arguments(model.get("model", label), given)
            except InputError as error:
                yield Problem(("datasets", dataset, "models", label), str(error))


def _mapping(holder: Any, key: str) -> dict[Any, Any]:
    """What a mapping holds below a key, if it is a mapping; else nothing."""
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}

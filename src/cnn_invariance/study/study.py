"""A study: a preset that has been checked, and the specs it stands for. No torch."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cnn_invariance import models
from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.measures import requests as measure_names
from cnn_invariance.plugins import references
from cnn_invariance.study import document, experiment
from cnn_invariance.study.canonical import Closed
from cnn_invariance.study.cells import Cell, MeasureSpec, TrainSpec
from cnn_invariance.study.document import Document, Problem
from cnn_invariance.study.experiment import Experiment, Outputs
from cnn_invariance.study.preset import Changes, Preset
from cnn_invariance.study.recipes import effective_epochs
from cnn_invariance.study.spec import DatasetSpec, ModelSpec, Recipe, SampleSpec, Scalar, SetSpec
from cnn_invariance.transformations.affine import AffineSet


@dataclass(frozen=True)
class Chosen:
    """An experiment with the options a preset gives it."""

    module: Experiment
    options: Closed


@dataclass(frozen=True)
class Study:
    """A preset and its experiments, with the specs their labels stand for.

    Labels are those of the preset: ``study.network(dataset="mnist5k", model="SimpleConv")``.
    """

    path: Path
    preset: Preset
    experiments: Mapping[str, Chosen]

    @classmethod
    def load(cls, path: Path | str) -> "Study":
        """Read and check a preset; one InputError names every problem, each with its line."""
        source = document.read(Path(path))
        preset, problems = _preset(source)
        chosen, more = _experiments(source)
        problems += [*more, *_changes(source.content)]
        if preset is None or problems:
            raise source.error(problems)
        study = cls(source.path, preset, chosen)
        if problems := list(study._unplannable()):
            raise source.error(problems)
        return study

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

    def experiment(self, name: str) -> Chosen:
        """An experiment of the preset (InputError with the nearest match)."""
        return _entry("experiment", name, self.experiments)

    def dataset(self, label: str) -> DatasetSpec:
        """A dataset with its pinned fingerprint."""
        entry = _entry("dataset", label, self.preset.datasets)
        return DatasetSpec(name=label, fingerprint=entry.fingerprint)

    def model(self, label: str, dataset: str, arguments: Mapping[str, Scalar] | None = None) -> ModelSpec:
        """A design as it is built for a dataset, all arguments filled in; ``arguments`` make it a variant.

        Errors: InputError for an argument that the design does not have, or a value it does not take.
        """
        entry = _entry("model", label, self.preset.models)
        changed = self._changes(label, dataset).arguments
        models.check_arguments(entry.model, arguments or {})
        return _complete_model(entry.model, {**entry.arguments, **changed, **(arguments or {})}, entry.weights)

    def weights(self, model: ModelSpec) -> Path | None:
        """The file of pretrained weights of a design of this preset; None: it has none."""
        files = (entry.weights for entry in self.preset.models.values() if entry.weights is not None)
        return next((Path(file).expanduser() for file in files if _sha256(file) == model.weights), None)

    def set(self, label: str | SetSpec) -> SetSpec:
        """A transformation set, all parameters filled in."""
        if isinstance(label, SetSpec):
            return complete_set(label.name, label.parameters)
        entry = _entry("transformation set", label, self.preset.transformation_sets)
        return complete_set(entry.set, entry.parameters)

    def network(
        self,
        *,
        dataset: str,
        model: str,
        augmentation: str | SetSpec | None = None,
        seed: int | None = None,
        arguments: Mapping[str, Scalar] | None = None,
        epochs: int | None = None,
    ) -> TrainSpec:
        """A trained network; ``augmentation`` None is plain training, ``seed`` None the first seed.

        arguments: what makes it a variant of the model
        epochs:    None: the model's, by the preset's rule for augmentations; 0 is an untrained network
        """
        label = augmentation
        augmented_by = None if label is None else self.set(label)
        entry = _entry("model", model, self.preset.models)
        changes = self._changes(model, dataset)
        training = self.preset.training
        if epochs is None:
            epochs = effective_epochs(
                entry.epochs if changes.epochs is None else changes.epochs,
                augmented_by.size if augmented_by else 1,
                training.augmentation_epochs,
            )
        return TrainSpec(
            dataset=self.dataset(dataset),
            model=self.model(model, dataset, arguments),
            augmentation=augmented_by,
            recipe=Recipe(
                learning_rate=changes.learning_rate or entry.learning_rate,
                batch_size=training.batch_size,
                weight_decay=training.weight_decay,
                epochs=epochs,
                accuracy_floor=self.preset.datasets[dataset].accuracy_floor,
                precision=training.precision,
                epoch_samples=training.epoch_samples,
            ),
            seed=self.seeds[0] if seed is None else seed,
        )

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

        Errors: InputError if none is left.
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
        )

    def samples(self, transformations: str | SetSpec) -> SampleSpec:
        """The samples that the preset measures under a set: its label's own ``count``, else that of all sets."""
        chosen = self.preset.samples.model_dump()
        entry = None if isinstance(transformations, SetSpec) else self.preset.transformation_sets.get(transformations)
        if entry is not None and entry.count is not None:
            chosen["count"] = entry.count
        return SampleSpec(**chosen)

    @cached_property
    def cells(self) -> dict[str, tuple[Cell, ...]]:
        """The cells each experiment needs, each once, by the experiment's id."""
        return {
            name: tuple(dict.fromkeys(chosen.module.cells(self, chosen.options)))
            for name, chosen in self.experiments.items()
        }

    @cached_property
    def outputs(self) -> dict[str, Outputs]:
        """What each experiment draws, by the experiment's id."""
        return {name: chosen.module.outputs(self, chosen.options) for name, chosen in self.experiments.items()}

    def _changes(self, model: str, dataset: str) -> Changes:
        return _entry("dataset", dataset, self.preset.datasets).models.get(model, Changes())

    def _unplannable(self) -> Iterable[Problem]:
        """What experiments refuse, and what two of them would both draw."""
        tables: dict[str, str] = {}
        for name, chosen in self.experiments.items():
            try:
                list(chosen.module.cells(self, chosen.options))
                outputs = chosen.module.outputs(self, chosen.options)
            except InputError as error:
                yield Problem(("experiments", name), str(error))
                continue
            for table in outputs.tables:
                if table in tables:
                    yield Problem(("experiments", name), f"{tables[table]} has a table {table!r}")
                tables[table] = name


def complete_set(name: str, parameters: Mapping[str, Any]) -> SetSpec:
    """The spec of a set with all its parameters, defaults included (InputError if it is none)."""
    given = SetSpec(name=name, parameters=dict(parameters), code=_code(name))
    built = given.build()
    if references.is_reference(name) or not isinstance(built, AffineSet):
        return given
    return SetSpec(name=name, parameters=dict(built.parameters))


def _complete_model(name: str, arguments: Mapping[str, Any], weights: str | None) -> ModelSpec:
    defaults = {} if references.is_reference(name) else models.defaults(name)
    pretrained = None if weights is None else _sha256(weights, " of weights")
    return ModelSpec(name=name, arguments={**defaults, **arguments}, code=_code(name), weights=pretrained)


def _code(name: str) -> str | None:
    """The SHA-256 of the file of a ``file.py:name``: what it computes is only known by its text."""
    place = name.rpartition(":")[0]
    return _sha256(place, f" (for {name!r})") if place.endswith(".py") else None


def _sha256(place: str, why: str = "") -> str:
    """The SHA-256 of a user's file."""
    file = Path(place).expanduser()
    if not file.is_file():
        raise InputError(f"no file {file}{why}; a relative path starts where you run")
    return _digest(file, file.stat().st_size, file.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(file: Path, size: int, changed: int) -> str:
    """Of a file that is as it was when it had this size and was changed then: weights can be large."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _measurable(measures: tuple[str, ...], transformations: SetSpec) -> tuple[str, ...]:
    """The measures that can be taken under a set: a user's own functions cannot be undone on feature maps."""
    if not references.is_reference(transformations.name) or isinstance(transformations.build(), AffineSet):
        return measures
    kept = tuple(measure for measure in measures if not measure_names.undoes(measure_names.check(measure)))
    if not kept:
        raise InputError(
            f"the transformations of {transformations.name!r} cannot be undone on feature maps, and "
            f"{', '.join(measures)} need that; add a measure such as NV to 'measures', or leave the set out of the "
            "experiment"
        )
    return kept


def _measure_code(measures: tuple[str, ...]) -> dict[str, str]:
    """The SHA-256 of each file of measures that is the user's own."""
    own = [measure for measure in measures if ":" in measure]
    files = {request.file for request in map(measure_names.check, own) if request.file is not None}
    return {file: _sha256(file) for file in sorted(files)}


def _entry(kind: str, label: str, entries: Mapping[str, Any]) -> Any:
    if label not in entries:
        raise unknown_name(f"{kind} in this preset:", label, entries)
    return entries[label]


def _preset(source: Document) -> tuple[Preset | None, list[Problem]]:
    try:
        return Preset.model_validate(source.content), []
    except ValidationError as error:
        return None, document.problems(error, Preset)


def _experiments(source: Document) -> tuple[dict[str, Chosen], list[Problem]]:
    """The experiments a preset names; what is not a mapping is the schema's matter."""
    given = source.content.get("experiments")
    chosen: dict[str, Chosen] = {}
    problems: list[Problem] = []
    for name, options in given.items() if isinstance(given, dict) else ():
        place = ("experiments", str(name))
        try:
            module = experiment.load(str(name))
            chosen[str(name)] = Chosen(module, module.Options.model_validate(options or {}))
        except InputError as error:
            problems.append(Problem(place, str(error)))
        except ValidationError as error:
            problems += document.problems(error, module.Options, place)
    return chosen, problems


def _changes(content: Mapping[str, Any]) -> Iterable[Problem]:
    """Changes that a dataset makes to a model that is not there, or that the model does not take.

    ``content`` may be wrong in any other way: that is the schema's matter.
    """
    entries = _mapping(content, "models")
    for dataset, entry in _mapping(content, "datasets").items():
        for label, changes in _mapping(entry, "models").items():
            try:
                model = _entry("model", label, entries)
                given = {**_mapping(model, "arguments"), **_mapping(changes, "arguments")}
                if isinstance(model, dict) and model.get("model", label) in models.names():
                    models.check_arguments(model.get("model", label), given)
            except InputError as error:
                yield Problem(("datasets", dataset, "models", label), str(error))


def _mapping(holder: Any, key: str) -> dict[Any, Any]:
    """What a mapping holds below a key, if it is a mapping; else nothing."""
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}

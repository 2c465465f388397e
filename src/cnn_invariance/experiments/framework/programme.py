"""A programme: a study with the experiments that its preset asks for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import registry
from cnn_invariance.experiments.framework.experiment import Experiment, Outputs
from cnn_invariance.experiments.framework.statement import FrozenClaims
from cnn_invariance.study import Cell, Study, TrainSpec, document
from cnn_invariance.study.document import Document, Problem
from cnn_invariance.study.study import entry_of, read_preset


@dataclass(frozen=True)
class Programme(Study):
    """A study and its experiments, each with the options that the preset gives it, by name."""

    experiments: Mapping[str, Experiment]

    @classmethod
    def load(cls, path: Path | str) -> "Programme":
        """Read and check a preset and its experiments; one InputError names every problem, each with its line.

        A statement of claims beside the preset is checked, too, see `cnn_invariance.experiments.framework.statement`.
        """
        source = document.read(Path(path))
        preset, problems = read_preset(source)
        experiments, more = _experiments(source)
        problems += more
        if preset is None or problems:
            raise source.error(problems)
        FrozenClaims.beside(source.path).check(experiments)
        programme = cls(source.path, preset, experiments)
        if problems := list(programme._unplannable()):
            raise source.error(problems)
        return programme

    def experiment(self, name: str) -> Experiment:
        """An experiment of the preset (InputError with the nearest match)."""
        found: Experiment = entry_of("experiment", name, self.experiments)
        return found

    @cached_property
    def cells(self) -> dict[str, tuple[Cell, ...]]:
        """The cells that each experiment needs, each once, by the experiment's name."""
        return {name: self.cells_of(name) for name in self.experiments}

    def cells_of(self, name: str) -> tuple[Cell, ...]:
        """The cells that an experiment needs, each once; they are found once."""
        if name not in self._found:
            self._found[name] = tuple(dict.fromkeys(self.experiment(name).cells(self)))
        return self._found[name]

    def networks_of(self, name: str) -> tuple[TrainSpec, ...]:
        """The networks that an experiment trains or measures; none of one that cannot be planned, which is reported."""
        try:
            return tuple(dict.fromkeys(cell.network for cell in self.cells_of(name)))
        except InputError:
            return ()

    @cached_property
    def _found(self) -> dict[str, tuple[Cell, ...]]:
        return {}

    @cached_property
    def outputs(self) -> dict[str, Outputs]:
        """What each experiment draws, by the experiment's name."""
        return {name: one.outputs(self) for name, one in self.experiments.items()}

    def _unplannable(self) -> Iterable[Problem]:
        """What experiments refuse, and tables that two of them would both write."""
        tables: dict[str, str] = {}
        for name, experiment in self.experiments.items():
            try:
                self.cells_of(name)
                outputs = experiment.outputs(self)
            except InputError as error:
                yield Problem(("experiments", name), str(error))
                continue
            for table in outputs.tables:
                if table in tables:
                    yield Problem(("experiments", name), f"{tables[table]} has a table {table!r}")
                tables[table] = name


def _experiments(source: Document) -> tuple[dict[str, Experiment], list[Problem]]:
    """The experiments that a preset names; what is not a mapping is the schema's matter."""
    given = source.content.get("experiments")
    found: dict[str, Experiment] = {}
    problems: list[Problem] = []
    for name, options in given.items() if isinstance(given, dict) else ():
        place = ("experiments", str(name))
        try:
            kind = registry.load(str(name))
            found[str(name)] = kind.model_validate(options or {})
        except InputError as error:
            problems.append(Problem(place, str(error)))
        except ValidationError as error:
            problems += document.problems(error, kind, place)
    return found, problems

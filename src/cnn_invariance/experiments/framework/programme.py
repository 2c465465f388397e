"""A programme: a study with the experiments that its preset asks for."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import registry
from cnn_invariance.experiments.framework.experiment import Experiment, Outputs
from cnn_invariance.experiments.framework.statement import FrozenClaims
from cnn_invariance.study import Cell, Study, TrainSpec, document
from cnn_invariance.study.document import Document, Problem
from cnn_invariance.study.preset import MOST_ENTRIES
from cnn_invariance.study.study import entry_of, read_preset

OWN = "experiment"
"""The option of an experiment that names the class in a user's own file, as ``model`` does of a network."""


@dataclass(frozen=True)
class Programme(Study):
    """A study and its experiments, each with the options that the preset gives it, by name.

    beside: of one experiment on some datasets (see `on`), the others, whose networks it may be about
    """

    experiments: Mapping[str, Experiment]
    beside: Mapping[str, Experiment] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path | str, *, plan: bool = True) -> "Programme":
        """Read and check a preset and its experiments; one InputError names every problem, each with its line.

        A statement of claims beside the preset is checked, too, see `cnn_invariance.experiments.framework.statement`.

        plan: whether all experiments are planned at once, which finds what they refuse; else each when it is asked for
        """
        source = document.read(Path(path))
        preset, problems = read_preset(source)
        experiments, more = _experiments(source)
        problems += more
        if preset is None or problems:
            raise source.error(problems)
        FrozenClaims.beside(source.path).check(experiments)
        programme = cls(source.path, preset, experiments)
        if plan and (problems := list(programme._unplannable())):
            raise source.error(problems)
        return programme

    def experiment(self, name: str) -> Experiment:
        """An experiment of the preset (InputError with the nearest match)."""
        found: Experiment = entry_of("experiment", name, {**self.beside, **self.experiments})
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

    def datasets_of(self, name: str) -> tuple[str, ...]:
        """The datasets that an experiment trains or measures on, in the order of the preset."""
        used = {dataset.name for cell in self.cells_of(name) for dataset in (cell.dataset, cell.network.dataset)}
        return tuple(label for label in self.datasets if label in used)

    def on(self, name: str, datasets: Sequence[str]) -> "Programme":
        """An experiment as it is on some of its datasets alone; what it plans, draws and claims is of those.

        Errors: InputError where the experiment needs more of them, as one that compares datasets does.
        """
        if tuple(datasets) == self.datasets_of(name):
            return self
        if (name, tuple(datasets)) not in self._views:
            kept = {label: entry for label, entry in self.preset.datasets.items() if label in datasets}
            chosen, others = {name: self.experiment(name).restricted(datasets)}, self._others(name, datasets)
            view = Programme(self.path, self.preset.model_copy(update={"datasets": kept}), chosen, others)
            view.cells_of(name)
            self._views[name, tuple(datasets)] = view
        return self._views[name, tuple(datasets)]

    def _others(self, name: str, datasets: Sequence[str]) -> dict[str, Experiment]:
        """All other experiments on some datasets, without those that are about other datasets alone."""
        found = {}
        for other, one in self.experiments.items():
            own = getattr(one, "datasets", None)
            common = tuple(datasets) if own is None else tuple(label for label in datasets if label in own)
            if common and other != name:
                found[other] = one.restricted(common)
        return found

    @cached_property
    def _views(self) -> dict[tuple[str, tuple[str, ...]], "Programme"]:
        return {}

    def complete_on(self, name: str, there: Callable[[Iterable[Cell]], bool]) -> tuple[str, ...] | None:
        """The datasets on which an experiment is complete: all, or those whose own cells are all there; None: on none.

        there: whether all of some cells are there
        """
        datasets = self.datasets_of(name)
        if there(self.cells_of(name)):
            return datasets
        kept = tuple(label for label in datasets if len(datasets) > 1 and self._is_complete(name, (label,), there))
        return kept if kept and self._is_complete(name, kept, there) else None

    def parts_of(self, name: str) -> dict[tuple[str, ...], tuple[Cell, ...]]:
        """The cells of an experiment on each of its datasets alone, where it can be so, then on all of them."""
        datasets = self.datasets_of(name)
        parts = {}
        for label in datasets if len(datasets) > 1 else ():
            with suppress(InputError):
                parts[label,] = self.on(name, (label,)).cells_of(name)
        return parts | {datasets: self.cells_of(name)}

    def _is_complete(self, name: str, datasets: Sequence[str], there: Callable[[Iterable[Cell]], bool]) -> bool:
        try:
            cells = self.on(name, datasets).cells_of(name)
        except InputError:
            return False
        return bool(cells) and there(cells)

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
        return {name: self.outputs_of(name) for name in self.experiments}

    def outputs_of(self, name: str) -> Outputs:
        """What an experiment draws."""
        return self.experiment(name).outputs(self)

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
    for name, options in islice(given.items(), MOST_ENTRIES) if isinstance(given, dict) else ():  # the schema counts
        place = ("experiments", str(name))
        try:
            kind, given_options = _kind(str(name), options)
            found[str(name)] = kind.model_validate(given_options).labelled(str(name))
        except InputError as error:
            problems.append(Problem(place, str(error)))
        except ValidationError as error:
            problems += document.problems(error, kind, place)
    return found, problems


def _kind(name: str, options: Any) -> tuple[type[Experiment], Any]:
    """The class of an experiment and its options; ``experiment`` among them names a class in a user's own file."""
    if not isinstance(options, dict) or OWN not in options:
        return registry.load(name), options or {}
    if name in registry.names():
        raise InputError(f"{name!r} is an experiment of this package; give an experiment of your own another label")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_]*", name):
        raise InputError(f"the label of an experiment of your own has letters, digits and '_'; received {name!r}")
    return registry.load_own(str(options[OWN])), {key: value for key, value in options.items() if key != OWN}

"""What a study still has to compute.

A cell is finished when its result file, which is named by the hash of its spec, is there. File times and Snakemake's
own records play no part: a finished cell has no rule that could compute it again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from cnn_invariance import datasets
from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.results import Results
from cnn_invariance.study import KINDS, Cell, DatasetSpec, MeasureSpec, ResponseSpec, TrainSpec
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.jobs import Job
from cnn_invariance.workflow.preparation import other_content


@dataclass(frozen=True)
class Plan:
    """A study beside its files. A plan remembers which files it found: make a new one to look again.

    compute: ``missing`` or ``cached``, see `workflow.options.COMPUTE`; None: as the preset says
    """

    study: Programme
    folders: Folders = field(default_factory=Folders)
    compute: str | None = None

    def anew(self) -> "Plan":
        """The same plan, with the files as they are now."""
        return Plan(self.study, self.folders, self.compute)

    @cached_property
    def results(self) -> Results:
        """The results of the preset."""
        return self.folders.cells(self.study.name)

    @property
    def computes(self) -> bool:
        """Whether a run computes the cells without a result."""
        return (self.compute or self.study.preset.compute) == "missing"

    @cached_property
    def networks(self) -> tuple[TrainSpec, ...]:
        """All networks of the study, each once: those asked for and those measured."""
        return tuple(dict.fromkeys(cell.network for cell in self._asked_for))

    @cached_property
    def measurements(self) -> tuple[MeasureSpec, ...]:
        """All measure cells of the study, each once."""
        return tuple(dict.fromkeys(cell for cell in self._asked_for if isinstance(cell, MeasureSpec)))

    @cached_property
    def responses(self) -> tuple[ResponseSpec, ...]:
        """All response cells of the study, each once."""
        return tuple(dict.fromkeys(cell for cell in self._asked_for if isinstance(cell, ResponseSpec)))

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All networks, then all measure cells, then all response cells."""
        return (*self.networks, *self.measurements, *self.responses)

    @cached_property
    def users(self) -> Mapping[Cell, tuple[str, ...]]:
        """The experiments that each cell is part of, or that need it for a cell of theirs."""
        found: dict[Cell, dict[str, None]] = defaultdict(dict)
        for name, cells in self.study.cells.items():
            for one in (one for cell in cells for one in (*cell.needs, cell)):
                found[one][name] = None
        return {cell: tuple(names) for cell, names in found.items()}

    @cached_property
    def failed(self) -> Mapping[TrainSpec, str]:
        """The networks that are failed runs, by the floor that the preset has now, and why each is."""
        judged = ((network, self._failure(network)) for network in self.networks)
        return {network: reason for network, reason in judged if reason}

    def _failure(self, network: TrainSpec) -> str | None:
        return self.results.failure(network, self.study.floor(network))

    def lacking(self, experiment: str) -> tuple[Cell, ...]:
        """The cells of an experiment that have no result, or whose network is a failed run."""
        cells = self.study.cells[experiment]
        return tuple(cell for cell in cells if cell in self._without_result or cell.network in self.failed)

    @cached_property
    def drawn(self) -> Mapping[str, tuple[str, ...]]:
        """The experiments that a run draws, and the datasets of each all of whose cells it has at its end."""
        return self._complete(self._wanted)

    @cached_property
    def computed(self) -> Mapping[str, tuple[str, ...]]:
        """The experiments that can be drawn now, and the datasets of each all of whose cells have a result."""
        there = frozenset(self.cells) - self._without_result
        return self._complete(frozenset(cell for cell in there if cell.network not in self.failed))

    def computed_of(self, experiment: str) -> tuple[str, ...] | None:
        """The datasets on which one experiment can be drawn now; None: on none. It looks at its cells alone, anew."""

        def there(cells: Iterable[Cell]) -> bool:
            return all(self.results.has(cell) and not self._failure(cell.network) for cell in cells)

        return self.study.complete_on(experiment, there)

    def absent(self, found: Mapping[str, tuple[str, ...]]) -> list[str]:
        """The experiments that are not among those found, or are there without some of their datasets, in words."""
        left = {
            name: [label for label in self.study.datasets_of(name) if label not in found.get(name, ())]
            for name in self.study.experiments
        }
        return [f"{name} on {' and '.join(some)}" if name in found else name for name, some in left.items() if some]

    def _complete(self, there: frozenset[Cell]) -> Mapping[str, tuple[str, ...]]:
        found = {name: self.study.complete_on(name, there.issuperset) for name in self.study.experiments}
        return {name: datasets for name, datasets in found.items() if datasets is not None}

    @property
    def wanted(self) -> tuple[Cell, ...]:
        """The cells whose results a run has at its end, but for those of failed runs."""
        return tuple(cell for cell in self.cells if cell in self._wanted)

    @cached_property
    def to_compute(self) -> tuple[Cell, ...]:
        """The cells without a result, and the networks of which a checkpoint is missing that such a cell needs.

        Nothing is computed of a network that is a failed run.
        """
        absent = {cell for cell in self._without_result if cell.network not in self.failed}
        needing = [cell for cell in absent if cell.needs]
        again = {cell.network for cell in needing if not self.folders.checkpoint(cell.network, cell.epoch).is_file()}
        return tuple(cell for cell in self.cells if cell in absent or cell in again)

    def todo(self, stage: str) -> tuple[Any, ...]:
        """The cells of one stage among those `to_compute`."""
        return tuple(cell for cell in self.to_compute if cell.stage == stage)

    @cached_property
    def to_prepare(self) -> tuple[DatasetSpec, ...]:
        """The datasets that are needed to compute cells and that are not prepared.

        Errors: InputError for a prepared dataset with other content than the preset pins.
        """
        needed = dict.fromkeys(cell.dataset for cell in self.to_compute)
        return tuple(spec for spec in needed if not self._is_prepared(spec))

    @cached_property
    def unprepared(self) -> tuple[DatasetSpec, ...]:
        """The datasets of the preset that are not prepared, whether they are needed or not."""
        datasets = map(self.study.dataset, self.study.datasets)
        return tuple(spec for spec in datasets if not self.folders.dataset(spec.name).is_file())

    def job(self, cell: Cell) -> Job:
        """The job that computes a cell."""
        network, floor = cell.network, self.study.floor(cell.network)
        if cell != network:
            return Job(preset=self.study.name, cell=cell, floor=floor)
        pretrained = self.study.weights(network.model)
        return Job(
            preset=self.study.name,
            cell=cell,
            epochs=self.epochs(network),
            pretrained=None if pretrained is None else str(pretrained),
            recorded=self.results.has(network),
            floor=floor,
        )

    def epochs(self, network: TrainSpec) -> tuple[int, ...]:
        """The epochs of a network that the study measures, and its last."""
        return tuple(sorted({*self._measured_epochs[network], network.recipe.epochs}))

    def cell(self, key: str, stage: str) -> Cell:
        """The cell of a key and a stage (InputError with the nearest match)."""
        found = {cell.key: cell for cell in self.cells if cell.stage == stage}
        if key not in found:
            raise _unknown_key(stage, key, found)
        return found[key]

    def check(self) -> None:
        """Check every result that is there (InputError that names each damaged file)."""
        self.results.check(self.cells)

    @cached_property
    def _asked_for(self) -> tuple[Cell, ...]:
        return tuple(cell for cells in self.study.cells.values() for cell in cells)

    @cached_property
    def _without_result(self) -> frozenset[Cell]:
        return frozenset(cell for cell in self.cells if not self.results.has(cell))

    @cached_property
    def _wanted(self) -> frozenset[Cell]:
        kept = frozenset(self.cells) if self.computes else frozenset(self.cells) - self._without_result
        return frozenset(cell for cell in kept if cell.network not in self.failed)

    @cached_property
    def _measured_epochs(self) -> dict[TrainSpec, set[int]]:
        epochs: dict[TrainSpec, set[int]] = defaultdict(set)
        for cell in self.measurements:
            epochs[cell.network].add(cell.epoch)
        return epochs

    def _is_prepared(self, spec: DatasetSpec) -> bool:
        path = self.folders.dataset(spec.name)
        if not path.is_file():
            return False
        if (found := datasets.stated_fingerprint(path) or "(unreadable)") != spec.fingerprint:
            raise other_content(spec, found, f"{path} holds", f"delete {path} and run again")
        return True


def _unknown_key(stage: str, key: str, keys: Iterable[str]) -> InputError:
    """A study has hundreds of keys: name the nearest, and how to list them all."""
    (noun,) = (kind.noun for kind in KINDS if kind.model_fields["stage"].default == stage)
    nearest = get_close_matches(key, keys, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ";"
    return InputError(f"unknown {noun} {key!r}{hint} list all with: cnn-invariance plan --cells")

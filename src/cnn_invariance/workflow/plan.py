"""What a study still has to compute, and which files that leaves.

A cell is finished when its result file, named by the hash of its spec, is there. File times and
Snakemake's own records play no part: only what is listed here gets a rule.
"""

import hashlib
import re
import shlex
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.results import Results
from cnn_invariance.study.experiment import Outputs, file
from cnn_invariance.study.spec import Cell, DatasetSpec, MeasureSpec, ResponseSpec, TrainSpec, needs
from cnn_invariance.study.study import Study
from cnn_invariance.workflow import sampling
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.sampling import Sampling

DEFAULT_PRESET = Path("config/laptop.yaml")
RUN_OPTIONS = {f"{name}_dir": name for name in ("data", "models", "results", "figures", "report", "verification")}
COMPUTE = ("missing", "cached")
"""What a run does about cells without a result: compute them, or draw what can be drawn without them."""


@dataclass(frozen=True)
class Trainings:
    """Networks to train whose jobs leave the same kinds of file, so that one rule makes them all."""

    rule: str
    networks: tuple[TrainSpec, ...]
    outputs: Mapping[str, str]
    """Name and path of each file, with the wildcard ``{network}`` for the key."""


@dataclass(frozen=True)
class Plan:
    """A study beside its files. Nothing is cached of what files are there when it is made again."""

    study: Study
    folders: Folders = field(default_factory=Folders)
    compute: str | None = None
    """One of `COMPUTE`; None: as the preset says."""
    sampling: Sampling = field(default_factory=Sampling)
    """Which cells a verification computes again."""

    @classmethod
    def of_run(cls, presets: Iterable[Path | str], options: Mapping[str, str]) -> "Plan":
        """The plan of a Snakemake run, from its ``--configfile`` and ``--config``.

        Errors: InputError for several presets, or for an option that does not say where files are.
        """
        paths = [_from_here(Path(preset)) for preset in presets] or [DEFAULT_PRESET]
        if len(paths) > 1:
            raise InputError(f"one preset at a time; received {', '.join(map(str, paths))}")
        allowed = (*RUN_OPTIONS, "compute", *sampling.RUN_OPTIONS)
        for option in options:
            if option not in allowed:
                raise InputError(
                    f"{unknown_name('--config option', option, allowed)}; to change the study, "
                    f"edit a copy of {paths[0]} and give it with --configfile"
                )
        compute = options.get("compute")
        if compute not in (None, *COMPUTE):
            raise unknown_name("value of the --config option compute:", str(compute), COMPUTE)
        folders = {RUN_OPTIONS[name]: Path(str(value)) for name, value in options.items() if name in RUN_OPTIONS}
        return cls(Study.load(paths[0]), Folders(**folders), compute, Sampling.of_run(options))

    @cached_property
    def results(self) -> Results:
        """The results of the preset."""
        return self.folders.cells(self.study.name)

    @cached_property
    def measurements(self) -> tuple[MeasureSpec, ...]:
        """All measure cells of the study, each once: those asked for and those that rank responses."""
        cells = (cell for cells in self.study.cells.values() for cell in cells)
        measured = (cell.measured if isinstance(cell, ResponseSpec) else cell for cell in cells)
        return tuple(dict.fromkeys(cell for cell in measured if isinstance(cell, MeasureSpec)))

    @cached_property
    def responses(self) -> tuple[ResponseSpec, ...]:
        """All response cells of the study, each once."""
        cells = (cell for cells in self.study.cells.values() for cell in cells)
        return tuple(dict.fromkeys(cell for cell in cells if isinstance(cell, ResponseSpec)))

    @cached_property
    def networks(self) -> tuple[TrainSpec, ...]:
        """All networks of the study, each once: those asked for and those measured."""
        cells = (cell for cells in self.study.cells.values() for cell in cells)
        return tuple(dict.fromkeys(cell if isinstance(cell, TrainSpec) else cell.network for cell in cells))

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All networks, then all measure cells, then all response cells."""
        return (*self.networks, *self.measurements, *self.responses)

    @cached_property
    def users(self) -> Mapping[Cell, tuple[str, ...]]:
        """The experiments that each cell is part of, or that need it for a cell of theirs."""
        found: dict[Cell, dict[str, None]] = defaultdict(dict)
        for name, cells in self.study.cells.items():
            for one in (one for cell in cells for one in (*needs(cell), cell)):
                found[one][name] = None
        return {cell: tuple(names) for cell, names in found.items()}

    @property
    def computes(self) -> bool:
        """Whether a run computes the cells without a result."""
        return (self.compute or self.study.preset.compute) == "missing"

    @property
    def gpu_share(self) -> int:
        """What a cell asks for of a GPU, in per cent, so that as many share it as the preset says."""
        return 100 // self.study.preset.cells_per_gpu

    def lacking(self, experiment: str) -> tuple[Cell, ...]:
        """The cells of an experiment that have no result."""
        return tuple(cell for cell in self.study.cells[experiment] if not self.results.has(cell))

    @cached_property
    def drawn(self) -> tuple[str, ...]:
        """The experiments that a run draws: all, or those whose cells all have a result."""
        return tuple(name for name in self.study.experiments if self.computes or not self.lacking(name))

    @property
    def left_out(self) -> list[str]:
        """What a run says at its end about cells that it was not to compute: nothing, or a line."""
        missing = sum(not self.results.has(cell) for cell in self.cells)
        if self.computes or not missing:
            return []
        absent = ", ".join(name for name in self.study.experiments if name not in self.drawn)
        return [
            f"{missing} of {len(self.cells)} cells are not computed yet"
            + (f"; not drawn without them: {absent}" if absent else "")
            + "; --config compute=missing computes them, and `cnn-invariance plan` says how long that takes"
        ]

    @property
    def wanted(self) -> tuple[Cell, ...]:
        """The cells whose results a run has at its end: all, or those that have one already."""
        return tuple(cell for cell in self.cells if self.computes or self.results.has(cell))

    @cached_property
    def to_measure(self) -> tuple[MeasureSpec, ...]:
        """The measure cells without a result."""
        return tuple(cell for cell in self.measurements if not self.results.has(cell))

    @cached_property
    def to_respond(self) -> tuple[ResponseSpec, ...]:
        """The response cells without a result."""
        return tuple(cell for cell in self.responses if not self.results.has(cell))

    @cached_property
    def to_train(self) -> tuple[TrainSpec, ...]:
        """The networks without a record, and those of which a checkpoint is missing and needed.

        A checkpoint is needed by a measure or response cell without a result, by nothing else.
        """
        needing: tuple[MeasureSpec | ResponseSpec, ...] = (*self.to_measure, *self.to_respond)
        checkpoints = {cell.network for cell in needing if not self.checkpoint_of(cell).is_file()}
        return tuple(network for network in self.networks if network in checkpoints or not self.results.has(network))

    @cached_property
    def to_prepare(self) -> tuple[DatasetSpec, ...]:
        """The datasets that a missing cell needs and that are not prepared.

        Errors: InputError for a prepared dataset with other content than the preset pins.
        """
        needed = [network.dataset for network in self.to_train]
        needed += [cell.dataset for cell in self.to_measure]
        needed += [cell.network.dataset for cell in self.to_respond]
        return tuple(spec for spec in dict.fromkeys(needed) if not self._is_prepared(spec))

    @cached_property
    def unprepared(self) -> tuple[DatasetSpec, ...]:
        """The datasets of the preset that are not prepared, whether a missing cell needs them or not."""
        datasets = map(self.study.dataset, self.study.datasets)
        return tuple(spec for spec in datasets if not self.folders.dataset(spec.name).is_file())

    @cached_property
    def trainings(self) -> tuple[Trainings, ...]:
        """The networks to train, grouped by the files their training leaves."""
        groups: dict[tuple[bool, tuple[int, ...]], list[TrainSpec]] = defaultdict(list)
        for network in self.to_train:
            groups[not self.results.has(network), self.epochs(network)[:-1]].append(network)
        return tuple(
            Trainings(_rule(*group), tuple(networks), self._outputs(*group)) for group, networks in groups.items()
        )

    def epochs(self, network: TrainSpec) -> tuple[int, ...]:
        """The epochs of a network that the study measures, and its last."""
        return tuple(sorted({*self._measured_epochs[network], network.recipe.epochs}))

    def checkpoint_of(self, cell: MeasureSpec | ResponseSpec) -> Path:
        """The checkpoint that a cell needs."""
        measured = cell.measured if isinstance(cell, ResponseSpec) else cell
        return self.folders.checkpoint(measured.network, measured.epoch)

    def network(self, key: str) -> TrainSpec:
        """The network of a key (InputError with the nearest match)."""
        if key not in self._networks_by_key:
            raise _unknown_key("network", key, self._networks_by_key)
        return self._networks_by_key[key]

    def measurement(self, key: str) -> MeasureSpec:
        """The measure cell of a key (InputError with the nearest match)."""
        if key not in self._measurements_by_key:
            raise _unknown_key("measure cell", key, self._measurements_by_key)
        return self._measurements_by_key[key]

    def response(self, key: str) -> ResponseSpec:
        """The response cell of a key (InputError with the nearest match)."""
        if key not in self._responses_by_key:
            raise _unknown_key("response cell", key, self._responses_by_key)
        return self._responses_by_key[key]

    def results_of(self, experiment: str) -> list[Path]:
        """The result files that an experiment draws from."""
        return [self.results.path(cell) for cell in self.study.cells[experiment]]

    def code_of(self, experiment: str) -> list[Path]:
        """The source files that an experiment is drawn by."""
        own, package = file(experiment), file(experiment).parent.parent
        shared = [
            *package.glob("experiments/framework/*.py"),
            *package.glob("paper/*.py"),
            *package.glob("plotting/*.py"),
        ]
        return [_from_here(path) for path in [own, *sorted(shared)]]

    def figures(self, experiment: str) -> list[Path]:
        """The files of the figures of an experiment."""
        outputs = self.study.outputs[experiment]
        return self.folders.figure_files(self.study.name, experiment, outputs)

    def tables(self, experiment: str) -> list[Path]:
        """The files of the tables of an experiment."""
        return self.folders.table_files(self.study.name, self.study.outputs[experiment])

    @property
    def claims(self) -> tuple[Path, Path]:
        """The table of claims: for programs, and for readers."""
        return self.results.root / "claims.csv", self.results.root / "claims.md"

    @property
    def overview(self) -> list[Path]:
        """The figure of the whole study, in each format."""
        return self.folders.figure_files(self.study.name, "overview", Outputs(["overview"]))

    @property
    def costs(self) -> list[Path]:
        """The table of what cells cost, in each format."""
        return self.folders.table_files(self.study.name, Outputs(tables=["costs"]))

    @property
    def page(self) -> Path:
        """The page of the whole study."""
        return self.folders.page(self.study.name)

    @property
    def shown(self) -> list[Path]:
        """What the page shows, as far as a run makes it."""
        drawn = [path for experiment in self.drawn for path in (*self.figures(experiment), *self.tables(experiment))]
        return [*drawn, *self.claims, *self.costs, *self.overview]

    @property
    def verified(self) -> str:
        """The SHA-256 of what a verification left, which the page shows too; it is no input, for no run asks for it."""
        figures = self.folders.figure_folder(self.study.name, "verification")
        left = (*self.results.root.glob("verification.*"), *figures.glob("*"))
        digest = hashlib.sha256()
        for path in sorted(filter(Path.is_file, left)):
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()

    @property
    def results_of_claims(self) -> list[Path]:
        """The result files that claims are tested on, and the overview is drawn from."""
        return list(dict.fromkeys(path for name in self.drawn for path in self.results_of(name)))

    @property
    def code_of_claims(self) -> list[Path]:
        """The source files that claims are tested and the overview is drawn by."""
        package = file("accuracy").parent.parent
        own = {_from_here(package / name) for name in ("report/claims.py", "report/overview.py")}
        return sorted(own.union(*map(self.code_of, self.study.experiments)))

    @property
    def code_of_page(self) -> list[Path]:
        """The files that the page is written by; README.md, of which it shows a section, among them."""
        package = file("accuracy").parent.parent
        readme = package.parent.parent / "README.md"
        own = [path for path in (*package.glob("report/page/*.*"), readme) if path.is_file()]
        return sorted(map(_from_here, own))

    def data_to_train(self, wildcards: Any) -> Path:
        """The dataset of the network that Snakemake asks for."""
        return self.folders.dataset(self.network(wildcards.network).dataset.name)

    def data_to_measure(self, wildcards: Any) -> Path:
        """The dataset that a cell is measured on."""
        return self.folders.dataset(self.measurement(wildcards.cell).dataset.name)

    def weights_to_measure(self, wildcards: Any) -> Path:
        """The checkpoint that a cell measures."""
        return self.checkpoint_of(self.measurement(wildcards.cell))

    def data_to_respond(self, wildcards: Any) -> Path:
        """The dataset of the network that responds."""
        return self.folders.dataset(self.response(wildcards.cell).network.dataset.name)

    def weights_to_respond(self, wildcards: Any) -> Path:
        """The checkpoint that responds."""
        return self.checkpoint_of(self.response(wildcards.cell))

    def ranking_of(self, wildcards: Any) -> Path:
        """The measure cell that ranks the maps of a response cell."""
        return self.results.path(self.response(wildcards.cell).measured)

    def options(self, *folders: str) -> str:
        """The options with which ``cnn-invariance`` makes this plan again."""
        preset = f"--preset {shlex.quote(str(self.study.path))}"
        return " ".join([preset, *self.folders.options(*folders)])

    def all_files(self) -> list[Path]:
        """Everything a finished run leaves: results, figures, tables, and the page that shows them."""
        return [*map(self.results.path, self.wanted), *self.shown, self.page]

    def check(self) -> None:
        """Check every result that is there (InputError that names each damaged file)."""
        self.results.check(self.cells)

    @cached_property
    def _networks_by_key(self) -> dict[str, TrainSpec]:
        return {network.key: network for network in self.networks}

    @cached_property
    def _measurements_by_key(self) -> dict[str, MeasureSpec]:
        return {cell.key: cell for cell in self.measurements}

    @cached_property
    def _responses_by_key(self) -> dict[str, ResponseSpec]:
        return {cell.key: cell for cell in self.responses}

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
        if (found := _fingerprint(path)) != spec.fingerprint:
            raise other_content(spec, found, f"{path} holds", f"delete {path} and run again")
        return True

    def _outputs(self, record: bool, epochs: tuple[int, ...]) -> dict[str, str]:
        models, results = self.folders.models, self.results.root
        files = {"record": f"{results}/training/{{network}}.json"} if record else {}
        files["weights"] = f"{models}/{{network}}.safetensors"
        return files | {f"epoch_{epoch}": f"{models}/{{network}}-e{epoch}.safetensors" for epoch in epochs}


def other_content(spec: DatasetSpec, found: str, where: str, advice: str) -> InputError:
    """The error for a dataset that is not the one the preset pins."""
    return InputError(
        f"dataset {spec.name}: the preset pins the fingerprint {spec.fingerprint}, {where} {found}; "
        f"{advice}, or pin the other fingerprint in a copy of the preset: its cells are others"
    )


def _from_here(path: Path) -> Path:
    """The path relative to the current folder, where it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def one_of(keys: Iterable[str]) -> str:
    """The regular expression of a wildcard that is one of the keys; of none, it never matches."""
    return "|".join(map(re.escape, keys)) or "(?!)"


def _rule(record: bool, epochs: tuple[int, ...]) -> str:
    """The name of the rule for trainings that leave a record or not, and these early epochs."""
    name = "train" if record else "train_again"
    return "_".join([name, *(f"e{epoch}" for epoch in epochs)])


def _fingerprint(path: Path) -> str:
    """The fingerprint a prepared dataset says it has; reads no images."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return str(file["fingerprint"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return "(unreadable)"


def _unknown_key(kind: str, key: str, keys: Iterable[str]) -> InputError:
    """A study has thousands of keys: name the nearest, and how to see them all."""
    nearest = get_close_matches(key, keys, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ";"
    return InputError(f"unknown {kind} {key!r}{hint} list all with: cnn-invariance plan --cells")

"""What the Snakefile asks for to compute the cells of a verification again."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cnn_invariance.study import KINDS, Cell
from cnn_invariance.verification.sample import Verification
from cnn_invariance.verification.sampling import Sampling
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.jobs import Jobs
from cnn_invariance.workflow.run import Run


@dataclass(frozen=True)
class VerificationRun:
    """A verification in a run of Snakemake: the same stages, with results and checkpoints beside the cache.

    Which cells it computes is drawn when ``verify`` is asked for, and not otherwise.
    """

    run: Run
    sampling: Sampling

    @property
    def folders(self) -> Folders:
        """The folders of a run, with those for results and checkpoints beside the cache."""
        return self.run.folders.beside()

    @cached_property
    def verification(self) -> Verification | None:
        """The verification; None in a job that was submitted to a scheduler."""
        return Verification(self.run.plan, self.sampling) if self.run.plan else None

    def start(self) -> None:
        """Write the files of the jobs, if cells were drawn: at the start of a run, which is no dry run."""
        if self.verification and "chosen" in vars(self.verification):
            self._jobs.write()

    @property
    def outputs(self) -> Mapping[str, Path]:
        """The result of each stage, with the wildcard ``{cell}`` for the key."""
        root = self.folders.cells(self.run.name).root
        return {
            str(kind.model_fields["stage"].default): root / kind.folder / f"{{cell}}{kind.suffix}" for kind in KINDS
        }

    @property
    def folder(self) -> Path:
        """The folder of the files of the jobs."""
        return self.folders.jobs(self.run.options.preset)

    def inputs(self, wildcards: Any) -> list[Path]:
        """What a cell is computed from: data, and the results beside the cache of the cells it needs."""
        cell = self._cell(wildcards.cell)
        results = self.folders.cells(self.run.name)
        return [self.folders.dataset(cell.dataset.name), *map(results.path, cell.needs)]

    def results(self, _wildcards: Any = None) -> list[Path]:
        """The results to compute beside the cache.

        Errors: InputError as of `Verification.chosen`, and where a result was left there by other code than this.
        """
        if self.verification is None:
            return []
        self.verification.check_code()
        if self.run.starts_at_once:
            self._jobs.write()
        results = self.folders.cells(self.run.name)
        return [results.path(cell) for cell in self.verification.cells]

    @property
    def stage_options(self) -> str:
        """The options with which the command of a stage finds these folders."""
        return " ".join([*self.folders.options("data", "models", "results"), *self.run.trust_options])

    @property
    def command_options(self) -> str:
        """The options with which ``cnn-invariance verify`` makes this verification again."""
        return " ".join([self.run.study_options("results", "figures", "verification"), *self.sampling.options])

    @cached_property
    def _jobs(self) -> Jobs:
        if self.verification is None:
            return Jobs.read(self.folder)
        beside = self.verification.beside
        return Jobs.of(self.folder, map(beside.job, self.verification.cells))

    def _cell(self, key: str) -> Cell:
        if self.run.plan is None:
            return self._jobs.cell(key)
        return self._by_key[key]

    @cached_property
    def _by_key(self) -> Mapping[str, Cell]:
        return {cell.key: cell for cell in self.run.plan.cells} if self.run.plan else {}

"""What the Snakefile asks for: the jobs of a run, their inputs and resources, and what is drawn at its end.

Snakemake reads the Snakefile once to run a study, and once more in each job that it submits to a scheduler. The first
reading plans the study and writes the files of the jobs; a job reads those files and plans nothing.
"""

import re
import shlex
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.machine import gpus
from cnn_invariance.plugins import trust
from cnn_invariance.plugins.trust import Trust
from cnn_invariance.workflow import trials
from cnn_invariance.workflow.annotations import Annotations
from cnn_invariance.workflow.caller import Caller
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.jobs import Jobs
from cnn_invariance.workflow.options import RunOptions
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products
from cnn_invariance.workflow.resources import Resources
from cnn_invariance.workflow.staging import Staging

DRY_RUN = re.compile(r"--dry-?run|-[A-Za-z]*n[A-Za-z]*")
"""The options of Snakemake that ask for a dry run, ``-n`` also among others, as in ``-np``."""


@dataclass(frozen=True)
class Trainings:
    """The trainings that leave the same kinds of file, for which there is one rule.

    record: whether they leave a record; where it is there already, only checkpoints are trained again
    epochs: the epochs before the last whose checkpoints are kept
    """

    record: bool
    epochs: tuple[int, ...]
    keys: str
    """Of the networks, as the regular expression of a wildcard."""

    @property
    def rule(self) -> str:
        """The name of the rule."""
        return "_".join(["train" if self.record else "train_again", *(f"e{epoch}" for epoch in self.epochs)])


@dataclass(frozen=True)
class Run:
    """A run of Snakemake.

    plan: None in a job that was submitted to a scheduler, which computes one cell and draws nothing
    starts_at_once: whether it starts when it is read, because Snakemake calls no ``onstart`` of a module
    """

    options: RunOptions
    jobs: Jobs
    plan: Plan | None = None
    starts_at_once: bool = False

    @classmethod
    def of(cls, workflow: Any, others: Iterable[str] = (), config: Mapping[str, Any] | None = None) -> "Run":
        """The run that Snakemake is starting, with its plan checked; or the job that it is running.

        others: names of further options that ``--config`` may have
        config: that of the Snakefile, which counts where another workflow has the study as a module

        Errors: InputError for wrong options, a wrong preset, a damaged result, code of the user's that fails, or a
        cache that is elsewhere (`Caller.check_cache`).
        """
        caller = Caller.of(workflow, config, others)
        options = caller.read(others)
        folder = options.folders.jobs(options.preset)
        if not workflow.is_main_process:
            return cls(options, Jobs.read(folder))
        dry = any(DRY_RUN.fullmatch(word) for word in sys.argv[1:])  # the workflow knows it only once it is read
        with trust.only(trust.nothing("a dry run") if dry else Trust.of(options.preset, options.trust)):
            plan = Plan(Programme.load(options.preset), options.folders, options.compute)
        Staging.of(plan.folders, plan.study.name).recover()
        plan.check()
        trials.check(plan, own=False)
        _ = plan.to_prepare  # a prepared dataset with other content than the pinned one ends the run here
        for line in caller.check_cache(plan):
            print(line, file=sys.stderr)
        return cls(options, Jobs.of(folder, map(plan.job, plan.to_compute)), plan, caller.module and not dry)

    def start(self) -> None:
        """Write the files of the jobs, and try the user's own code: at the start of a run, which is no dry run.

        Errors: InputError for code that fails, or that may not be run, see `cnn_invariance.plugins.trust`.
        """
        if self.plan:
            with trust.only(Trust.of(self.options.preset, self.options.trust)):
                trials.check(self.plan, own=True)
            self.jobs.write()

    @property
    def folders(self) -> Folders:
        """The folders that the run reads and writes."""
        return self.options.folders

    @cached_property
    def name(self) -> str:
        """The name of the preset."""
        if self.plan:
            return self.plan.study.name
        return next((job.preset for job in self.jobs.by_key.values()), self.options.preset.stem)

    @property
    def results(self) -> Path:
        """The folder of the preset's results."""
        return self.folders.cells(self.name).root

    @cached_property
    def products(self) -> Products | None:
        """What is drawn at the end of a run; None in a job."""
        return Products(self.plan) if self.plan else None

    def annotated(self, paths: Iterable[Path], report: Callable[..., Any], experiment: str = "") -> list[Any]:
        """Outputs of a rule, those that ``snakemake --report`` shows with Snakemake's flag ``report``.

        experiment: whose figures and tables they are; without, they are of the study as a whole
        """
        asked = any(word.partition("=")[0] == "--report" for word in sys.argv[1:])
        group = self.plan.study.experiments[experiment].group if self.plan and experiment else ""
        annotations = Annotations(group, experiment, self.folders.jobs(self.options.preset) / "captions", asked)
        return [report(path, **annotations.of(path)) if annotations.shows(path) else path for path in paths]

    @property
    def drawn(self) -> tuple[str, ...]:
        """The experiments that are drawn."""
        return tuple(self.plan.drawn) if self.plan else ()

    @property
    def datasets(self) -> str:
        """The datasets that may be prepared, as the regular expression of a wildcard."""
        specs = (*self.plan.to_prepare, *self.plan.unprepared) if self.plan else ()
        return one_of(spec.name for spec in specs)

    @property
    def trainings(self) -> list[Trainings]:
        """The networks to train, grouped by the files that their training leaves."""
        groups: dict[tuple[bool, tuple[int, ...]], list[str]] = defaultdict(list)
        for job in self.jobs.at("train"):
            groups[not job.recorded, job.epochs[:-1]].append(job.cell.key)
        return [Trainings(record, epochs, one_of(keys)) for (record, epochs), keys in groups.items()]

    def keys(self, stage: str) -> str:
        """The keys of the jobs of a stage, as the regular expression of a wildcard."""
        return one_of(job.cell.key for job in self.jobs.at(stage))

    def data(self, wildcards: Any) -> Path:
        """The dataset that a cell reads."""
        return self.folders.dataset(self._cell(wildcards).dataset.name)

    def weights(self, wildcards: Any) -> Path:
        """The checkpoint that a cell measures or shows."""
        cell = self._cell(wildcards)
        return self.folders.checkpoint(cell.network, cell.epoch)

    def resources(self, workflow: Any) -> dict[str, Any]:
        """What the job of a cell asks for: a share of a GPU here, time and memory of a scheduler."""
        asked = Resources(self.plan, gpu=_defaults(workflow).get("gpu") not in (None, 0))
        share = 100 // self.plan.study.preset.cells_per_gpu if self.plan and gpus() else 0
        return {"gpu_share": share, "mem_mb": asked.mem_mb, "runtime": asked.runtime}

    def asks(self, workflow: Any) -> str:
        """What the message of a job says that it asks a scheduler for; nothing where there is no scheduler."""
        if not self.plan or "gpu" not in _defaults(workflow):
            return ""
        return " (asks for {resources.runtime} min, {resources.mem_mb} MB, {resources.gpu} GPU)"

    def every(self) -> list[Path]:
        """Everything that the run leaves."""
        return self.products.every() if self.products else []

    def command_options(self, *names: str) -> str:
        """The options with which a command of a stage finds these folders, and may run the code that its cell names."""
        return " ".join([*self.folders.options(*names), *self.trust_options])

    @cached_property
    def trust_options(self) -> list[str]:
        """The options that let the commands of stages, which do not read the preset, run the code that it names."""
        cells = (job.cell for job in self.jobs.by_key.values()) if self.plan is None else self.plan.cells
        if not trials.own_code(cells):
            return []
        beside = str(self.options.preset.resolve().parent)
        return [f"--trust {shlex.quote(one)}" for one in (beside, *self.options.trust)]

    def study_options(self, *names: str, drawing: bool = False) -> str:
        """The options with which ``cnn-invariance`` makes this plan again; ``drawing``: also what it trusts."""
        trusted = [f"--trust {shlex.quote(one)}" for one in self.options.trust] if drawing else []
        preset = shlex.quote(str(self.options.preset))
        return " ".join([f"--preset {preset}", *self.folders.options(*names), *trusted])

    @property
    def closing_lines(self) -> list[str]:
        """What a run says at its end: a line for each failed run, and one on cells that it was not to compute."""
        plan = self.plan
        if plan is None:
            return []
        failed = list(plan.anew().failed.values())
        missing = sum(cell.network not in plan.failed for cell in plan.cells) - len(plan.wanted)
        if plan.computes or not missing:
            return failed
        absent = ", ".join(plan.absent(plan.drawn))
        return [
            *failed,
            f"{missing} of {len(plan.cells)} cells are not computed yet"
            + (f"; not drawn without them: {absent}" if absent else "")
            + "; --config compute=missing computes them, and `cnn-invariance plan` says how long that takes",
        ]

    def _cell(self, wildcards: Any) -> Any:
        (key,) = wildcards
        return self.jobs.cell(key)


def _defaults(workflow: Any) -> dict[str, Any]:
    """The default resources of a profile."""
    return workflow.resource_settings.default_resources or {}


def one_of(keys: Iterable[str]) -> str:
    """The regular expression of a wildcard that is one of the keys; of no keys, it never matches."""
    return "|".join(map(re.escape, keys)) or "(?!)"

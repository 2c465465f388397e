"""The commands that compute one cell: ``train``, ``measure``, ``respond``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cnn_invariance.cli.application import (
    Data,
    Models,
    PresetFile,
    Results,
    Threads,
    Trusted,
    app,
    default,
    plan_of,
)
from cnn_invariance.errors import InputError
from cnn_invariance.plugins import trust
from cnn_invariance.plugins.trust import Trust
from cnn_invariance.study.cells import KINDS
from cnn_invariance.workflow import stages
from cnn_invariance.workflow.folders import DEFAULT_PRESET, Folders
from cnn_invariance.workflow.jobs import Job

HELP = {
    "train": "Train a network: its checkpoints and its record.",
    "measure": "Measure a trained network under a transformation set.",
    "respond": "Show one sample under transformations to a network, and keep what feature maps respond.",
}


def _job(stage: str, cell: str, preset: Path, folders: Folders, trusted: Sequence[str]) -> Job:
    """The job of a file, or of a key of the preset (InputError for a job of another stage).

    From here on the command may run the code that the user trusts, and for a key also what lies beside the preset.
    """
    if not cell.endswith(".json"):
        run_by = Trust.of(preset, trusted)
        plan = plan_of(preset, trusted=run_by, data=folders.data, models=folders.models, results=folders.results)
        return plan.job(plan.cell(cell, stage))
    trust.now(Trust.of(None, trusted))
    job = Job.read(Path(cell))
    if job.cell.stage != stage:
        raise InputError(f"{cell} is the job of a {job.cell.noun}: cnn-invariance {job.cell.stage} {cell}")
    return job


def _add(stage: str, noun: str) -> None:
    """Add the command of a stage."""

    def command(
        cell: Annotated[
            str,
            typer.Argument(
                help=f"The file of a job, specs/PRESET/KEY.json, which a run writes; or the key of a {noun} of the "
                "preset, as listed by plan --cells."
            ),
        ],
        preset: PresetFile = DEFAULT_PRESET,
        data_dir: Data = default.data,
        models_dir: Models = default.models,
        results_dir: Results = default.results,
        threads: Threads = None,
        trusted: Trusted = None,
    ) -> None:
        folders = Folders(data=data_dir, models=models_dir, results=results_dir)
        stages.compute(_job(stage, cell, preset, folders, trusted or ()), folders, threads=threads)

    app.command(stage, help=HELP[stage])(command)


for kind in KINDS:
    _add(str(kind.model_fields["stage"].default), kind.noun)

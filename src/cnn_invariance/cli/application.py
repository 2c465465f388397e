"""The options that commands of the study share, and the plan of a preset."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnn_invariance.cli.group import app, echo_lines
from cnn_invariance.plugins import trust
from cnn_invariance.plugins.trust import Trust
from cnn_invariance.workflow.folders import Folders

if TYPE_CHECKING:
    from cnn_invariance.workflow.plan import Plan

__all__ = [
    "Data", "Figures", "Models", "PresetFile", "Results", "Threads", "Trusted",
    "app", "default", "echo_lines", "plan_of",
]  # fmt: skip

PresetFile = Annotated[Path, typer.Option("--preset", help="YAML file of the study.")]
Data = Annotated[Path, typer.Option("--data-dir", help="Folder of prepared datasets.")]
Models = Annotated[Path, typer.Option("--models-dir", help="Folder of checkpoints.")]
Results = Annotated[Path, typer.Option("--results-dir", help="Folder of results, by preset.")]
Figures = Annotated[Path, typer.Option("--figures-dir", help="Folder of figures, by preset.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; without: torch's choice.")]
Trusted = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        help="A package or folder whose code may be run where a preset names it. May be repeated. Files beside the "
        "preset need none.",
    ),
]

default = Folders()
"""The folders that commands use unless told otherwise."""


def plan_of(preset: Path, *, trusted: Trust | None = None, whole: bool = True, **folders: Path) -> "Plan":
    """The plan of a preset, with these folders (``data``, ``models``, ...) in place of the default ones.

    trusted: the code outside of the package that the command may run from now on; None: no more than before
    whole:   whether all experiments are planned at once; one that is needed alone is planned when it is asked for

    What an import left that was killed is finished or deleted first, see `cnn_invariance.workflow.staging`.
    """
    from cnn_invariance.experiments.framework.programme import Programme
    from cnn_invariance.workflow.plan import Plan
    from cnn_invariance.workflow.staging import Staging

    if trusted is not None:
        trust.now(trusted)
    found = Plan(Programme.load(preset, plan=whole), Folders(**folders))
    Staging.of(found.folders, found.study.name).recover()
    return found

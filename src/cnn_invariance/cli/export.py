"""The commands that give the study to others: ``export ro-crate``."""

from pathlib import Path
from typing import Annotated

import typer

from cnn_invariance.cli.application import Figures, PresetFile, Results, Trusted, app, default, plan_of
from cnn_invariance.plugins.trust import Trust
from cnn_invariance.workflow.explained import explained
from cnn_invariance.workflow.folders import DEFAULT_PRESET

export_app = typer.Typer(help="Give the study to others: a research object, an article.", no_args_is_help=True)
app.add_typer(export_app, name="export")


@export_app.command(name="ro-crate")
def ro_crate(
    into: Annotated[Path, typer.Option(help="A new folder for the crate.")],
    preset: PresetFile = DEFAULT_PRESET,
    results_dir: Results = default.results,
    figures_dir: Figures = default.figures,
    trusted: Trusted = None,
) -> None:
    """Write the finished cells of a preset, and what is drawn of them, as a Workflow Run RO-Crate."""
    from cnn_invariance.export import ro_crate

    chosen = plan_of(preset, trusted=Trust.of(preset, trusted or ()), results=results_dir, figures=figures_dir)
    with explained(chosen):
        typer.echo(ro_crate.write(chosen, into))

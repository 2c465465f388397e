"""The commands that give the study to others: ``export ro-crate``, ``export data-pages``, ``export article``."""

from pathlib import Path
from typing import Annotated

import typer

from cnn_invariance.cli.application import Data, Figures, PresetFile, Results, Trusted, app, default, plan_of
from cnn_invariance.plugins.trust import Trust
from cnn_invariance.workflow.explained import explained
from cnn_invariance.workflow.folders import DEFAULT_PRESET, Folders

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


@export_app.command(name="data-pages")
def data_pages(
    names: Annotated[list[str] | None, typer.Argument(help="Datasets; without: all that have a page.")] = None,
    into: Annotated[Path, typer.Option(help="Folder of the pages.")] = Path("docs/data"),
    data_dir: Data = default.data,
) -> None:
    """Write the data appendix: a page for each dataset, from the data. Prepares a dataset that is not prepared yet."""
    from cnn_invariance.export import data_pages

    for name in names or data_pages.ORIGINS:
        typer.echo(data_pages.write(name, Folders(data=data_dir), into))


@export_app.command()
def article(
    preset: PresetFile = DEFAULT_PRESET,
    results_dir: Results = default.results,
    figures_dir: Figures = default.figures,
    output: Annotated[Path | None, typer.Option(help="The file; without: report/<preset>-article.pdf.")] = None,
    partly: Annotated[bool, typer.Option("--partly", help="Write it although cells are missing; it says so.")] = False,
    trusted: Trusted = None,
) -> None:
    """Write a replication report of a preset as a PDF, from its results, tables and figures.

    It fails if a number in the tables is not what the results give.
    """
    from cnn_invariance.export import article

    chosen = plan_of(preset, trusted=Trust.of(preset, trusted or ()), results=results_dir, figures=figures_dir)
    with explained(chosen):
        path = output or chosen.folders.report / f"{chosen.study.name}-article.pdf"
        typer.echo(article.write(chosen, path, partly=partly))

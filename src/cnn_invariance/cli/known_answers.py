"""The command that measures the measures."""

from pathlib import Path
from typing import Annotated

import typer

from cnn_invariance.cli.application import app


@app.command(name="known-answers")
def known_answers(
    output: Annotated[Path, typer.Option(help="Folder of the page, its table and its figure.")] = Path("docs"),
) -> None:
    """Measure networks with a known answer by every measure, and write which are right, wrong or blind."""
    from cnn_invariance.known_answers import page, run

    for path in page.write(run.table(), output):
        typer.echo(path)

"""The command that says what the study rests on."""

from typing import Annotated

import typer

from cnn_invariance.cli.application import app
from cnn_invariance.errors import InputError


@app.command()
def sources(
    kind: Annotated[str | None, typer.Option(help="Points of one kind: formula, network, comparison, ...")] = None,
    verdict: Annotated[str | None, typer.Option(help="Points with one verdict: same, departs or absent.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print a table as CSV.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    differing: Annotated[bool, typer.Option("--differing", help="Print what differs, as docs/departures.md.")] = False,
) -> None:
    """Print what each source says, point by point, and how this package stands to it; as Markdown by default."""
    from cnn_invariance.paper import points
    from cnn_invariance.report import sources

    if csv + json + differing > 1:
        raise InputError("expected one of --csv, --json and --differing; received several; leave out all but one")
    chosen = points.chosen(kind, verdict)
    if csv:
        typer.echo(sources.as_csv(chosen), nl=False)
    elif json:
        typer.echo(sources.as_json(chosen), nl=False)
    elif differing:
        typer.echo(sources.departures([one for one in sources.differing() if one in chosen]), nl=False)
    else:
        typer.echo(sources.page(chosen), nl=False)

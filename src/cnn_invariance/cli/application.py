"""The application that the commands are added to, and the options that several of them share."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cnn_invariance import __version__
from cnn_invariance.errors import FailedError, InputError
from cnn_invariance.plugins import trust
from cnn_invariance.plugins.trust import Trust
from cnn_invariance.workflow.folders import Folders

if TYPE_CHECKING:
    from cnn_invariance.workflow.plan import Plan


class PlainErrors(TyperGroup):
    """A group of commands that prints the errors of this package instead of raising them."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; the docstring of the package says what becomes of its errors.

        No code that a preset names is run, unless the command says so, see `cnn_invariance.plugins.trust`.
        """
        try:
            with trust.only(trust.nothing()):
                return super().invoke(ctx)
        except (InputError, FailedError) as error:
            if ctx.params.get("debug"):
                raise
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2 if isinstance(error, InputError) else 1) from error


app = typer.Typer(
    cls=PlainErrors,
    help="Invariance and same-equivariance measures for convolutional neural networks: the study.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

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


@app.callback()
def main(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Read the options before the command."""


@app.command()
def version() -> None:
    """Print the version of this package."""
    typer.echo(__version__)


def plan_of(preset: Path, *, trusted: Trust | None = None, **folders: Path) -> "Plan":
    """The plan of a preset, with these folders (``data``, ``models``, ...) in place of the default ones.

    trusted: the code outside of the package that the command may run from now on; None: no more than before
    What an import left that was killed is finished or deleted first, see `cnn_invariance.workflow.staging`.
    """
    from cnn_invariance.experiments.framework.programme import Programme
    from cnn_invariance.workflow.plan import Plan
    from cnn_invariance.workflow.staging import Staging

    if trusted is not None:
        trust.now(trusted)
    found = Plan(Programme.load(preset), Folders(**folders))
    Staging.of(found.folders, found.study.name).recover()
    return found


def echo_lines(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        typer.echo(line)

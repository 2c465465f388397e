"""The application that the commands are added to. It needs no package of the study."""

import errno
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cnn_invariance import __version__
from cnn_invariance.cli.signals import StoppedError, ended_soon
from cnn_invariance.errors import FailedError, InputError
from cnn_invariance.plugins import trust
from cnn_invariance.storage import faults

OF_THE_STUDY = ("jinja2", "markdown_it", "markupsafe", "mlxtend", "psutil", "pydantic", "sklearn", "snakemake", "yaml")
"""The packages, by their names in Python, that come with the extra ``study`` and that the library does without."""

INSTALL = "pip install 'cnn_invariance[study]'"


def missing_package(error: ModuleNotFoundError) -> str:
    """The package of the study that is not installed; empty for an error of another kind."""
    package = (error.name or "").partition(".")[0]
    return package if package in OF_THE_STUDY else ""


class PlainErrors(TyperGroup):
    """A group of commands that prints the errors of this package instead of raising them."""

    lacks = ""
    """The package without which the commands of the study could not be added."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of these arguments (InputError for one that was not added for lack of a package)."""
        if self.lacks and args and args[0] not in self.commands:
            raise InputError(_needs_study(f"there is no command {args[0]!r} here, or it is of the study", self.lacks))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; the docstring of the package says what becomes of its errors.

        No code that a preset names is run, unless the command says so, see `cnn_invariance.plugins.trust`.
        """
        try:
            _no_positional_preset([*ctx._protected_args, *ctx.args])
            with ended_soon(), trust.only(trust.nothing()):
                return super().invoke(ctx)
        except ModuleNotFoundError as error:
            if ctx.params.get("debug") or not (package := missing_package(error)):
                raise
            typer.echo(f"error: {_needs_study('this command is of the study', package)}", err=True)
            raise typer.Exit(2) from error
        except (InputError, FailedError) as error:
            if ctx.params.get("debug"):
                raise
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2 if isinstance(error, InputError) else 1) from error
        except OSError as error:
            if ctx.params.get("debug") or error.errno in (None, errno.EPIPE):
                raise
            typer.echo(f"error: {faults.said_of(error)}", err=True)
            raise typer.Exit(1) from error
        except StoppedError as error:
            typer.echo(str(error), err=True)
            error.leave()


def _no_positional_preset(words: Sequence[str]) -> None:
    """Raise InputError for a preset that is given without ``--preset`` before it."""
    for before, word in pairwise(["", *words]):
        if word.endswith((".yaml", ".yml")) and not before.startswith("-") and not word.startswith("-"):
            raise InputError(f"received the preset {word} as an argument; a preset is an option: --preset {word}")


def _needs_study(what: str, package: str) -> str:
    return f"{what}, which needs {package}, and that is not installed; install what the study needs: {INSTALL}"


app = typer.Typer(
    cls=PlainErrors,
    help="Invariance and same-equivariance measures for convolutional neural networks: the study.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def main(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Read the options before the command."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may know no more than ASCII


@app.command()
def version() -> None:
    """Print the version of this package."""
    typer.echo(__version__)


def echo_lines(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        typer.echo(line)

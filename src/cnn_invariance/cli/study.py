"""The commands on a whole study: prepare, plan, draw, test claims, verify, compute for some minutes."""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, get_args

import typer

from cnn_invariance.cli.application import (
    Data,
    Figures,
    Models,
    PresetFile,
    Results,
    Trusted,
    app,
    default,
    echo_lines,
    plan_of,
)
from cnn_invariance.cli.results import echo_packed
from cnn_invariance.errors import FailedError
from cnn_invariance.experiments.framework.experiment import Group
from cnn_invariance.plugins import trust
from cnn_invariance.plugins.trust import Trust
from cnn_invariance.verification.sampling import Sampling
from cnn_invariance.workflow.explained import explained
from cnn_invariance.workflow.folders import DEFAULT_PRESET, Folders


@app.command()
def dataset(
    name: Annotated[str, typer.Argument(help="A dataset of the preset; without one, a source.")],
    preset: Annotated[Path | None, typer.Option("--preset", help="YAML file of the study.")] = None,
    data_dir: Data = default.data,
) -> None:
    """Prepare a dataset, and check it against the fingerprint that the preset pins."""
    from cnn_invariance.study.study import Study
    from cnn_invariance.workflow import preparation

    folders = Folders(data=data_dir)
    if preset is None:
        typer.echo(preparation.prepare_unpinned(name, folders))
    else:
        preparation.prepare(Study.load(preset), folders, name)


@app.command()
def plan(
    preset: PresetFile = DEFAULT_PRESET,
    data_dir: Data = default.data,
    models_dir: Models = default.models,
    results_dir: Results = default.results,
    cells: Annotated[bool, typer.Option("--cells", help="List every cell, cached ones too.")] = False,
    tried: Annotated[
        bool, typer.Option("--try", help="Run the code that the preset names, to find its errors.")
    ] = False,
    trusted: Trusted = None,
) -> None:
    """Say how many cells are cached and missing, and what would be computed. Needs no data, and runs no other code."""
    from cnn_invariance.workflow import status, trials

    run_by = Trust.of(preset, trusted or ()) if tried else trust.nothing("plan without --try")
    chosen = plan_of(preset, trusted=run_by, data=data_dir, models=models_dir, results=results_dir)
    trials.check(chosen, own=tried)
    with explained(chosen):
        echo_lines(status.of_plan(chosen, cells))


@app.command()
def experiments() -> None:
    """List the experiments that a preset may name: kind, name, and what each asks."""
    from cnn_invariance.experiments.framework import registry

    kinds = [(registry.load(name), name) for name in registry.names()]
    for group in get_args(Group):
        for kind, name in kinds:
            if kind.group == group:
                typer.echo(f"{group:18}{name:26}{kind.question}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of presets, for editors; config/preset.schema.json is a copy."""
    from cnn_invariance.study.preset import json_schema

    typer.echo(json_schema(), nl=False)


@app.command()
def draw(
    experiment: Annotated[str, typer.Argument(help="The id of an experiment of the preset.")],
    preset: PresetFile = DEFAULT_PRESET,
    results_dir: Results = default.results,
    figures_dir: Figures = default.figures,
    trusted: Trusted = None,
) -> None:
    """Draw the figures and tables of an experiment from its results."""
    from cnn_invariance.workflow import drawing

    run_by = Trust.of(preset, trusted or ())
    chosen = plan_of(preset, trusted=run_by, whole=False, results=results_dir, figures=figures_dir)
    with explained(chosen):
        drawing.draw(chosen, experiment)


@app.command(name="one-column")
def draw_for_one_column(
    output: Annotated[Path, typer.Option(help="The folder of the figures.")],
    experiments: Annotated[
        list[str] | None, typer.Argument(help="Ids of experiments; without: all that are computed, and the claims.")
    ] = None,
    preset: PresetFile = DEFAULT_PRESET,
    results_dir: Results = default.results,
    trusted: Trusted = None,
) -> None:
    """Draw figures for one column of a page: 8.5 cm wide, no letter below 7 pt."""
    from cnn_invariance.report import for_one_column

    chosen = plan_of(preset, trusted=Trust.of(preset, trusted or ()), results=results_dir, figures=output)
    with explained(chosen):
        for_one_column.draw(chosen, experiments or ())


@app.command(name="claims")
def tabulate_claims(
    preset: PresetFile = DEFAULT_PRESET,
    results_dir: Results = default.results,
    figures_dir: Figures = default.figures,
    specifications: Annotated[
        bool, typer.Option("--specifications", help="Test the primary ones by every specification, and draw, instead.")
    ] = False,
    statement: Annotated[
        bool, typer.Option("--statement", help="Print claims.yaml, the statement of all claims, instead.")
    ] = False,
    trusted: Trusted = None,
) -> None:
    """Test the claims on the results of a preset; what is not computed yet is undecided."""
    if statement:
        from cnn_invariance.experiments.framework.statement import beside

        typer.echo(beside(preset), nl=False)
        return
    from cnn_invariance.report import claims
    from cnn_invariance.report import specifications as curves

    run_by = Trust.of(preset, trusted or ())
    chosen = plan_of(preset, trusted=run_by, results=results_dir, figures=figures_dir)
    with explained(chosen):
        (curves if specifications else claims).write(chosen)


@app.command(name="overview")
def draw_overview(
    preset: PresetFile = DEFAULT_PRESET,
    results_dir: Results = default.results,
    figures_dir: Figures = default.figures,
    trusted: Trusted = None,
) -> None:
    """Draw the whole study on one page from its results and its claims, which must be tested already."""
    from cnn_invariance.report import claims, overview

    chosen = plan_of(preset, trusted=Trust.of(preset, trusted or ()), results=results_dir, figures=figures_dir)
    with explained(chosen):
        overview.draw(chosen, claims.read(chosen))


@app.command(name="costs")
def tabulate_costs(
    preset: PresetFile = DEFAULT_PRESET, results_dir: Results = default.results, trusted: Trusted = None
) -> None:
    """Tabulate what the computed cells of a preset cost: time, device, memory."""
    from cnn_invariance.workflow import costs

    chosen = plan_of(preset, trusted=Trust.of(preset, trusted or ()), results=results_dir)
    with explained(chosen):
        costs.write(chosen)


@app.command(name="report")
def write_report(
    preset: PresetFile = DEFAULT_PRESET,
    results_dir: Results = default.results,
    figures_dir: Figures = default.figures,
    output: Annotated[Path | None, typer.Option(help="The file; without: report/<preset>.html.")] = None,
    trusted: Trusted = None,
) -> None:
    """Write the study as one HTML page from its results, figures, tables and claims, which must be there already."""
    from cnn_invariance.report import page

    chosen = plan_of(preset, trusted=Trust.of(preset, trusted or ()), results=results_dir, figures=figures_dir)
    with explained(chosen):
        page.write(chosen, output or chosen.folders.page(chosen.study.name))


@app.command(name="profiles")
def write_profiles(
    experiment: Annotated[str, typer.Argument(help="The id of an experiment of the preset.")],
    output: Annotated[Path, typer.Option(help="The file, .csv.")],
    preset: PresetFile = DEFAULT_PRESET,
    results_dir: Results = default.results,
    trusted: Trusted = None,
) -> None:
    """Write the layer profiles of an experiment as a tidy table: a row for each cell, measure and layer."""
    from cnn_invariance.report import profiles
    from cnn_invariance.storage.files import atomic_write

    chosen = plan_of(preset, trusted=Trust.of(preset, trusted or ()), results=results_dir)
    with explained(chosen), atomic_write(output) as temporary:
        profiles.tidy(chosen, experiment).to_csv(temporary, index=False, lineterminator="\n")


PartOf = Annotated[str, typer.Option("--part", help="A share of the networks, such as 2/5: the second of five.")]


@app.command()
def campaign(
    budget: Annotated[float, typer.Option(help="Minutes.")],
    preset: PresetFile = DEFAULT_PRESET,
    cores: Annotated[int | None, typer.Option(min=1, help="Cells at once, one core each; without: all cores.")] = None,
    part: PartOf = "1/1",
    into: Annotated[Path, typer.Option(help="Folder for archives of what was computed.")] = Path("archives"),
    data_dir: Data = default.data,
    models_dir: Models = default.models,
    results_dir: Results = default.results,
    trusted: Trusted = None,
) -> None:
    """Compute missing cells for some minutes, the most useful first; then pack what was computed.

    What a campaign computed that was killed is packed by the next one.
    """
    from cnn_invariance.workflow import archives
    from cnn_invariance.workflow.campaign import Campaign, run
    from cnn_invariance.workflow.parts import Part

    run_by = Trust.of(preset, trusted or ())
    first = plan_of(preset, trusted=run_by, data=data_dir, models=models_dir, results=results_dir)
    named = {"data_dir": data_dir, "models_dir": models_dir, "results_dir": results_dir}
    settings = [f"{name}={json.dumps(str(path), ensure_ascii=False)}" for name, path in named.items()]
    settings += ["compute=missing"]
    settings += [f"trust={json.dumps(trusted)}"] if trusted else []
    folders = ["--data-dir", str(data_dir), "--models-dir", str(models_dir), "--results-dir", str(results_dir)]
    timing = [sys.executable, "-m", "cnn_invariance.cli", "speeds", "--preset", str(preset), "--part", part, *folders]
    timing += [option for one in trusted or () for option in ("--trust", one)]
    started = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    journal = into / f"{first.study.name}.unpacked"
    wanted = Campaign(
        minutes=budget,
        cores=cores or os.cpu_count() or 1,
        arguments=["--configfile", str(preset), "--config", *settings],
        say=typer.echo,
        part=Part.read(part),
        journal=journal,
        time_with=lambda seconds: [*timing, "--seconds", f"{seconds:.0f}"],
    )
    done = run(first.anew, wanted)
    typer.echo(f"{len(done.new)} new results")
    if done.new:
        echo_packed(archives.pack(first.results, done.new, into / started))
    journal.unlink(missing_ok=True)
    if done.failed:
        raise FailedError(f"{len(done.failed)} cells failed, named above; correct what their logs say and run it again")


@app.command()
def speeds(
    preset: PresetFile = DEFAULT_PRESET,
    seconds: Annotated[float, typer.Option(help="What it may take, beyond one for each model and dataset.")] = 600,
    part: PartOf = "1/1",
    data_dir: Data = default.data,
    models_dir: Models = default.models,
    results_dir: Results = default.results,
    trusted: Trusted = None,
) -> None:
    """Time a few steps of each network of which no cell was computed on this processor; a campaign begins with it."""
    from cnn_invariance.workflow import timing
    from cnn_invariance.workflow.costs import Rates
    from cnn_invariance.workflow.parts import Part

    run_by = Trust.of(preset, trusted or ())
    chosen = plan_of(preset, trusted=run_by, data=data_dir, models=models_dir, results=results_dir)
    here = Rates.measured(chosen.results, chosen.cells, processor=timing.processor())
    unknown = [cell for cell in Part.read(part).of(chosen.to_compute) if here.of_its_like(cell) is None]
    timing.fill(chosen, unknown, seconds, typer.echo)


@app.command()
def verify(
    preset: PresetFile = DEFAULT_PRESET,
    results_dir: Results = default.results,
    figures_dir: Figures = default.figures,
    verification_dir: Annotated[Path, typer.Option(help="Folder of what was computed again.")] = default.verification,
    cells: Annotated[int, typer.Option(help="Cells to draw at most.")] = Sampling.cells,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = Sampling.seed,
    minutes: Annotated[float, typer.Option(help="What computing them may take, as estimated.")] = Sampling.minutes,
    trusted: Trusted = None,
) -> None:
    """Compare cells that were computed again with the cache; ``snakemake verify`` computes them, then calls this.

    Writes a table and a figure of the preset; ends with status 1 when a cell disagrees.
    """
    from cnn_invariance.verification import Verification, verdicts

    run_by = Trust.of(preset, trusted or ())
    chosen = plan_of(preset, trusted=run_by, results=results_dir, figures=figures_dir, verification=verification_dir)
    done = verdicts.write(Verification(chosen, Sampling(cells, seed, minutes)))
    typer.echo(f"{done.summary}: {chosen.results.root / verdicts.NAME}.md")
    if done.disagreeing:
        raise FailedError("\n".join(["cells disagree", *done.disagreeing]))

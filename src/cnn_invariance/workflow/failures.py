"""What a run draws after networks failed: all that needs none of them.

The jobs that would measure a network below its accuracy floor fail, and Snakemake then draws nothing that it planned to
make of all results: claims, overview and page. So these are drawn from the results that are there.
"""

import shlex
import subprocess
from pathlib import Path

from cnn_invariance.workflow.products import Products
from cnn_invariance.workflow.run import Run


def commands(run: Run) -> dict[str, str]:
    """The commands that draw what needs no failed run, by their names.

    None where no network failed in this run, and where results are missing for any other reason.
    """
    if run.plan is None:
        return {}
    now = run.plan.anew()
    if now.to_compute or not set(now.failed) - set(run.plan.failed):
        return {}
    products, results = Products(now), run.study_options("results", drawing=True)
    figures = run.study_options("results", "figures", drawing=True)
    incomplete = [name for name in now.drawn if not all(map(Path.is_file, products.figures(name)))]
    return {
        **{f"draw/{name}": f"draw {shlex.quote(name)} {figures}" for name in incomplete},
        "specifications": f"claims --specifications {figures}",
        "claims": f"claims {results}",
        "overview": f"overview {figures}",
        "costs": f"costs {results}",
        "report": f"report {figures} --output {shlex.quote(str(products.page))}",
    }


def draw_the_rest(run: Run) -> list[str]:
    """Give these commands; the lines that the run ends with, which name the failed runs and the page."""
    found = commands(run)
    for name, command in found.items():
        log = Path("logs") / run.name / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        words = ["cnn-invariance", *shlex.split(command)]
        with log.open("w", encoding="utf-8") as file:
            if subprocess.run(words, stdout=file, stderr=file, check=False).returncode:
                return [*run.closing_lines, f"'{' '.join(words)}' failed, see {log}"]
    if not found or not run.products:
        return run.closing_lines
    return [*run.closing_lines, f"{run.products.page} shows what needs none of the failed runs"]

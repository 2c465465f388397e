"""A campaign: the missing cells of a preset, computed in the order in which each minute buys the most.

A thin face over Snakemake, which runs the cells and knows what they need. The campaign says which cells are worth the
time that is left. All that is finished is kept when it is killed: the next one goes on from there.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cnn_invariance.errors import InputError
from cnn_invariance.machine import gpus
from cnn_invariance.storage.files import atomic_write
from cnn_invariance.study import Cell
from cnn_invariance.workflow.costs import Rates
from cnn_invariance.workflow.plan import Plan

UNKNOWN = 60.0
"""Seconds that a cell is taken to last while nothing like it was measured."""
ROUND = 900.0
"""Seconds that a round of cells is to last, where its costs are known."""
PATIENCE = 30.0
"""Seconds that running cells may take to end once the time is over, before they are killed."""


@dataclass(frozen=True)
class Step:
    """A cell that is to be computed, and the seconds it will take, as far as is known."""

    cell: Cell
    seconds: float


def order(plan: Plan, rates: Rates) -> list[Step]:
    """The missing cells, those first that complete experiments soonest; a network before the cells that measure it.

    Again and again the experiment is chosen that needs the least time to be complete, given what is chosen already; its
    cells follow by seed, then in the order of the preset, in which networks come before their variants.
    """
    chosen: dict[Cell, float] = {}
    waiting = {name: _needed(plan, name) for name in plan.study.experiments}
    while waiting:
        costs = {
            name: sum(_seconds(rates, cell) for cell in cells if cell not in chosen) for name, cells in waiting.items()
        }
        cheapest = min(costs, key=lambda name: costs[name])
        for cell in waiting.pop(cheapest):
            chosen.setdefault(cell, _seconds(rates, cell))
    return [Step(cell, seconds) for cell, seconds in chosen.items()]


def affordable(steps: Sequence[Step], seconds: float, at_once: int) -> list[Cell]:
    """The cells to start now: in order, as long as their time is within that of so many cells at once.

    A cell that alone takes longer than is left is passed over, and so are the cells that need it.
    """
    left = seconds * at_once
    taken: list[Cell] = []
    refused: set[Cell] = set()
    for step in steps:
        if refused.intersection(step.cell.needs) or step.seconds > seconds or step.seconds > left:
            refused.add(step.cell)
            continue
        left -= step.seconds
        taken.append(step.cell)
    return taken


def in_a_round(cells: Sequence[Cell], rates: Rates, at_once: int) -> list[Cell]:
    """The first cells, for about `ROUND` seconds of so many at once; few where the time of one of them is not known.

    The costs of a round correct the estimates of the next; but a round ends with its slowest cell, while cores wait.
    """
    taken: list[Cell] = []
    left = ROUND * at_once
    for cell in cells:
        known = rates.estimate(cell)
        if known is None and len(taken) >= 4 * at_once:
            break
        left -= UNKNOWN if known is None else known
        taken.append(cell)
        if left <= 0:
            break
    return taken


def run(
    make_plan: Callable[[], Plan],
    minutes: float,
    cores: int,
    arguments: Sequence[str] = (),
    say: Callable[[str], None] = print,
    journal: Path | None = None,
) -> list[Cell]:
    """Compute missing cells for some minutes; returns those that have a result now and had none before.

    make_plan: the plan as files are at the time of the call
    cores:     cells that run at once; on a GPU no more than the preset's ``cells_per_gpu``
    arguments: further ones for Snakemake
    journal:   file that says which cells had a result before. One that is there is of a campaign that was killed: what
               that one computed then counts as new too. The caller deletes it when the results are safe.

    Snakemake runs without its lock, which a killed run leaves behind; results are whole or absent all the same.
    Cells are started in rounds, each with the costs that the ones before it showed. When the time is over, cells still
    running are stopped; a training goes on from its last epoch the next time.

    Errors: InputError for a budget or a number of cores that is not positive.
    """
    if minutes <= 0 or cores < 1:
        raise InputError(f"expected minutes above 0 and cores of at least 1; received {minutes:g} and {cores}")
    end = time.monotonic() + 60 * minutes
    plan = make_plan()
    before = _had_before(plan, journal)
    at_once = min(cores, plan.study.preset.cells_per_gpu) if gpus() else cores
    for targets in _rounds(make_plan, end, at_once, say):
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--nolock", "--quiet", "all", *arguments]
        _until([*command, "--", *targets], end)
    plan = make_plan()
    return [cell for cell in plan.cells if plan.results.has(cell) and cell.key not in before]


def _had_before(plan: Plan, journal: Path | None) -> set[str]:
    """The keys of the cells with a result, now or as the journal says; the journal is there afterwards."""
    if journal is not None and journal.is_file():
        return set(journal.read_text(encoding="utf-8").split())
    keys = [cell.key for cell in plan.cells if plan.results.has(cell)]
    if journal is not None:
        with atomic_write(journal) as temporary:
            temporary.write_text("".join(f"{key}\n" for key in keys), encoding="utf-8")
    return set(keys)


def _rounds(make_plan: Callable[[], Plan], end: float, at_once: int, say: Callable[[str], None]) -> Iterator[list[str]]:
    """Of each round the files to make; none once nothing fits into the time that is left, or nothing more succeeds."""
    tried: set[Cell] = set()
    while (left := end - time.monotonic()) > 0:
        plan = make_plan()
        rates = Rates.measured(plan.results, plan.cells)
        steps = [step for step in order(plan, rates) if step.cell not in tried]
        cells = in_a_round(affordable(steps, left, at_once), rates, at_once)
        if not cells:
            say(
                f"{len(steps)} cells are missing, and none of them fits into the {left:.0f} s that are left"
                if steps
                else "no cell is missing that was not tried"
            )
            return
        tried.update(cells)
        say(f"{len(steps)} cells missing, {left / 60:.1f} min left; now {', '.join(cell.key for cell in cells)}")
        yield [str(plan.results.path(cell)) for cell in cells]


def _until(command: Sequence[str], end: float) -> None:
    """Run a command; when the time is over, ask it to stop, and kill it with all it started if it does not."""
    process = subprocess.Popen(command, start_new_session=True)
    try:
        process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        _stop(process)
    except BaseException:
        _stop(process)
        raise


def _stop(process: subprocess.Popen[bytes]) -> None:
    for wanted in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, wanted)
            process.wait(PATIENCE)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _needed(plan: Plan, experiment: str) -> list[Cell]:
    """The cells without a result that an experiment waits for, those they need before them, by seed."""
    found: dict[Cell, None] = {}
    for cell in plan.lacking(experiment):
        for one in (*cell.needs, cell):
            if not plan.results.has(one) and one.network not in plan.failed:
                found.setdefault(one)
    return sorted(found, key=lambda cell: cell.network.seed)


def _seconds(rates: Rates, cell: Cell) -> float:
    known = rates.estimate(cell)
    return UNKNOWN if known is None else known

"""A campaign: the missing cells of a preset, computed in the order in which each minute buys the most.

A thin face over Snakemake, which runs the cells and knows what they need. The campaign says which cells are worth the
time that is left: before it plans, it times a few steps of each design of which no cell was computed on this processor.
All that is finished is kept when it is killed: the next one goes on from there.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cnn_invariance.errors import InputError
from cnn_invariance.machine import gpus
from cnn_invariance.storage.files import write_whole
from cnn_invariance.storage.locks import locked
from cnn_invariance.study import Cell, TrainSpec
from cnn_invariance.workflow.costs import Estimates, Known, processor_here, readable
from cnn_invariance.workflow.parts import WHOLE, Part
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.running import check_space, found_snakefile
from cnn_invariance.workflow.under_way import epochs_done

UNKNOWN = 60.0
"""Seconds that a cell is taken to last while nothing like it was measured."""
ROUND = 900.0
"""Seconds that a round of cells is to last, where its costs are known."""
TIMING = 0.1
"""The share of the budget for timing designs, beyond one for each model, dataset and precision."""
LEAST_FREE = 256 * 2**20
"""Bytes that a disk must have free for a round to start."""
PATIENCE = 30.0
"""Seconds that running cells may take to end once the time is over, before they are killed."""
HURRY = 3.0
"""The same where the campaign itself is stopped."""


@dataclass(frozen=True)
class Step:
    """A cell that is to be computed, and the seconds it will take, as far as is known."""

    cell: Cell
    seconds: float


def order(plan: Plan, rates: Estimates, part: Part = WHOLE) -> list[Step]:
    """The missing cells: experiments with a primary claim first, of these what is complete soonest.

    Again and again that experiment, or that dataset of one, is chosen that needs the least time to be complete, given
    what is chosen already. Its
    cells follow by seed; of a seed, the networks that most cells need, each before the cells that measure it; then in
    the order of the preset, in which networks come before their variants.
    """
    chosen: dict[Cell, float] = {}
    seconds = cache(lambda cell: _seconds(plan, rates, cell))
    needing = Counter(network for cell in plan.cells for network in cell.needs)
    waiting = {
        (name, datasets): _needed(plan, cells, part, needing)
        for name in plan.study.experiments
        for datasets, cells in plan.study.parts_of(name).items()
    }
    secondary = {name: not any(claim.primary for claim in one.claims) for name, one in plan.study.experiments.items()}
    while waiting:
        costs = {one: sum(seconds(cell) for cell in cells if cell not in chosen) for one, cells in waiting.items()}
        next_one = min(costs, key=lambda one: (secondary[one[0]], costs[one]))
        for cell in waiting.pop(next_one):
            chosen.setdefault(cell, seconds(cell))
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


def too_long(steps: Sequence[Step], seconds: float) -> list[str]:
    """What is said of the cells that alone take longer than is left: a line for each model, dataset and stage."""
    groups: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for step in steps:
        if step.seconds > seconds:
            network = step.cell.network
            groups[step.cell.noun, network.dataset.name, network.model.name].append(step.seconds)
    return [
        f"not started: {dataset}-{model}, {len(times)} {noun}{'s' if len(times) > 1 else ''} of {readable(min(times))} "
        f"or more, and what needs them; {readable(seconds)} are left"
        for (noun, dataset, model), times in groups.items()
    ]


def in_a_round(cells: Sequence[Cell], rates: Estimates, at_once: int) -> list[Cell]:
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


@dataclass(frozen=True)
class Campaign:
    """What a campaign may use, and whom it tells.

    minutes:   the budget
    cores:     cells that run at once; on a GPU no more than the preset's ``cells_per_gpu``
    arguments: further ones for Snakemake
    part:      the share of the networks that it computes
    journal:   file that says which cells had a result before. One that is there is of a campaign that was killed: what
               that one computed then counts as new too. The caller deletes it when the results are safe.
    time_with: the command that times designs on this processor, given the seconds that it may take; None: none is timed
    """

    minutes: float
    cores: int
    arguments: Sequence[str] = ()
    say: Callable[[str], None] = print
    part: Part = WHOLE
    journal: Path | None = None
    time_with: Callable[[float], Sequence[str]] | None = None


class Computed(NamedTuple):
    """The cells that have a result now and had none before, and those that were started in time and failed."""

    new: list[Cell]
    failed: list[Cell]


def run(make_plan: Callable[[], Plan], campaign: Campaign) -> Computed:
    """Compute missing cells for some minutes; each cell that fails is named with the file of its log.

    make_plan: the plan as files are at the time of the call

    Snakemake runs without its lock, which a killed run leaves behind; results are whole or absent all the same, and the
    campaign has a lock of its own on the folders of results and checkpoints, which ends with it and its Snakemake.
    Cells are started in rounds, each with the costs that the ones before it showed. When the time is over, cells still
    running are stopped; a training goes on from its last epoch the next time, on whatever machine its folder is.

    Errors: InputError for a budget or a number of cores that is not positive, and where another campaign runs in the
    same folders; FailedError for a disk that is full.
    """
    if not 0 < campaign.minutes < float("inf") or campaign.cores < 1:
        raise InputError(
            f"expected minutes above 0 and cores of at least 1; received {campaign.minutes:g} and {campaign.cores}"
        )
    end = time.monotonic() + 60 * campaign.minutes
    plan = make_plan()
    with _alone(plan) as handles, _ended_by_sigterm():
        before = _had_before(plan, campaign.journal)
        at_once = min(campaign.cores, plan.study.preset.cells_per_gpu) if gpus() else campaign.cores
        if campaign.time_with is not None and campaign.part.of(plan.to_compute):
            _until(campaign.time_with(TIMING * 60 * campaign.minutes), end, handles)
        failed: list[Cell] = []
        for cells in _rounds(make_plan, end, at_once, campaign):
            started = ["--cores", str(campaign.cores), "--nolock", "--keep-going", "--quiet", "all"]
            command = [sys.executable, "-m", "snakemake", "--snakefile", str(found_snakefile()), *started]
            targets = [str(plan.results.path(cell)) for cell in cells]
            status = _until([*command, *campaign.arguments, "--", *targets], end, handles)
            if status:
                failed += _named_failures(make_plan(), cells, campaign.say)
        plan = make_plan()
        new = [cell for cell in plan.cells if plan.results.has(cell) and cell.key not in before]
        return Computed(new, failed)


def _named_failures(plan: Plan, cells: Iterable[Cell], say: Callable[[str], None]) -> list[Cell]:
    """The cells of a round that have no result, each said with the last line of its log, or as one that was not run.

    Not those of a network that is a failed run, which is a result.
    """
    failed = [cell for cell in cells if not plan.results.has(cell) and cell.network not in plan.failed]
    startable = [cell for cell in failed if all(map(plan.results.has, cell.needs))]
    if startable and not any(_log(plan, cell).is_file() for cell in startable):
        say("Snakemake failed before it started a cell; run `snakemake --dry-run` with this preset to see why")
    for cell in failed:
        log = _log(plan, cell)
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        if last:
            say(f"{cell.key} failed: {last} ({log})")
        else:
            say(f"{cell.key} was not computed: {'it has no log' if cell in startable else 'its network failed'}")
    return failed


def _log(plan: Plan, cell: Cell) -> Path:
    return Path("logs", plan.study.name, cell.stage, f"{cell.key}.log")


@contextmanager
def _alone(plan: Plan) -> Iterator[tuple[int, ...]]:
    """Hold the locks of the folders of results and checkpoints; their handles, for what is started."""
    what, advice = "a campaign in this folder", "wait for its end, or stop that process"
    with (
        locked(plan.folders.models / ".campaign.lock", what, advice) as models,
        locked(plan.results.root / ".campaign.lock", what, advice) as results,
    ):
        yield (models.handle, results.handle)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the campaign as Ctrl-C does: what it started is stopped first."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not in the main thread, where no signal arrives
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _had_before(plan: Plan, journal: Path | None) -> set[str]:
    """The keys of the cells with a result, those alone that a journal names if there is one; it is there afterwards.

    What a journal of another folder names beyond the results that are here means nothing.
    """
    keys = {cell.key for cell in plan.cells if plan.results.has(cell)}
    if journal is not None and journal.is_file():
        return keys.intersection(journal.read_text(encoding="utf-8", errors="replace").split())
    if journal is not None:
        write_whole(journal, "".join(f"{key}\n" for key in sorted(keys)))
    return keys


def _rounds(make_plan: Callable[[], Plan], end: float, at_once: int, campaign: Campaign) -> Iterator[list[Cell]]:
    """The cells of each round; none once nothing fits into the time that is left, or nothing more succeeds."""
    tried: set[Cell] = set()
    first = True
    while (left := end - time.monotonic()) > 0:
        plan = make_plan()
        check_space((plan.folders.models, plan.results.root), LEAST_FREE, "a campaign")
        rates = known(plan)
        steps = [step for step in order(plan, rates, campaign.part) if step.cell not in tried]
        cells = in_a_round(affordable(steps, left, at_once), rates, at_once)
        for line in too_long(steps, left) if first else ():
            campaign.say(line)
        first = False
        if not cells:
            campaign.say(
                f"{len(steps)} cells are missing, and none of them fits into the {left:.0f} s that are left"
                if steps
                else "no cell is missing that was not tried"
            )
            return
        tried.update(cells)
        campaign.say(f"{len(steps)} cells missing, {left / 60:.1f} min left; now {', '.join(c.key for c in cells)}")
        yield cells


def known(plan: Plan) -> Known:
    """What is known of the costs of cells on this processor, or on its GPU."""
    return Known.of(plan, _processor())


@cache
def _processor() -> str:
    """What cells are computed on here; torch, which knows the name of a GPU, runs in a process of its own."""
    if not gpus():
        return processor_here()
    code = "from cnn_invariance.workflow.timing import processor; print(processor())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or processor_here()


def _until(command: Sequence[str], end: float, handles: Sequence[int] = ()) -> int:
    """Run a command; when the time is over, ask it to stop, and kill it with all it started if it does not.

    Its status; 0 of one that was stopped.

    handles: those of locks, which the command holds too as long as it runs
    """
    process = subprocess.Popen(command, start_new_session=True, pass_fds=handles)
    try:
        return process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        _stop(process, PATIENCE)
        return 0
    except BaseException:
        _stop(process, HURRY)
        raise


def _stop(process: subprocess.Popen[bytes], patience: float) -> None:
    for wanted in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, wanted)
            process.wait(patience)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _needed(plan: Plan, cells: Iterable[Cell], part: Part, needing: Counter[Cell]) -> list[Cell]:
    """Those of some cells that have no result, and those they need before them; see `order`."""
    found: dict[Cell, None] = {}
    for cell in part.of(cells):
        for one in (*cell.needs, cell):
            if not plan.results.has(one) and one.network not in plan.failed:
                found.setdefault(one)
    return sorted(found, key=lambda cell: (cell.network.seed, -needing[cell.network]))


def _seconds(plan: Plan, rates: Estimates, cell: Cell) -> float:
    """The seconds that are left of a cell: a training that was broken off has some epochs behind it."""
    known = rates.estimate(cell)
    if known is None:
        return UNKNOWN
    if not isinstance(cell, TrainSpec) or not cell.recipe.epochs:
        return known
    return known * (1 - epochs_done(plan.folders.state(cell), cell) / cell.recipe.epochs)

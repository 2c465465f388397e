"""Which cached cells are computed again."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from cnn_invariance.errors import InputError
from cnn_invariance.results.code import same_code
from cnn_invariance.results.provenance import commit
from cnn_invariance.study import Cell
from cnn_invariance.verification.sampling import Sampling
from cnn_invariance.workflow.costs import Rates, readable
from cnn_invariance.workflow.plan import Plan

PACKAGE = Path(__file__).parents[1]
Strata = Mapping[tuple[str, str], list[Cell]]


@dataclass(frozen=True)
class Verification:
    """The verification of a plan: its sample of cached cells, and where the sample is computed again."""

    plan: Plan
    sampling: Sampling = field(default_factory=Sampling)

    @cached_property
    def beside(self) -> Plan:
        """The same study, with results and checkpoints beside the cache."""
        return replace(self.plan, folders=self.plan.folders.beside())

    @cached_property
    def chosen(self) -> tuple[Cell, ...]:
        """The cells that are drawn. Reads every result of the preset, for what it cost.

        Errors: InputError where nothing is cached, or no cell fits into the minutes.
        """
        rates = Rates.measured(self.plan.results, self.plan.cells)
        cells = draw(self.plan, rates, self.sampling)
        if not cells:
            cached = [cell for cell in self.plan.cells if self.plan.results.has(cell)]
            if not cached:
                raise InputError(f"{self.plan.results.root}: no results to verify; compute them first")
            least = readable(min(_cost(rates, cell, ()) for cell in cached))
            raise InputError(
                f"no cell can be computed again in {self.sampling.minutes:g} min; the cheapest takes about "
                f"{least}: give more with --config verify_minutes=..."
            )
        return cells

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that are computed: those drawn, and before each those it needs."""
        return tuple(dict.fromkeys(one for cell in self.chosen for one in (*cell.needs, cell)))

    def check_code(self) -> None:
        """Refuse what an earlier verification left beside the cache if it ran other code (InputError)."""
        results, now = self.beside.results, commit(PACKAGE)
        for cell in filter(results.has, self.cells):
            then = results.provenance(cell)["commit"]
            if then != now and not same_code(then, now):
                raise InputError(
                    f"{results.path(cell)} was computed by commit {then}, and this is {now}: delete the folder "
                    f"{self.plan.folders.verification} and run again"
                )


def draw(plan: Plan, rates: Rates, sampling: Sampling) -> tuple[Cell, ...]:
    """A random sample of cached cells, stratified over kinds of cell and experiments.

    A stratum is one kind of cell of one experiment. One stratum of each kind comes first, then the others in random
    order, again and again. Each gives a cell that is not drawn yet and fits into the time: of the designs that were
    drawn least, a random one. What a cell needs is computed once for all who need it: so towards the end of the time
    those are drawn that share a network with others.
    """
    generator = random.Random(sampling.seed)
    strata = {key: _shuffled(generator, cells) for key, cells in sorted(_strata(plan).items())}
    waiting = _order(generator, strata)
    left = 60.0 * sampling.minutes
    chosen: dict[Cell, None] = {}
    computed: dict[Cell, None] = {}
    while waiting and len(chosen) < sampling.cells:
        stratum = waiting.pop(0)
        fitting = [cell for cell in strata[stratum] if cell not in chosen and _cost(rates, cell, computed) <= left]
        drawn = Counter(map(_design, chosen))
        if (cell := min(fitting, key=lambda cell: drawn[_design(cell)], default=None)) is None:
            continue
        left -= _cost(rates, cell, computed)
        computed |= dict.fromkeys((*cell.needs, cell))
        chosen[cell] = None
        waiting.append(stratum)
    return tuple(chosen)


def _strata(plan: Plan) -> Strata:
    found: dict[tuple[str, str], dict[Cell, None]] = {}
    for name, cells in plan.study.cells.items():
        for cell in cells:
            for one in filter(plan.results.has, (*cell.needs, cell)):
                found.setdefault((one.stage, name), {})[one] = None
    return {key: list(cells) for key, cells in found.items()}


def _order(generator: random.Random, strata: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The strata in random order, but the first of each kind before all others."""
    order = _shuffled(generator, strata)
    first = list({stage: (stage, name) for stage, name in reversed(order)}.values())
    return [*first, *(stratum for stratum in order if stratum not in first)]


def _shuffled(generator: random.Random, items: Iterable[Any]) -> list[Any]:
    shuffled = list(items)
    generator.shuffle(shuffled)
    return shuffled


def _cost(rates: Rates, cell: Cell, computed: Iterable[Cell]) -> float:
    """The seconds that a cell and what it needs will take, where some cells are computed already."""
    return rates.total([one for one in (*cell.needs, cell) if one not in computed]) or 0.0


def _design(cell: Cell) -> tuple[str, str]:
    network = cell.network
    return network.dataset.name, network.model.name

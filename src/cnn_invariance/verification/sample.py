"""Which cached cells are computed again, and what Snakemake has to know of it."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from cnn_invariance.errors import InputError
from cnn_invariance.results.provenance import commit, same_code
from cnn_invariance.study.spec import Cell, MeasureSpec, ResponseSpec, TrainSpec, needs, network_of
from cnn_invariance.workflow.costs import Rates, readable
from cnn_invariance.workflow.plan import Plan

PACKAGE = Path(__file__).parents[1]
Strata = Mapping[tuple[str, str], list[Cell]]


@dataclass(frozen=True)
class Stage:
    """A stage of which cells are computed again, for the rule that does it."""

    command: str
    output: Path
    """With the wildcard ``{cell}`` for the key."""


@dataclass(frozen=True)
class Verification:
    """The verification of a plan: its sample, and where the sample is computed again."""

    plan: Plan

    @cached_property
    def beside(self) -> Plan:
        """The same study, with results and checkpoints beside the cache."""
        return replace(self.plan, folders=self.plan.folders.beside())

    @property
    def options(self) -> str:
        """The options with which ``cnn-invariance verify`` makes this verification again."""
        return " ".join([self.plan.options("results", "figures", "verification"), *self.plan.sampling.options])

    @property
    def stages(self) -> list[Stage]:
        """The stages, in order."""
        root = self.beside.results.root
        return [
            Stage("train", root / "training" / "{cell}.json"),
            Stage("measure", root / "measures" / "{cell}.parquet"),
            Stage("respond", root / "responses" / "{cell}.parquet"),
        ]

    @cached_property
    def chosen(self) -> tuple[Cell, ...]:
        """The cells that are drawn. Reads every result of the preset, for what it cost.

        Errors: InputError where nothing is cached, or no cell fits into the minutes.
        """
        rates = Rates.measured(self.plan.results, self.plan.cells)
        cells = draw(self.plan, rates)
        if not cells:
            cached = [cell for cell in self.plan.cells if self.plan.results.has(cell)]
            if not cached:
                raise InputError(f"{self.plan.results.root}: no results to verify; compute them first")
            least = readable(min(_cost(rates, cell, ()) for cell in cached))
            raise InputError(
                f"no cell can be computed again in {self.plan.sampling.minutes:g} min; the cheapest takes about "
                f"{least}: give more with --config verify_minutes=..."
            )
        return cells

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that are computed: those drawn, and before each those it needs."""
        return tuple(dict.fromkeys(one for cell in self.chosen for one in (*needs(cell), cell)))

    def files(self, _wildcards: Any = None) -> list[Path]:
        """The results to compute beside the cache; chosen when Snakemake asks, which it does for ``verify`` alone.

        Errors: InputError as of `chosen`, and where a result beside the cache was left by other code than this.
        """
        self.check_code()
        return [self.beside.results.path(cell) for cell in self.cells]

    def needs(self, stage: str) -> Any:
        """The function that tells Snakemake what a cell of a stage is computed from: data, and results beside."""

        def files(wildcards: Any) -> list[Path]:
            cell = self._cell(stage, wildcards.cell)
            measured = cell.dataset if isinstance(cell, MeasureSpec) else network_of(cell).dataset
            return [self.plan.folders.dataset(measured.name), *map(self.beside.results.path, needs(cell))]

        return files

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

    def _cell(self, stage: str, key: str) -> Cell:
        match stage:
            case "train":
                return self.plan.network(key)
            case "measure":
                return self.plan.measurement(key)
            case _:
                return self.plan.response(key)


def draw(plan: Plan, rates: Rates) -> tuple[Cell, ...]:
    """A random sample of cached cells, stratified over kinds of cell and experiments.

    A stratum is one kind of cell of one experiment. One stratum of each kind comes first, then the others in random
    order, again and again. Each gives a cell that is not drawn yet and fits into the time: of the designs that were
    drawn least, a random one. What a cell needs is computed once for all who need it: so towards the end of the time
    those are drawn that share a network with others.
    """
    generator = random.Random(plan.sampling.seed)
    strata = {key: _shuffled(generator, cells) for key, cells in sorted(_strata(plan).items())}
    waiting = _order(generator, strata)
    left = 60.0 * plan.sampling.minutes
    chosen: dict[Cell, None] = {}
    computed: dict[Cell, None] = {}
    while waiting and len(chosen) < plan.sampling.cells:
        stratum = waiting.pop(0)
        fitting = [cell for cell in strata[stratum] if cell not in chosen and _cost(rates, cell, computed) <= left]
        drawn = Counter(map(_design, chosen))
        if (cell := min(fitting, key=lambda cell: drawn[_design(cell)], default=None)) is None:
            continue
        left -= _cost(rates, cell, computed)
        computed |= dict.fromkeys((*needs(cell), cell))
        chosen[cell] = None
        waiting.append(stratum)
    return tuple(chosen)


def _strata(plan: Plan) -> Strata:
    found: dict[tuple[str, str], dict[Cell, None]] = {}
    for name, cells in plan.study.cells.items():
        for cell in cells:
            for one in filter(plan.results.has, (*needs(cell), cell)):
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
    return rates.total([one for one in (*needs(cell), cell) if one not in computed]) or 0.0


def _design(cell: Cell) -> tuple[str, str]:
    network = network_of(cell)
    return network.dataset.name, network.model.name


def kind(cell: Cell) -> str:
    """What a cell is called in a table."""
    names = {TrainSpec: "network", MeasureSpec: "measure cell", ResponseSpec: "response cell"}
    return names[type(cell)]

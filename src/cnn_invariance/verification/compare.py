"""A cached cell beside the same cell computed again: what differs, whether it may, and by how much.

Verdicts, in this order:

- *disagrees*: something differs that is equal on any machine (layers, units, sizes, the image shown)
- *identical*: every number is the same to the last bit
- *disagrees*: not identical, though both were computed on the same kind of machine, by the same code, with one thread
- *disagrees*: a statistic lies further from the cached one than two seeds of the cell's design do; else *within the
  spread*. The level of each test is `RATE` over the number of all tests in the table (Bonferroni), so that a table
  of honest results has a disagreement with a probability of at most `RATE`
- *undecided*: there is no spread to compare with
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Literal

import numpy as np

from cnn_invariance.results import Results
from cnn_invariance.study import Cell, TrainSpec, canonical_json
from cnn_invariance.verification import machines, spread
from cnn_invariance.verification.content import IMAGE, ComparedValues, content_of
from cnn_invariance.verification.spread import Score, Variance
from cnn_invariance.workflow.plan import Plan

RATE = 0.01
"""The probability that any cell of a table of honest results disagrees in a test against the spread."""

Verdict = Literal["identical", "within the spread", "disagrees", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """What comparing a cell found.

    differs:  the names of what must be equal on any machine, and is not
    changed:  the names of what must be equal on the same kind of machine, and is not
    excuse:   why that need not be equal here; None: it must
    scores:   the tests against the spread over seeds
    """

    cell: Cell
    differs: Sequence[str] = ()
    changed: Sequence[str] = ()
    excuse: str | None = None
    scores: Sequence[Score] = field(default=())

    @property
    def tested(self) -> bool:
        """Whether the tests against the spread decide."""
        return bool(self.changed and self.excuse and not self.differs)

    @property
    def worst(self) -> Score | None:
        """The least probable score."""
        return min(self.scores, key=lambda score: (score.p, -score.t), default=None)

    def verdict(self, level: float) -> tuple[Verdict, str]:
        """The verdict and its reason, at a level of each test."""
        if self.differs:
            return "disagrees", f"different on any machine: {_listed(self.differs)}"
        if not self.changed:
            return "identical", "to the last bit"
        what = f"not identical: {_listed(self.changed)}"
        if self.excuse is None:
            return "disagrees", f"{what}; expected identical on the same kind of machine, with the same code"
        if self.worst is None:
            return "undecided", f"{what} ({self.excuse}); no seeds of this or another design to compare with"
        beyond = [score.statistic for score in self.scores if score.p < level]
        if beyond:
            return "disagrees", f"further apart than seeds: {_listed(beyond)} ({self.excuse})"
        return "within the spread", f"{what} ({self.excuse})"


class Comparer:
    """Compares cells of a plan with those beside it; keeps what it reads of the seeds it compares with."""

    def __init__(self, plan: Plan, beside: Plan) -> None:
        self.plan, self.cached, self.again = plan, plan.results, beside.results
        self.statistics, self.variance = cache(self._statistics), cache(self._variance)

    def compare(self, cell: Cell) -> Comparison:
        """Compare one cell, which has a result in both."""
        cached, again = content_of(self.cached, cell), content_of(self.again, cell)
        differs = _unequal(cached.fixed(), again.fixed())
        if not _same_image(cached.image(), again.image()):
            differs.append("image")
        changed = _unequal(cached.exact(), again.exact())
        if differs or not changed:
            return Comparison(cell, differs, changed)
        excuse = self.excuse(cell, cached.weights)
        return Comparison(cell, differs, changed, excuse, self.scores(cell) if excuse else ())

    def excuse(self, cell: Cell, weights: str) -> str | None:
        """Why a result need not be identical: the cell, or what it was computed from, has another origin.

        Weights that are not those of the network's record were trained anew for the cell, where it was computed.
        """
        origins = [cell, *cell.needs]
        if cell != (network := cell.network) and not self._recorded(network, cell.epoch, weights):
            origins.remove(network)
        reasons = (
            machines.why_different(self.cached.provenance(one), self.again.provenance(one))
            for one in origins
            if self.cached.has(one)
        )
        return next((reason for reason in reasons if reason), None)

    def _recorded(self, network: TrainSpec, epoch: int, weights: str) -> bool:
        """Whether weights may be those of the training that the network's record is of; it tells of the last epoch."""
        if not self.cached.has(network):
            return False
        return epoch < network.recipe.epochs or self.cached.training(network)["weights_sha256"] == weights

    def scores(self, cell: Cell) -> list[Score]:
        """The tests of a cell against the spread over the seeds of its design, moderated by other designs."""
        cached, again = content_of(self.cached, cell).compared(), content_of(self.again, cell).compared()
        siblings = [self.statistics(one) for one in self.designs[_design(cell)] if one != cell]
        found = []
        for name, statistic in cached.items():
            vectors = [one[name].values for one in siblings if name in one]
            own = spread.over_seeds(vectors, statistic.floor)
            if name in again and (yardstick := spread.moderated(own, self.prior(cell, name))):
                found.append(spread.score(name, statistic.values, again[name].values, yardstick, vectors))
        return [score for score in found if score]

    def prior(self, cell: Cell, name: str) -> Variance | None:
        """The variance that the other designs of the dataset have: of their networks, or of their measure cells."""
        key, own = _pool(cell), _design(cell)
        others = (cells for design, cells in self.designs.items() if design != own and _pool(cells[0]) == key)
        variances = (self.variance(tuple(cells), name) for cells in others if len(cells) > 1)
        return spread.prior([variance for variance in variances if variance])

    @cached_property
    def designs(self) -> Mapping[str, list[Cell]]:
        """The cached cells that differ in the seed of the network alone, by what they share."""
        found: dict[str, list[Cell]] = defaultdict(list)
        for cell in filter(self.cached.has, self.plan.cells):
            found[_design(cell)].append(cell)
        return found

    def _statistics(self, cell: Cell) -> dict[str, ComparedValues]:
        """The statistics of a cached cell."""
        return content_of(self.cached, cell).compared()

    def _variance(self, cells: tuple[Cell, ...], name: str) -> Variance | None:
        """The variance of a statistic over the cells of a design."""
        found = [statistics[name] for statistics in map(self.statistics, cells) if name in statistics]
        floor = max((statistic.floor for statistic in found), default=0.0)
        return spread.over_seeds([statistic.values for statistic in found], floor)


def level(comparisons: Iterable[Comparison]) -> float:
    """The level of each test: `RATE` over the number of tests that decide."""
    return RATE / max(1, sum(len(one.scores) for one in comparisons if one.tested))


def comparable(cached: Results, again: Results, cells: Iterable[Cell]) -> list[Cell]:
    """The cells with a result in both."""
    return [cell for cell in cells if cached.has(cell) and again.has(cell)]


@cache
def _design(cell: Cell) -> str:
    """What the cells of a design share: all but the seed of the network, and what is kept of the first seed alone."""
    spec = json.loads(cell.canonical)
    measured = spec.get("measured", spec)
    measured.pop("maps", None)
    spec.pop("pictures", None)
    del measured.get("network", spec)["seed"]
    return canonical_json(spec)


def _pool(cell: Cell) -> tuple[str, str]:
    """Designs of one pool are of one kind of cell and of one dataset."""
    return cell.stage, cell.dataset.canonical


def _unequal(cached: Mapping[str, object], again: Mapping[str, object]) -> list[str]:
    return [name for name in dict.fromkeys((*cached, *again)) if cached.get(name) != again.get(name)]


def _same_image(one: spread.Vector | None, other: spread.Vector | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=0, atol=IMAGE))


def _listed(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

"""Panels of a figure of profiles: what makes the lines that stand in one, and the same lines with their results.

And statistics of panels that several experiments claim something of.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.claims import Claim, Finding, UntestableError
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan
from cnn_invariance.paper.sources import Source
from cnn_invariance.statistics.evidence import IDENTITY, LOG, Rule, Scale, jackknife, page
from cnn_invariance.statistics.intervals import mean
from cnn_invariance.statistics.profiles import difference, pairs
from cnn_invariance.study import MeasureSpec, Study, TrainSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from cnn_invariance.experiments.framework.profile_experiment import ProfilesOfModels
    from cnn_invariance.results import Results


class Panel(NamedTuple):
    """One panel of a figure, of one dataset and one transformation set; it makes the lines that stand in it."""

    study: Study
    experiment: "ProfilesOfModels"
    dataset: str
    label: str

    def networks(self, seeds: Sequence[int] | None = None, **changes: Any) -> list[TrainSpec]:
        """The experiment's model (of several, the first), trained with the set, once for each seed.

        seeds:   None: as many of the preset's as the experiment says
        changes: what is not so: arguments of `Study.network`
        """
        given = {"model": self.experiment.compared(self.study)[0], "augmentation": self.label} | changes
        chosen = choices.seeds(self.study, self.experiment.seeds) if seeds is None else seeds
        return [self.study.network(dataset=self.dataset, seed=seed, **given) for seed in chosen]

    def line(
        self, label: str, networks: Iterable[TrainSpec] | None = None, *, measure: str | None = None, **changes: Any
    ) -> Line:
        """A line of networks that are measured under the set.

        networks: None: those of `networks`
        measure:  of this line; None: the figure's
        changes:  how else they are measured: ``under`` another set, or arguments of `Study.measurement`; or the fields
                  ``without`` and ``at`` of the line
        """
        under, without, at = changes.pop("under", self.label), changes.pop("without", ""), changes.pop("at", None)
        trained = self.networks() if networks is None else networks
        return Line(label, [self.study.measurement(one, under, **changes) for one in trained], measure, without, at)


class MeasuredPanel(NamedTuple):
    """The lines of a panel with their results, of which a statistic is computed.

    place: of the panel in the figure; a statistic of the figure as a whole is that of its first panel, at 0
    """

    plan: ProfilePlan
    dataset: str
    place: int
    results: "Results"

    @property
    def title(self) -> str:
        """What names the panel among all of the experiment's: its title, behind the part of the experiment."""
        title = list(self.plan.lines[self.dataset])[self.place]
        return f"{self.plan.part}, {title}" if self.plan.part else title

    @property
    def lines(self) -> Sequence[Line]:
        """Its lines."""
        return list(self.plan.lines[self.dataset].values())[self.place]

    def line(self, which: int | str) -> Line:
        """A line by its place or its label."""
        return self.lines[which] if isinstance(which, int) else {one.label: one for one in self.lines}[which]

    def profiles(self, line: int | str) -> list["np.ndarray"]:
        """The profiles (L,) of a line: one for each of its cells."""
        return self.line(line).values(self.results, self.plan.measures[0])

    def tables(self, line: int | str) -> list["pd.DataFrame"]:
        """The profiles of a line as tables, which name the layers and their kinds."""
        return self.line(line).tables(self.results, self.plan.measures[0])

    def by_seed(self) -> Iterator[tuple["np.ndarray", ...]]:
        """The profiles of all lines, seed by seed."""
        return zip(*(self.profiles(place) for place in range(len(self.lines))), strict=True)


Statistic = Callable[[MeasuredPanel], Iterable[float] | Mapping[str, Sequence[float]]]
"""The values of a panel, which is a condition: one for each seed; or of several conditions of the panel, by name.

No values: the claim is not about this panel. UntestableError if there can be none.
"""


@dataclass(frozen=True)
class ProfileClaim(Claim):
    """A claim on profiles, decided for each dataset over its panels, which are conditions.

    of:      what computes the values of a panel, one for each seed
    ordered: the values of a panel at each step, seed by seed, whose order is tested too, by Page's test; see `Finding`
    """

    of: Statistic = lambda panel: ()
    ordered: Callable[[MeasuredPanel], Sequence[Sequence[float]]] | None = None

    def finding(self, panels: Iterable[MeasuredPanel], dataset: str, cells: Sequence[MeasureSpec]) -> Finding:
        """What the panels of a dataset say; without values, why they cannot."""
        found: dict[str, list[float]] = {}
        untestable, steps = "", list[Sequence[float]]()
        for panel in panels:
            try:
                values = self.of(panel)
                if isinstance(values, Mapping):
                    found |= {f"{panel.title}, {name}": list(each) for name, each in values.items()}
                elif known := list(values):
                    found[panel.title] = known
                    steps += self.ordered(panel) if self.ordered else ()
            except UntestableError as error:
                untestable = str(error)
        trend = page(steps, _direction(self.rule)) if self.ordered else None
        return Finding(self, (dataset,), found, cells, "" if found else untestable, trend)


def _direction(rule: Rule) -> Literal["above", "below"]:
    return "above" if rule.side == "above" else "below"


def claimed(
    statement: str,
    source: Source,
    *,
    above: float | None = None,
    below: float | None = None,
    nearly: float | None = None,
    scale: Scale = IDENTITY,
    because: str = "",
    primary: bool = False,
    ordered: Callable[[MeasuredPanel], Sequence[Sequence[float]]] | None = None,
) -> Callable[[Statistic], ProfileClaim]:
    """Turn a statistic into a claim: its name is the claim's id, its docstring says in words what number it is.

    above, below, nearly: one of them: the threshold and its side, or the margin on both sides of no effect
    scale, because, primary, ordered: see `Rule`, `Claim` and `ProfileClaim`
    """
    given = {"above": above, "below": below, "within": nearly}
    sides = [(side, value) for side, value in given.items() if value is not None]
    if len(sides) != 1:
        raise ValueError(f"claim {statement!r}: expected one of 'above', 'below' and 'nearly'; received {len(sides)}")
    rule = Rule(*sides[0], scale)  # type: ignore[arg-type]

    def claim(statistic: Statistic) -> ProfileClaim:
        words = " ".join(str(statistic.__doc__).split()).removesuffix(".")
        return ProfileClaim(
            statistic.__name__, statement, words, rule, source, because, primary, of=statistic, ordered=ordered
        )

    return claim


def differences(first: int | str, second: int | str) -> Callable[[MeasuredPanel], list[float]]:
    """The relative difference of two lines, by place or label, seed by seed."""

    def statistic(panel: MeasuredPanel) -> list[float]:
        return [difference(p, q) for p, q in zip(panel.profiles(first), panel.profiles(second), strict=True)]

    return statistic


MARGIN = 0.1
"""Two profiles are nearly the same if their relative difference is below this: a tenth of their level."""
TENTH = "a tenth of the level: less than what the eye sees between two curves of a figure"


def same_profile(
    name: str, statement: str, source: Source, where: str, first: int | str, second: int | str, primary: bool = True
) -> ProfileClaim:
    """The claim that two lines show one profile; ``where``: what tells them apart, in words."""
    words = f"relative difference of the NV profiles {where}"
    return ProfileClaim(
        name, statement, words, Rule("below", MARGIN, LOG), source, TENTH, primary, of=differences(first, second)
    )


def apart(panel: MeasuredPanel) -> list[float]:
    """The relative difference of two profiles of the first line, mean over all pairs, as jackknife pseudo-values."""
    return jackknife(lambda profiles: mean(pairs(profiles)), panel.profiles(0))

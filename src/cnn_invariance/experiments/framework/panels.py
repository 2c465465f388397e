"""Panels of a figure of profiles: what makes the lines that stand in one, and the same lines with their results.

And statistics of panels that several experiments claim something of.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.claims import Claim, Finding, UntestableError
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan
from cnn_invariance.paper.sources import Source
from cnn_invariance.statistics.intervals import POSITIVE, mean, over, unknown
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
        changes:  how else they are measured: ``under`` another set, or arguments of `Study.measurement`; or which
                  layers the line is ``without``
        """
        under, without = changes.pop("under", self.label), changes.pop("without", "")
        trained = self.networks() if networks is None else networks
        return Line(label, [self.study.measurement(one, under, **changes) for one in trained], measure, without)


class MeasuredPanel(NamedTuple):
    """The lines of a panel with their results, of which a statistic is computed.

    place: of the panel in the figure; a statistic of the figure as a whole is that of its first panel, at 0
    """

    plan: ProfilePlan
    dataset: str
    place: int
    results: "Results"

    @property
    def lines(self) -> Sequence[Line]:
        """Its lines."""
        return list(self.plan.lines[self.dataset].values())[self.place]

    def line(self, which: int | str) -> Line:
        """A line by its place or its label."""
        return self.lines[which] if isinstance(which, int) else {one.label: one for one in self.lines}[which]

    def profiles(self, line: int | str) -> list["np.ndarray"]:
        """The profiles (L,) of a line: one for each of its cells."""
        return [table["value"].to_numpy(dtype=float) for table in self.tables(line)]

    def tables(self, line: int | str) -> list["pd.DataFrame"]:
        """The profiles of a line as tables, which name the layers and their kinds."""
        return self.line(line).tables(self.results, self.plan.measures[0])

    def by_seed(self) -> Iterator[tuple["np.ndarray", ...]]:
        """The profiles of all lines, seed by seed."""
        return zip(*(self.profiles(place) for place in range(len(self.lines))), strict=True)


Statistic = Callable[[MeasuredPanel], Iterable[float]]
"""The values that a panel contributes to a claim (UntestableError if it cannot)."""


@dataclass(frozen=True)
class ProfileClaim(Claim):
    """A claim on profiles, decided for each dataset by the mean over the values of all panels.

    of:     what computes the values of a panel
    over:   what the values are of, in words
    within: what they can be at all
    """

    of: Statistic
    over: str = "sets and seeds"
    within: tuple[float, float] = POSITIVE

    def finding(self, panels: Iterable[MeasuredPanel], dataset: str, cells: Sequence[MeasureSpec]) -> Finding:
        """What the panels of a dataset say; without values, why they cannot."""
        found: list[float] = []
        untestable = None
        for panel in panels:
            try:
                found += list(self.of(panel))
            except UntestableError as error:
                untestable = error
        if found or untestable is None:
            return Finding(self, (dataset,), over(found, self.over, self.within), cells)
        return Finding(self, (dataset,), unknown(untestable.source), cells, reason=untestable.reason)


def claimed(
    statement: str,
    source: Source,
    *,
    above: float | None = None,
    below: float | None = None,
    over: str = "sets and seeds",
    within: tuple[float, float] = POSITIVE,
) -> Callable[[Statistic], ProfileClaim]:
    """Turn a statistic into a claim: its name is the claim's id, its docstring says in words what number it is.

    above, below: one of them, the threshold and its side; see `ProfileClaim` for the rest
    """
    threshold, side = (below, "below") if above is None else (above, "above")
    if threshold is None or None not in (above, below):
        raise ValueError(f"claim {statement!r}: expected one threshold, 'above' or 'below'")

    def claim(statistic: Statistic) -> ProfileClaim:
        words = " ".join(str(statistic.__doc__).split()).removesuffix(".")
        return ProfileClaim(statistic.__name__, statement, words, side, threshold, source, statistic, over, within)  # type: ignore[arg-type]

    return claim


def differences(first: int | str, second: int | str) -> Statistic:
    """The relative difference of two lines, by place or label, seed by seed."""

    def statistic(panel: MeasuredPanel) -> list[float]:
        return [difference(p, q) for p, q in zip(panel.profiles(first), panel.profiles(second), strict=True)]

    return statistic


def same_profile(
    name: str, statement: str, source: Source, where: str, first: int | str, second: int | str
) -> ProfileClaim:
    """The claim that two lines show one profile; ``where``: what tells them apart, in words."""
    words = f"relative difference of the NV profiles {where}"
    return ProfileClaim(name, statement, words, "below", 0.1, source, differences(first, second))


def apart(panel: MeasuredPanel) -> list[float]:
    """The relative difference of two profiles of the first line, mean over all pairs."""
    return [mean(pairs(panel.profiles(0)))]

"""An experiment as the page shows it: its figures and tables as a run left them, and what their captions share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from cnn_invariance.experiments.framework.experiment import Group
from cnn_invariance.paper.points import Origin
from cnn_invariance.report.page.claim_views import ClaimView, FindingView
from cnn_invariance.report.page.drawn_views import FigureView, TableView
from cnn_invariance.report.page.shared_caption import SharedCaption

if TYPE_CHECKING:
    from cnn_invariance.plotting.caption import Caption


@dataclass(frozen=True)
class ExperimentView:
    """An experiment.

    group, summarised: as its class says (see `experiments.framework.experiment.Experiment`)
    cells, missing:    how many cells it has, and how many are not computed
    absent:            the datasets that are not complete, if others are; if none is, it has no figures and no tables
    profiles:          how many of its cells have profiles, which the page's explorer shows
    origin:            whose it is, which its captions say; of one that is not drawn, whose it is by its name
    """

    name: str
    group: str
    summarised: bool
    question: str
    cells: int
    missing: int
    figures: Sequence[FigureView]
    tables: Sequence[TableView]
    claims: Sequence[ClaimView]
    absent: Sequence[str] = ()
    profiles: int = 0
    origin: Origin = "user"

    @property
    def title(self) -> str:
        """The name for people."""
        return self.name.replace("_", " ")

    @property
    def finding(self) -> str:
        """What was found or is seen, in the words of its figures; empty where nothing is drawn."""
        return next((one.finding for one in self.captions if one.finding), "")

    @property
    def headline(self) -> "FindingView | None":
        """The first finding of its primary claim, or of its first; None where nothing is claimed."""
        ordered = sorted(self.claims, key=lambda claim: not claim.primary)
        return ordered[0].findings[0] if ordered else None

    @property
    def captions(self) -> "list[Caption]":
        """The captions of its figures and tables."""
        return [*(one.caption for one in self.figures), *(one.caption for one in self.tables)]

    @property
    def origins(self) -> set[Origin]:
        """Whose it is, by its captions: one of the author's code may be adapted on some datasets alone."""
        return {one.origin for one in self.captions if one.experiment} or {self.origin}

    @property
    def whose(self) -> list[str]:
        """Whose it is in words, a sentence for each of its captions that says another."""
        return list(dict.fromkeys(one.whose for one in self.captions if one.experiment))

    @property
    def shared(self) -> SharedCaption:
        """What the captions of its figures and tables share."""
        return SharedCaption.from_captions(self.captions)

    @property
    def findings(self) -> list[FindingView]:
        """The findings of all its claims."""
        return [finding for claim in self.claims for finding in claim.findings]


def grouped(experiments: Iterable[ExperimentView]) -> dict[str, list[ExperimentView]]:
    """The experiments by their group, in the order of `Group`; a group without experiments is left out."""
    experiments = list(experiments)
    groups = dict.fromkeys([*get_args(Group), *(one.group for one in experiments)])
    found = {group: [one for one in experiments if one.group == group] for group in groups}
    return {group: members for group, members in found.items() if members}

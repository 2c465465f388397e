"""What an experiment is: one class in a file of ``experiments/``, found by the file's name, that never imports torch.

Its fields are what a preset may set below the experiment's name; its class variables say what it is; its methods name
the cells it needs, what it draws, and draw it. Experiments on layer profiles, which most are, derive from
`profile_experiment.ProfileExperiment` and say only which lines stand in which panel.

``cells`` and ``outputs`` run each time the study is planned: they compute names and read no file. What only ``draw``
and ``findings`` need (plotting, pandas) is imported there.
"""

import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self, TypeVar

from pydantic import PrivateAttr

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.claims import Claim, Finding, headline
from cnn_invariance.study import Cell, Closed, Study

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas, Series
    from cnn_invariance.plotting.shares import Share
    from cnn_invariance.plotting.summary import Explained
    from cnn_invariance.results import Results

Made = TypeVar("Made")
Group = Literal["validation", "stability", "characterisation"]
"""The kinds of experiment in the study: of the measures, of their stability, and of networks by them."""


@dataclass(frozen=True)
class Outputs:
    """The names, without folder or ending, of what an experiment draws.

    A figure ``nv_rotation`` becomes ``figures/<preset>/<experiment>/nv_rotation.{svg,png,md,json}``; a table
    becomes ``results/<preset>/tables/<name>.{csv,md,tex,json}``, so table names begin with the experiment's name.
    """

    figures: Sequence[str] = ()
    tables: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Raise InputError for names that are not plain file names, or that repeat."""
        for kind, names in (("figure", self.figures), ("table", self.tables)):
            for name in names:
                if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
                    raise InputError(f"{kind} {name!r}: use letters, digits, '_' and '-' only")
            if len(set(names)) < len(names):
                raise InputError(f"{kind} names repeat: {', '.join(sorted(names))}")


class Row(NamedTuple):
    """Profiles in the overview: a panel for each dataset, all of one measure; rows stand in order of ``place``.

    ``measure`` is the request, as results name it.
    """

    place: int
    title: str
    measure: str
    axis: Any
    panels: Mapping[str, Sequence["Series"]]

    def every(self) -> list["Series"]:
        """The lines of all panels."""
        return [line for lines in self.panels.values() for line in lines]


class Overview(NamedTuple):
    """What the overview and the first figure show of an experiment.

    rows:      of profiles
    shares:    the headline: of what profiles differ by, each with its interval
    explained: samples under transformations and the ST matrices of two units
    """

    rows: Sequence[Row] = ()
    shares: Mapping[str, "Share"] = MappingProxyType({})
    explained: "Explained | None" = None


class Experiment(Closed):
    """An experiment with the options that a preset gives it.

    question:   what it asks, one sentence
    group:      the kind of experiment, by which the report is ordered
    claims:     what it tests
    setting:    what the reader of a caption must know
    summarised: whether the report shows it in a section of its own before all others, with its table open
    of_profiles: whether its primary claim is of profiles, and so has a specification curve
    alters:     whether it trains networks otherwise than the preset does, to see what that changes; no other experiment
                takes them for the preset's own
    """

    question: ClassVar[str]
    group: ClassVar[Group]
    claims: ClassVar[Sequence[Claim]] = ()
    setting: ClassVar[str]
    summarised: ClassVar[bool] = False
    of_profiles: ClassVar[bool] = True
    alters: ClassVar[bool] = False

    _made: dict[str, tuple[Study, Any]] = PrivateAttr(default_factory=dict)
    _label: str = PrivateAttr("")

    @property
    def name(self) -> str:
        """The experiment's name in presets and file names: that of its file, or the preset's label of a user's own."""
        return self._label or type(self).__module__.rpartition(".")[2]

    def labelled(self, label: str) -> Self:
        """The same experiment under the label that a preset gives it."""
        copied = self.model_copy()
        copied._label = label
        return copied

    def restricted(self, datasets: Sequence[str]) -> Self:
        """The same experiment for a study of these datasets alone."""
        if getattr(self, "datasets", None) is None:
            return self
        return self.model_copy(update={"datasets": tuple(datasets)})

    def once(self, study: Study, make: Callable[[Study], Made]) -> Made:
        """What one of its methods makes of a study, made once: claims are tested many times on the same cells."""
        if make.__name__ not in self._made or self._made[make.__name__][0] is not study:
            self._made[make.__name__] = study, make(study)
        found: Made = self._made[make.__name__][1]
        return found

    @abstractmethod
    def cells(self, study: Study) -> Iterable[Cell]:
        """The cells that it needs."""

    @abstractmethod
    def outputs(self, study: Study) -> Outputs:
        """The names of the figures and tables that it draws."""

    @abstractmethod
    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw exactly these outputs from the results of its cells."""

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """What the results say about each of its claims."""
        return iter(())

    def described(self, study: Study, results: "Results") -> str:
        """What is seen, in a sentence; it opens the captions of an experiment that claims nothing."""
        return ""

    def opening(self, study: Study, results: "Results") -> str:
        """What opens its captions: the finding on its claim, or what is seen where it claims nothing."""
        return headline(self.findings(study, results)) or self.described(study, results)

    def overview(self, study: Study, results: "Results") -> Overview:
        """What the overview shows of it; of most experiments nothing."""
        return Overview()

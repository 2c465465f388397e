"""What an experiment is: one file in ``experiments/``, found by its name, that never imports torch.

The file states, as a module:

- ``QUESTION``: one sentence;
- ``Options``: a `Closed` pydantic model, what a preset may set below the experiment's id;
- ``cells(study, options)``: the trained networks and measure cells it needs;
- ``outputs(study, options)``: the names of the figures and tables it draws (`Outputs`);
- ``draw(study, options, results, canvas)``: makes exactly these outputs from the results of its cells;
- where the paper expects something of it, ``CLAIMS`` and ``findings(study, options, results)``: see
  `cnn_invariance.experiments.framework.claims`.

``cells`` and ``outputs`` run each time the study is planned: they compute names, they read no file. What only
``draw`` needs (plotting, pandas) is best imported there.
"""

import importlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.study.canonical import Closed
from cnn_invariance.study.cells import Cell

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.results import Results
    from cnn_invariance.study.study import Study

FOLDER = Path(__file__).parent.parent / "experiments"


@dataclass(frozen=True)
class Outputs:
    """The names, without folder or ending, of what an experiment draws.

    A figure ``nv_rotation`` becomes ``figures/<preset>/<experiment>/nv_rotation.{svg,png,md}``; a table becomes
    ``results/<preset>/tables/<name>.{csv,md,tex}``, so table names begin with the experiment's id.
    """

    figures: Sequence[str] = ()
    tables: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Names that are not plain file names, or that repeat, are refused (InputError)."""
        for kind, names in (("figure", self.figures), ("table", self.tables)):
            for name in names:
                if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
                    raise InputError(f"{kind} {name!r}: use letters, digits, '_' and '-' only")
            if len(set(names)) < len(names):
                raise InputError(f"{kind} names repeat: {', '.join(sorted(names))}")


class Experiment(Protocol):
    """The module of an experiment."""

    QUESTION: str
    Options: type[Closed]

    @staticmethod
    def cells(study: "Study", options: Any) -> Iterable[Cell]:
        """The cells the experiment needs."""

    @staticmethod
    def outputs(study: "Study", options: Any) -> Outputs:
        """What it draws."""

    @staticmethod
    def draw(study: "Study", options: Any, results: "Results", canvas: "Canvas") -> None:
        """Draw it."""


@cache
def names() -> tuple[str, ...]:
    """The ids of all experiments: the names of the public files in ``experiments/``."""
    return tuple(sorted(file.stem for file in FOLDER.glob("[!_]*.py")))


def load(name: str) -> Experiment:
    """The module of one experiment; an unknown id is an InputError with the nearest match."""
    if name not in names():
        raise unknown_name("experiment", name, names())
    return cast(Experiment, importlib.import_module(f"cnn_invariance.experiments.{name}"))


def file(name: str) -> Path:
    """The source file of one experiment."""
    return FOLDER / f"{name}.py"

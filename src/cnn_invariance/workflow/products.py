"""The files that a run draws from results, and the source files that they are drawn by."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import registry
from cnn_invariance.experiments.framework.experiment import Outputs
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.experiments.framework.statement import FrozenClaims
from cnn_invariance.workflow.folders import from_here
from cnn_invariance.workflow.plan import Plan

PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Products:
    """The figures, tables, claims and the page of a plan, each with what it is made from.

    Snakemake draws a product again when a result, the preset, or a source file that draws it is newer.
    """

    plan: Plan

    def figures(self, experiment: str) -> list[Path]:
        """The files of the figures of an experiment."""
        return self.plan.folders.figure_files(self.plan.study.name, experiment, self._outputs(experiment))

    def tables(self, experiment: str) -> list[Path]:
        """The files of the tables of an experiment."""
        return self.plan.folders.table_files(self.plan.study.name, self._outputs(experiment))

    def _outputs(self, experiment: str) -> Outputs:
        return self._view(experiment).outputs_of(experiment)

    def _view(self, experiment: str) -> Programme:
        """The experiment on the datasets that it is drawn for."""
        study = self.plan.study
        return study.on(experiment, self.plan.drawn.get(experiment) or study.datasets_of(experiment))

    @property
    def claims(self) -> list[Path]:
        """The claims: as a table, for readers, and as records."""
        return [self.plan.results.root / name for name in ("claims.csv", "claims.md", "claims.json")]

    @property
    def specified(self) -> list[str]:
        """The experiments whose primary claim has a specification curve."""
        experiments = ((name, self.plan.study.experiments[name]) for name in self.plan.drawn)
        return [name for name, one in experiments if one.of_profiles and any(claim.primary for claim in one.claims)]

    @staticmethod
    def curve(experiment: str) -> str:
        """The name of the figure of an experiment's curve, which no figure of the experiment itself has."""
        return f"specifications_{experiment}"

    @property
    def specifications(self) -> list[Path]:
        """The specification curves: a table of all, and a figure for each experiment."""
        name, folders = self.plan.study.name, self.plan.folders
        tables = folders.table_files(name, Outputs(tables=["specifications"]))
        return [*tables, *folders.figure_files(name, "specifications", Outputs(list(map(self.curve, self.specified))))]

    @property
    def overview(self) -> list[Path]:
        """The figure of the whole study, in each format."""
        return self.plan.folders.figure_files(
            self.plan.study.name, "overview", Outputs(["overview", "claims", "summary"])
        )

    @property
    def costs(self) -> list[Path]:
        """The table of what cells cost, in each format."""
        return self.plan.folders.table_files(self.plan.study.name, Outputs(tables=["costs"]))

    @property
    def page(self) -> Path:
        """The page of the whole study."""
        return self.plan.folders.page(self.plan.study.name)

    @property
    def on_page(self) -> list[Path]:
        """What the page shows."""
        drawn = [path for name in self.plan.drawn for path in (*self.figures(name), *self.tables(name))]
        return [*drawn, *self.claims, *self.specifications, *self.costs, *self.overview]

    def every(self) -> list[Path]:
        """Everything that a finished run leaves: results, figures, tables, claims, and the page that shows them."""
        return [*self.results(), *self.on_page, self.page]

    def results(self) -> list[Path]:
        """The results of all cells that a run has at its end."""
        return list(map(self.plan.results.path, self.plan.wanted))

    def results_of(self, experiment: str) -> list[Path]:
        """The results that an experiment draws from."""
        return [self.plan.results.path(cell) for cell in self._view(experiment).cells_of(experiment)]

    def results_of_all(self) -> list[Path]:
        """The results that claims are tested on, and the overview is drawn from."""
        return list(dict.fromkeys(path for name in self.plan.drawn for path in self.results_of(name)))

    def code_of(self, experiment: str) -> list[Path]:
        """The source files that an experiment is drawn by."""
        shared = _sources("experiments/framework/*.py", "paper/*.*", "plotting/*.py")
        own = registry.file_of(type(self.plan.study.experiments[experiment]))
        return [from_here(own), *shared]

    def code_of_claims(self) -> list[Path]:
        """The files by which claims are tested, and the overview and the curves drawn: the frozen statement, too."""
        frozen = FrozenClaims.beside(self.plan.study.path).path
        own = [
            *_sources("report/claims.py", "report/overview.py", "report/specifications.py"),
            *([frozen] if frozen.is_file() else []),
        ]
        return sorted({*own, *(path for name in self.plan.study.experiments for path in self.code_of(name))})

    def code_of_page(self) -> list[Path]:
        """The files that the page is written by; the sources, of which it shows what differs, among them."""
        return _sources(
            "report/page/*.*", "report/profiles.py", "report/sources.py", "paper/points.py", "paper/sources.yaml"
        )

    @property
    def verified(self) -> str:
        """The SHA-256 of what a verification left.

        The page shows it too. It is not an input of the page, because no run makes it unless asked to.
        """
        figures = self.plan.folders.figure_folder(self.plan.study.name, "verification")
        left = (*self.plan.results.root.glob("verification.*"), *figures.glob("*"))
        digest = hashlib.sha256()
        for path in sorted(filter(Path.is_file, left)):
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()


def existing(path: Path) -> Path:
    """The path itself; InputError if it is not a file."""
    if not path.is_file():
        raise InputError(f"{path} is missing; `snakemake report` draws what is missing and writes the page")
    return path


def _sources(*patterns: str) -> list[Path]:
    """The files of the package that match."""
    found: Iterable[Path] = (path for pattern in patterns for path in PACKAGE.glob(pattern) if path.is_file())
    return sorted(map(from_here, found))

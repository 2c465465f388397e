"""Where the files of a study are. Datasets and checkpoints are shared by all presets."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cnn_invariance.results import Results
from cnn_invariance.study import TrainSpec

if TYPE_CHECKING:
    from cnn_invariance.experiments.framework.experiment import Outputs

DEFAULT_PRESET = Path("config/quick.yaml")
FIGURE_ENDINGS = (".svg", ".png", ".md", ".json")
TABLE_ENDINGS = (".csv", ".md", ".tex", ".json")


@dataclass(frozen=True)
class Folders:
    """The folders a run reads and writes; relative ones start at the current folder.

    ``verification`` is where cells are computed a second time, to be compared with the cache.
    """

    data: Path = Path("data")
    models: Path = Path("models")
    results: Path = Path("results")
    figures: Path = Path("figures")
    report: Path = Path("report")
    verification: Path = Path("verification")
    specs: Path = Path("specs")

    def options(self, *names: str) -> list[str]:
        """The options of ``cnn-invariance`` for these folders, where they are not the usual ones."""
        usual = Folders()
        return [
            f"--{name}-dir {shlex.quote(str(getattr(self, name)))}"
            for name in names
            if getattr(self, name) != getattr(usual, name)
        ]

    def beside(self) -> "Folders":
        """The same datasets, and results and checkpoints of their own: nothing of the cache is read or written."""
        return replace(
            self,
            models=self.verification / "models",
            results=self.verification / "results",
            specs=self.verification / "specs",
        )

    def dataset(self, name: str) -> Path:
        """A prepared dataset."""
        return self.data / f"{name}.npz"

    def checkpoint(self, network: TrainSpec, epoch: int | None = None) -> Path:
        """The weights of a network after an epoch; None or the last epoch: the trained network."""
        last = epoch is None or epoch == network.recipe.epochs
        return self.models / f"{network.key}{'' if last else f'-e{epoch}'}.safetensors"

    def checkpoint_under_way(self, network: TrainSpec, epoch: int) -> Path:
        """A checkpoint as long as the network is in training; an early one takes its place at the end.

        In its place, Snakemake would remove it when the job is killed, and the training could not go on from its state.
        """
        path = self.checkpoint(network, epoch)
        return path if epoch == network.recipe.epochs else path.with_suffix(".part")

    def state(self, network: TrainSpec) -> Path:
        """What an interrupted training goes on from."""
        return self.models / f"{network.key}.state"

    def cells(self, preset: str) -> Results:
        """The results of a preset."""
        return Results(self.results / preset)

    def figure_folder(self, preset: str, experiment: str) -> Path:
        """The figures of one experiment."""
        return self.figures / preset / experiment

    def table_folder(self, preset: str) -> Path:
        """The tables of a preset."""
        return self.results / preset / "tables"

    def figure_files(self, preset: str, experiment: str, outputs: "Outputs") -> list[Path]:
        """The pictures of an experiment and their captions."""
        folder = self.figure_folder(preset, experiment)
        return [folder / f"{name}{end}" for name in outputs.figures for end in FIGURE_ENDINGS]

    def page(self, preset: str) -> Path:
        """The page that shows the whole study."""
        return self.report / f"{preset}.html"

    def table_files(self, preset: str, outputs: "Outputs") -> list[Path]:
        """The tables of an experiment, in each format."""
        folder = self.table_folder(preset)
        return [folder / f"{name}{end}" for name in outputs.tables for end in TABLE_ENDINGS]

    def jobs(self, preset: Path) -> Path:
        """The files of the jobs of a run, by the name of the preset's file."""
        return self.specs / preset.stem


def from_here(path: Path) -> Path:
    """The path relative to the current folder, where it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path

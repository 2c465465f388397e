"""Jobs: what is needed to compute one cell, in one JSON file that the commands of the stages take.

A run writes ``specs/<preset>/<key>.json`` for each cell that it is going to compute. A job reads that file and nothing
else of the study. So it does not plan the study again, an experiment that fails to import does not stop a training, and
a preset that is edited while jobs wait does not change what they compute.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from cnn_invariance.errors import InputError
from cnn_invariance.storage.files import read_plain, write_whole
from cnn_invariance.study.canonical import Closed
from cnn_invariance.study.cells import Cell


class Job(Closed):
    """One cell to compute.

    preset:     the name of the preset, in whose folder of results the result is kept
    cell:       the spec of the cell
    epochs:     of a training, the epochs whose checkpoints are kept, the last among them
    pretrained: of a training, the file of weights that it starts from; None where there is none
    recorded:   of a training, whether its record is there already, and stays: only checkpoints are missing
    floor:      the accuracy on training samples below which the network is a failed run
    """

    preset: str
    cell: Cell = Field(discriminator="stage")
    epochs: tuple[int, ...] = ()
    pretrained: str | None = None
    recorded: bool = False
    floor: float = 0.0

    @classmethod
    def read(cls, path: Path) -> "Job":
        """Read the file of a job (InputError if it is missing or is not one)."""
        try:
            return cls.model_validate_json(read_plain(path))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; a run of snakemake writes the files of its jobs") from None
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            raise InputError(f"{path}: expected the JSON of a job, as a run writes it; {error}") from None

    def write(self, path: Path) -> None:
        """Write the file of the job, whole or not at all; a file with the same content is left alone."""
        text = self.model_dump_json(indent=1) + "\n"
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return
        write_whole(path, text)


@dataclass(frozen=True)
class Jobs:
    """The jobs of a run by the keys of their cells, and the folder of their files."""

    folder: Path
    by_key: Mapping[str, Job]

    @classmethod
    def of(cls, folder: Path, jobs: Iterable[Job]) -> "Jobs":
        """These jobs, whose files are not written yet."""
        return cls(folder, {job.cell.key: job for job in jobs})

    @classmethod
    def read(cls, folder: Path) -> "Jobs":
        """The jobs whose files are in a folder."""
        return cls.of(folder, map(Job.read, sorted(folder.glob("*.json"))))

    def write(self) -> None:
        """Write the files of all jobs."""
        for key, job in self.by_key.items():
            job.write(self.path(key))

    def path(self, key: str) -> Path:
        """The file of a job."""
        return self.folder / f"{key}.json"

    def cell(self, key: str) -> Cell:
        """The cell of a job."""
        return self.by_key[key].cell

    def at(self, stage: str) -> list[Job]:
        """The jobs of one stage."""
        return [job for job in self.by_key.values() if job.cell.stage == stage]

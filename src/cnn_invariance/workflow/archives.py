"""Results that travel: packed into archives on one machine, imported into the results of another clone.

An archive is a gzip-compressed tar of result files below ``training/``, ``measures/`` and ``responses/``. It needs no
list of contents: each file carries its spec and a checksum of every byte, and its name follows from the spec. Where it
is asked for, checkpoints come with them, below ``weights/``: those of which a result says that it was made from them.
"""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cnn_invariance.errors import InputError
from cnn_invariance.results import DamagedResultError, Results
from cnn_invariance.results.store import RESULTS
from cnn_invariance.storage.files import write_whole
from cnn_invariance.study import Cell, TrainSpec
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.staging import Staging
from cnn_invariance.workflow.tarball import Tarball

MIB = 2**20
LIMIT = 16 * MIB
"""The most bytes of an archive, unpacked too; checkpoints that are larger have archives of their own."""
LARGEST = 2048 * MIB
"""The most bytes of a checkpoint that is imported."""
NAMED = 20
"""Problems that are named, of any number."""

Checkpoint = tuple[TrainSpec, int]
"""A network at an epoch."""


@dataclass(frozen=True)
class Imported:
    """What an import did: how many results are new, how many were there, the same to the byte; how many checkpoints."""

    new: int
    known: int
    weights: int = 0


def pack(
    results: Results, cells: Iterable[Cell], folder: Path, limit: int = LIMIT, weights: Folders | None = None
) -> list[Path]:
    """Write the results of cells into archives ``<preset>-1.tar.gz``, ``-2``, ... of at most ``limit`` bytes.

    weights: also pack the checkpoints in these folders from which a result of these cells was made

    Cells without a result are left out. The same results give archives of the same bytes.

    Errors: InputError where there is nothing to pack, an archive of that name is there already, or one file alone is
    larger than the limit.
    """
    there = [cell for cell in cells if results.has(cell)]
    if not there:
        raise InputError(f"{results.root}: none of the cells has a result; there is nothing to pack")
    files = {_name(results, cell): results.path(cell) for cell in there}
    if weights is not None:
        files |= _checkpoints(results, there, weights)
    written = []
    for number, group in enumerate(_groups(files, limit), start=1):
        path = folder / f"{results.root.name}-{number}.tar.gz"
        if path.exists():
            raise InputError(f"{path} is there already; name another folder, or move it away")
        for left in folder.glob(f".{path.stem}-*{path.suffix}"):  # by a packing that was killed
            left.unlink()
        write_whole(path, _archive(group))
        written.append(path)
    return written


def load(plan: Plan, archives: Sequence[Path]) -> Imported:
    """Import the results and checkpoints in archives: all of them, or on any error, and if it is killed, none.

    Errors: InputError that names every file which is no cell of the preset, is damaged or of another spec, or is in
    conflict: another result of that cell is there, or comes twice. A checkpoint must be the one that a result was made
    from, which is there or comes too.
    """
    staging = Staging.of(plan.folders, plan.study.name)
    with staging.alone():
        done = _Import(plan, staging)
        for archive in archives:
            done.stage(archive)
        new, known = done.compare()
        done.check(new)
        if done.problems:
            named, more = done.problems[:NAMED], len(done.problems) - NAMED
            others = [f"and {more} more"] if more > 0 else []
            raise InputError("\n".join([*named, *others, "nothing was imported"]))
        staging.commit(new)
    weights = sum(name in done.checkpoints for name in new)
    return Imported(len(new) - weights, sum(name in done.cells for name in known), weights)


@dataclass
class _Import:
    """What archives hold, staged beside its places, and what is wrong with it."""

    plan: Plan
    staging: Staging
    problems: list[str] = field(default_factory=list)
    found: dict[str, str] = field(default_factory=dict)
    """The SHA-256 of each file that is staged, by its name."""

    @cached_property
    def cells(self) -> Mapping[str, Cell]:
        """The cells of the preset, by the names of their files."""
        return {_name(self.plan.results, cell): cell for cell in self.plan.cells}

    @cached_property
    def checkpoints(self) -> Mapping[str, Checkpoint]:
        """The checkpoints of the preset, by the names of their files."""
        pairs = ((network, epoch) for network in self.plan.networks for epoch in self.plan.epochs(network))
        return {_weights_name(self.plan.folders, pair): pair for pair in pairs}

    def stage(self, archive: Path) -> None:
        """Write the files of an archive to where they are checked."""
        for name, content in Tarball(archive, LIMIT, self._more).files():
            if name not in self.cells and name not in self.checkpoints:
                self.problems.append(
                    f"{archive.name}: {name}: no cell of preset {self.plan.study.name}; was it packed from another "
                    "version of it?"
                )
            elif name in self.found:
                if self.found[name] != _sha256(content):
                    self.problems.append(f"{archive.name}: {name}: comes twice, with different content")
            else:
                self.found[name] = self._write(self.staging.staged(name), content)

    def compare(self) -> tuple[list[str], list[str]]:
        """The files that are new, and those that are in their place already."""
        new, known = [], []
        for name in sorted(self.found):
            place = self.staging.target(name)
            if blocking := _in_the_way(place):
                self.problems.append(f"{name}: {blocking} is in its way; move that away")
            elif not place.exists():
                new.append(name)
            elif _sha256_of(place) == self.found[name]:
                known.append(name)
            else:
                kind = "checkpoint of this network" if name in self.checkpoints else "result of this cell"
                self.problems.append(f"{name}: conflict, another {kind} is in {place.parent}; keep one of the two")
        return new, known

    def check(self, names: Iterable[str]) -> None:
        """Check that staged files are whole, and those of their names; results first, which checkpoints are held to."""
        expected: dict[Checkpoint, set[str]] = {}
        for name in (one for one in names if one in self.cells):
            try:
                Results.check_file(self.staging.staged(name), self.cells[name])
            except DamagedResultError as error:
                self.problems.append(f"{Path(name).name}: {error.reason}")
        if not self.problems and (weights := [one for one in names if one in self.checkpoints]):
            expected = self._expected({self.checkpoints[one] for one in weights})
            for name in weights:
                self.problems += self._wrong(name, expected.get(self.checkpoints[name], set()))

    def _expected(self, wanted: set[Checkpoint]) -> dict[Checkpoint, set[str]]:
        """The SHA-256 of the weights of checkpoints, by the results that are there or staged."""
        cells = [cell for cell in self.plan.cells if (cell.network, cell.epoch) in wanted]
        here = [(cell, self.plan.results.path(cell)) for cell in cells]
        staged = [(cell, self.staging.staged(_name(self.plan.results, cell))) for cell in cells]
        return _digests((cell, path) for cell, path in (*here, *staged) if path.is_file())

    def _wrong(self, name: str, expected: set[str]) -> list[str]:
        """What is wrong with a staged checkpoint."""
        network, epoch = self.checkpoints[name]
        digest = _digest_of(self.staging.staged(name), network, epoch)
        if digest is None:
            return [f"{name}: damaged, or not the weights of {network.key} at epoch {epoch}"]
        if not expected:
            return [f"{name}: no result says which weights {network.key} has at epoch {epoch}; import its results too"]
        if digest not in expected:
            return [f"{name}: other weights than those that the results of {network.key} were made from"]
        return []

    def _more(self, name: str) -> int:
        return LARGEST if name in self.checkpoints else 0

    def _write(self, path: Path, content: Iterator[bytes]) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for chunk in content:
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()


def _checkpoints(results: Results, cells: Sequence[Cell], folders: Folders) -> dict[str, Path]:
    """The files of the checkpoints from which results were made, by their names in an archive."""
    expected = _digests((cell, results.path(cell)) for cell in cells)
    there = {pair: folders.checkpoint(*pair) for pair in expected if folders.checkpoint(*pair).is_file()}
    return {
        _weights_name(folders, pair): path for pair, path in there.items() if _digest_of(path, *pair) in expected[pair]
    }


def _digests(files: Iterable[tuple[Cell, Path]]) -> dict[Checkpoint, set[str]]:
    """The SHA-256 of the weights that results were made from: of a network's last epoch, that of its record alone."""
    found: dict[Checkpoint, dict[bool, set[str]]] = {}
    for cell, path in files:
        kinds = found.setdefault((cell.network, cell.epoch), {True: set(), False: set()})
        kinds[isinstance(cell, TrainSpec)].add(str(RESULTS[cell.stage].read(path, cell).weights_sha256))
    return {pair: kinds[True] or kinds[False] for pair, kinds in found.items()}


def _digest_of(path: Path, network: TrainSpec, epoch: int) -> str | None:
    """The SHA-256 of the weights in a file; None if it is no whole checkpoint of the network at the epoch."""
    from cnn_invariance.training import checkpoint, tensorfile

    if not checkpoint.is_checkpoint(path, network, epoch):
        return None
    return tensorfile.digest(tensorfile.read(path)[0])


def _in_the_way(place: Path) -> Path | None:
    """What is no folder where one must be, or no file where the file must be; None if nothing is in the way."""
    if place.is_symlink() or (place.exists() and not place.is_file()):
        return place
    nearest = next(parent for parent in place.parents if parent.exists() or parent.is_symlink())
    return None if nearest.is_dir() else nearest


def _sha256(content: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in content:
        digest.update(chunk)
    return digest.hexdigest()


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name(results: Results, cell: Cell) -> str:
    return results.path(cell).relative_to(results.root).as_posix()


def _weights_name(folders: Folders, pair: Checkpoint) -> str:
    return f"weights/{folders.checkpoint(*pair).name}"


def _groups(files: Mapping[str, Path], limit: int) -> Iterator[dict[str, Path]]:
    """Files in order, cut so that each group's archive stays below the limit, however badly they compress."""
    group: dict[str, Path] = {}
    size = 0
    for name, path in files.items():
        cost = path.stat().st_size + 4 * tarfile.BLOCKSIZE  # its header, and one for a long name
        if cost + 4 * tarfile.RECORDSIZE > limit:
            if name.startswith("weights/"):
                yield {name: path}
                continue
            raise InputError(f"{path} alone is larger than the limit of {limit:,} bytes of an archive")
        if size + cost + 4 * tarfile.RECORDSIZE > limit:
            yield group
            group, size = {}, 0
        group[name] = path
        size += cost
    if group:
        yield group


def _archive(files: Mapping[str, Path]) -> bytes:
    """The archive as bytes: no times, owners or modes, so that they depend on the results alone."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, path in files.items():
            content = path.read_bytes()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)

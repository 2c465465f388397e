"""Results that travel: packed into archives on one machine, imported into the results of another clone.

An archive is a gzip-compressed tar of result files below ``training/``, ``measures/`` and ``responses/``. It needs no
list of contents: each file carries its spec and a checksum of every byte, and its name follows from the spec.
"""

import gzip
import io
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cnn_invariance.errors import InputError
from cnn_invariance.results import DamagedResultError, Results
from cnn_invariance.storage.files import atomic_write
from cnn_invariance.study import Cell
from cnn_invariance.workflow.plan import Plan

MIB = 2**20
LIMIT = 16 * MIB
"""The most bytes of an archive."""


@dataclass(frozen=True)
class Imported:
    """What an import did: how many results are new, and how many were there, the same to the byte."""

    new: int
    known: int


def pack(results: Results, cells: Iterable[Cell], folder: Path, limit: int = LIMIT) -> list[Path]:
    """Write the results of cells into archives ``<preset>-1.tar.gz``, ``-2``, ... of at most ``limit`` bytes.

    Cells without a result are left out. The same results give archives of the same bytes.

    Errors: InputError where there is nothing to pack, an archive of that name is there already, or one file alone is
    larger than the limit.
    """
    there = [results.path(cell) for cell in cells if results.has(cell)]
    if not there:
        raise InputError(f"{results.root}: none of the cells has a result; there is nothing to pack")
    written = []
    for number, group in enumerate(_groups(there, limit), start=1):
        path = folder / f"{results.root.name}-{number}.tar.gz"
        if path.exists():
            raise InputError(f"{path} is there already; name another folder, or move it away")
        with atomic_write(path) as temporary:
            temporary.write_bytes(_archive(group, results.root))
        written.append(path)
    return written


def load(plan: Plan, archives: Sequence[Path]) -> Imported:
    """Import the results in archives: all of them, or on any error none.

    Errors: InputError that names every file which is no cell of the preset, is damaged or of another spec, or is in
    conflict: another result of that cell is there, or comes twice.
    """
    cells = {_name(plan.results, cell): cell for cell in plan.cells}
    found: dict[str, bytes] = {}
    problems: list[str] = []
    for archive in archives:
        for name, content in _members(archive):
            place = f"{archive.name}: {name}"
            if name not in cells:
                problems.append(
                    f"{place}: no cell of preset {plan.study.name}; was it packed from another version of it?"
                )
            elif found.get(name, content) != content:
                problems.append(f"{place}: comes twice, with different content")
            found[name] = content
    new, known = {}, 0
    for name in sorted(found.keys() & cells.keys()):
        path = plan.results.path(cells[name])
        if not path.is_file():
            new[path] = (cells[name], found[name])
        elif path.read_bytes() == found[name]:
            known += 1
        else:
            problems.append(f"{name}: conflict, another result of this cell is in {path.parent}; keep one of the two")
    problems += _bring(new, write=not problems)
    if problems:
        raise InputError("\n".join([*problems, "nothing was imported"]))
    return Imported(len(new), known)


def _bring(new: dict[Path, tuple[Cell, bytes]], write: bool) -> list[str]:
    """Check files beside their places; put them there if all are whole and ``write``. The problems found."""
    problems, temporaries = [], {}
    try:
        for path, (cell, content) in new.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".import-{path.name}")
            temporary.write_bytes(content)
            temporaries[temporary] = path
            try:
                Results.check_file(temporary, cell)
            except DamagedResultError as error:
                problems.append(f"{path.name}: {error.reason}")
        if write and not problems:
            for temporary, path in temporaries.items():
                temporary.replace(path)
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)
    return problems


def _name(results: Results, cell: Cell) -> str:
    return results.path(cell).relative_to(results.root).as_posix()


def _groups(paths: Iterable[Path], limit: int) -> Iterator[list[Path]]:
    """Files in order, cut so that each group's archive stays below the limit, however badly they compress."""
    group: list[Path] = []
    size = 0
    for path in paths:
        cost = path.stat().st_size + 2 * tarfile.BLOCKSIZE
        if cost + 4 * tarfile.RECORDSIZE > limit:
            raise InputError(f"{path} alone is larger than the limit of {limit:,} bytes of an archive")
        if size + cost + 4 * tarfile.RECORDSIZE > limit:
            yield group
            group, size = [], 0
        group.append(path)
        size += cost
    yield group


def _archive(paths: Iterable[Path], root: Path) -> bytes:
    """The archive as bytes: no times, owners or modes, so that they depend on the results alone."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in paths:
            content = path.read_bytes()
            member = tarfile.TarInfo(path.relative_to(root).as_posix())
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """The files of an archive: name and content; nothing is extracted."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                source = archive.extractfile(member) if member.isfile() else None
                name = PurePosixPath(member.name)
                if source is None or name.is_absolute() or ".." in name.parts:
                    raise InputError(f"{path}: {member.name!r} is no result file; was it made by 'results pack'?")
                yield name.as_posix(), source.read()
    except FileNotFoundError as error:
        raise InputError(f"no archive {path}") from error
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{path} is no archive of results, or damaged ({error}); copy it again") from error

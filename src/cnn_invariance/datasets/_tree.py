"""The files of a folder or of a tar archive, in the same form.

An archive is read as a stream, from end to end and in memory. Nothing is extracted to the disk, so the
names of its members cannot do harm.
"""

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path, PurePosixPath

from cnn_invariance.errors import InputError

Parts = tuple[str, ...]

END = 1024  # bytes of zeros that end a tar archive
CHUNK = 1 << 20
MAGIC: dict[bytes, Callable[[Path], BufferedIOBase]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}


@dataclass(frozen=True)
class Tree:
    """Files (a path, or the bytes themselves) and folders, each under the parts of its path."""

    files: dict[Parts, Path | bytes]
    folders: set[Parts]


def read_tree(path: Path) -> Tree:
    """The tree of a folder or a tar archive (plain, gz, bz2, xz), without hidden entries.

    Errors: InputError if the file is not such an archive, is damaged, or contains links.
    """
    entries: Iterable[tuple[Parts, Path | bytes | None]]
    entries = _folder(path) if path.is_dir() else _archive(path)
    files: dict[Parts, Path | bytes] = {}
    folders: set[Parts] = set()
    for parts, file in entries:
        if not parts or any(part.startswith((".", "__MACOSX")) for part in parts):
            continue
        if file is None:
            folders.add(parts)
        else:
            files[parts] = file
            folders.update(parts[:depth] for depth in range(1, len(parts)))
    return Tree(files, folders)


def _folder(root: Path) -> Iterator[tuple[Parts, Path | None]]:
    for path in root.rglob("*"):
        yield path.relative_to(root).parts, None if path.is_dir() else path


def _archive(path: Path) -> Iterator[tuple[Parts, bytes | None]]:
    try:
        with _decompressed(path) as opened:
            stream = _Stream(opened)
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    yield _parts(member.name), _content(archive, member, path)
            stream.check_end()
    except (tarfile.TarError, EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read as a tar archive ({type(error).__name__}: {error}); expected a "
            "folder, or a whole .tar, .tar.gz, .tar.bz2 or .tar.xz file"
        ) from error


class _Stream(BufferedIOBase):
    """A stream that remembers whether the archive was complete.

    ``tarfile`` accepts a file that was cut short between two members, so that a dataset would lack images
    and nobody would notice. Therefore the end of the archive, two blocks of zeros, must be present.
    """

    def __init__(self, opened: BufferedIOBase) -> None:
        self.opened = opened
        self.tail = b""

    def read(self, size: int | None = -1, /) -> bytes:
        content = self.opened.read(size)
        self.tail = (self.tail + content[-END:])[-END:]
        return content

    def check_end(self) -> None:
        while self.read(CHUNK):  # the checksum of a compressed file is at its end
            pass
        if self.tail != bytes(END):
            raise EOFError("it ends early: was it cut short?")


def _decompressed(path: Path) -> BufferedIOBase:
    """The file, opened by the decompressor that its first bytes call for."""
    with path.open("rb") as file:
        start = file.read(6)
    for magic, opener in MAGIC.items():
        if start.startswith(magic):
            return opener(path)
    return path.open("rb")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes | None:
    if member.isdir():
        return None
    stream = archive.extractfile(member) if member.isreg() else None
    if stream is None:
        raise InputError(
            f"{path}: {member.name} is a link or a special file; pack the archive again with "
            "tar --dereference --hard-dereference"
        )
    return stream.read()


def _parts(name: str) -> Parts:
    return tuple(part for part in PurePosixPath(name).parts if part not in ("/", "//", ".."))

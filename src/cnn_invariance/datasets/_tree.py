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

from cnn_invariance.errors import InputError, shortened

Parts = tuple[str, ...]

END = 1024  # bytes of zeros that end a tar archive
CHUNK = 1 << 20
LARGEST = 2**28  # bytes of one file in an archive
LEAST_UNPACKED, RATIO = 2**27, 100  # what an archive may unpack to: this, and so many times its size
MOST_FILES = 5 * 10**6
ODD_HEADERS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError, RecursionError)
"""What `tarfile` also raises, for headers with odd numbers and names."""
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
    for number, path in enumerate(root.rglob("*")):
        if number == MOST_FILES:
            raise InputError(f"{root} holds more than {MOST_FILES:,} files; name the folder of the images")
        yield path.relative_to(root).parts, None if path.is_dir() else path


def _archive(path: Path) -> Iterator[tuple[Parts, bytes | None]]:
    if not path.is_file():
        raise InputError(f"{path} is neither a folder nor a file (a pipe or a device); expected a folder or archive")
    try:
        with _decompressed(path) as opened:
            stream = _Stream(opened, LEAST_UNPACKED + RATIO * path.stat().st_size)
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for number, member in enumerate(archive):
                    if number == MOST_FILES:
                        raise EOFError(f"it has more than {MOST_FILES:,} files")
                    archive.members = []  # type: ignore[attr-defined]  # else it remembers every header
                    yield _parts(member.name), _content(archive, member, path)
            stream.check_end()
    except InputError:
        raise
    except (tarfile.TarError, EOFError, OSError, lzma.LZMAError, zlib.error, *ODD_HEADERS) as error:
        raise InputError(
            f"{path} cannot be read as a tar archive ({type(error).__name__}: {shortened(str(error))}); expected a "
            "folder, or a whole .tar, .tar.gz, .tar.bz2 or .tar.xz file"
        ) from error


class _Stream(BufferedIOBase):
    """A stream that remembers whether the archive was complete.

    ``tarfile`` accepts a file that was cut short between two members, so that a dataset would lack images
    and nobody would notice. Therefore the end of the archive, two blocks of zeros, must be present. And the stream ends
    with an error when it has unpacked to more than ``most`` bytes: a small file can stand for terabytes.
    """

    def __init__(self, opened: BufferedIOBase, most: int) -> None:
        self.opened, self.most = opened, most
        self.tail = b""

    def read(self, size: int | None = -1, /) -> bytes:
        content = self.opened.read(size)
        self.most -= len(content)
        if self.most < 0:
            raise EOFError(f"it unpacks to more than {RATIO} times its size")
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
    plain = member.isreg() and not member.issparse()
    if plain and not 0 <= member.size <= LARGEST:
        raise InputError(
            f"{path}: {member.name} has {member.size:,} bytes, and an image {LARGEST:,} at most; leave it out"
        )
    stream = archive.extractfile(member) if plain else None
    if stream is None:
        raise InputError(
            f"{path}: {member.name} is a link or a special file; pack the archive again with "
            "tar --dereference --hard-dereference"
        )
    return stream.read()


def _parts(name: str) -> Parts:
    return tuple(part for part in PurePosixPath(name).parts if part not in ("/", "//", ".."))

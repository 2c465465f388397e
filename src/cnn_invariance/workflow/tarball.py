"""Reading a gzip-compressed tar from anybody: files alone, of bounded size, and nothing is extracted.

Python's ``tarfile`` reads whatever a header says into memory and follows every kind of header. This reader takes
headers of regular files, and the one extension that long names need, and refuses the rest by name.
"""

import gzip
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from cnn_invariance.errors import InputError

CHUNK = 2**16
RATIO = 200
"""The most bytes that a byte of an archive may stand for, beyond the first MiB: results give 2 to 30, zeros 1,000."""
LONG_NAME = 2**13
"""The most bytes of an extended header, which holds a name."""
KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.DIRTYPE: "a folder",
    tarfile.FIFOTYPE: "a FIFO",
    tarfile.CONTTYPE: "a contiguous file",
    tarfile.GNUTYPE_LONGNAME: "a long name of GNU tar",
    tarfile.GNUTYPE_LONGLINK: "a long link of GNU tar",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
    tarfile.XGLTYPE: "a pax header for all files",
    tarfile.SOLARIS_XHDTYPE: "an extended header of Solaris",
}


class Tarball:
    """An archive that is read once, from its start to its end.

    path:  the file
    whole: the most bytes that it may unpack to, besides those of files that `more` allows
    more:  the most bytes of a file of a name, where it may be larger than the whole; 0 elsewhere

    Errors, while it is read: InputError that names the archive, and the file where there is one.
    """

    def __init__(self, path: Path, whole: int, more: Callable[[str], int] = lambda name: 0) -> None:
        self.path, self.allowed, self.more = path, whole, more
        self.read = 0

    def files(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """The name of each file, and its content in chunks, which is skipped if it is not taken."""
        with self._opened() as self._packed, gzip.GzipFile(fileobj=self._packed) as self._stream:
            yield from self._files()

    def _opened(self) -> BinaryIO:
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):  # before it is opened: a FIFO would wait for a writer
                raise InputError(f"{self.path} is no file; name the archives themselves")
            return self.path.open("rb")
        except FileNotFoundError as error:
            raise InputError(f"no archive {self.path}") from error
        except (OSError, ValueError) as error:
            raise self._damaged(str(error)) from error

    _packed: BinaryIO
    _stream: gzip.GzipFile

    def _files(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        seen: set[str] = set()
        while (header := self._header()) is not None:
            name, size = header
            self._check_name(name)
            if name in seen:
                raise self._refused(name, "it is in the archive twice")
            seen.add(name)
            extra = self.more(name)
            if size > (extra or self.allowed):
                raise self._refused(name, f"it has {size:,} bytes, and at most {extra or self.allowed:,} are expected")
            self.allowed += size if extra else 0
            content = self._chunks(size)
            yield name, content
            for _ in content:  # what was not taken
                pass
            self._exactly(-size % tarfile.BLOCKSIZE)
        while rest := self._take(CHUNK):
            if rest.strip(b"\0"):
                raise self._damaged("something follows its end")

    def _header(self) -> tuple[str, int] | None:
        """The name and the size of the next file; None at the end."""
        block = self._exactly(tarfile.BLOCKSIZE)
        if not block.strip(b"\0"):
            return None
        info = self._info(block)
        if info.type == tarfile.XHDTYPE:
            name = self._long_name(info)
            info = self._info(self._exactly(tarfile.BLOCKSIZE))
            info.name = name
        if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            what = KINDS.get(info.type, f"an entry of type {info.type!r}, or a second extended header in a row")
            raise self._refused(info.name, f"it is {what}")
        if info.size < 0:
            raise self._refused(info.name, f"it has a size of {info.size}")
        return info.name, info.size

    def _info(self, block: bytes) -> tarfile.TarInfo:
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError, OverflowError) as error:
            raise self._damaged(f"not the header of a file: {error}") from error

    def _long_name(self, info: tarfile.TarInfo) -> str:
        """The name that an extended header gives to the file behind it, and it may give nothing else."""
        if not 0 < info.size <= LONG_NAME:
            raise self._refused(info.name, f"it is an extended header of {info.size:,} bytes, not one with a name")
        block = self._exactly(info.size + -info.size % tarfile.BLOCKSIZE)[: info.size]
        length, _, rest = block.partition(b" ")
        key, _, value = rest.partition(b"=")
        if length != str(info.size).encode() or key != b"path" or not value.endswith(b"\n") or b"\n" in value[:-1]:
            raise self._refused(info.name, "it is an extended header that gives more than a name")
        return value[:-1].decode("utf-8", "surrogateescape")

    def _check_name(self, name: str) -> None:
        """Refuse a name that is none of a file below the folder of results."""
        parts = name.split("/")
        if not name or "" in parts or "." in parts or ".." in parts or "\\" in name or "\0" in name or ":" in parts[0]:
            raise self._refused(name, "it has no name of a file below a folder")

    def _chunks(self, size: int) -> Iterator[bytes]:
        while size:
            chunk = self._exactly(min(CHUNK, size))
            size -= len(chunk)
            yield chunk

    def _exactly(self, size: int) -> bytes:
        """So many bytes, a few kilobytes at most."""
        found = b""
        while len(found) < size:
            if not (more := self._take(size - len(found))):
                raise self._damaged("it ends before its end")
            found += more
        return found

    def _take(self, size: int) -> bytes:
        """At most so many bytes, after which what was read is within the bounds."""
        try:
            found = self._stream.read(size)
        except (EOFError, OSError, zlib.error) as error:
            raise self._damaged(str(error)) from error
        self.read += len(found)
        if self.read > self.allowed:
            raise InputError(
                f"{self.path} unpacks to more than {self.allowed:,} bytes, which no archive of 'results pack' does"
            )
        if self.read > 2**20 + RATIO * self._packed.tell():
            raise InputError(
                f"{self.path} unpacks to more than {RATIO} times its size, which no archive of 'results pack' does"
            )
        return found

    def _refused(self, name: str, why: str) -> InputError:
        shown = name if len(name) <= 200 else f"{name[:200]}..."
        return InputError(f"{self.path}: {shown!r} is no result file: {why}; was it made by 'results pack'?")

    def _damaged(self, why: str) -> InputError:
        return InputError(f"{self.path} is no archive of results, or damaged ({why}); copy it again")

"""Writing files so that they are never incomplete.

Snakemake, and every later run, takes a file that exists to be complete. So no file is written in place: it is
written under a temporary name in the same folder, forced to the disk and then renamed, which replaces the old file in a
single step.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path, needed: int | None = None) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; rename it to ``path`` at the end, or remove it on an error.

    Missing parent folders are made. The temporary is an empty file that exists. It keeps the ending
    of ``path``, so that writers that choose a format by it (``numpy.savez``) add nothing. Its name
    is hidden and random, so that two processes that write the same file do not share one. The content is
    forced to the disk before the rename, and the rename itself after: a crash at any moment leaves the
    old file or the new one, and at worst also a hidden temporary file.

    needed: the bytes of the file, where they are known before it is written, for the message

    Errors: DiskError for a disk that is full, a folder that cannot be written, and other faults of the system.
    """
    from cnn_invariance.storage import faults  # a pass that writes nothing does without it

    with faults.explained(path, needed):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.stem}-{secrets.token_hex(8)}{path.suffix}")
        temporary.touch(exist_ok=False)
        try:
            yield temporary
            _sync(temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync(path.parent)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file with `atomic_write`; a text in UTF-8, its lines ended as they are."""
    written = content.encode("utf-8") if isinstance(content, str) else content
    with atomic_write(path, len(written)) as temporary:
        temporary.write_bytes(written)


def sync(path: Path) -> None:
    """Force a file, or a folder's entries, to the disk."""
    _sync(path)


def _sync(path: Path) -> None:
    """Force a file, or a folder's entries, to the disk."""
    if os.name == "nt" and path.is_dir():  # Windows cannot open a folder, and needs no such step
        return
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


MOST = 2**26
"""Bytes of a document that is read as a whole."""


def read_plain(path: Path, most: int = MOST) -> bytes:
    """The bytes of a file that may be anything (OSError for a pipe, a device, a folder, and for more than ``most``)."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # before it is opened: a pipe would wait for a writer
        raise OSError(f"{path} is no file")
    if found.st_size > most:
        raise OSError(f"{path} has {found.st_size:,} bytes, and {most:,} at most are read")
    with path.open("rb") as file:
        return file.read(most)

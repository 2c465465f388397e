"""Faults of the machine, in words: disks that are full, folders that cannot be written, files that are too large."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnn_invariance.errors import FailedError, InputError, shortened

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""There is no room: on the disk, within the user's quota, or within the size that one file may have."""
REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""The folder, or its disk, may not be written."""
BLOCKED = frozenset({errno.EEXIST, errno.ENOTDIR, errno.EISDIR})
"""Something else is where the folder or the file must be."""
NUMBER = re.compile(r"\(os error (\d+)\)|\[Errno (\d+)\]")
"""How libraries that raise errors of their own write the number of the system's error."""
FREE, REPEAT = "make room there, or name another folder", "then run the command again: what was finished before is kept"


class DiskError(FailedError, OSError):
    """A file could not be written, and nothing of it is left. The message says why, what is needed, and what to do."""


@contextmanager
def explained(path: Path, needed: int | None = None) -> Iterator[None]:
    """Turn an error of the system in a block that writes ``path`` into a `DiskError`.

    needed: the bytes of the file, where they are known before it is written
    """
    try:
        yield
    except (InputError, FailedError):
        raise
    except Exception as error:
        if (number := of(error)) is None:
            raise
        raise DiskError(said(path, number, needed)) from error


def of(error: BaseException) -> int | None:
    """The number of the system's error that an error is, comes from, or quotes; None if it is another error."""
    seen: list[BaseException] = []
    while error not in seen:
        seen.append(error)
        number = error.errno if isinstance(error, OSError) else None
        if number is None and not isinstance(error, KeyError) and (found := NUMBER.search(str(error))):
            number = int(found[1] or found[2])
        if number is not None:
            return number
        error = error.__cause__ or error.__context__ or error
    return None


def said(path: Path, number: int, needed: int | None = None) -> str:
    """What is said of a file that could not be written: why, what is needed and what to do."""
    why = f"{shortened(str(path))}: not written: {os.strerror(number)}"
    folder = shortened(str(path.parent))
    if number in FULL:
        size = "more than that" if needed is None else readable(needed)
        limit = " and no file may be so large" if number == errno.EFBIG else ""
        return f"{why}: {folder} has {readable(free(path.parent))} free{limit}, the file needs {size}; {FREE}, {REPEAT}"
    if number in REFUSED:
        return f"{why} ({folder} cannot be written by you); make it writable, or name another folder, {REPEAT}"
    if number in BLOCKED:
        return f"{why} (something else is in its way); move that away, or name another folder, {REPEAT}"
    return f"{why}; see to the folder {folder}, or name another one, {REPEAT}"


def said_of(error: OSError) -> str:
    """What is said of an error of the system at a file that was to be read, or where nobody knows at which.

    >>> said_of(PermissionError(errno.EACCES, "Permission denied", "results/a.json"))
    'results/a.json: Permission denied; see to that file and its folder, then run the command again'
    """
    place = f"{shortened(str(error.filename))}: " if error.filename else ""
    see = "see to that file and its folder" if place else "see to the disks and to where the output goes"
    return f"{place}{os.strerror(error.errno or 0)}; {see}, then run the command again"


def free(folder: Path) -> int:
    """The bytes that this user may still write on the disk of a folder, which need not be there yet; 0 if not known."""
    there = next((one for one in (folder, *folder.absolute().parents) if one.exists()), None)
    try:
        return 0 if there is None else shutil.disk_usage(there).free
    except OSError:
        return 0


def readable(size: int) -> str:
    """A number of bytes for people.

    >>> readable(300), readable(5000), readable(4 * 2**20)
    ('300 B', '4.9 KiB', '4.0 MiB')
    """
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"

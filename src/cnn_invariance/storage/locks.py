"""A lock on a folder that ends with the process that holds it, however that ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnn_invariance.errors import InputError
from cnn_invariance.storage.faults import explained


class Lock:
    """A lock that is held: the text of its file says by whom."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def says(self, holder: str) -> None:
        """Write who holds it, for the message that others get."""
        os.ftruncate(self.handle, 0)
        os.pwrite(self.handle, holder.encode(), 0) if hasattr(os, "pwrite") else os.write(self.handle, holder.encode())


@contextmanager
def locked(path: Path, what: str, advice: str) -> Iterator[Lock]:
    """Hold the lock of a file, which is made; the system lets go of it when the process ends, killed or not.

    A child process that is given the handle (``pass_fds``) holds it too, as long as it runs.

    Errors: InputError if another process holds it: ``what`` is said to be running, with what its file says of it;
    DiskError if the file cannot be made.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _taken(path)
    if handle is None:
        holder = path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else ""
        if _is_dead(holder):
            holder += ", which is dead, and of which a process that it started goes on"
        raise InputError(f"{path}: {what} is running already{f' ({holder})' if holder else ''}; {advice}")
    try:
        lock = Lock(handle)
        lock.says(f"process {os.getpid()}")
        yield lock
    finally:
        if sys.platform != "win32":  # where an open file cannot be deleted
            path.unlink(missing_ok=True)
        os.close(handle)


def _is_dead(holder: str) -> bool:
    """Whether who holds a lock, as its file says, is a process of this machine that is no more."""
    number = holder.removeprefix("process ")
    if number == holder or not number.isdecimal() or sys.platform == "win32":
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def share(path: Path, holder: str, *, stay: bool = True) -> bool | None:
    """Take part in the lock of a file, until this process ends; whether nobody had it. None: it cannot be known.

    holder: written into the file by who comes first
    stay:   whether to hold it at all
    """
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        alone = _take(handle)
        if alone:
            Lock(handle).says(holder)
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # no file system with locks
        return None
    if not stay:
        os.close(handle)
    return alone


def is_free(path: Path) -> bool:
    """Whether no process holds the lock of a file; one that is not there is free."""
    if not path.is_file():
        return True
    handle = os.open(path, os.O_RDWR)
    try:
        return _take(handle)
    finally:
        os.close(handle)


def _taken(path: Path) -> int | None:
    """The handle of a lock that is taken now; None if another process holds it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if not _take(handle):
            os.close(handle)
            return None
        if _is_at(handle, path):
            return handle
        os.close(handle)  # its file was deleted meanwhile, by the process that held it


def _is_at(handle: int, path: Path) -> bool:
    """Whether a handle is of the file that has this name now."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _take(handle: int) -> bool:
    """Take the lock if nobody holds it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, 2**20, os.SEEK_SET)  # behind the text, which Windows would not let others read
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

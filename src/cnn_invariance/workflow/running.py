"""What a run of Snakemake needs of the machine: room on the disks, its folder for itself, and an end when asked to.

Snakemake locks the files of a run in ``.snakemake/locks``. A run that is killed leaves these locks, and the next one is
refused. So each run also holds a lock of the system, which ends with its process: where no process holds that any more,
the locks of Snakemake are left over, and are deleted.
"""

import atexit
import contextlib
import os
import platform
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from cnn_invariance.errors import FailedError, InputError
from cnn_invariance.machine import ENDING, leave
from cnn_invariance.storage import faults, locks

if TYPE_CHECKING:
    from psutil import Process

LEAST_FREE = 16 * 2**20
"""Bytes that the disk of each folder must have free for a run to start: its records, logs and small results."""
LOCK, LOCKS = Path(".snakemake/cnn-invariance.lock"), Path(".snakemake/locks")
PATIENCE = 3.0
"""Seconds that running jobs may take to end when the run is asked to, before they are killed."""

_ended_by: list[int] = []


CHECKOUT = Path(__file__).parents[3]


def found_snakefile() -> Path:
    """The Snakefile of the current folder, as Snakemake looks for it, or that of the checkout (InputError: none)."""
    here = [Path(folder, name) for folder in ("", "workflow") for name in ("Snakefile", "snakefile")]
    found = next((one for one in (*here, CHECKOUT / "Snakefile") if one.is_file()), None)
    if found is None:
        raise InputError("expected a Snakefile in the current folder or the checkout; run in a checkout")
    return found


def check_space(folders: Iterable[Path], least: int = LEAST_FREE, what: str = "a run") -> None:
    """Raise FailedError that names the folders which cannot be written, or whose disk has less than so many bytes free.

    The message has one line for folders of which the same is to be said.
    """
    problems: dict[str, list[str]] = {}
    for folder in dict.fromkeys(folders):
        there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
        if not there.is_dir():
            problems.setdefault(f"{there} is no folder; move it away", []).append(str(folder))
        elif not os.access(there, os.W_OK | os.X_OK):
            problems.setdefault(f"{there} cannot be written by you; make it writable", []).append(str(folder))
        elif (free := faults.free(there)) < least:
            short = f"{faults.readable(free)} free on the disk, and {what} needs {faults.readable(least)}; make room"
            problems.setdefault(short, []).append(str(folder))
    if problems:
        lines = [f"{', '.join(named)}: {said}, or name another folder" for said, named in problems.items()]
        raise FailedError("\n".join([*lines, "then start it again: what was finished before is kept"]))


def join(say: Callable[[str], None], *, stay: bool = True) -> None:
    """Take part in the lock of this folder's runs; delete the locks of Snakemake that a killed run left.

    stay: hold the lock until this process ends; a dry run does not

    Another run may go on here, which is said: Snakemake refuses those that make the same files.
    """
    left = sorted(LOCKS.glob("*.lock"))
    if not (stay or left):
        return
    here = platform.node()
    known = LOCK.read_text(encoding="utf-8", errors="replace").strip() if LOCK.is_file() else ""
    alone = locks.share(LOCK, f"{here} process {os.getpid()}", stay=stay)
    if not left:
        return
    if alone is False:
        say(f"another run is going on in this folder ({known}); one that makes the same files has to wait for its end")
    elif alone and known.split(" ")[0] == here:
        shutil.rmtree(LOCKS, ignore_errors=True)
        say(f"the run before ({known}) was killed: its locks are deleted, and this run goes on from what it finished")
    else:
        say(f"{LOCKS} has the locks of another run; if it has ended, delete them with: snakemake --unlock")


def end_with_jobs() -> None:
    """Let SIGTERM, SIGINT and SIGHUP end this run within some seconds, and the jobs that run on this machine with it.

    Snakemake alone would wait for the end of its jobs.
    """
    if threading.current_thread() is not threading.main_thread():
        return

    def end(number: int, _: FrameType | None) -> None:
        for one in wanted:
            signal.signal(one, signal.SIG_IGN)
        _ended_by.append(number)
        atexit.register(leave, 1)
        end_children()
        raise KeyboardInterrupt

    wanted = [one for one in ENDING if signal.getsignal(one) is not signal.SIG_IGN]
    for one in wanted:
        signal.signal(one, end)


def asked_to_end() -> bool:
    """Whether a signal has asked this run to end; it then starts nothing more."""
    return bool(_ended_by)


def end_children() -> None:
    """Ask all processes below this one to end, and kill those that do not within `PATIENCE`."""
    import psutil

    children = psutil.Process().children(recursive=True)
    _each(children, psutil.Process.terminate)
    end = time.monotonic() + PATIENCE
    while any(map(_runs, children)) and time.monotonic() < end:
        time.sleep(0.05)
    _each(children, psutil.Process.kill)


def _each(processes: Iterable["Process"], ask: Callable[["Process"], object]) -> None:
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            ask(process)


def _runs(process: "Process") -> bool:
    """Whether a process has not ended; one that waits for its parent to read its status has."""
    import psutil

    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

"""Where, when and with what a result was made: recorded beside the spec, never part of it.

Nothing here names a person, a host or a folder: results are published.
"""

import platform
import re
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cnn_invariance import __version__
from cnn_invariance.machine import cpu, cpu_id, peak_memory


class Clock:
    """Started when it is made; knows how long it has run."""

    def __init__(self) -> None:
        self.started = datetime.now(UTC)
        self._start = time.perf_counter()

    def seconds(self) -> float:
        """Wall time since the start."""
        return round(time.perf_counter() - self._start, 3)


def provenance(clock: Clock, **facts: Any) -> dict[str, Any]:
    """The versions, the machine, the start and the cost so far, with further ``facts``.

    ``peak_memory_bytes`` is the most memory this process held at once; that of a GPU is for the
    caller to add.
    """
    return {
        "package": __version__,
        "commit": commit(Path(__file__).parents[1]),
        "python": platform.python_version(),
        "torch": version("torch"),
        "numpy": version("numpy"),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": cpu(),
        "cpu_id": cpu_id(),
        "started": clock.started.isoformat(timespec="seconds"),
        "wall_s": clock.seconds(),
        "peak_memory_bytes": peak_memory(),
        **facts,
    }


def commit(folder: Path) -> str | None:
    """The commit of the checkout that holds the package in this folder, ``-dirty`` if the package was changed since.

    Results that a run writes are no such change. Without a checkout: what ``git archive`` wrote into ``COMMIT``; or
    None.
    """
    head = _git(folder, "rev-parse", "HEAD")
    tracked = _git(folder, "ls-files", ".")
    if not head or not tracked:  # no checkout, or installed inside somebody else's
        return _archived(folder / "COMMIT")
    changed = _git(folder, "status", "--porcelain", "--", ".")
    return f"{head}-dirty" if changed else head


def _archived(path: Path) -> str | None:
    text = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    return text if re.fullmatch("[0-9a-f]{40}", text) else None


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None

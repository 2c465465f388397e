"""Whether the file of a result is what it was when it was written: its checksum, its spec, its version."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnn_invariance import __version__
from cnn_invariance.errors import InputError
from cnn_invariance.storage import checksum
from cnn_invariance.study import Cell

LARGEST = 2**28
"""Bytes of a result; those of the study have 1 MB at most."""


class DamagedResultError(InputError):
    """The file of a result was changed since it was written, or is the result of another cell.

    ``reason`` says which, without the path and without what to do.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}; {self.advice}")

    @property
    def advice(self) -> str:
        """What to do about it."""
        return f"restore it (git checkout -- {self.path}), or delete it, and it is computed again"


class NewerResultError(DamagedResultError):
    """The file of a result was written by a newer version of this package, which ``made_by`` names."""

    def __init__(self, path: Path, made_by: str) -> None:
        self.made_by = made_by
        super().__init__(path, f"made by version {made_by} of the package, newer than this, {__version__}")

    @property
    def advice(self) -> str:
        """What to do about it."""
        return "update the package"


def checked_bytes(path: Path) -> bytes:
    """The bytes of a file (DamagedResultError if its checksum is wrong)."""
    try:
        if path.stat().st_size > LARGEST:
            raise DamagedResultError(path, f"larger than any result, {path.stat().st_size:,} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise DamagedResultError(path, f"cannot be read ({error})") from error
    if not checksum.is_whole(content):
        raise DamagedResultError(path, "damaged: its content does not have its checksum")
    return content


def check_version(path: Path, provenance: Mapping[str, Any]) -> None:
    """Raise NewerResultError for a file of a newer version of this package, whatever else is new about it."""
    made_by = str(provenance.get("package", __version__))
    if _release(made_by) > _release(__version__):
        raise NewerResultError(path, made_by)


def check_spec(path: Path, held: str, cell: Cell) -> None:
    """Raise DamagedResultError for a file that holds the canonical JSON of another spec."""
    if held != cell.canonical:
        raise DamagedResultError(path, f"holds another spec than {cell.key}")


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version, for comparison.

    >>> _release("0.10.0.dev1") > _release("0.9")
    True
    """
    numbers = re.match(r"[0-9.]*", version[:50])
    return tuple(int(number) for number in numbers[0].split(".") if number) if numbers else ()

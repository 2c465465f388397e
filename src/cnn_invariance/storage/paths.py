"""Paths as people write them."""

from pathlib import Path

from cnn_invariance.errors import InputError


def expanded(path: Path | str) -> Path:
    """The path, with ``~`` and ``~name`` replaced by the home folder.

    Errors: InputError for a home folder that is not known, and for a path with a character that no path can have.
    """
    if "\0" in str(path):
        raise InputError(f"{str(path)!r} is no path: it holds the character NUL; correct it")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            f"{path}: the home folder that ~ stands for is not known on this machine; write the whole path"
        ) from None

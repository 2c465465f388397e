"""The folders in which raw files are searched for."""

import os
from pathlib import Path

from platformdirs import user_cache_path

VARIABLE = "CNN_INVARIANCE_DATA"


def given(raw: Path | None) -> list[Path]:
    """The folder that the user named: ``raw``, or else ``$CNN_INVARIANCE_DATA``. Empty if there is neither."""
    if raw is not None:
        return [raw.expanduser()]
    variable = os.environ.get(VARIABLE)
    return [Path(variable).expanduser()] if variable else []


def folders(raw: Path | None) -> list[Path]:
    """The folders to search, in order. Downloads go to the last one: ``raw``, or else the cache."""
    if raw is not None:
        return given(raw)
    return [*given(None), user_cache_path("cnn-invariance")]


def listed(places: list[Path]) -> str:
    """The places as an error message names them."""
    return ", ".join(str(place) for place in places)

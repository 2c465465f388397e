"""The folders in which raw files are searched for."""

import os
from pathlib import Path

from platformdirs import user_cache_path

from cnn_invariance.storage.paths import expanded

VARIABLE = "CNN_INVARIANCE_DATA"


def given(raw: Path | None) -> list[Path]:
    """The folder that the user named: ``raw``, or else ``$CNN_INVARIANCE_DATA``. Empty if there is neither."""
    if raw is not None:
        return [expanded(raw)]
    variable = os.environ.get(VARIABLE)
    return [expanded(variable)] if variable else []


def folders(raw: Path | None) -> list[Path]:
    """The folders to search, in order. Downloads go to the last one: ``raw``, or else the cache."""
    if raw is not None:
        return given(raw)
    return [*given(None), user_cache_path("cnn-invariance")]


def listed(places: list[Path]) -> str:
    """The places as an error message names them."""
    return ", ".join(str(place) for place in places)

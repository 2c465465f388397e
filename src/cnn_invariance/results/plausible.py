"""Plausibility of single values in a result: predicates on what was read from JSON."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import numpy as np


def is_text(value: Any) -> bool:
    """Whether it is a text that is not empty."""
    return isinstance(value, str) and value != ""


def is_number(value: Any, least: float = 0) -> bool:
    """Whether it is a finite number of at least ``least``."""
    return isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value) and value >= least


def is_sha256(value: Any) -> bool:
    """Whether it is a SHA-256 in hexadecimal."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def is_commit(value: Any) -> bool:
    """Whether it is the hash of a commit, with ``-dirty`` or without, or None."""
    return value is None or (isinstance(value, str) and re.fullmatch("[0-9a-f]{40}(-dirty)?", value) is not None)


def is_time(value: Any) -> bool:
    """Whether it is a time in ISO format with its zone."""
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def faults_of_shares(name: str, values: Iterable[Any]) -> Iterator[str]:
    """A message for each value that is not a number from 0 to 1."""
    for value in values:
        if not (is_number(value) and value <= 1):
            yield f"{name}: expected a share from 0 to 1; received {value!r}"

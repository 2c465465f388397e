"""What results keep as JSON, as it was read: of the types that its readers take it to have, or named.

A seal says that a file is as it was written, and not who wrote it: whatever is inside comes from anybody.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnn_invariance.errors import shown
from cnn_invariance.results.integrity import DamagedResultError

LARGEST = 1e18
"""No number that is kept is as large."""
LONGEST = 1000
"""Characters of a text."""
MOST = 10**6
"""Entries of a list or mapping."""


class Kept(dict[str, Any]):
    """A mapping of a result, which names its file when it is asked for a key that it lacks."""

    def __init__(self, values: Mapping[str, Any], path: Path) -> None:
        super().__init__(values)
        self.path = path

    def __missing__(self, key: str) -> Any:
        raise DamagedResultError(self.path, f"lacks {key!r}, which is needed here")


def loads(text: str | bytes, path: Path) -> Any:
    """JSON in which each mapping is a `Kept` (ValueError if it is none, also if it is nested too deeply)."""
    try:
        return json.loads(text, object_hook=lambda values: Kept(values, path))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def is_real(value: Any) -> bool:
    """Whether it is a finite number that can be computed with."""
    return isinstance(value, int | float) and abs(value) < LARGEST and bool(np.isfinite(float(value)))


def is_count(value: Any) -> bool:
    """Whether it is a whole number of at least 0."""
    return isinstance(value, int) and 0 <= value < LARGEST


def is_line(value: Any) -> bool:
    """Whether it is a text, not too long, or null."""
    return value is None or (isinstance(value, str) and len(value) <= LONGEST)


def is_list_of(one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """The test whether a value is a list of such values."""
    return lambda value: isinstance(value, list) and len(value) <= MOST and all(map(one, value))


def is_mapping_of(one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """The test whether a value is a mapping to such values."""
    return lambda value: isinstance(value, dict) and len(value) <= MOST and all(map(one, value.values()))


def or_null(one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """The test whether a value is null or such a value."""
    return lambda value: value is None or one(value)


Types = Mapping[str, tuple[Callable[[Any], bool], str]]
"""For each key a test of its value, and in words what is expected."""

PROVENANCE: Types = {
    **dict.fromkeys(
        ("package", "commit", "python", "torch", "numpy", "platform", "cpu", "cpu_id", "started", "device", "gpu"),
        (is_line, "a text, or null"),
    ),
    **dict.fromkeys(("wall_s", "peak_memory_bytes", "threads"), (is_real, "a number")),
    "gpu_peak_memory_bytes": (or_null(is_real), "a number, or null"),
}
RECORD: Types = {
    "epochs": (is_count, "a count"),
    "history": (is_list_of(is_mapping_of(or_null(is_real))), "a list of mappings to numbers"),
    "accuracies": (is_mapping_of(is_mapping_of(or_null(is_real))), "a mapping to mappings to numbers"),
    "samples": (is_mapping_of(is_count), "a mapping to counts"),
    "classes": (lambda value: is_count(value) and value > 0, "a count of at least 1"),
    "parameters": (is_real, "a number"),
    "weights_sha256": (is_line, "a text"),
}


def check(path: Path, what: str, values: Any, types: Types) -> None:
    """Raise DamagedResultError for a value whose key is known and whose type is another. A key may be absent."""
    if not isinstance(values, dict):
        raise DamagedResultError(path, f"{what}: expected a mapping; received {shown(values)}")
    for key, (fits, expected) in types.items():
        if key in values and not fits(values[key]):
            raise DamagedResultError(path, f"{what}: {key}: expected {expected}; received {shown(values[key])}")

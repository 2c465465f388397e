"""Closed schemas with one canonical text for one value, whose hash is the identity of the value."""

import hashlib
import json
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, and whole numbers without a point.

    A preset may say 360 or 360.0 and means the same. Not-a-number and infinity are refused (ValueError).

    >>> canonical_json({"b": 360.0, "a": [0.5, True, None]})
    '{"a":[0.5,true,null],"b":360}'
    """
    return json.dumps(_normal(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _normal(value: Any) -> Any:
    match value:
        case dict():
            return {key: _normal(item) for key, item in value.items()}
        case list() | tuple():
            return [_normal(item) for item in value]
        case float() if math.isfinite(value) and value.is_integer():
            return int(value)
        case _:
            return value


class Closed(BaseModel):
    """A pydantic model that refuses unknown keys and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Spec(Closed):
    """A closed model with a hash. Two specs are equal if and only if their hashes are."""

    @cached_property
    def canonical(self) -> str:
        """The canonical JSON of the spec: what is hashed, and what a result file keeps."""
        return canonical_json(self.model_dump(mode="json"))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields changed, and with the hash of its own content."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("canonical", "hash"):  # pydantic copies what is cached, too
            copied.__dict__.pop(name, None)
        return copied

    def __eq__(self, other: object) -> bool:
        """Equal when of one class and of one hash."""
        return type(self) is type(other) and self.hash == other.hash

    def __hash__(self) -> int:
        """So that specs can be members of sets and keys of dictionaries."""
        return int(self.hash[:15], 16)

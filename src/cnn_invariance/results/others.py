"""Why a result in the folder of a preset is of no cell of it: of earlier definitions, or of other settings."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cnn_invariance.study import Cell
from cnn_invariance.study.cells import CHANGED, KINDS


def why(path: Path, cells: Iterable[Cell]) -> str:
    """In words why a file is the result of none of these cells. The file is read, and never changed.

    A result of an earlier revision of its kind, or of the network or the measure cell it was made from, names the
    revision and what changed with it. Another one names the settings in which it differs from the cell of the preset
    that is most alike.
    """
    try:
        held = _spec(path)
        stage = held["stage"]
    except (OSError, ValueError, KeyError, TypeError):
        return "no cell of this preset, and no spec can be read from it; it is left as it is"
    if earlier := list(_earlier(held)):
        return f"of an earlier definition, never read as a cell of this preset: {'; '.join(earlier)}"
    alike = [dict(_flat(json.loads(cell.canonical))) for cell in cells if cell.stage == stage]
    own = dict(_flat(held))
    differences = min((_differences(own, other) for other in alike), key=len, default=[])
    if not differences:
        return "no cell of this preset"
    return f"no cell of this preset; the cell that is most alike has {', '.join(differences)}"


def _spec(path: Path) -> dict[str, Any]:
    """The spec that a file of results holds (ValueError or KeyError if it holds none)."""
    if path.suffix == ".json":
        found = json.loads(path.read_bytes())["spec"]
    else:
        import pyarrow.parquet as pq

        found = json.loads((pq.read_metadata(path).metadata or {})[b"spec"])
    if not isinstance(found, dict):
        raise ValueError("a spec is a mapping")
    return found


def _earlier(spec: Mapping[str, Any]) -> Iterator[str]:
    """The parts of a spec that are of an earlier revision than the code's, in words."""
    for kind in KINDS:
        stage, now = kind.model_fields["stage"].default, kind.model_fields["revision"].default
        for part in _parts(spec):
            if part["stage"] == stage and part.get("revision") != now:
                since = [text for (of, number), text in CHANGED.items() if of == stage and number <= now]
                yield f"revision {part.get('revision')} of a {kind.noun}, now {now} ({'; '.join(since)})"


def _parts(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A spec, and the specs of the cells that it is made from."""
    yield spec
    for value in spec.values():
        if isinstance(value, dict) and "stage" in value:
            yield from _parts(value)


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a nested mapping by their places, ``recipe.epochs``."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, f"{place}.{name}" if place else name)
    else:
        yield place, value


def _differences(own: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The settings of another spec that are not this one's."""
    names = [name for name in (*own, *other) if own.get(name) != other.get(name)]
    return [f"{name} {other.get(name)!r}, not {own.get(name)!r}" for name in dict.fromkeys(names)]

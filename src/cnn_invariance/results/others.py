"""What tells cells apart: why a result is of no cell of a preset, and which result a missing cell is most like."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import pyarrow as pa
from pydantic import Field, TypeAdapter

from cnn_invariance.errors import shortened, shown
from cnn_invariance.storage.files import read_plain
from cnn_invariance.study import Cell
from cnn_invariance.study.cells import CHANGED, KINDS

if TYPE_CHECKING:
    import numpy as np

_CELL: TypeAdapter[Cell] = TypeAdapter(Annotated[Cell, Field(discriminator="stage")])
UNREADABLE = (OSError, ValueError, KeyError, TypeError, RecursionError, pa.ArrowException)
"""The errors of a file that holds anything."""
SEED = (".network.seed", "..seed")
"""Where the seed of a network stands in the spec of a cell, after a point."""


def why(path: Path, cells: Iterable[Cell]) -> str:
    """In words why a file is the result of none of these cells. The file is read, and never changed.

    A result of an earlier revision of its kind, or of the network or the measure cell it was made from, names the
    revision and what changed with it. Another one names the settings in which it differs from the cell of the preset
    that is most alike.
    """
    try:
        held = _spec(path)
        stage = held["stage"]
        earlier, own = list(_earlier(held)), dict(_flat(held))
    except UNREADABLE:
        return "no cell of this preset, and no spec can be read from it; it is left as it is"
    if earlier:
        return shortened(f"of an earlier definition, never read as a cell of this preset: {'; '.join(earlier)}", 1000)
    alike = [settings(cell) for cell in cells if cell.stage == stage]
    differences = min((_differences(own, other) for other in alike), key=len, default=[])
    if not differences:
        return "no cell of this preset"
    return shortened(f"no cell of this preset; the cell that is most alike has {', '.join(differences)}", 1000)


def read_all(paths: Iterable[Path]) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """The cells of files and the provenance of their results; files that are no whole result of a cell are left out."""
    for path in paths:
        try:
            content = _facts(path)
            cell: Cell = _CELL.validate_python(content["spec"])
            made = content["provenance"]
            _ = cell.work, made["wall_s"], made["peak_memory_bytes"]  # a set of a user's file may be gone
        except UNREADABLE:  # an InputError is a ValueError
            continue
        yield cell, made


def settings(cell: Cell) -> dict[str, Any]:
    """The settings of a cell by their places, such as ``network.recipe.epochs``."""
    return dict(_flat(json.loads(cell.canonical)))


class Near(NamedTuple):
    """The result that a missing cell is most like: its key, and the settings in which it differs, in words."""

    key: str
    differences: list[str]
    another_seed: bool
    """Whether it is of a network that was trained independently."""


def nearest(missing: Sequence[Cell], there: Iterable[Cell], files: Iterable[Path]) -> dict[Cell, Near]:
    """For each missing cell the result of its kind that differs from it in the fewest settings, if there is one.

    there: cells with a result; files: results that are of no cell, whose specs are read
    """
    found: dict[Cell, Near] = {}
    held: list[tuple[str, str, dict[str, Any]]] = [(cell.key, cell.stage, settings(cell)) for cell in there]
    for path in files:
        try:
            spec = _spec(path)
            held.append((path.stem, str(spec.get("stage")), dict(_flat(spec))))
        except UNREADABLE:
            continue
    for stage in dict.fromkeys(cell.stage for cell in missing):
        wanted = [cell for cell in missing if cell.stage == stage]
        known = [(key, flat) for key, of, flat in held if of == stage]
        if not known:
            continue
        own = [settings(cell) for cell in wanted]
        for cell, flat, place in zip(wanted, own, _fewest(own, [flat for _, flat in known]), strict=True):
            key, other = known[place]
            seeds = [next((v for name, v in one.items() if f"..{name}".endswith(SEED)), None) for one in (flat, other)]
            found[cell] = Near(key, _differences(flat, other), seeds[0] != seeds[1])
    return found


def told_apart(cells: Sequence[Cell]) -> dict[Cell, str]:
    """Of cells with one title, the settings of each that are not those of most of them."""
    found = {}
    for group in _by_title(cells):
        flats = [settings(cell) for cell in group]
        names = [name for name in dict.fromkeys(chain(*flats)) if len({repr(flat.get(name)) for flat in flats}) > 1]
        usual = {name: Counter(repr(flat.get(name)) for flat in flats).most_common(1)[0][0] for name in names}
        for cell, flat in zip(group, flats, strict=True):
            differing = (name for name in names if repr(flat.get(name)) != usual[name])
            found[cell] = ", ".join(f"{name} {_value(flat.get(name))}" for name in differing)
    return found


def _by_title(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """The cells of each title that several cells have."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.stage, cell.title), []).append(cell)
    return (group for group in groups.values() if len(group) > 1)


def _fewest(own: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> list[int]:
    """For each of the own settings the place of the others from which it differs in the fewest."""
    import numpy as np

    names = list(dict.fromkeys(chain(*own, *others)))
    codes: dict[str, int] = {}

    def rows(flats: Sequence[Mapping[str, Any]]) -> "np.ndarray":
        texts = ([f"{name}={flat.get(name)!r}" for name in names] for flat in flats)
        return np.array([[codes.setdefault(text, len(codes)) for text in row] for row in texts], dtype=np.int32)

    left, right = rows(own), rows(others)
    return [int((right != row).sum(axis=1).argmin()) for row in left]


def _spec(path: Path) -> dict[str, Any]:
    """The spec that a file of results holds (ValueError or KeyError if it holds none)."""
    found = _facts(path)["spec"]
    if not isinstance(found, dict):
        raise ValueError("a spec is a mapping")
    return found


def _facts(path: Path) -> dict[str, Any]:
    """The ``spec`` and the ``provenance`` that a file of results holds; its errors are those of `_spec`."""
    if path.suffix == ".json":
        return dict(json.loads(read_plain(path)))
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path).metadata or {}
    return {name: json.loads(metadata[name.encode()]) for name in ("spec", "provenance")}


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
    return [_difference(name, own.get(name), other.get(name)) for name in dict.fromkeys(names)]


def _difference(name: str, own: Any, other: Any) -> str:
    """What another spec has in place of a setting, in words; of two lists, what only one of them has.

    >>> _difference("seed", 1, 2), _difference("measures", ["NV", "TV"], ["NV", "SV"])
    ('seed 2, not 1', 'measures with SV, without TV')
    """
    if not (isinstance(own, list) and isinstance(other, list)):
        return f"{name} {_value(other)}, not {_value(own)}"
    more, fewer = ([one for one in left if one not in right] for left, right in ((other, own), (own, other)))
    parts = [f"{word} {_value(found)}" for word, found in (("with", more), ("without", fewer)) if found]
    return f"{name} {', '.join(parts) or 'in another order'}"


def _value(value: Any) -> str:
    """A setting as text; of a long list how long it is."""
    if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value):
        return f"{value[:10]}..."
    if not isinstance(value, list):
        return shown(value)
    return ", ".join(map(str, value)) if len(value) <= 3 else f"{len(value)} of them"

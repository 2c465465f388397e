"""Whether results are complete, plausible and consistent, as far as can be told without computing them again."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cnn_invariance.results.plausible import is_commit, is_number, is_sha256, is_text, is_time
from cnn_invariance.results.store import Results
from cnn_invariance.study import Cell, TrainSpec

PROVENANCE: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "package": (is_text, "a version"),
    "commit": (is_commit, "40 hexadecimal digits, or null"),
    "python": (is_text, "a version"),
    "torch": (is_text, "a version"),
    "numpy": (is_text, "a version"),
    "platform": (is_text, "a text"),
    "cpu": (is_text, "a text"),
    "started": (is_time, "a time with its zone"),
    "wall_s": (is_number, "seconds"),
    "peak_memory_bytes": (lambda value: is_number(value, 1), "bytes"),
    "device": (is_text, "a text"),
    "threads": (lambda value: is_number(value, 1), "a count"),
}
"""What every result records of how it was made: a test of each value, and in words what is expected."""


@dataclass(frozen=True)
class Audit:
    """What was found: ``faults`` make a result wrong; ``notes`` are what a reader should know."""

    faults: list[str]
    notes: list[str]


def audit(results: Results, cells: Iterable[Cell]) -> Audit:
    """Look into every result that is there (DamagedResultError for a file that `Results.check` reports)."""
    faults: list[str] = []
    weights = {}
    for cell in filter(results.has, cells):
        held = results.read(cell)
        faults += [f"{results.path(cell)}: {fault}" for fault in (*_faults_of(held.provenance), *held.faults())]
        if is_sha256(held.weights_sha256):
            weights[cell] = held.weights_sha256
        else:
            faults.append(f"{results.path(cell)}: weights_sha256: expected a SHA-256; received {held.weights_sha256!r}")
    faults += [f"{results.path(second)}: {fault}" for second, fault in _repeated(weights)]
    return Audit(faults, list(_notes(weights)))


def _faults_of(provenance: Mapping[str, Any]) -> Iterator[str]:
    for name, (plausible, expected) in PROVENANCE.items():
        if name not in provenance:
            yield f"provenance lacks {name}"
        elif not plausible(provenance[name]):
            yield f"provenance: {name}: expected {expected}; received {provenance[name]!r}"


def _repeated(weights: Mapping[Cell, str]) -> Iterator[tuple[Cell, str]]:
    """Each network whose weights are those of another network before it."""
    first: dict[str, Cell] = {}
    for cell, digest in weights.items():
        if cell == cell.network and first.setdefault(digest, cell) != cell:
            yield cell, f"has the very weights of {first[digest].key}, another network"


def _notes(weights: Mapping[Cell, str]) -> Iterator[str]:
    """Cells that were made from other weights than those of the network's record: it was trained again for them."""
    found: dict[TrainSpec, list[str]] = defaultdict(list)
    for cell, digest in weights.items():
        network = cell.network
        if cell.epoch == network.recipe.epochs and weights.get(network, digest) != digest:
            found[network].append(cell.key)
    for network, keys in found.items():
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        yield f"{network.key} was trained again, with other weights than its record's, for {keys[0]}{more}"

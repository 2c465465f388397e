"""The result of a measure cell: a table of layer profiles and feature maps (Parquet)."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.measures.requests import KEPT_FOR_MAPS
from cnn_invariance.results import columns, integrity, kept
from cnn_invariance.results.integrity import DamagedResultError
from cnn_invariance.results.plausible import faults_of_shares
from cnn_invariance.statistics.layouts import with_depth
from cnn_invariance.statistics.profiles import relative_depth
from cnn_invariance.storage import checksum
from cnn_invariance.storage.files import write_whole
from cnn_invariance.study import MeasureSpec

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.statistics.layouts import Layout

COUNTS = ("units", "infinite", "dead", "nan")
ENCODINGS = {"map": "DELTA_BINARY_PACKED", "value": "BYTE_STREAM_SPLIT"}
ACCURACIES = kept.or_null(kept.is_list_of(kept.is_real))
_NAME = pa.dictionary(pa.int16(), pa.string())

SCHEMA = pa.schema(
    [
        pa.field("layer_index", pa.int16(), nullable=False),
        pa.field("layer", _NAME, nullable=False),
        pa.field("kind", _NAME, nullable=False),
        pa.field("measure", _NAME, nullable=False),
        pa.field("map", pa.int32()),
        pa.field("value", pa.float64(), nullable=False),
        *(pa.field(name, pa.int32()) for name in COUNTS),
    ]
)
"""A row for each (layer, measure), where ``map`` is null, and for each (layer, measure, map) of a cell with maps.

``value`` is the layer profile (the mean over finite units) or the value of the map. How many ``units`` there are, and
how many are ``infinite``, ``dead`` or not a number (``nan``), are those of the whole layer; missing for maps. Values of
maps have 17 significant bits, a relative error below 1e-5.
"""

PLAIN = pa.schema([field.with_type(pa.string()) if field.type == _NAME else field for field in SCHEMA])
"""`SCHEMA` with names as texts, without a dictionary."""


@dataclass(frozen=True, eq=False)
class MeasureTable:
    """A measure cell as it was read.

    ``accuracy``: share of samples classified rightly under each of the M transformations, in the
    order of the set; None where it was not measured.
    """

    spec: MeasureSpec
    table: pa.Table
    accuracy: list[float] | None
    provenance: dict[str, Any]

    @classmethod
    def read(cls, path: Path, spec: MeasureSpec) -> "MeasureTable":
        """Read the file of a measure cell.

        Errors: DamagedResultError for a changed byte, another spec, or a file of another kind.
        """
        source, facts = _opened(path, spec)
        found = cls(spec, columns.decoded(path, source), facts["accuracy"], facts["provenance"])
        for fault in found._faults_of_form():
            raise DamagedResultError(path, fault)
        return found

    @classmethod
    def check(cls, path: Path, spec: MeasureSpec) -> None:
        """Raise the errors of `read`, without decoding the columns."""
        _opened(path, spec)

    @property
    def weights_sha256(self) -> Any:
        """The SHA-256 of the weights that were measured, as recorded."""
        return self.provenance.get("weights_sha256")

    @cached_property
    def frame(self) -> "pd.DataFrame":
        """All rows, with the columns of `SCHEMA`; counts and ``map`` as integers with <NA>."""
        return _frame(self.table)

    @cached_property
    def layers(self) -> pa.Table:
        """The rows of the layers of all measures, in forward order, without those of feature maps."""
        rows = self.table.filter(self.table["map"].is_null())
        return rows.take(np.argsort(rows["layer_index"].to_numpy(), kind="stable"))

    def profile(self, measure: str, *, layers: "Layout | None" = None) -> "pd.DataFrame":
        """The rows of the layers for one measure, in forward order (InputError if it has none).

        ``depth`` is that of the layer among all layers of the cell, in per cent.

        layers: those of another library, such as ``models.author_layers("ResNet18")``; None: those observed
        """
        rows = self._rows.iloc[self._place(measure)].reset_index(drop=True)
        return rows if layers is None else layers.lay(rows, self._observed)

    def numbers(self, measure: str) -> dict[str, np.ndarray]:
        """The columns of `profile` as arrays (L,), texts as objects, all else as floats: in a tenth of its time."""
        places = self._place(measure)
        return {name: column[places] for name, column in self._columns.items()}

    def maps(self, measure: str) -> "pd.DataFrame":
        """The rows of the feature maps for one measure, by layer and map (InputError if it has not this measure)."""
        self._place(measure)
        rows = self.frame[(self.frame["measure"] == measure) & self.frame["map"].notna()]
        return rows.sort_values(["layer_index", "map"], kind="stable").reset_index(drop=True)

    def _place(self, measure: str) -> np.ndarray:
        """Where in `_rows` the profile of a measure stands (InputError if it has none)."""
        if measure not in self._places:
            raise unknown_name("measure in this result", measure, self._places)
        return self._places[measure]

    @cached_property
    def _rows(self) -> "pd.DataFrame":
        """The rows of the layers of all measures, in forward order."""
        return with_depth(_frame(self.layers), self._observed)

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        """The columns of `_rows` as arrays."""
        found = {name: _array(self.layers[name]) for name in SCHEMA.names}
        return found | {"depth": relative_depth(found["layer_index"], len(self._observed))}

    @cached_property
    def _places(self) -> dict[str, np.ndarray]:
        """Where in `_rows` the profile of each measure stands."""
        found: dict[str, list[int]] = {}
        for place, name in enumerate(_array(self.layers["measure"])):
            found.setdefault(name, []).append(place)
        return {name: np.array(places) for name, places in found.items()}

    @cached_property
    def _observed(self) -> list[str]:
        """The names of all layers of the cell, in forward order."""
        return list(dict(zip(_array(self.layers["layer_index"]), _array(self.layers["layer"]), strict=True)).values())

    def faults(self) -> Iterator[str]:
        """A message for each value that is missing, inconsistent with the spec, or not plausible."""
        if self.accuracy is not None:
            yield from faults_of_shares("accuracy", self.accuracy)
            if len(self.accuracy) != self.spec.transformations.size:
                yield f"accuracy: expected {self.spec.transformations.size} values; received {len(self.accuracy)}"
        rows = self.layers
        if not self.spec.maps and len(rows) < len(self.table):
            yield "expected no values of feature maps; received some"
        held = set(KEPT_FOR_MAPS).intersection(self.spec.measures)
        if absent := held.difference(set(self._maps_of())) if self.spec.maps else ():
            yield f"expected values of feature maps for {', '.join(sorted(absent))}; received none"
        yield from self._faults_of_layers(rows)
        yield from _faults_of_numbers(rows)

    def _faults_of_form(self) -> Iterator[str]:
        """What keeps the table from being used at all: its layers, or a name or a count where none may be."""
        rows = self.layers
        if any(rows[name].null_count for name in COUNTS):
            yield "counts: expected numbers for every layer; received null"
        if any((pc.min(self.table[name]).as_py() or 0) < 0 for name in (*COUNTS, "map", "layer_index")):
            yield "counts: expected no number below 0"
        index, layer, measure = (_array(rows[name]).tolist() for name in ("layer_index", "layer", "measure"))
        if len(dict.fromkeys(zip(index, layer, strict=True))) != len(set(index)):
            yield "layers: expected a name for each number from 1; received several for one"
        if len(set(zip(index, measure, strict=True))) < len(index):
            yield "a layer has a measure twice"

    def _maps_of(self) -> list[str]:
        """The measures that have values of feature maps."""
        found: list[str] = self.table.filter(self.table["map"].is_valid())["measure"].unique().to_pylist()
        return found

    def _faults_of_layers(self, rows: pa.Table) -> Iterator[str]:
        index, layer, measure = (_array(rows[name]) for name in ("layer_index", "layer", "measure"))
        if set(measure) != set(self.spec.measures):
            received = ", ".join(sorted(set(measure)))
            yield f"expected the measures {', '.join(self.spec.measures)}; received {received}"
        layers = set(zip(index, layer, strict=True))
        if sorted(number for number, _ in layers) != list(range(1, len(layers) + 1)):
            yield f"layers: expected a name for each number from 1; received {sorted(layers)}"
        if len(set(zip(index, measure, strict=True))) < len(index):
            yield "a layer has a measure twice"


def write_measure(
    path: Path,
    spec: MeasureSpec,
    frame: "pd.DataFrame",
    accuracy: Sequence[float] | None,
    provenance: Mapping[str, Any],
) -> None:
    """Write a measure cell, whole or not at all; ``frame`` has the columns of `SCHEMA`, and may have more.

    Errors: InputError for other columns, or a table without rows.
    """
    if not set(SCHEMA.names) <= set(frame.columns) or frame.empty:
        raise InputError(
            f"{path.name}: expected rows with the columns {', '.join(SCHEMA.names)}; received "
            f"{len(frame)} rows with {', '.join(map(str, frame.columns))}"
        )
    facts = {
        "spec": spec.canonical,
        "accuracy": json.dumps(None if accuracy is None else [float(share) for share in accuracy]),
        "provenance": json.dumps(dict(provenance), allow_nan=False),
        checksum.NAME: checksum.BLANK,
    }
    write_whole(path, checksum.close(_parquet(_table(frame), facts)))


def _opened(path: Path, spec: MeasureSpec) -> tuple[pq.ParquetFile, dict[str, Any]]:
    """The table of a file, its columns not yet decoded, with its accuracy and its provenance."""
    content = integrity.checked_bytes(path)
    try:
        source = pq.ParquetFile(pa.BufferReader(content))
        metadata = source.metadata.metadata or {}
        held = metadata[b"spec"].decode()
        facts = {name: kept.loads(metadata[name.encode()], path) for name in ("accuracy", "provenance")}
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise DamagedResultError(path, "not a measure table") from error
    kept.check(path, "provenance", facts["provenance"], {})
    integrity.check_version(path, facts["provenance"])
    if not source.schema_arrow.equals(SCHEMA):
        raise DamagedResultError(path, "not a measure table of this version")
    integrity.check_spec(path, held, spec)
    kept.check(path, "provenance", facts["provenance"], kept.PROVENANCE)
    kept.check(path, "measured", facts, {"accuracy": (ACCURACIES, "a list of numbers, or null")})
    return source, facts


def _frame(table: pa.Table) -> "pd.DataFrame":
    """A table of `SCHEMA` in pandas: names as texts, counts and ``map`` as integers with <NA>."""
    import pandas as pd

    nullable = {pa.int32(): pd.Int32Dtype()}
    return table.cast(PLAIN).to_pandas(types_mapper=nullable.get)


def _array(column: pa.ChunkedArray) -> np.ndarray:
    """A column of `SCHEMA` as an array: names as texts (objects), all else as floats, with NaN for null."""
    if not pa.types.is_dictionary(column.type):
        return column.to_numpy().astype(np.float64)
    names = column.combine_chunks()  # a name that is looked up for each row takes 3 us
    return np.array(names.dictionary.to_pylist(), dtype=object)[names.indices.to_numpy()]


def _faults_of_numbers(rows: pa.Table) -> Iterator[str]:
    units, *counts = (_array(rows[name]) for name in COUNTS)
    if not ((units >= 1).all() and all((count >= 0).all() for count in counts)):
        yield "counts: expected at least one unit a layer, and no count below 0"
    infinite, _, nan = counts
    if (infinite + nan > units).any():
        yield "counts: expected no more infinite units than there are"


def _table(frame: "pd.DataFrame") -> pa.Table:
    """The frame in the types of the file; values of maps, which only figures show, are rounded, which compresses."""
    value = frame["value"].to_numpy(np.float64)
    given = {"value": np.where(frame["map"].isna(), value, _rounded(value))}
    columns = [
        pa.array(given.get(field.name, frame[field.name]), from_pandas=field.name not in given) for field in SCHEMA
    ]
    arrays = [
        column.dictionary_encode().cast(field.type)
        if pa.types.is_dictionary(field.type)
        else column.cast(field.type, safe=not pa.types.is_floating(field.type))
        for column, field in zip(columns, SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _rounded(values: np.ndarray) -> np.ndarray:
    """Float32 with 17 significant bits; infinities and not-a-numbers stay."""
    mantissa, exponent = np.frexp(values.astype(np.float32))
    return np.ldexp(np.round(mantissa * 2.0**17), exponent - 17)


def _parquet(table: pa.Table, facts: Mapping[str, str]) -> bytes:
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in table.schema.names if name not in ENCODINGS],
        column_encoding=ENCODINGS,
        write_statistics=False,
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(dict(facts))
    return sink.getvalue()

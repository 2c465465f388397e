"""Two kinds of result file: a training record (JSON) and a measure table (Parquet). `responses` is the third.

All hold their spec, where and how they were made, and a checksum of every byte. None is ever
half there: see `cnn_invariance.storage.files`.
"""

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cnn_invariance import __version__
from cnn_invariance.errors import InputError
from cnn_invariance.storage import checksum
from cnn_invariance.storage.files import atomic_write
from cnn_invariance.study.spec import Cell, MeasureSpec, ResponseSpec, TrainSpec, canonical_json

if TYPE_CHECKING:
    import pandas as pd

QUANTILES = ("q05", "q25", "q50", "q75", "q95")
COUNTS = ("units", "infinite", "dead", "nan")
ENCODINGS = {"map": "DELTA_BINARY_PACKED", **dict.fromkeys(("value", *QUANTILES), "BYTE_STREAM_SPLIT")}
_NAME = pa.dictionary(pa.int16(), pa.string())

SCHEMA = pa.schema(
    [
        pa.field("layer_index", pa.int16(), nullable=False),
        pa.field("layer", _NAME, nullable=False),
        pa.field("kind", _NAME, nullable=False),
        pa.field("measure", _NAME, nullable=False),
        pa.field("map", pa.int32()),
        pa.field("value", pa.float64(), nullable=False),
        *(pa.field(name, pa.float32()) for name in QUANTILES),
        *(pa.field(name, pa.int32()) for name in COUNTS),
    ]
)
"""A row for each (layer, measure), where ``map`` is null, and for each (layer, measure, map).

``value`` is the layer profile (the mean over finite units) or the value of the map. Quantiles over units, and how many
``units`` there are and how many are ``infinite``, ``dead`` or not a number (``nan``), are those of the whole layer;
missing for maps. Quantiles and values of maps have 17 significant bits, a relative error below 1e-5.
"""


class DamagedResultError(InputError):
    """A result file that is not what it was when it was written, or is another cell's."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}; restore it (git checkout -- {path}), or delete it, and it is computed again")


class NewerResultError(DamagedResultError):
    """A result file that a newer version of this package made."""

    def __init__(self, path: Path, made_by: str) -> None:
        self.path, self.made_by = path, made_by
        InputError.__init__(self, f"{path}: {newer(made_by)}")


def newer(made_by: str) -> str:
    """What is wrong with a result of a newer version."""
    return f"made by version {made_by} of the package, newer than this, {__version__}: update the package"


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

    @cached_property
    def frame(self) -> "pd.DataFrame":
        """All rows, with the columns of `SCHEMA`; counts and ``map`` as integers with <NA>."""
        import pandas as pd

        names = [field.name for field in SCHEMA if pa.types.is_dictionary(field.type)]
        plain = pa.schema([field.with_type(pa.string()) if field.name in names else field for field in SCHEMA])
        nullable = {pa.int32(): pd.Int32Dtype()}
        return self.table.cast(plain).to_pandas(types_mapper=nullable.get)

    def profile(self, measure: str) -> "pd.DataFrame":
        """The rows of the layers for one measure, in forward order (InputError if it has none)."""
        return self._rows(measure, whole_layer=True)

    def maps(self, measure: str) -> "pd.DataFrame":
        """The rows of the feature maps for one measure, by layer and map."""
        return self._rows(measure, whole_layer=False)

    def _rows(self, measure: str, *, whole_layer: bool) -> "pd.DataFrame":
        from cnn_invariance.errors import unknown_name

        found = self.frame[self.frame["measure"] == measure]
        if found.empty:
            raise unknown_name("measure in this result", measure, set(self.frame["measure"]))
        rows = found[found["map"].isna() == whole_layer]
        return rows.sort_values(["layer_index", "map"], kind="stable").reset_index(drop=True)


def write_training(path: Path, spec: TrainSpec, record: Mapping[str, Any], provenance: Mapping[str, Any]) -> None:
    """Write the record of a training, whole or not at all. Numbers in it must be finite."""
    document = {
        "spec": json.loads(spec.canonical),
        "record": dict(record),
        "provenance": dict(provenance),
        checksum.NAME: checksum.BLANK,
    }
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    with atomic_write(path) as temporary:
        temporary.write_bytes(checksum.close(text.encode()))


def write_measure(
    path: Path,
    spec: MeasureSpec,
    frame: "pd.DataFrame",
    accuracy: Sequence[float] | None,
    provenance: Mapping[str, Any],
) -> None:
    """Write a measure cell, whole or not at all; ``frame`` has the columns of `SCHEMA`.

    Errors: InputError for other columns, or a table without rows.
    """
    if list(frame.columns) != SCHEMA.names or frame.empty:
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
    with atomic_write(path) as temporary:
        temporary.write_bytes(checksum.close(_parquet(_table(frame), facts)))


def read_training(path: Path, spec: TrainSpec) -> dict[str, Any]:
    """The file of a training: ``spec``, ``record``, ``provenance``.

    Errors: DamagedResultError for a changed byte, another spec, or a file of another kind.
    """
    content = whole(path)
    try:
        document = json.loads(content)
        held = canonical_json(document["spec"])
        if not isinstance(document["record"], dict) or not isinstance(document["provenance"], dict):
            raise TypeError("record")
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedResultError(path, "not a training record") from error
    not_newer(path, document["provenance"])
    same(path, held, spec)
    return document


def read_measure(path: Path, spec: MeasureSpec) -> MeasureTable:
    """The file of a measure cell.

    Errors: DamagedResultError for a changed byte, another spec, or a file of another kind.
    """
    source, facts = _open_measure(path, spec)
    table = source.read()
    return MeasureTable(spec, table, json.loads(facts["accuracy"]), dict(json.loads(facts["provenance"])))


def check(path: Path, spec: Cell) -> None:
    """Check a file that exists as reading it would, without decoding its columns."""
    match spec:
        case TrainSpec():
            read_training(path, spec)
        case MeasureSpec():
            _open_measure(path, spec)
        case ResponseSpec():
            from cnn_invariance.results import responses

            responses.read(path, spec)


def _open_measure(path: Path, spec: MeasureSpec) -> tuple[pq.ParquetFile, dict[str, str]]:
    content = whole(path)
    try:
        source = pq.ParquetFile(pa.BufferReader(content))
        metadata = source.metadata.metadata or {}
        facts = {name: metadata[name.encode()].decode() for name in ("spec", "accuracy", "provenance")}
        provenance = dict(json.loads(facts["provenance"]))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise DamagedResultError(path, "not a measure table") from error
    not_newer(path, provenance)
    if not source.schema_arrow.equals(SCHEMA):
        raise DamagedResultError(path, "not a measure table of this version")
    same(path, facts["spec"], spec)
    return source, facts


def whole(path: Path) -> bytes:
    """The bytes of a file whose checksum is right (else DamagedResultError)."""
    content = path.read_bytes()
    if not checksum.is_whole(content):
        raise DamagedResultError(path, "damaged: its content does not have its checksum")
    return content


def same(path: Path, held: str, spec: Cell) -> None:
    """Refuse a file of another spec (DamagedResultError)."""
    if held != spec.canonical:
        raise DamagedResultError(path, f"holds another spec than {spec.key}")


def not_newer(path: Path, provenance: Mapping[str, Any]) -> None:
    """Refuse a file of a newer version of this package, whatever else is new about it (NewerResultError)."""
    made_by = str(provenance.get("package", __version__))
    if _release(made_by) > _release(__version__):
        raise NewerResultError(path, made_by)


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version that can be compared.

    >>> _release("0.10.0.dev1") > _release("0.9")
    True
    """
    return tuple(int(number) for number in re.match(r"[\d.]*", version)[0].split(".") if number)  # type: ignore[index]


def _table(frame: "pd.DataFrame") -> pa.Table:
    """The frame in the types of the file; what only figures show is rounded, which compresses."""
    value = frame["value"].to_numpy(np.float64)
    rounded = {name: _rounded(frame[name].to_numpy()) for name in QUANTILES}
    rounded["value"] = np.where(frame["map"].isna(), value, _rounded(value))
    columns = [
        pa.array(rounded.get(field.name, frame[field.name]), from_pandas=field.name not in rounded) for field in SCHEMA
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

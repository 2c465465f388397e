"""The result of a response cell: feature maps of some samples under transformations (Parquet)."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cnn_invariance.errors import InputError
from cnn_invariance.results import columns, integrity, kept
from cnn_invariance.results.integrity import DamagedResultError
from cnn_invariance.storage import checksum
from cnn_invariance.storage.files import write_whole
from cnn_invariance.study import ResponseSpec

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = pa.schema(
    [
        pa.field("layer_index", pa.int16(), nullable=False),
        pa.field("layer", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("role", pa.string(), nullable=False),
        pa.field("rank", pa.int16(), nullable=False),
        pa.field("sample", pa.int16(), nullable=False),
        pa.field("map", pa.int32(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("variation", pa.float64()),
        pa.field("member", pa.int16()),
        pa.field("height", pa.int16(), nullable=False),
        pa.field("width", pa.int16(), nullable=False),
        pa.field("response", pa.list_(pa.float16())),
    ]
)
"""A row for each map, sample and transformation shown; ``response`` is the map, row by row.

``role`` is "most" or "least" invariant by ``value``, the measure that ranks, and ``rank`` counts from 0 at that end.
``variation`` is that of the map's responses to the sample under all transformations shown
(`cnn_invariance.statistics.responses.relative_variation`), the same in each of their rows. Layer 0 with role "input" is
the image itself, a row for each channel. A cell without pictures has a row for each map and sample, without ``member``
and ``response``, and no image.
"""


@dataclass(frozen=True, eq=False)
class Responses:
    """A response cell as it was read: its rows, and where they were made."""

    spec: ResponseSpec
    frame: "pd.DataFrame"
    provenance: dict[str, Any]

    @classmethod
    def read(cls, path: Path, spec: ResponseSpec) -> "Responses":
        """Read the file of a response cell.

        Errors: DamagedResultError for a changed byte, another spec, or a file of another kind.
        """
        content = integrity.checked_bytes(path)
        try:
            source = pq.ParquetFile(pa.BufferReader(content))
            metadata = source.metadata.metadata or {}
            held, provenance = metadata[b"spec"].decode(), kept.loads(metadata[b"provenance"], path)
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise DamagedResultError(path, "not a response table") from error
        kept.check(path, "provenance", provenance, {})
        integrity.check_version(path, provenance)
        if not source.schema_arrow.equals(SCHEMA):
            raise DamagedResultError(path, "not a response table of this version")
        integrity.check_spec(path, held, spec)
        kept.check(path, "provenance", provenance, kept.PROVENANCE)
        table = columns.decoded(path, source)
        for fault in _faults_of_form(table, spec):
            raise DamagedResultError(path, fault)
        return cls(spec, table.to_pandas(), provenance)

    @classmethod
    def check(cls, path: Path, spec: ResponseSpec) -> None:
        """Raise the errors of `read`."""
        cls.read(path, spec)

    @property
    def weights_sha256(self) -> Any:
        """The SHA-256 of the weights that responded, as recorded."""
        return self.provenance.get("weights_sha256")

    def faults(self) -> Iterator[str]:
        """A message for each value that is missing, inconsistent with the spec, or not plausible."""
        members, roles = set(self.frame["member"]), set(self.frame["role"])
        if not self.spec.pictures:
            if self.frame["response"].notna().any():
                yield "expected no pictures; received some"
            return
        if members != set(self.spec.members):
            yield f"expected the members {list(self.spec.members)}; received {sorted(members)}"
        if len(set(self.frame["sample"])) > (self.spec.sample.count or 0):
            yield f"expected {self.spec.sample.count} samples; received {sorted(set(self.frame['sample']))}"
        if not roles <= {"input", "most", "least"}:
            yield f"role: expected input, most or least; received {sorted(roles)}"
        if (self.frame["response"].map(len) != self.frame["height"].astype(int) * self.frame["width"]).any():
            yield "a response has not height x width values"

    def variations(self, layer_index: int) -> "pd.DataFrame":
        """How much each map of a layer varies: ``role``, ``rank``, ``sample``, ``variation``, a row for each."""
        rows = self.frame[self.frame["layer_index"] == layer_index]
        names = ["role", "rank", "sample", "variation"]
        return rows[names].drop_duplicates(names[:-1]).reset_index(drop=True)

    def maps(self, layer_index: int, role: str, rank: int = 0, sample: int = 0) -> np.ndarray:
        """What a map responds to a sample, by member, (members, H, W); of the input (members, channels, H, W)."""
        wanted = {"layer_index": layer_index, "role": role, "rank": rank, "sample": sample}
        rows = self.frame[(self.frame[list(wanted)] == list(wanted.values())).all(axis=1)]
        if rows.empty:
            raise InputError(f"{self.spec.key} has no responses with {wanted}")
        height, width = int(rows["height"].iloc[0]), int(rows["width"].iloc[0])
        by_map = [
            [np.asarray(one, dtype=np.float32).reshape(height, width) for one in of_map.loc[list(self.spec.members)]]
            for _, of_map in rows.set_index("member").groupby("map")["response"]
        ]
        values = np.stack(by_map, axis=1)  # (members, maps, H, W)
        return values if role == "input" else values[:, 0]


def _faults_of_form(table: pa.Table, spec: ResponseSpec) -> Iterator[str]:
    """What keeps the table from being used at all: pictures that are not of their height and width."""
    if not len(table):
        yield "expected rows; received none"
    if not spec.pictures:
        return
    lengths = pc.list_value_length(table["response"])
    areas = pc.multiply(table["height"].cast(pa.int64()), table["width"].cast(pa.int64()))
    if lengths.null_count or not pc.all(pc.equal(lengths.cast(pa.int64()), areas)).as_py():
        yield "a response has not height x width values"


def write_responses(path: Path, spec: ResponseSpec, frame: "pd.DataFrame", provenance: Mapping[str, Any]) -> None:
    """Write a response cell, whole or not at all; ``frame`` has the columns of `SCHEMA`."""
    table = pa.Table.from_pandas(frame[SCHEMA.names], schema=SCHEMA, preserve_index=False)
    facts = {
        "spec": spec.canonical,
        "provenance": json.dumps(dict(provenance), allow_nan=False),
        checksum.NAME: checksum.BLANK,
    }
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in SCHEMA.names if name != "response"],
        write_statistics=False,
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(facts)
    write_whole(path, checksum.close(sink.getvalue()))

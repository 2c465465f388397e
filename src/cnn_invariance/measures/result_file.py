"""The file of a `MeasureResult`: Parquet, with a checksum of every byte; what is no array is in its metadata."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cnn_invariance.activations import Layer
from cnn_invariance.errors import InputError
from cnn_invariance.measures.nulls import Null
from cnn_invariance.measures.uncertainty import Uncertainty
from cnn_invariance.storage import checksum
from cnn_invariance.storage.files import atomic_write

if TYPE_CHECKING:
    from cnn_invariance.measures.result import MeasureResult

KEY = b"cnn_invariance"


def write(result: "MeasureResult", path: Path) -> None:
    """Write a result, whole or not at all: a column for each measure, which has the values of all layers in a row."""
    facts = {
        "layers": [asdict(layer) for layer in result.layers],
        "shapes": {
            measure: [None if v is None else v.shape for v in layers] for measure, layers in result.values.items()
        },
        "accuracy": None if result.accuracy is None else result.accuracy.tolist(),
        "samples": result.samples,
        "transformations": result.transformations,
        "dead": {measure: list(counts) for measure, counts in result.dead.items()},
        "info": dict(result.info),
        "skipped": dict(result.skipped),
        "network": {measure: value.tolist() for measure, value in result.network.items()},
        "reasons": {measure: dict(layers) for measure, layers in result.reasons.items()},
        checksum.NAME: checksum.BLANK,
    }
    if result.uncertainty is not None:
        facts["uncertainty"] = result.uncertainty.facts()
    if result.nulls is not None:
        facts["nulls"] = result.nulls.facts()
    table = pa.table(
        {measure: pa.array([_concatenated(layers)]) for measure, layers in result.values.items()}
    ).replace_schema_metadata({KEY: json.dumps(facts)})
    with atomic_write(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
        temporary.write_bytes(checksum.close(temporary.read_bytes()))


def read(path: Path) -> dict[str, Any]:
    """The attributes of the result that a file holds.

    Raises:
        InputError: the file is missing, is not such a file, or has a changed byte.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no file; expected one written by MeasureResult.save")
    try:
        content = path.read_bytes()
        table = pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
        facts = json.loads((table.schema.metadata or {})[KEY])
    except FileNotFoundError as error:
        raise InputError(f"no file {path}; expected one written by MeasureResult.save") from error
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} was not written by MeasureResult.save ({error}); measure again") from error
    if not checksum.is_whole(content):
        raise InputError(f"{path} is damaged: its content does not have its checksum; measure again")
    try:
        return _attributes(table, facts)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        said = f"{type(error).__name__}: {error}"
        raise InputError(f"{path} does not hold what MeasureResult.save writes ({said}); measure again") from error


def _attributes(table: pa.Table, facts: dict[str, Any]) -> dict[str, Any]:
    shapes = facts["shapes"]
    return {
        "layers": tuple(Layer(**{**layer, "shape": tuple(layer["shape"])}) for layer in facts["layers"]),
        "values": {measure: _split(table[measure][0].values.to_numpy(), shapes[measure]) for measure in shapes},
        "accuracy": None if facts["accuracy"] is None else np.array(facts["accuracy"]),
        "samples": facts["samples"],
        "transformations": tuple(facts["transformations"]),
        "dead": facts["dead"],
        "info": facts["info"],
        "skipped": facts.get("skipped", {}),
        "network": {measure: np.array(value) for measure, value in facts.get("network", {}).items()},
        "reasons": facts.get("reasons", {}),
        "uncertainty": Uncertainty.of(facts["uncertainty"]) if "uncertainty" in facts else None,
        "nulls": Null.read(facts["nulls"]) if "nulls" in facts else None,
    }


def _concatenated(layers: Sequence[np.ndarray | None]) -> np.ndarray:
    parts = [values.ravel() for values in layers if values is not None]
    return np.concatenate(parts) if parts else np.empty(0)


def _split(flat: np.ndarray, shapes: Sequence[Sequence[int] | None]) -> list[np.ndarray | None]:
    start, parts = 0, []
    for shape in shapes:
        size = 0 if shape is None else int(np.prod(shape))
        parts.append(None if shape is None else flat[start : start + size].reshape(shape))
        start += size
    return parts

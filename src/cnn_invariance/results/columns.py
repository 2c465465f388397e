"""Decoding the columns of a Parquet file that comes from anybody."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cnn_invariance.results.integrity import DamagedResultError

MOST_ROWS = 5 * 10**6
MOST_BYTES = 2**30
LONGEST_NAME = 1000


def decoded(path: Path, source: pq.ParquetFile) -> pa.Table:
    """The table of a file whose schema has been checked, whole and valid.

    Errors: DamagedResultError if it says that it is larger than any result, if a page does not decode, if a value is
    absent where none may be, or if a name is not one.
    """
    sizes = source.metadata
    groups = [sizes.row_group(k) for k in range(min(sizes.num_row_groups, 1000))]
    total = sum(max(group.total_byte_size, 0) for group in groups)
    if sizes.num_rows > MOST_ROWS or sizes.num_row_groups > len(groups) or total > MOST_BYTES:
        raise DamagedResultError(
            path, f"larger than any result: {sizes.num_rows:,} rows in {sizes.num_row_groups:,} groups, {total:,} bytes"
        )
    try:
        table = source.read(use_threads=False)  # small files: threads cost more than they save
        table.validate(full=True)
        names = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
        for name in names:
            for chunk in table[name].chunks:
                if max(map(len, chunk.dictionary.to_pylist()), default=0) > LONGEST_NAME:
                    raise DamagedResultError(path, f"{name}: a name of more than {LONGEST_NAME} characters")
    except (pa.ArrowException, OSError, ValueError, TypeError, MemoryError, OverflowError) as error:
        if isinstance(error, DamagedResultError):
            raise
        text = " ".join(str(error).split())[:200]
        raise DamagedResultError(path, f"its columns cannot be decoded ({text})") from error
    for field in table.schema:
        if not field.nullable and table[field.name].null_count:
            raise DamagedResultError(path, f"{field.name}: expected a value in every row; received null")
    return table

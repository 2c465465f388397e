"""Reading and writing the results of cells, each with its spec and where it came from."""

from cnn_invariance.results.files import (
    DamagedResultError,
    MeasureTable,
    write_measure,
    write_training,
)
from cnn_invariance.results.responses import Responses
from cnn_invariance.results.store import Results

__all__ = ["DamagedResultError", "MeasureTable", "Responses", "Results", "write_measure", "write_training"]

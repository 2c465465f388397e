"""Reading and writing the results of cells, each with its spec and where it came from.

A result is a file that holds its spec, where and how it was made, and a checksum of every byte. It is never half
written: see `cnn_invariance.storage.files`.
"""

from cnn_invariance.results.integrity import DamagedResultError
from cnn_invariance.results.measures import MeasureTable, write_measure
from cnn_invariance.results.responses import Responses, write_responses
from cnn_invariance.results.store import Result, Results
from cnn_invariance.results.trainings import TrainingRecord, write_training

__all__ = [
    "DamagedResultError",
    "MeasureTable",
    "Responses",
    "Result",
    "Results",
    "TrainingRecord",
    "write_measure",
    "write_responses",
    "write_training",
]

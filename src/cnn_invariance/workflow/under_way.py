"""How far a training that was interrupted had come, without torch."""

import json
from pathlib import Path

from cnn_invariance.study import TrainSpec

MOST_OF_A_HEADER = 2**24
"""Bytes of the header of a training's state that are read: names and shapes of tensors, and the history."""


def epochs_done(state: Path, network: TrainSpec) -> int:
    """The epochs that an interrupted training has behind it, by the header of its state; 0 of a file that is none."""
    try:
        with state.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(size, MOST_OF_A_HEADER)))
        document = json.loads(json.loads(header["__metadata__"]["cnn_invariance"])["document"])
        done = document["epoch"] if document["spec_hash"] == network.hash else 0
        return min(max(0, int(done)), network.recipe.epochs)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0

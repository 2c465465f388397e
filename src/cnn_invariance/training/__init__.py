"""Training: one seeded recipe for all networks, which resumes where it was interrupted, and its checkpoints."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnn_invariance.training.checkpoint import input_shape as input_shape
    from cnn_invariance.training.checkpoint import load_network as load_network
    from cnn_invariance.training.errors import TrainingError as TrainingError
    from cnn_invariance.training.loop import train as train

# Imported when they are first used, because measuring a checkpoint does not need the modules that train.
_PLACES = {"TrainingError": "errors", "input_shape": "checkpoint", "load_network": "checkpoint", "train": "loop"}
__all__ = ["TrainingError", "input_shape", "load_network", "train"]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

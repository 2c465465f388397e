"""Training one network from its spec, and reading it back."""

from cnn_invariance.training.checkpoint import load_network
from cnn_invariance.training.errors import TrainingError
from cnn_invariance.training.loop import train

__all__ = ["TrainingError", "load_network", "train"]

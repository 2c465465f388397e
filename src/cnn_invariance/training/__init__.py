"""Training one network from its spec, and reading it back."""

from cnn_invariance.training.checkpoint import input_shape, load_network
from cnn_invariance.training.errors import TrainingError
from cnn_invariance.training.loop import train

__all__ = ["TrainingError", "input_shape", "load_network", "train"]

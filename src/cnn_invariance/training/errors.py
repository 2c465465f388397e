"""The error of a failed training."""


class TrainingError(RuntimeError):
    """A training ran and failed: its loss is not finite, or its accuracy is below the floor.

    The message states what happened, when, and what to change. A failed run leaves no file.
    """

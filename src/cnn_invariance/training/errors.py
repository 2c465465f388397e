"""How a training fails."""


class TrainingError(RuntimeError):
    """A training ran and failed: its loss is not finite, or its accuracy is below the floor.

    The message says what happened, when, and what may be changed. A failed run leaves no file.
    """

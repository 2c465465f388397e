"""``python -m cnn_invariance.cli``: the commands, where the script is not installed."""

from cnn_invariance.cli import app

app()

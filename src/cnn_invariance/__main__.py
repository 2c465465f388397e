"""``python -m cnn_invariance``: the commands, where the script is not installed."""

from cnn_invariance.cli import app

app(prog_name="python -m cnn_invariance")

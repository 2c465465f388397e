"""The command line: one command for each stage of the study, and ``inspect`` for networks of one's own.

An error that a user can put right is printed as ``error: ...`` and ends with status 2; a stage that ran and failed ends
with status 1. Neither shows a traceback, unless ``--debug`` is given before the command. A command imports what it
needs when it runs, so that an experiment that fails to import cannot stop a training.
"""

from cnn_invariance.cli import cells, inspect, known_answers, results, sources, study
from cnn_invariance.cli.application import app

__all__ = ["app", "cells", "inspect", "known_answers", "results", "sources", "study"]

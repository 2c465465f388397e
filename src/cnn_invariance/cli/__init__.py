"""The command line: one command for each stage of the study, and ``inspect`` for networks of one's own.

An error that a user can put right is printed as ``error: ...`` and ends with status 2; a stage that ran and failed ends
with status 1. Neither shows a traceback, unless ``--debug`` is given before the command. A command imports what it
needs when it runs, so that an experiment that fails to import cannot stop a training.

The commands of the study need the packages of the extra ``study``; without them there are ``inspect`` and ``version``.
"""

from cnn_invariance.cli.group import PlainErrors, app, missing_package

try:
    from cnn_invariance.cli import (  # noqa: F401 (they add commands)
        cells,
        export,
        known_answers,
        results,
        sources,
        study,
        weights,
    )
except ModuleNotFoundError as error:
    if not missing_package(error):
        raise
    PlainErrors.lacks = missing_package(error)
from cnn_invariance.cli import inspect

__all__ = ["app", "inspect"]

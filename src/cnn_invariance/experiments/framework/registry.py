"""Finding experiments by their names."""

import importlib
from functools import cache
from pathlib import Path

from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.experiments.framework.experiment import Experiment

FOLDER = Path(__file__).parents[1]


@cache
def names() -> tuple[str, ...]:
    """The names of all experiments: of the public files in ``experiments/``."""
    return tuple(sorted(file.stem for file in FOLDER.glob("[!_]*.py")))


def load(name: str) -> type[Experiment]:
    """The class of an experiment.

    Errors: InputError for an unknown name, with the nearest match, and for a file that fails to import or that does not
    define one experiment with all that an experiment must define.
    """
    if name not in names():
        raise unknown_name("experiment", name, names())
    path = FOLDER / f"{name}.py"
    try:
        module = importlib.import_module(f"cnn_invariance.experiments.{name}")
    except Exception as error:  # it may be anyone's code
        raise InputError(f"{path} cannot be imported: {type(error).__name__}: {error}; correct the file") from error
    defined = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Experiment) and one.__module__ == module.__name__
    ]
    if len(defined) != 1:
        raise InputError(f"{path}: expected one class that derives from Experiment; found {len(defined)}")
    if missing := sorted(defined[0].__abstractmethods__):
        raise InputError(f"{path}: {defined[0].__name__} does not define {', '.join(missing)}; define what is missing")
    return defined[0]

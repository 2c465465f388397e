"""Finding experiments: those of the package by their names, a user's own by ``file.py:Class``."""

import importlib
import sys
from functools import cache
from pathlib import Path

from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.experiments.framework.experiment import Experiment
from cnn_invariance.plugins import references

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
    return _whole(path, defined[0])


def load_own(reference: str) -> type[Experiment]:
    """The class of an experiment in a user's own file, ``my_experiments.py:Dropout``.

    Errors: InputError for a file that is missing or fails to import, for a name that it does not define, and for one
    that is no whole experiment.
    """
    if not references.is_reference(reference):
        raise InputError(
            f"'experiment' names a class in a file of yours, as my_experiments.py:Dropout; received {reference!r}; an "
            "experiment of this package is named by its label alone"
        )
    found, place = references.resolve(reference), Path(reference.rpartition(":")[0])
    if not (isinstance(found, type) and issubclass(found, Experiment)):
        raise InputError(
            f"{reference!r} is no experiment; expected a class that derives from one of "
            "cnn_invariance.experiments.framework, such as VariantExperiment"
        )
    return _whole(place, found)


def file_of(kind: type[Experiment]) -> Path:
    """The file that an experiment is in."""
    return Path(str(sys.modules[kind.__module__].__file__))


def _whole(path: Path, kind: type[Experiment]) -> type[Experiment]:
    """The class of an experiment, if it defines all that an experiment must define; else InputError."""
    missing = sorted(kind.__abstractmethods__)
    missing += [name for name in ("question", "group") if not hasattr(kind, name)]
    if missing:
        raise InputError(f"{path}: {kind.__name__} does not define {', '.join(missing)}; define what is missing")
    return kind

"""References to Python objects of a user: ``file.py:name`` or ``package.module:name``.

Which of them a command may run is the matter of `cnn_invariance.plugins.trust`.
"""

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from cnn_invariance.errors import InputError, unknown_name


def is_reference(text: str) -> bool:
    """Whether ``text`` has the form of a reference, ``file.py:name`` or ``package.module:name``.

    >>> is_reference("mine.py:shear"), is_reference("rotation")
    (True, False)
    """
    return ":" in text


def resolve(reference: str) -> Any:
    """The object that a reference names.

    ``file.py:name`` runs the file (a relative path starts at the current folder);
    ``package.module:name`` imports the module. ``name`` may be dotted (``Class.method``).

    >>> resolve("math:pi")
    3.141592653589793

    Errors: InputError for another form, a file or module that may not be run, is missing or fails to import, and a
    name that it does not define (with the nearest match).
    """
    place, colon, name = reference.rpartition(":")
    if not (place and colon and all(part.isidentifier() for part in name.split("."))):
        raise InputError(
            f"{reference!r} is no reference; expected 'file.py:name' or 'package.module:name', "
            "such as 'my_sets.py:shear'"
        )
    file = place.endswith(".py")
    found: Any = from_file(Path(place), reference) if file else _from_module(place, reference)
    for part in name.split("."):
        if not hasattr(found, part):
            public = [other for other in vars(found) if not other.startswith("_")]
            raise unknown_name(f"name in {place!r}", part, public)
        found = getattr(found, part)
    if not file:
        from cnn_invariance.plugins import trust  # a pass without code of a user's does not need it

        trust.require_part(reference, found)
    return found


def from_file(path: Path, reference: str | None = None) -> ModuleType:
    """The module of a file, run anew (InputError for a file that is missing, may not be run, or fails).

    reference: as the preset writes it, for messages; None: the path
    """
    from cnn_invariance.plugins import trust
    from cnn_invariance.storage.paths import expanded

    path = expanded(path)
    if not path.is_file():
        raise InputError(f"no file {path} (from the folder {Path.cwd()}); check the path")
    trust.require_file(reference or str(path), path)
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:10]
    spec = importlib.util.spec_from_file_location(f"_reference_{path.stem}_{digest}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} cannot be read as a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and typing look their module up there
    try:
        # From the text, whose hash is shown and is part of a spec; never from a .pyc that lies beside it.
        exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise InputError(f"{path} cannot be imported: {type(error).__name__}: {error}; correct the file") from error
    return module


def _from_module(name: str, reference: str) -> ModuleType:
    from cnn_invariance.plugins import trust

    trust.require_module(reference, name)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(missing + "."):
            raise InputError(
                f"no module {name!r} can be imported; install it, put its folder on PYTHONPATH, "
                "or name the file: 'path/to/file.py:name'"
            ) from error
        raise InputError(f"module {name!r} needs {missing!r}, which is not installed") from error
    except (Exception, SystemExit) as error:
        raise InputError(f"module {name!r} cannot be imported: {type(error).__name__}: {error}; correct it") from error

"""The study's transformation sets, by name. NumPy only: the study plans with it, without torch.

To add a set, write a file in this folder with a constant ``NAMES`` and, for each name, a function that
returns an ``AffineSet`` and imports only NumPy; or a function in a file of your own, see ``build``.
"""

import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite, prod
from numbers import Integral, Real
from typing import Any

import numpy as np

from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.plugins import catalog
from cnn_invariance.plugins.references import is_reference, resolve
from cnn_invariance.transformations.affine import (
    IDENTITY_LABEL,
    AffineSet,
    product,
    rotation_matrix,
    scale_matrix,
    translation_matrix,
)

NAMES = ("combined", "identity", "rotation", "rotation_reference", "scale", "translation")

MOST_MEMBERS = 10_000
"""Members of a set; the author's largest has 504."""

DIRECTIONS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))

TransformationSet = AffineSet | tuple[Callable[[Any], Any], ...]


def identity() -> AffineSet:
    """The identity alone: M = 1."""
    return AffineSet("identity", {}, np.eye(2, 3)[None], (IDENTITY_LABEL,))


def rotation(n: int = 25, angle_deg: float = 360.0, closed: bool = True) -> AffineSet:
    """Rotations by n angles evenly spaced from 0 to angle_deg degrees.

    closed: True, as in the author's code: both ends are members, k angle_deg / (n - 1) for k = 0, ..., n - 1. The full
            circle then has the identity twice, at 0 and 360 degrees: his n = 25 are 24 different angles, n = 4 are
            three, n = 2 are one. False: the end is left out, k angle_deg / n, so that n angles are n different maps of
            any range but 0, and a share of the range is the same share of each angle. Of a part of the circle,
            whose ends differ anyway, ``closed`` says whether angle_deg itself is a member

    Order: rising angle, counter-clockwise as seen; M = n. One angle alone is 0 degrees.

    >>> rotation(4).labels, rotation(4).distinct
    (('rotation 0 deg', 'rotation 120 deg', 'rotation 240 deg', 'rotation 360 deg'), 3)
    >>> rotation(4, closed=False).labels
    ('rotation 0 deg', 'rotation 90 deg', 'rotation 180 deg', 'rotation 270 deg')

    Errors: InputError unless n >= 1, 0 <= angle_deg <= 360 and closed is True or False.
    """
    n = _count("n", n)
    angle_deg = _number("angle_deg", angle_deg, "0 <= angle_deg <= 360", lambda x: 0 <= x <= 360)
    closed = _boolean("closed", closed)
    angles = np.linspace(0.0, angle_deg, n, endpoint=closed)
    return AffineSet(
        "rotation",
        {"n": n, "angle_deg": angle_deg, "closed": closed},
        np.stack([rotation_matrix(angle) for angle in angles]),
        tuple(f"rotation {angle:.4g} deg" for angle in angles),
    )


def rotation_reference(n: int = 25) -> AffineSet:
    """The angles of the author's code: n numbers evenly spaced over [0, 360], taken as radians.

    Order: rising number; M = n. Only the first member is the identity: 360 radians are no whole number of turns, so the
    ends differ and there is no ``closed`` to choose. It has a separate name so that its difference from ``rotation``,
    in degrees, can be measured.

    Errors: InputError unless n >= 1.
    """
    n = _count("n", n)
    angles = np.linspace(0.0, 360.0, n)
    return AffineSet(
        "rotation_reference",
        {"n": n},
        np.stack([rotation_matrix(angle) for angle in np.degrees(angles)]),
        tuple(f"rotation {angle:.4g} rad" for angle in angles),
    )


def scale(n: int = 4, low: float = 0.5, high: float = 1.25) -> AffineSet:
    """Scales of x, of y and of both, by n factors in [low, 1) and n in (1, high], evenly spaced.

    A factor s draws the content s times as large. Order: the identity; then, factors rising, each
    as (x, y) = (1, s), (s, 1), (s, s); M = 6n + 1. With low = 1 or high = 1, the 3n members of that side are the
    identity too; with both, all M are.

    Errors: InputError unless n >= 1 and 0 < low <= 1 <= high.
    """
    n = _count("n", n)
    _bounded("the number of members, 6 n + 1,", 6 * n + 1)
    low = _number("low", low, "0 < low <= 1", lambda x: 0 < x <= 1)
    high = _number("high", high, "high >= 1", lambda x: x >= 1)
    factors = [*np.linspace(low, 1.0, n, endpoint=False), *np.linspace(1.0, high, n + 1)[1:]]
    pairs = [pair for s in factors for pair in ((1.0, s), (s, 1.0), (s, s))]
    return AffineSet(
        "scale",
        {"n": n, "low": low, "high": high},
        np.stack([np.eye(2, 3), *(scale_matrix(x, y) for x, y in pairs)]),
        (IDENTITY_LABEL, *(f"scale {x:.4g} x {y:.4g}" for x, y in pairs)),
    )


def translation(n: int = 3, distance: float = 0.15) -> AffineSet:
    """Translations by n distances evenly spaced over (0, distance], each in 8 directions.

    A distance d is a share of the image side; the directions are (x, y) = (d, 0), (d, d), (0, d),
    (-d, d), (-d, 0), (-d, -d), (0, -d), (d, -d): from right, clockwise as seen, and d along each
    axis on the diagonals too. Order: the identity; then distances rising, each in the directions'
    order; M = 8n + 1. With distance = 0 all M are the identity.

    Errors: InputError unless n >= 1 and 0 <= distance < 1.
    """
    n = _count("n", n)
    _bounded("the number of members, 8 n + 1,", 8 * n + 1)
    distance = _number("distance", distance, "0 <= distance < 1", lambda x: 0 <= x < 1)
    steps = np.linspace(0.0, distance, n + 1)[1:]
    shifts = [(x * d + 0.0, y * d + 0.0) for d in steps for x, y in DIRECTIONS]  # no -0.0
    return AffineSet(
        "translation",
        {"n": n, "distance": distance},
        np.stack([np.eye(2, 3), *(translation_matrix(x, y) for x, y in shifts)]),
        (IDENTITY_LABEL, *(f"translation {x:.4g}, {y:.4g}" for x, y in shifts)),
    )


def combined(
    *,
    rotation_n: int = 8,
    angle_deg: float = 360.0,
    closed: bool = True,
    scale_n: int = 1,
    low: float = 0.5,
    high: float = 1.25,
    translation_n: int = 1,
    distance: float = 0.15,
) -> AffineSet:
    """Every product of a rotation, a scale and a translation: rotate, then scale, then translate.

    Order: nested loops over ``rotation``, ``scale`` and ``translation``, rotation outermost, so
    the identity is first; M = rotation_n (6 scale_n + 1) (8 translation_n + 1), by default
    8 x 7 x 9 = 504. (The author's code translates first, then rotates and scales.) ``closed`` is that of
    ``rotation``: by default the circle has both ends, 7 different angles, and 441 of the 504 maps are different.

    Errors: those of the three sets.
    """
    parts = (
        rotation(_count("rotation_n", rotation_n), angle_deg, closed),
        scale(_count("scale_n", scale_n), low, high),
        translation(_count("translation_n", translation_n), distance),
    )
    _bounded("the number of members", prod(map(len, parts)))
    parameters = {
        "rotation_n": parts[0].parameters["n"],
        "angle_deg": parts[0].parameters["angle_deg"],
        "closed": parts[0].parameters["closed"],
        "scale_n": parts[1].parameters["n"],
        "low": parts[1].parameters["low"],
        "high": parts[1].parameters["high"],
        "translation_n": parts[2].parameters["n"],
        "distance": parts[2].parameters["distance"],
    }
    members = product(*parts)
    return AffineSet("combined", parameters, members.matrices, members.labels)


def names() -> list[str]:
    """The names that ``build`` knows, sorted."""
    return sorted(_files())


def build(name: str, /, **parameters: Any) -> TransformationSet:
    """The transformation set of a name with its parameters, as a preset states them.

    ``name`` is one of ``names()``, or the ``"file.py:function"`` or
    ``"package.module:function"`` of a user, which returns an ``AffineSet`` or a sequence of callables, each a
    transformation of a batch of images (B, C, H, W); the latter come back as a tuple.

    Errors: InputError for an unknown name or parameter (with the nearest match), a missing
    parameter, a value out of range, or a user's function that returns something else.
    """
    function = resolve(name) if is_reference(name) else _named(name)
    if not callable(function):
        raise InputError(f"{name!r} is no function; expected one that returns an AffineSet")
    _check_parameters(name, function, parameters)
    try:
        built = function(**parameters)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # it may be anyone's code
        raise InputError(f"{name!r} fails with {parameters}: {type(error).__name__}: {error}; correct it") from error
    return _as_set(name, built)


def is_authors(given: AffineSet) -> bool:
    """Whether a set has the very members of the author's code: one of this file's, with its defaults."""
    own = build(given.name) if given.name in NAMES else None
    return isinstance(own, AffineSet) and np.array_equal(own.matrices, given.matrices)


SET_TEXT = re.compile(r"(?P<name>[^\[\]()]+?)\s*(?:[\[(](?P<parameters>[^\[\]()]*)[\])])?")


def parse(text: str, **parameters: Any) -> TransformationSet:
    """The set of a text, ``NAME`` or ``NAME[parameter=value,...]``; ``NAME`` as ``build`` takes it.

    A value is a number, true or false. Round brackets do as well. Further ``parameters`` come before those in the text.

    >>> parse("rotation[n=9, closed=false]").parameters
    mappingproxy({'n': 9, 'angle_deg': 360.0, 'closed': False})

    Errors: InputError if the text has another form, repeats a parameter or has a value that is none of these; and the
    errors of ``build``.
    """
    name, given = read_text(text)
    return build(name, **{**given, **parameters})


def read_text(text: str) -> tuple[str, dict[str, bool | int | float]]:
    """The name and the parameters in the text of a set (InputError as ``parse``)."""
    match = SET_TEXT.fullmatch(text.strip())
    if match is None:
        raise InputError(f"cannot read the transformation set {text!r}; expected NAME or NAME[parameter=value,...]")
    parameters: dict[str, bool | int | float] = {}
    for part in filter(None, (part.strip() for part in (match["parameters"] or "").split(","))):
        key, _, value = (piece.strip() for piece in part.partition("="))
        if key in parameters:
            raise InputError(f"parameter {key!r} is given twice in {text!r}")
        parameters[key] = _read_value(text, key, value)
    return match["name"].strip(), parameters


def text_of(name: str, parameters: Mapping[str, Any]) -> str:
    """The text that ``parse`` reads as this set.

    >>> text_of("rotation", {"n": 9, "angle_deg": 180.0, "closed": False})
    'rotation[n=9,angle_deg=180,closed=false]'
    """
    inside = ",".join(f"{key}={_written(value)}" for key, value in parameters.items())
    return f"{name}[{inside}]" if inside else name


def _written(value: float) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:.12g}"


def _read_value(text: str, key: str, value: str) -> bool | int | float:
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    raise InputError(f"parameter {key!r} in {text!r} must be a number, true or false; received {value!r}")


def _files() -> dict[str, str]:
    """Each name with the file (of this folder) that builds it."""
    modules = catalog.folder("transformations")
    return {name: module.name for module in modules for name in module.constants.get("NAMES", ())}


def _named(name: str) -> Callable[..., Any]:
    files = _files()
    if name not in files:
        raise unknown_name("transformation set", name, files)
    return getattr(importlib.import_module(f"{__package__}.{files[name]}"), name)


def _check_parameters(name: str, function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    parameters = inspect.signature(function).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        for unknown in sorted(given.keys() - parameters.keys()):
            raise unknown_name(f"parameter of {name!r}", unknown, parameters)
    missing = [required for required in _required(parameters) if required not in given]
    if missing:
        raise InputError(f"{name!r} needs the parameter {missing[0]!r}; give it a value")


def _required(parameters: Mapping[str, inspect.Parameter]) -> Iterator[str]:
    for name, parameter in parameters.items():
        several = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if parameter.default is parameter.empty and not several:
            yield name


def _as_set(name: str, built: object) -> TransformationSet:
    if isinstance(built, AffineSet):
        return built
    if isinstance(built, Sequence) and built and all(callable(member) for member in built):
        return tuple(built)
    raise InputError(
        f"{name!r} returned {type(built).__name__}; expected an AffineSet, or a sequence of at "
        "least one callable on a batch of images"
    )


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise InputError(f"{name} must be a whole number, at least 1; received {value!r}")
    return _bounded(name, int(value))


def _bounded(name: str, value: int) -> int:
    if value > MOST_MEMBERS:
        raise InputError(f"{name} must be {MOST_MEMBERS:,} at most, members of one set; received {value:,}")
    return value


def _number(name: str, value: object, rule: str, allowed: Callable[[float], bool]) -> float:
    number = isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)
    if not number or not allowed(float(value)):  # type: ignore[arg-type]
        raise InputError(f"{name} must be a number with {rule}; received {value!r}")
    return float(value)  # type: ignore[arg-type]


def _boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false; received {value!r}")
    return value

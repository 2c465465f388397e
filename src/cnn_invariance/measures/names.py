"""The names of the measures, and requests for one of them with options; no torch.

A request is a measure's name, with options in brackets where the default is not meant::

    NV    Goodfellow[alpha=0.9,sign=-1]    NV[aggregate=mean,order=after]

A family of measures is a file in this folder with literal constants: ``MEASURES`` (name: what it is), ``OPTIONS``
(option: its allowed values, the default first) and ``LIMITED`` (option: the measures that have it, where not all
do). They are read without importing the file, so a preset is checked before torch is.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cnn_invariance import catalog
from cnn_invariance.errors import InputError, unknown_name

Option = str | bool | int | float

HEADLINE = ("NV[aggregate=mean]", "NVSE[aggregate=mean]")
"""The measures that results keep for each feature map, in the form that the paper takes by default."""

REQUEST = re.compile(r"(?P<name>[A-Za-z_]\w*)(?:\[(?P<options>[^\[\]]*)\])?")


@dataclass(frozen=True)
class Request:
    """A measure and its options, defaults filled in; ``str`` gives the shortest text that means it."""

    name: str
    options: tuple[tuple[str, Option], ...]

    def __getitem__(self, option: str) -> Any:
        return dict(self.options)[option]

    def __str__(self) -> str:
        defaults = allowed_options(self.name)
        changed = [f"{key}={_text(value)}" for key, value in self.options if value != defaults[key][0]]
        return f"{self.name}[{','.join(changed)}]" if changed else self.name


def families() -> dict[str, catalog.Module]:
    """The file each measure is in, by the measure's name."""
    return {name: module for module in catalog.folder("measures") for name in module.constants.get("MEASURES", {})}


def names() -> list[str]:
    """Every measure there is, by family."""
    return list(families())


def describe(name: str) -> str:
    """What a measure is, in one line."""
    return families()[name].constants["MEASURES"][name]


def label(text: str) -> str:
    """A request as figures name it: the mean of feature maps, the study's usual form, goes without saying.

    >>> label("NV[aggregate=mean]"), label("NV"), label("Goodfellow[alpha=0.9]")
    ('NV', 'NV of units', 'Goodfellow of units (alpha=0.9)')
    """
    request = check(text)
    defaults = allowed_options(request.name)
    aggregate = str(dict(request.options).get("aggregate", "mean"))
    usual = {"mean": request.name, "none": f"{request.name} of units"}
    name = usual.get(aggregate, f"{aggregate} of {request.name}")
    rest = [
        f"{key}={_text(value)}" for key, value in request.options if value != defaults[key][0] and key != "aggregate"
    ]
    return f"{name} ({', '.join(rest)})" if rest else name


def allowed_options(name: str) -> Mapping[str, list[Any]]:
    """The options of a measure: each with its allowed values, the default first.

    A list of two numbers after the default, as in ``[0.99, "between", 0, 1]``, is an open range.
    """
    constants = families()[name].constants
    limited = constants.get("LIMITED", {})
    return {option: values for option, values in constants["OPTIONS"].items() if name in limited.get(option, (name,))}


def check(text: str) -> Request:
    """Read a request.

    Raises:
        InputError: the name or an option is not known, is given twice, or a value is not allowed.

    >>> check("NV"), str(check("NV[aggregate=mean, order=before]"))
    (Request(name='NV', options=(('statistic', 'std'), ('aggregate', 'none'), ('order', 'before'), \
('stratified', False))), 'NV[aggregate=mean]')
    """
    match = REQUEST.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise InputError(f"cannot read the measure {text!r}; expected NAME or NAME[option=value,...]")
    name = match["name"]
    if name not in families():
        raise unknown_name("measure", name, names())
    options = {key: values[0] for key, values in allowed_options(name).items()}
    given: set[str] = set()
    for part in filter(None, (part.strip() for part in (match["options"] or "").split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in options:
            raise unknown_name(f"option of {name}", key, options)
        if key in given:
            raise InputError(f"option {key!r} of {name} is given twice; give it once")
        given.add(key)
        if not equals:
            raise InputError(f"option {key!r} of {name} has no value; expected {key}=...")
        options[key] = _value(name, key, value)
    return Request(name, tuple(options.items()))


def check_all(texts: Iterable[str]) -> tuple[Request, ...]:
    """Read several requests, each kept once, in order."""
    return tuple(dict.fromkeys(check(text) for text in texts))


def _value(name: str, key: str, text: str) -> Option:
    default, *rest = allowed_options(name)[key]
    if rest and rest[0] == "between":
        low, high = rest[1:]
        try:
            number = type(default)(text)
        except ValueError:
            number = None
        if number is None or not low < number < high:
            raise InputError(
                f"option {key} of {name}: {text!r} is not allowed; expected a number between {low} and {high}, "
                "ends excluded"
            )
        return number
    allowed = {_text(value): value for value in (default, *rest)}
    if text.lower() not in allowed:
        raise unknown_name(f"value of option {key} of {name}", text, allowed)
    return allowed[text.lower()]


def _text(value: Option) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

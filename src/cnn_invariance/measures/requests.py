"""Measures by their names and options: what a request for a measure means, without torch.

A request is a text: a measure's name, with options in brackets where the default is not meant::

    NV    Goodfellow[alpha=0.9,sign=-1]    NV[aggregate=mean,order=after]

A family of measures is a file with literal constants: ``MEASURES`` (name: what it is), ``BETTER`` (name: which values
are the more invariant ones, "lower" or "higher", or None where neither is), ``OPTIONS`` (option: its allowed values,
the default first), ``LIMITED`` (option: the measures that have it, where not all do), ``UNDONE`` (the measures that
undo the transformation on feature maps, if any: their low or high values are the more same-equivariant ones) and
``OF_MAPS`` (those with one value a feature map whatever their options, if any). Where a measure is of something larger,
``LEVEL`` says so: "layer" or "network". Measures in ``EQUIVARIANCE`` undo nothing, and yet speak of equivariance. A
family with ``BY_NAME_ONLY = True`` is computed only where it is asked for. All are read without importing the
file, so a preset is checked before torch is. The file is in this folder, or anywhere:
``my_measures.py:ShareT[aggregate=mean]``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.plugins import catalog

Option = str | bool | int | float
Better = Literal["lower", "higher"] | None
Level = Literal["unit or map", "layer", "network"]

HEADLINE = ("NV[aggregate=mean]", "NVSE[aggregate=mean]")
"""The measures that most figures show: the mean over the map before the quotient, the author's usual form of both."""

SHOWN = (*HEADLINE, "ND", "Goodfellow")
"""The measures that a plot shows where a result has more than a few and none is named."""

QUOTIENTS = ("NV", "NVSE", "ND", "NDSE")
"""Measures that are 1 where transformations matter as much as samples; figures have a line there."""

KEPT_FOR_MAPS = (*HEADLINE, "ND", "ANOVA", "Goodfellow")
"""The measures whose values for each feature map results keep, where they keep any; of units, their mean."""

REQUEST = re.compile(r"(?:(?P<file>[^\[\]]+\.py):)?(?P<name>[A-Za-z_]\w*)(?:\[(?P<options>[^\[\]]*)\])?")
STRATIFIED = {"stratified": [False, True]}
"""The option of every measure, as the engine sees to it; a user's own family need not name it."""


@dataclass(frozen=True)
class Measure:
    """A measure and its options, defaults filled in; ``str`` gives the shortest text that means it.

    ``measure["aggregate"]`` is the value of an option. ``file`` is the user's file that a measure is in, None for a
    measure of this package.
    """

    name: str
    options: tuple[tuple[str, Option], ...]
    file: str | None = None

    @property
    def full_name(self) -> str:
        """The name with the file it is from, if that is the user's own."""
        return f"{self.file}:{self.name}" if self.file else self.name

    def __getitem__(self, option: str) -> Any:
        return dict(self.options)[option]

    def __str__(self) -> str:
        defaults = allowed_options(self.full_name)
        changed = [f"{key}={_text(value)}" for key, value in self.options if value != defaults[key][0]]
        return f"{self.full_name}[{','.join(changed)}]" if changed else self.full_name


@cache
def families() -> dict[str, catalog.Module]:
    """The file each measure is in, by the measure's name."""
    return {
        name: module for module in catalog.folder("measures/families") for name in module.constants.get("MEASURES", {})
    }


def family(full_name: str) -> catalog.Module:
    """The file that a measure is in, seen from outside.

    Errors: InputError for an unknown measure, and for a user's own file that is missing or is no family of measures.
    """
    file, colon, name = full_name.rpartition(":")
    known = _own_families(Path(file)) if colon else families()
    if name not in known:
        raise unknown_name(f"measure in {file}" if colon else "measure", name, known)
    return known[name]


def names() -> list[str]:
    """The measures that a pass computes where none is named, those of the author's library, by family."""
    return [name for name, module in families().items() if not module.constants.get("BY_NAME_ONLY")]


def names_of_others() -> list[str]:
    """The measures of other authors, which are computed only where they are named, by family."""
    return [name for name, module in families().items() if module.constants.get("BY_NAME_ONLY")]


def level(request: Measure) -> Level:
    """What a measure has one value of, whatever its options: a layer or the whole network; else units or maps.

    >>> level(check("CKA")), level(check("Consistency")), level(check("NV"))
    ('layer', 'network', 'unit or map')
    """
    found: Level = family(request.full_name).constants.get("LEVEL", {}).get(request.name, "unit or map")
    return found


def study_form(name: str) -> str:
    """The form of a measure that the study uses, which is computed where no measure is named.

    >>> study_form("NV"), study_form("ND")
    ('NV[aggregate=mean]', 'ND')
    """
    return next((form for form in HEADLINE if check(form).name == name), name)


def describe(full_name: str) -> str:
    """What a measure is, in one line."""
    return family(full_name).constants["MEASURES"][full_name.rpartition(":")[2]]


def undoes(request: Measure) -> bool:
    """Whether a measure undoes the transformation on feature maps, and so needs one that can be undone."""
    return request.name in family(request.full_name).constants.get("UNDONE", ())


def better(request: Measure) -> Better:
    """Which values of a measure are the more invariant ones, or of one that is ``undone`` the more same-equivariant.

    >>> better(check("NV")), better(check("Goodfellow[alpha=0.9]")), better(check("SV"))
    ('lower', 'higher', None)
    """
    found: Better = family(request.full_name).constants["BETTER"][request.name]
    return found


def better_in_words(request: Measure) -> str:
    """Which values of a measure say what; empty where neither does.

    >>> better_in_words(check("NVSE")), better_in_words(check("Goodfellow")), better_in_words(check("SV"))
    ('lower is more same-equivariant', 'higher is more invariant', '')
    """
    which = better(request)
    equivariant = undoes(request) or request.name in family(request.full_name).constants.get("EQUIVARIANCE", ())
    return f"{which} is more {'same-equivariant' if equivariant else 'invariant'}" if which else ""


def counted(request: Measure) -> str:
    """What a measure has values of, as its label says: "maps", "units", "layers" or "networks"."""
    return _kind(request)[0]


def label(text: str) -> str:
    """A request as figures name it: of feature maps or of units; of maps the mean goes without saying.

    >>> label("NV[aggregate=mean]"), label("NV"), label("NV[aggregate=max]"), label("Goodfellow[alpha=0.9]")
    ('NV of maps', 'NV of units', 'NV of maps (aggregate=max)', 'Goodfellow of units (alpha=0.9)')
    >>> label("ND"), label("ND[per=unit]"), label("ND[per=unit,aggregate=mean]"), label("DSES[form=forward]")
    ('ND of maps', 'ND of units', 'ND of units (aggregate=mean)', 'DSES of maps (form=forward)')
    """
    request = check(text)
    options, defaults = dict(request.options), allowed_options(request.full_name)
    kind, said = _kind(request)
    rest = [f"{key}={_text(value)}" for key, value in options.items() if value != defaults[key][0] and key not in said]
    name = f"{request.name} of {kind}"
    return f"{name} ({', '.join(rest)})" if rest else name


def labels(texts: Iterable[str]) -> dict[str, str]:
    """The label of each request; where two have one label, as measures of two files, the request itself."""
    named = {text: label(text) for text in texts}
    return {text: name if list(named.values()).count(name) == 1 else text for text, name in named.items()}


def _kind(request: Measure) -> tuple[str, tuple[str, ...]]:
    """What a measure has values of, "maps", "units", "layers" or "networks", and the options that this says."""
    options = dict(request.options)
    if request.name in family(request.full_name).constants.get("OF_MAPS", ()):
        return "maps", ()
    if (found := level(request)) != "unit or map":
        return f"{found}s", ()
    if "per" in options:
        return f"{options['per']}s", ("per",)
    if options.get("aggregate", "none") == "none":
        return "units", ("aggregate",)
    return "maps", ("aggregate",) if options["aggregate"] == "mean" else ()


def allowed_options(full_name: str) -> Mapping[str, list[Any]]:
    """The options of a measure: each with its allowed values, the default first.

    A list of two numbers after the default, as in ``[0.99, "between", 0, 1]``, is an open range.
    """
    name, constants = full_name.rpartition(":")[2], family(full_name).constants
    limited = constants.get("LIMITED", {})
    options = {**constants.get("OPTIONS", {}), **STRATIFIED}
    return {option: values for option, values in options.items() if name in limited.get(option, (name,))}


def check(text: str) -> Measure:
    """Read a request.

    Raises:
        InputError: the name or an option is not known, is given twice, or a value is not allowed.

    >>> check("NV"), str(check("NV[aggregate=mean, order=before]"))
    (Measure(name='NV', options=(('statistic', 'std'), ('aggregate', 'none'), ('order', 'before'), \
('stratified', False)), file=None), 'NV[aggregate=mean]')
    """
    match = REQUEST.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise InputError(
            f"cannot read the measure {text!r}; expected NAME or NAME[option=value,...], where NAME is a measure of "
            "the package, or file.py:NAME one of yours"
        )
    name = f"{match['file']}:{match['name']}" if match["file"] else match["name"]
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
    return Measure(match["name"], tuple(options.items()), match["file"])


def check_all(texts: Iterable[str]) -> tuple[Measure, ...]:
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


def _own_families(path: Path) -> dict[str, catalog.Module]:
    """The measures of a user's own file, which is read and not run; InputError if it is no family."""
    from cnn_invariance.storage.paths import expanded

    path = expanded(path)
    if not path.is_file():
        raise InputError(f"no file {path} of measures (from the folder {Path.cwd()}); check the path")
    try:
        module = catalog.read(path)
    except (SyntaxError, ValueError) as error:
        raise InputError(f"{path} cannot be read as Python: {error}; correct the file") from error
    measures, options = module.constants.get("MEASURES"), module.constants.get("OPTIONS", {})
    if not isinstance(measures, dict) or not measures:
        raise InputError(f'{path} has no literal MEASURES = {{"NAME": "what it is"}} at its top: it names no measure')
    if not isinstance(options, dict) or not all(isinstance(values, list) and values for values in options.values()):
        raise InputError(f'{path}: expected a literal OPTIONS = {{"option": [default, ...]}}; received {options!r}')
    better = module.constants.get("BETTER")
    stated = better if isinstance(better, dict) else {}
    if wrong := [name for name in measures if name not in stated or stated[name] not in ("lower", "higher", None)]:
        raise InputError(
            f"{path} does not say which values of {wrong[0]} are the more invariant ones; expected a literal BETTER = "
            f'{{"{wrong[0]}": "lower"}}, or "higher", or None where neither is'
        )
    if missing := [name for name in ("statistics", "combine") if name not in module.functions]:
        raise InputError(f"{path} has no function {missing[0]!r}; a family of measures has statistics and combine")
    if known := [name for name in measures if name in families()]:
        raise InputError(f"{path}: {known[0]} is a measure of this package; choose another name for yours")
    return dict.fromkeys(measures, module)


def _text(value: Option) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

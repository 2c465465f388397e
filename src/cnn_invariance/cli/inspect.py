"""The command that measures any network on any images: ``inspect``, made from the fields of its options."""

from dataclasses import MISSING, Field, fields
from inspect import Parameter, Signature
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from cnn_invariance import inspection
from cnn_invariance.cli.group import app
from cnn_invariance.inspection import InspectionOptions
from cnn_invariance.plugins import trust

HINTS = get_type_hints(InspectionOptions)


def _parameter(field: Field[Any]) -> Parameter:
    """A field as a parameter of the command: the model is its argument, all others are options."""
    kind, limits = HINTS[field.name], dict(field.metadata)
    if get_origin(kind) is tuple:
        kind = list[get_args(kind)[0]]  # type: ignore[misc]  # typer repeats an option whose type is a list
    described = typer.Argument if field.name == "model" else typer.Option
    default = Parameter.empty if field.default is MISSING else field.default
    if isinstance(default, tuple):
        default = list(default)
    return Parameter(
        field.name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, described(**limits)]
    )


def inspect_network(**given: Any) -> None:
    """Measure any network on a folder of images, and print its layer profiles."""
    trust.now(trust.anything())  # who names code in the command itself wants it to be run
    settings: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in given.items()}
    inspection.show(InspectionOptions(**settings))


parameters = [_parameter(field) for field in fields(InspectionOptions)]
inspect_network.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
inspect_network.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
app.command(name="inspect")(inspect_network)

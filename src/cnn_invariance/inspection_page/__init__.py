"""What ``inspect`` found, as one HTML page that needs nothing else: no network, no other file, no script."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from math import isnan, nan
from typing import TYPE_CHECKING, Any, NamedTuple

from cnn_invariance.measures import requests

if TYPE_CHECKING:
    import numpy as np
    from jinja2 import Environment

    from cnn_invariance.measures import MeasureResult

NAMED = 3
"""So many of the most and of the least invariant layers are named."""
SHOWN = 24
"""So many images are shown; all are named."""


DASH = "–"


class Extremes(NamedTuple):
    """The most and the least invariant layers by a measure, each as a name with its value.

    what: what the layers are more or less of: "invariant" or "same-equivariant"
    """

    label: str
    better: str
    what: str
    most: Sequence[str]
    least: Sequence[str]


def extremes(result: "MeasureResult") -> Iterator[Extremes]:
    """The extremes of each measure of which low or high values say something, and which some layers have.

    A layer without a finite value is left out, and one that never changes: its units are dead, and count as 1. None is
    named both as one of the most and of the least.
    """
    for measure, label in requests.labels(result.measures).items():
        request, profile = requests.check(measure), result.profile(measure).dropna(subset="value")
        if (direction := requests.better(request)) is None or len(profile) < 2:
            continue
        profile = profile[profile["dead"] < profile["units"]]
        if len(profile) < 2:
            continue
        ordered = profile.sort_values("value", ascending=direction == "lower", kind="stable")
        named = [f"{row.layer} ({row.value:.3g})" for row in ordered.itertuples()]
        count = min(NAMED, len(named) // 2)
        words = requests.better_in_words(request)
        yield Extremes(label, words, words.rpartition("more ")[2], named[:count], named[::-1][:count])


def html(
    result: "MeasureResult",
    facts: Sequence[tuple[str, str]],
    remarks: Sequence[str],
    images: "np.ndarray",
    names: Sequence[str],
) -> str:
    """The page.

    facts:   on the network, the images and the transformations: pairs of a label and a text
    remarks: on what is no layer, has no value, or was left out
    images:  those that were measured, (N, C, H, W) uint8, and their names
    """
    return (
        environment(__name__)
        .get_template("page.html.j2")
        .render(
            style=(files("cnn_invariance.inspection_page") / "page.css").read_text(encoding="utf-8"),
            title=next((text for what, text in facts if what == "network"), "a network").partition(",")[0],
            facts=facts,
            remarks=remarks,
            extremes=list(extremes(result)),
            plot=_plot(result),
            labels=list(requests.labels(result.measures).values()),
            rows=list(_rows(result)),
            pictures=[(name, _picture(image)) for name, image in zip(names, images[:SHOWN], strict=False)],
            names=names,
        )
    )


def _rows(result: "MeasureResult") -> Iterator[tuple[Any, list[str]]]:
    """Each layer with its values, a dash where it has none."""
    found = {(row["measure"], row["layer_index"]): row for row in result.profiles().to_dict("records")}
    for layer in result.layers:
        yield layer, [in_words(found[measure, layer.index]) for measure in result.measures]


def in_words(row: Mapping[Any, Any], dash: str = DASH) -> str:
    """A value, its interval and null if it has them, and the number of units infinite, not a number, or dead."""
    if row["absent"]:
        return dash
    marks = [f"{int(row[name]):,} {name}" for name in ("infinite", "nan", "dead") if row[name]]
    ends = [row[name] for name in ("low", "high") if not isnan(row.get(name, nan))]
    interval = f" [{', '.join(f'{end:.4g}' for end in ends)}]" if ends else ""
    null = "" if isnan(row.get("null", nan)) else f" null {row['null']:.4g}"
    return f"{row['value']:.4g}{interval}{null}" + (f" ({', '.join(marks)})" if marks else "")


def _plot(result: "MeasureResult") -> str:
    """The profiles as a data URI of an SVG file; empty where no layer has a value."""
    drawn = [measure for measure in result.measures if len(result.absent(measure)) < len(result.layers)]
    if not drawn:
        return ""
    picture = io.BytesIO()
    result.plot(drawn).savefig(picture, format="svg", metadata={"Date": None, "Creator": None})
    return data_uri("image/svg+xml", picture.getvalue())


def _picture(image: "np.ndarray") -> str:
    """An image (C, H, W) as a data URI of a PNG file."""
    from PIL import Image

    picture = io.BytesIO()
    Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(picture, format="png")
    return data_uri("image/png", picture.getvalue())


def environment(package: str) -> "Environment":
    """The templates of a package: all is escaped that is not marked as HTML, and an unknown name is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # PyTorch needs it, so it is there

    return Environment(
        loader=PackageLoader(package, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def data_uri(kind: str, content: bytes) -> str:
    """An address that holds its content."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"

"""Figures and tables as the page shows them, read from the files that `plotting.Canvas` wrote."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from cnn_invariance.errors import InputError

if TYPE_CHECKING:
    from cnn_invariance.plotting.caption import Caption

CSS_DPI = 96


@dataclass(frozen=True)
class FigureView:
    """A figure: PNG as a data URI, with its size in CSS pixels on paper.

    PNG and not SVG: the figures of preset laptop are half as many bytes so, and faster to show. As pictures neither has
    text to select; inline, the ids of SVG files would collide.
    """

    name: str
    caption: "Caption"
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class TableView:
    """A table: what is printed of it (see `plotting.tables.record`), and its CSV of full precision as a data URI."""

    name: str
    caption: "Caption"
    columns: Sequence[Mapping[str, Any]]
    rows: Sequence[Sequence[str]]
    csv: str


def read_figure(folder: Path, name: str) -> FigureView:
    """A figure of a folder with its caption (InputError if a file of it is missing)."""
    content = existing(folder / f"{name}.png").read_bytes()
    with Image.open(folder / f"{name}.png") as image:
        dpi = image.info.get("dpi", (CSS_DPI, CSS_DPI))
        width, height = (round(size * CSS_DPI / per_inch) for size, per_inch in zip(image.size, dpi, strict=True))
    return FigureView(name, _caption(_record(folder, name)), data_uri("image/png", content), width, height)


def read_table(folder: Path, name: str) -> TableView:
    """A table of a folder with its caption (InputError if a file of it is missing)."""
    record, csv = _record(folder, name), existing(folder / f"{name}.csv").read_bytes()
    return TableView(name, _caption(record), record["columns"], record["rows"], data_uri("text/csv", csv))


def existing(path: Path) -> Path:
    """The path itself; InputError if it is not a file."""
    if not path.is_file():
        raise InputError(f"{path} is missing; `snakemake report` draws what is missing and writes the page")
    return path


def data_uri(kind: str, content: bytes) -> str:
    """An address that holds its content."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _record(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads(existing(folder / f"{name}.json").read_text(encoding="utf-8")))


def _caption(record: Mapping[str, Any]) -> "Caption":
    from cnn_invariance.plotting.caption import Caption  # here, so that the command line does not load Matplotlib

    return Caption.from_record(record["caption"])

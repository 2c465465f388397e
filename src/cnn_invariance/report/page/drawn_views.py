"""Figures and tables as the page shows them, read from the files that `plotting.Canvas` wrote."""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from cnn_invariance.inspection_page import data_uri
from cnn_invariance.report.page import inline_svg
from cnn_invariance.report.page.inline_svg import Definitions
from cnn_invariance.workflow.products import existing

if TYPE_CHECKING:
    from cnn_invariance.plotting.caption import Caption

POINT = 96 / 72
"""CSS pixels."""


@dataclass(frozen=True)
class FigureView:
    """A figure as parts of an SVG element: those of its SVG file, or its PNG where that is fewer bytes.

    width, height: in points; the drawing is in tenths of them
    pictured:      whether it holds pictures, which dark colours would spoil
    """

    name: str
    caption: "Caption"
    drawing: Markup
    width: float
    height: float
    pictured: bool

    @property
    def box(self) -> str:
        """What the drawing fills, in its units."""
        return f"0 0 {inline_svg.UNIT * self.width:g} {inline_svg.UNIT * self.height:g}"

    @property
    def pixels(self) -> tuple[int, int]:
        """Its size on paper in CSS pixels."""
        return round(POINT * self.width), round(POINT * self.height)

    @property
    def said(self) -> str:
        """What it says, for those who do not see it: what was found, and what is shown."""
        title = f"{self.caption.title}." if self.caption.title else ""
        return " ".join(filter(None, [self.caption.finding, title])) or " ".join(self.caption.setting)


@dataclass(frozen=True)
class TableView:
    """A table: what is printed of it (see `plotting.tables.record`), and its CSV of full precision, see `packed`."""

    name: str
    caption: "Caption"
    columns: Sequence[Mapping[str, Any]]
    rows: Sequence[Sequence[str]]
    csv: str


def read_figure(folder: Path, name: str, definitions: Definitions) -> FigureView:
    """A figure of a folder with its caption (InputError if a file of it is missing).

    definitions: what all figures of the page have in common
    """
    text = existing(folder / f"{name}.svg").read_text(encoding="utf-8")
    picture = data_uri("image/png", existing(folder / f"{name}.png").read_bytes())
    width, height = inline_svg.size(text)
    drawing = inline_svg.inline(text, definitions)
    if len(drawing) > len(picture):
        drawing = Markup('<image width="{:g}" height="{:g}" href="{}"/>').format(
            inline_svg.UNIT * width, inline_svg.UNIT * height, picture
        )
    return FigureView(name, _caption(_record(folder, name)), drawing, width, height, "<image" in drawing)


def read_table(folder: Path, name: str) -> TableView:
    """A table of a folder with its caption (InputError if a file of it is missing)."""
    record, csv = _record(folder, name), existing(folder / f"{name}.csv").read_bytes()
    return TableView(name, _caption(record), record["columns"], record["rows"], packed(csv))


def packed(table: bytes) -> str:
    """A table (CSV) as a data URI, packed as gzip; the same table gives the same bytes."""
    return data_uri("application/gzip", gzip.compress(table, mtime=0))


def _record(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads(existing(folder / f"{name}.json").read_text(encoding="utf-8")))


def _caption(record: Mapping[str, Any]) -> "Caption":
    from cnn_invariance.plotting.caption import Caption  # here, so that the command line does not load Matplotlib

    return Caption.from_record(record["caption"])

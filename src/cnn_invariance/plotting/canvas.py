"""The canvas: where figures and tables become files, the same bytes for the same input."""

import io
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from PIL import Image

from cnn_invariance.plotting import tables
from cnn_invariance.plotting.caption import Caption
from cnn_invariance.plotting.heading import add_heading, below_heading
from cnn_invariance.plotting.style import is_one_column, style
from cnn_invariance.plotting.svg import slim, without_colours
from cnn_invariance.storage.files import write_whole

DPI = 200


@dataclass(frozen=True)
class Canvas:
    """The folders of one experiment's figures and of a preset's tables.

    finding: what was found, in a sentence that stands above each figure and opens each caption; empty: nothing
    """

    figures: Path
    tables: Path
    finding: str = ""

    def figure(self, name: str, figure: Figure, caption: Caption | str) -> None:
        """Write ``<name>.svg``, ``<name>.png`` (200 dpi), and the caption as ``<name>.md`` and ``<name>.json``.

        Above the picture stand, in bold, what was found, and in grey, what is shown.

        Neither picture holds a date or the version of a program. The JSON file is what `Caption.to_json` returns.
        """
        caption = self._opened(caption)
        with style():
            top = add_heading(figure, caption.finding, caption.shown)
            _lay_out(figure)
            below_heading(figure, top)
            pictures: dict[str, str | bytes] = {"svg": _svg(figure), "png": _png(figure)}
        for ending, content in pictures.items():  # only where both could be drawn
            write_whole(self.figures / f"{name}.{ending}", content)
        write_whole(self.figures / f"{name}.md", f"{caption}\n")
        write_whole(self.figures / f"{name}.json", caption.to_json())

    def table(
        self,
        name: str,
        frame: pd.DataFrame,
        caption: Caption | str,
        *,
        printed: pd.DataFrame | None = None,
        decimals: int = 3,
    ) -> None:
        """Write ``<name>.csv`` (full precision), ``<name>.md``, ``<name>.tex`` (booktabs) and ``<name>.json``.

        The index is not written. Fractions have ``decimals`` digits in Markdown, LaTeX and JSON. The JSON file holds
        the caption (see `Caption.to_json`) and what is printed (see `tables.record`). Where figures are drawn for one
        column, no table is written: it would be the same.

        printed: what all but the CSV file show, where the whole frame is too wide for a page (None: ``frame``)
        """
        if is_one_column():
            return
        caption, printed = self._opened(caption), frame if printed is None else printed
        write_whole(self.tables / f"{name}.csv", tables.csv(frame))
        write_whole(self.tables / f"{name}.md", tables.markdown(printed, str(caption), decimals))
        text, *notes = [one for one in (caption.opening, *caption.details) if one] or [""]
        write_whole(self.tables / f"{name}.tex", tables.latex(printed, text, name, decimals, notes))
        write_whole(self.tables / f"{name}.json", caption.to_json(**tables.record(printed, decimals)))

    def _opened(self, caption: Caption | str) -> Caption:
        """The caption, opened by what was found if it says nothing of its own."""
        record = caption if isinstance(caption, Caption) else Caption.from_text(caption)
        return record if record.finding else replace(record, finding=self.finding)


def _lay_out(figure: Figure) -> None:
    """Lay a figure out once for all formats, at the resolution of the PNG: texts have other widths at others.

    Two passes, because the space that subfigures need is known only after the first.
    """
    figure.set_dpi(DPI)
    if engine := figure.get_layout_engine():
        for _ in range(2):
            engine.execute(figure)
        figure.set_layout_engine("none")


def _svg(figure: Figure) -> str:
    full = io.StringIO()
    figure.set_dpi(mpl.rcParams["figure.dpi"])
    FigureCanvasSVG(figure).print_svg(full, metadata={"Date": None, "Creator": None})  # savefig draws all twice
    return slim(full.getvalue())


def _png(figure: Figure) -> bytes:
    """PNG with all its colours, if it has any; a palette of 256 would break colour maps into steps."""
    full, small = io.BytesIO(), io.BytesIO()
    figure.set_dpi(DPI)
    FigureCanvasAgg(figure).print_png(full, metadata={"Software": None}, pil_kwargs={"compress_level": 1})
    without_colours(Image.open(full).convert("RGB")).save(small, format="png", dpi=(DPI, DPI), optimize=True)
    return small.getvalue()

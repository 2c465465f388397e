"""The canvas: where figures and tables become files, the same bytes for the same input."""

import io
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from cnn_invariance.plotting import tables
from cnn_invariance.plotting.caption import Caption
from cnn_invariance.plotting.style import style
from cnn_invariance.plotting.svg import slim
from cnn_invariance.storage.files import atomic_write

DPI = 200


@dataclass(frozen=True)
class Canvas:
    """The folders of one experiment's figures and of a preset's tables."""

    figures: Path
    tables: Path

    def figure(self, name: str, figure: Figure, caption: Caption | str) -> None:
        """Write ``<name>.svg``, ``<name>.png`` (200 dpi, 256 colours), and the caption as ``<name>.md`` and ``.json``.

        Neither picture holds a date or the version of a program. The JSON file is what `Caption.to_json` returns.
        """
        caption = _as_record(caption)
        with style():
            _lay_out(figure)
            with atomic_write(self.figures / f"{name}.svg") as temporary:
                temporary.write_text(_svg(figure), encoding="utf-8", newline="\n")
            with atomic_write(self.figures / f"{name}.png") as temporary:
                _save_png(figure, temporary)
        _write(self.figures / f"{name}.md", f"{caption}\n")
        _write(self.figures / f"{name}.json", caption.to_json())

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
        the caption (see `Caption.to_json`) and what is printed (see `tables.record`).

        printed: what all but the CSV file show, where the whole frame is too wide for a page (None: ``frame``)
        """
        caption, printed = _as_record(caption), frame if printed is None else printed
        _write(self.tables / f"{name}.csv", tables.csv(frame))
        _write(self.tables / f"{name}.md", tables.markdown(printed, str(caption), decimals))
        _write(self.tables / f"{name}.tex", tables.latex(printed, str(caption), name, decimals))
        _write(self.tables / f"{name}.json", caption.to_json(**tables.record(printed, decimals)))


def _as_record(caption: Caption | str) -> Caption:
    return caption if isinstance(caption, Caption) else Caption.from_text(caption)


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
    figure.savefig(full, format="svg", metadata={"Date": None, "Creator": None})
    return slim(full.getvalue())


def _save_png(figure: Figure, path: Path) -> None:
    """Write PNG with a palette of 256 colours from the picture: a third of the bytes, without a visible change."""
    full = io.BytesIO()
    figure.savefig(full, format="png", metadata={"Software": None}, dpi=DPI, pil_kwargs={"compress_level": 1})
    picture = Image.open(full).convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    picture.save(path, format="png", dpi=(DPI, DPI))


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")

"""The canvas: where figures and tables become files, the same bytes for the same input."""

import io
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from cnn_invariance.plotting import tables
from cnn_invariance.plotting.style import style
from cnn_invariance.plotting.svg import slim
from cnn_invariance.storage.files import atomic_write

DPI = 200


@dataclass(frozen=True)
class Canvas:
    """The folders of one experiment's figures and of a preset's tables."""

    figures: Path
    tables: Path

    def figure(self, name: str, figure: Figure, caption: str) -> None:
        """Write ``<name>.svg``, ``<name>.png`` (200 dpi, 256 colours) and the caption, ``<name>.md``.

        Neither picture holds a date or the version of a program.
        """
        with style():
            _lay_out(figure)
            with atomic_write(self.figures / f"{name}.svg") as temporary:
                temporary.write_text(_svg(figure), encoding="utf-8", newline="\n")
            with atomic_write(self.figures / f"{name}.png") as temporary:
                _save_png(figure, temporary)
        _write(self.figures / f"{name}.md", caption.strip() + "\n")

    def table(
        self,
        name: str,
        frame: pd.DataFrame,
        caption: str,
        *,
        printed: pd.DataFrame | None = None,
        decimals: int = 3,
    ) -> None:
        """Write ``<name>.csv`` (full precision), ``<name>.md`` and ``<name>.tex`` (booktabs).

        The index is not written. Fractions have ``decimals`` digits in Markdown and LaTeX.
        ``printed`` is what these two show, where the whole frame is too wide for a page.
        """
        printed = frame if printed is None else printed
        _write(self.tables / f"{name}.csv", tables.csv(frame))
        _write(self.tables / f"{name}.md", tables.markdown(printed, caption, decimals))
        _write(self.tables / f"{name}.tex", tables.latex(printed, caption, name, decimals))


def _lay_out(figure: Figure) -> None:
    """Lay a figure out, once for all formats, at the dpi of the picture: at others, texts have other widths.

    What subfigures need is known after a first pass.
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
    """With a palette of its own 256 colours: a third of the bytes, and no difference to see."""
    full = io.BytesIO()
    figure.savefig(full, format="png", metadata={"Software": None}, dpi=DPI, pil_kwargs={"compress_level": 1})
    picture = Image.open(full).convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    picture.save(path, format="png", dpi=(DPI, DPI))


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")

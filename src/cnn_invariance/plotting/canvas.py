"""The canvas: where figures and tables become files, the same bytes for the same input."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from cnn_invariance.files import atomic_write
from cnn_invariance.plotting import tables
from cnn_invariance.plotting.style import style

DPI = 300


@dataclass(frozen=True)
class Canvas:
    """The folders of one experiment's figures and of a preset's tables."""

    figures: Path
    tables: Path

    def figure(self, name: str, figure: Figure, caption: str) -> None:
        """Write ``<name>.svg``, ``<name>.png`` (300 dpi) and the caption, ``<name>.md``.

        Neither picture holds a date or the version of a program.
        """
        with style():
            self._save(figure, f"{name}.svg", metadata={"Date": None, "Creator": None})
            self._save(figure, f"{name}.png", metadata={"Software": None}, dpi=DPI)
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

    def _save(self, figure: Figure, file_name: str, **options: Any) -> None:
        path = self.figures / file_name
        with atomic_write(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], **options)


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")

"""Tables as text: CSV for programs, Markdown and LaTeX for readers, numbers formatted alike.

In Markdown and LaTeX a heading has spaces for underscores, a missing value is a dash, infinity its
sign; whole numbers have no decimals, and fractions all have the same number of them.
"""

import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import pandas as pd

DASH, INFINITY = "–", "∞"

MARKDOWN = str.maketrans({"|": r"\|", "\n": " ", "*": r"\*", "_": r"\_", "`": r"\`", "<": "&lt;"})
LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "\n": " ",
        "–": "--",
        "∞": r"$\infty$",
        "×": r"$\times$",
        "±": r"$\pm$",
        "≤": r"$\le$",
        "≥": r"$\ge$",
        "°": r"$^\circ$",
        "ρ": r"$\rho$",
        "→": r"$\to$",
        "−": "$-$",
    }
)


def csv(frame: pd.DataFrame) -> str:
    """Comma-separated values with a header, numbers to 10 significant digits; missing: empty."""
    return frame.to_csv(index=False, lineterminator="\n", float_format="%.10g")


def markdown(frame: pd.DataFrame, caption: str, decimals: int = 3) -> str:
    """A pipe table under its caption; text to the left, numbers to the right."""
    cells = _cells(frame, decimals, lambda text: text.translate(MARKDOWN))
    rule = ["---:" if right else ":---" for right in _right(frame)]
    header = [_heading(column).translate(MARKDOWN) for column in frame.columns]
    lines = ["| " + " | ".join(row) + " |" for row in (header, rule, *cells)]
    return "\n".join([caption.strip(), "", *lines]) + "\n"


def latex(frame: pd.DataFrame, caption: str, label: str, decimals: int = 3, notes: Sequence[str] = ()) -> str:
    """A table float for LaTeX with the package booktabs, labelled ``tab:<label>``; below it the notes as a list."""
    cells = _cells(frame, decimals, lambda text: text.translate(LATEX))
    header = [_heading(column).translate(LATEX) for column in frame.columns]
    alignment = "".join("r" if right else "l" for right in _right(frame))
    lines = [
        r"\begin{table}",
        r"\centering",
        r"\footnotesize",
        rf"\caption{{{_in_latex(caption)}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        " & ".join(header) + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in cells),
        r"\bottomrule",
        r"\end{tabular}",
        *([r"\begin{itemize}"] if notes else []),
        *(rf"\item {_in_latex(note)}" for note in notes),
        *([r"\end{itemize}"] if notes else []),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _in_latex(text: str) -> str:
    return " ".join(text.split()).translate(LATEX)


def record(frame: pd.DataFrame, decimals: int = 3) -> dict[str, Any]:
    """What `markdown` prints, for JSON, without the escapes of Markdown.

    ``columns``: of each column its ``name`` and whether it holds numbers; ``rows``: of each row a text for each column
    """
    columns = [{"name": _heading(name), "number": right} for name, right in zip(frame, _right(frame), strict=True)]
    return {"columns": columns, "rows": _cells(frame, decimals, lambda text: text)}


def number(value: Any, decimals: int = 3) -> str:
    """A value as readers see it.

    >>> [number(value) for value in (0.5, 12, float("inf"), float("-inf"), float("nan"), None, True)]
    ['0.500', '12', '∞', '−∞', '–', '–', 'yes']
    >>> number(-0.25, 2), number(-0.0001)
    ('−0.25', '0.000')
    """
    if isinstance(value, str):
        return value
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return DASH
    if pd.api.types.is_bool(value):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return _signed(str(int(value)))
    if isinstance(value, Real):
        return _fraction(float(value), decimals)
    return str(value)


def _heading(column: object) -> str:
    return str(column).replace("_", " ")


def _fraction(value: float, decimals: int) -> str:
    if math.isinf(value):
        return INFINITY if value > 0 else f"−{INFINITY}"
    text = f"{value:.{decimals}f}"
    return _signed(text if float(text) else text.lstrip("-"))


def _signed(text: str) -> str:
    return text.replace("-", "−")


def _cells(frame: pd.DataFrame, decimals: int, escape: Callable[[str], str]) -> list[list[str]]:
    rows = frame.itertuples(index=False, name=None)
    return [[escape(number(value, decimals)) for value in row] for row in rows]


def _right(frame: pd.DataFrame) -> list[bool]:
    return [pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype) for dtype in frame.dtypes]

import io

import numpy as np
import pandas as pd

from cnn_invariance.plotting import tables

FRAME = pd.DataFrame(
    {
        "name": ["x|y & 50 %", None],
        "value": [np.inf, -0.5],
        "missing": [np.nan, 2.0],
        "count": pd.array([3, None], dtype="Int32"),
        "falls": [True, False],
    }
)


def test_csv_is_read_back_as_it_was():
    read = pd.read_csv(io.StringIO(tables.csv(FRAME)))
    assert read["value"].tolist() == [np.inf, -0.5]
    assert read["count"].isna().tolist() == [False, True]
    assert read["falls"].tolist() == [True, False]
    assert read["name"].tolist()[0] == "x|y & 50 %"


def test_markdown_has_signs_for_what_is_no_number():
    lines = tables.markdown(FRAME, "caption", decimals=2).splitlines()
    assert lines[3] == "| :--- | ---: | ---: | ---: | :--- |"
    assert lines[4] == r"| x\|y & 50 % | ∞ | – | 3 | yes |"
    assert lines[5] == "| – | −0.50 | 2.00 | – | no |"


def test_latex_is_balanced_and_escaped():
    text = tables.latex(FRAME, "A\ncaption with {braces} and β", "label")
    assert r"x|y \& 50 \% & $\infty$ & -- & 3 & yes \\" in text
    assert r"-- & $-$0.500 & 2.000 & -- & no \\" in text
    assert r"\caption{A caption with \{braces\} and β}" in text
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].replace(r"\&", "")
    assert all(line.count("&") == 4 for line in body.splitlines()[1:])
    assert text.count(r"\begin{") == text.count(r"\end{") == 2


def test_every_character_of_latex_is_escaped_once():
    frame = pd.DataFrame({"a": ["\\ { } & % $ # _ ~ ^ < >"]})
    row = tables.latex(frame, "", "x").splitlines()[9]
    expected = (
        r"\textbackslash{} \{ \} \& \% \$ \# \_ \textasciitilde{} \textasciicircum{} \textless{} \textgreater{} \\"
    )
    assert row == expected


def test_notes_stand_below_the_table_as_a_list():
    lines = tables.latex(FRAME, "caption", "x", notes=["50 % of\nall", "two"]).splitlines()
    assert lines[-5:] == [r"\begin{itemize}", r"\item 50 \% of all", r"\item two", r"\end{itemize}", r"\end{table}"]

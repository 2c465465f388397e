"""The table and the figure of the measures measured, written into a folder."""

from pathlib import Path
from typing import TYPE_CHECKING

from cnn_invariance.known_answers import verdicts
from cnn_invariance.known_answers.cases import Question
from cnn_invariance.known_answers.run import KERNEL, MEASURES
from cnn_invariance.storage.files import atomic_write, write_whole

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

NAME = "measures_measured"
SIGNS = {"right": "right", "wrong": "WRONG", "blind": "blind", "no value": "–"}
COLOURS = {"right": "#0072B2", "wrong": "#D55E00", "blind": "#E69F00", "no value": "#EFEFEF"}
LETTERS = {"right": "", "wrong": "w", "blind": "b", "no value": "–"}


def write(table: "pd.DataFrame", folder: Path) -> list[Path]:
    """Write ``measures_measured.csv``, ``.md`` and ``.png``; the table is that of `run.table`."""
    data, text, picture = paths = [folder / f"{NAME}{ending}" for ending in (".csv", ".md", ".png")]
    for path, content in ((data, table.to_csv(index=False)), (text, page(table))):
        write_whole(path, content)
    with atomic_write(picture) as temporary:
        figure(table).savefig(temporary, format="png", dpi=150, metadata={"Software": None})
    return paths


def grid(table: "pd.DataFrame", question: Question) -> "pd.DataFrame":
    """The verdicts on one question, a row a network and a column a measure, in the order of the table."""
    rows = table[table["question"] == question]
    wide = rows.pivot(index="network", columns="measure", values="verdict")
    return wide.loc[list(rows["network"].unique()), list(rows["measure"].unique())]


def counts(table: "pd.DataFrame") -> "pd.DataFrame":
    """How often each measure is right, wrong, blind and without a value."""
    found = table.groupby(["question", "measure"], sort=False)["verdict"].value_counts().unstack(fill_value=0)
    return found.reindex(columns=list(SIGNS), fill_value=0).reset_index()


def page(table: "pd.DataFrame") -> str:
    """The page, in Markdown."""
    said = (verdicts.__doc__ or "").strip()
    lines = [
        "# Measures measured",
        "",
        f"{table['network'].nunique()} networks of which the answer is known, and {table['measure'].nunique()} "
        f"measures. `{KERNEL}` is no measure of this package. Written by `cnn-invariance known-answers`; every value "
        f"is in [{NAME}.csv]({NAME}.csv).",
        "",
        f"![Verdicts]({NAME}.png)",
        "",
        "## The rule",
        "",
        said,
        "",
        f"EXACT is {verdicts.EXACT}, BROKEN is {verdicts.BROKEN}.",
        "",
        "## How often each is right",
        "",
    ]
    lines += _markdown([list(map(str, row)) for row in counts(table).to_numpy()], list(counts(table).columns))
    for question in MEASURES:
        wide = grid(table, question)
        rows = [
            [str(name), *(SIGNS.get(v, "") for v in row)] for name, row in zip(wide.index, wide.values, strict=True)
        ]
        lines += ["", f"## Verdicts on {question}", "", *_markdown(rows, ["network", *map(str, wide.columns)])]
    return "\n".join(lines) + "\n"


def _markdown(rows: list[list[str]], head: list[str]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, [":---"] * len(head), *rows)]


def figure(table: "pd.DataFrame") -> "Figure":
    """A panel for each question: a square for each network and measure."""
    from matplotlib.patches import Patch

    from cnn_invariance.plotting.style import new_figure, style

    with style():
        drawn = new_figure(11.0, 5.4)
        grids = {question: grid(table, question) for question in MEASURES}
        panels = drawn.subplots(1, len(grids), gridspec_kw={"width_ratios": [g.shape[1] for g in grids.values()]})
        networks = list(table["network"].unique())
        for number, (axes, (question, wide)) in enumerate(zip(panels, grids.items(), strict=True)):
            for y, network in enumerate(networks):
                for x, name in enumerate(wide.columns):
                    verdict = wide.loc[network, name] if network in wide.index else None
                    if verdict in COLOURS:
                        axes.fill([x, x + 0.92, x + 0.92, x], [y, y, y + 0.92, y + 0.92], color=COLOURS[verdict], lw=0)
                        axes.text(x + 0.46, y + 0.5, LETTERS[verdict], ha="center", va="center", fontsize=6)
            axes.set(xlim=(0, wide.shape[1]), ylim=(len(networks), 0), title=question)
            axes.set_xticks([x + 0.46 for x in range(wide.shape[1])], list(wide.columns), rotation=60, ha="right")
            axes.set_yticks([y + 0.46 for y in range(len(networks))], networks if number == 0 else [])
            axes.tick_params(length=0)
            axes.grid(False)
        handles = [Patch(color=colour, label=f"{name} {LETTERS[name]}".strip()) for name, colour in COLOURS.items()]
        drawn.legend(handles=handles, loc="outside upper right", ncols=4)
    return drawn

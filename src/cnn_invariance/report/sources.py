"""The sources of the study, point by point, as a page, a table and a list; see `cnn_invariance.paper.points`."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from textwrap import wrap
from typing import get_args

from cnn_invariance.paper import points
from cnn_invariance.paper.points import Kind, Point, Verdict

HEADINGS: dict[Kind, str] = {
    "statement": "What the abstracts and the pictures say",
    "formula": "Measures",
    "network": "Networks",
    "training": "Training",
    "set": "Transformation sets",
    "data": "Data",
    "comparison": "What the experiments compare",
    "expectation": "What the experiments are expected to show",
}
WIDTH = 112
"""Of the lines of the list of departures."""
DEPARTURES = "What differs from the author's code"
ABOUT_DEPARTURES = """\
Captions name the differences of the cells that they show: sizes, epochs and images seen, rates, batches, precision.
Those that hold for all cells are the list below, which `cnn-invariance sources --differing` prints. Each item says what
a source says (C the author's experiment code, L his library, T his log, F pictures; with `before` or `after` his code
before or after publication) and how ours stands. What is the same is in `cnn-invariance sources`."""
BESIDE = """\
Four differences have no source to be compared with:

- A network below the accuracy floor of its dataset, or with a loss that is not finite, is a failed run that says so; it
  is not trained again with other random numbers.
- Infinite values are left out of the means of layers, and their number is reported.
- Where feature maps lose or gain a border by padding, and where all samples show the same background, units can have
  no sample variance at all. Transforming keeps a constant background constant to the last bit, so that such units
  come out as 0 / 0 and not as a quotient of rounding errors.
- `quick` only: narrow networks, fewer digits, epochs and transformations, larger learning rates, 200 test samples."""


def page(chosen: Sequence[Point]) -> str:
    """Markdown: how many points have which verdict, what the letters stand for, and a table for each kind."""
    parts = ["# What the study rests on", summary(chosen), _letters()]
    for kind in get_args(Kind):
        if of_kind := [one for one in chosen if one.kind == kind]:
            parts += [f"## {HEADINGS[kind]}", _table(of_kind)]
    return "\n\n".join(parts) + "\n"


def summary(chosen: Sequence[Point]) -> str:
    """How many points there are, and how ours stands to them.

    >>> summary(points.chosen("set", "departs"))
    '2 points of sources other than ours: 0 same, 2 departs, 0 absent. 0 hypotheses and decisions of ours.'
    """
    found = points.counts(chosen)
    counted = ", ".join(f"{found[verdict]} {verdict}" for verdict in get_args(Verdict))
    own = len(chosen) - sum(found.values())
    return (
        f"{sum(found.values())} points of sources other than ours: {counted}. {own} hypotheses and decisions of ours."
    )


def as_csv(chosen: Sequence[Point]) -> str:
    """A row for each point."""
    text = io.StringIO()
    table = csv.DictWriter(text, [*_record(chosen[0])] if chosen else ["kind"], lineterminator="\n")
    table.writeheader()
    table.writerows({**_record(one), "value": _value(one)} for one in chosen)
    return text.getvalue()


def as_json(chosen: Sequence[Point]) -> str:
    """An object with the letters, the counts and the points."""
    record = {"letters": points.letters(), "counts": points.counts(chosen), "points": [*map(_record, chosen)]}
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def as_list(chosen: Sequence[Point]) -> str:
    """Markdown: an item for each point, with what the source says and how ours stands.

    >>> print(as_list(points.chosen("set", "departs", "combined")))
    - **combined, order.** C: The combined transformation translates first, then rotates and scales. Ours: It
      rotates first here, then scales, then translates, so that the shift is the one that its parameter names and is
      not itself turned and scaled.
    """
    lines: list[str] = []
    for one in chosen:
        here = f"Ours: {one.how}" if one.ours == "departs" else f"Absent: {one.how}" if one.how else "Ours: the same."
        text = f"**{one.about}, {one.topic}.** {one.letter}: {one.says} {here}"
        lines += wrap(
            text, WIDTH, initial_indent="- ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    return "\n".join(lines)


def departures(chosen: Sequence[Point] | None = None) -> str:
    """Markdown: what differs from the author's code, all or some points of it; ``docs/departures.md`` is all of it."""
    return "\n\n".join([ABOUT_DEPARTURES, as_list(differing() if chosen is None else chosen), BESIDE]) + "\n"


def differing() -> list[Point]:
    """What departs, and what is absent."""
    return [*points.chosen(verdict="departs"), *points.chosen(verdict="absent")]


def _letters() -> str:
    return "\n".join(f"- **{letter}**: {words}" for letter, words in points.letters().items())


def _table(chosen: Sequence[Point]) -> str:
    rows = [["about", "topic", "source", "what it says", "ours", "how and why"]]
    rows.append(["---"] * len(rows[0]))
    rows += [[one.about, one.topic, one.letter, one.says, one.ours, one.how or "–"] for one in chosen]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def _record(one: Point) -> dict[str, object]:
    return {("source" if key == "letter" else key): value for key, value in asdict(one).items()}


def _value(one: Point) -> str:
    return "" if one.value is None else json.dumps(one.value)

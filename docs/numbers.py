"""Numbers in the text, compared with the tables that they come from.

    python docs/numbers.py            list the numbers that differ from their tables; status 1 if there are any
    python docs/numbers.py --write    correct them

A number is followed by a key of `numbers.yaml` in a comment, ``0.36<!-- nv-rotation-full -->``, and compared at the
number of decimals that it is written with. ``<!-- table: docs/tables/agreement.csv -->`` says that the Markdown table
below it has the header and the cells of that file.
"""

import csv
import re
import sys
from collections.abc import Iterator
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
NUMBER = re.compile(r"([-\d,]*\d(?:\.(\d+))?)<!-- ([\w-]+) -->")
TABLE = re.compile(r"<!-- table: (\S+) -->\n\n((?:\|.*\n)+)")


def documents() -> list[Path]:
    """README, CONTRIBUTING and the pages of the documentation."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@cache
def keys() -> dict[str, dict[str, Any]]:
    """Where each number comes from, by its key."""
    return yaml.safe_load((ROOT / "docs/numbers.yaml").read_text(encoding="utf-8"))


def rows(path: str) -> list[dict[str, str]]:
    """The rows of a CSV table of this repository."""
    with (ROOT / path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def value(key: str) -> float:
    """The number of a key, from its table (ValueError if the key is unknown, or its rows are not what it needs)."""
    if key not in keys():
        raise ValueError(f"unknown key {key!r}; allowed: {', '.join(keys())}; add it to docs/numbers.yaml")
    source = keys()[key]
    where = source.get("where", {})
    chosen = [row for row in rows(source["table"]) if all(row[name] == str(wanted) for name, wanted in where.items())]
    if source.get("count"):
        return len(chosen)
    if not chosen or ("sum" not in source and len(chosen) != 1):
        wanted = "rows" if "sum" in source else "one row"
        raise ValueError(f"{key}: expected {wanted} of {source['table']} with {where}; received {len(chosen)}")
    number = sum(float(row[source.get("sum") or source["column"]]) for row in chosen)
    return 100 * number if source.get("percent") else number


def corrected(text: str) -> str:
    """A text with its numbers and tables as they are now."""

    def number(match: re.Match[str]) -> str:
        return f"{value(match[3]):,.{len(match[2] or '')}f}<!-- {match[3]} -->"

    def table(match: re.Match[str]) -> str:
        header, *body = csv.reader((ROOT / match[1]).read_text(encoding="utf-8").splitlines())
        lines = [header, ["---"] * len(header), *body]
        return f"<!-- table: {match[1]} -->\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)

    return TABLE.sub(table, NUMBER.sub(number, text))


def stale() -> Iterator[str]:
    """A line for each line of a document that differs from its tables."""
    for path in documents():
        text = path.read_text(encoding="utf-8")
        for before, after in zip_longest(text.splitlines(), corrected(text).splitlines(), fillvalue=""):
            if before != after:
                yield f"{path.relative_to(ROOT)}: {before.strip()!r} should be {after.strip()!r}"


def main(arguments: list[str]) -> int:
    """Compare, or correct."""
    found = list(stale())
    if arguments == ["--write"]:
        for path in documents():
            path.write_text(corrected(path.read_text(encoding="utf-8")), encoding="utf-8")
        return 0
    print("\n".join(found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What ``snakemake --report`` says of figures and tables: their category, their labels, and their captions.

Snakemake reads a caption from a file of reStructuredText. The files are written from the records beside the figures and
tables, and only when a report is asked for.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnn_invariance.storage.files import write_whole

if TYPE_CHECKING:
    from cnn_invariance.plotting.caption import Caption

SHOWN = {".svg": "figure", ".csv": "table"}
"""The formats that a report shows, of those that each figure and table has."""
CATEGORIES = {
    "": "The study as a whole",
    "validation": "Validation of the measures",
    "stability": "Stability of the measures",
    "characterisation": "Characterisation of networks",
}
"""The headings, by the group of the experiment; no group: what is of all experiments."""


@dataclass(frozen=True)
class Annotations:
    """How a report annotates the outputs of a rule.

    group:      of the experiment, a key of `CATEGORIES`
    experiment: whose outputs they are; empty: they are of all experiments
    captions:   the folder of the captions
    asked:      whether a report is made now
    """

    group: str
    experiment: str
    captions: Path
    asked: bool

    @staticmethod
    def shows(path: Path) -> bool:
        """Whether a report shows a file."""
        return path.suffix in SHOWN

    def of(self, path: Path) -> dict[str, Any]:
        """The arguments of Snakemake's ``report`` for an output, whose caption is written if a report is made."""
        given: dict[str, Any] = {
            "category": CATEGORIES[self.group],
            "subcategory": self.experiment or "all experiments",
        }
        if not self.asked:
            return given
        caption = _caption(path)
        given["labels"] = {"what": caption.title or path.stem.replace("_", " "), "kind": SHOWN[path.suffix]}
        written = (self.captions / f"{path.name}.rst").absolute()
        write_whole(written, rst(caption))
        return {**given, "caption": written}


def rst(caption: "Caption") -> str:
    """A caption as reStructuredText: what was found, how to read it, then sizes and departures as lists.

    Snakemake fills the text in as a template before it is read, so braces are escaped, too.

    >>> from cnn_invariance.plotting.caption import Caption
    >>> print(rst(Caption(finding="It falls.", setting=("*m* is {m}.",), sizes={"mnist": "2 seeds"})), end="")
    **It falls.**
    <BLANKLINE>
    \\*m\\* is {{ "{" }}m{{ "}" }}.
    <BLANKLINE>
    Sizes:
    <BLANKLINE>
    - mnist: 2 seeds
    """
    return "\n\n".join(filter(None, _blocks(caption))) + "\n"


def _blocks(caption: "Caption") -> Iterator[str]:
    yield caption.finding and f"**{_escaped(caption.finding)}**"
    yield _escaped(caption.question)
    yield from map(_escaped, (*caption.setting, *caption.measures))
    yield _escaped(caption.counts)
    yield _list("Sizes", (f"{name}: {size}" for name, size in caption.sizes.items()))
    for name, phrases in caption.departures.items():
        yield _list(f"Departures from the author's code on {name}", phrases)
    yield caption.whose and _escaped(f"{caption.whose} (preset {caption.preset}).")


def _list(heading: str, items: Iterable[str]) -> str:
    lines = [f"- {_escaped(item)}" for item in items]
    return "\n".join([f"{_escaped(heading)}:", "", *lines]) if lines else ""


def _escaped(text: str) -> str:
    plain = re.sub(r"([\\*`|_])", r"\\\1", " ".join(text.split()))
    return re.sub(r"[{}]", lambda brace: f'{{{{ "{brace[0]}" }}}}', plain)


def _caption(path: Path) -> "Caption":
    """The caption in the record beside a figure or table; of a table without one, the first paragraph of its text."""
    from cnn_invariance.plotting.caption import Caption

    record = path.with_suffix(".json")
    found = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else None
    if isinstance(found, dict) and "caption" in found:
        return Caption.from_record(found["caption"])
    text = path.with_suffix(".md")
    return Caption.from_text(text.read_text(encoding="utf-8").partition("\n\n")[0] if text.is_file() else "")

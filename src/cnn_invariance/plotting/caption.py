"""What a caption says, as a record: texts are printed from it, and none is taken apart again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Caption:
    """The parts of the caption of a figure or table. ``str(caption)`` is its `opening` with its `details` as a list.

    title:      what is shown, without a full stop at the end; empty: the caption is free text, all of it in ``setting``
    question:   what the experiment asks
    setting:    sentences on what was done and how to read it, each whole
    measures:   a sentence on each measure that is shown: what it is, and what has one value of it
    sizes:      by dataset, how large networks, samples and transformation sets are
    brief:      by dataset, the same in fewer words, for the lines above a picture; empty: ``sizes``
    counts:     a sentence on infinite, undefined and dead units
    departures: by dataset, the phrases that say what differs from the author's code
    experiment: the id of the experiment
    preset:     the name of the preset
    origin:     whose the experiment is: of the author's code, adapted from it, of this package, or a user's own
    finding:    what was found or is seen, whole sentences, which the text begins with; empty: nothing is said

    >>> print(Caption(title="Two lines", question="Why?", setting=("Both are flat.",), sizes={"mnist": "2 seeds"}))
    Two lines. Why?
    <BLANKLINE>
    - Both are flat.
    - Sizes: mnist, 2 seeds.
    """

    title: str = ""
    question: str = ""
    setting: tuple[str, ...] = ()
    sizes: Mapping[str, str] = field(default_factory=dict)
    counts: str = ""
    departures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    experiment: str = ""
    preset: str = ""
    origin: Literal["author", "adapted", "package", "user"] = "user"
    finding: str = ""
    brief: Mapping[str, str] = field(default_factory=dict)
    measures: tuple[str, ...] = ()

    @classmethod
    def from_text(cls, text: str) -> "Caption":
        """A caption of which only the text is known."""
        return cls(setting=(text.strip(),))

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Caption":
        """The caption that `to_json` wrote as ``caption``."""
        departures = {name: tuple(phrases) for name, phrases in record["departures"]}
        sentences = {name: tuple(record.get(name, ())) for name in ("setting", "measures")}
        by_dataset = {name: dict(record[name]) for name in ("sizes", "brief")}
        return cls(**{**record, **sentences, **by_dataset, "departures": departures})

    def to_json(self, **more: Any) -> str:
        """A JSON object with the parts of the caption as ``caption``, beside ``more``; keys are sorted.

        Datasets are pairs in a list, because their order is part of the text.
        """
        lists = {name: list(getattr(self, name).items()) for name in ("sizes", "brief", "departures")}
        record = {"caption": {**vars(self), **lists}, **more}
        return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @property
    def shown(self) -> str:
        """The networks, samples and sets of each dataset in brief, or once of those that have the same."""
        alike: dict[str, list[str]] = {}
        for name, size in (self.brief or self.sizes).items():
            alike.setdefault(size, []).append(name)
        return "; ".join(f"{' and '.join(names)}: {size}" for size, names in alike.items())

    @property
    def opening(self) -> str:
        """The first paragraph: what was found, what is shown, and what was asked; empty for a free text."""
        title = f"{self.title}." if self.title else ""
        return " ".join(filter(None, (self.finding, title, self.question)))

    @property
    def details(self) -> tuple[str, ...]:
        """What is said below the opening, one thing in each text: how to read it, sizes, departures, whose it is."""
        return tuple(f"{text} {'; '.join(items)}." if items else text for text, items in self._parts)

    def __str__(self) -> str:
        """The opening, and below it the details as a list in Markdown, each departure an item; a free text as it is."""
        if not self.opening:
            return "\n\n".join(self.details)
        listed = [line for text, items in self._parts for line in (f"- {text}", *(f"  - {item}" for item in items))]
        return "\n".join([self.opening, *([""] if listed else []), *listed])

    @property
    def _parts(self) -> list[tuple[str, tuple[str, ...]]]:
        """The details, each a text and the items that belong to it."""
        sizes = "; ".join(f"{name}, {size}" for name, size in self.sizes.items())
        parts: list[tuple[str, tuple[str, ...]]] = [
            (" ".join(filter(None, self.setting)), ()),
            (" ".join(self.measures), ()),
            (f"Sizes: {sizes}." if sizes else "", ()),
            (self.counts, ()),
            *((f"Departures from the author's code on {name}:", tuple(them)) for name, them in self.departures.items()),
            (self.whose and f"{self.whose} (preset {self.preset}).", ()),
        ]
        return [(text, items) for text, items in parts if text]

    @property
    def whose(self) -> str:
        """Whose experiment it is, in words."""
        if not self.experiment:
            return ""
        what = {
            "author": f"Replicates experiment '{self.experiment}' of the author's code",
            "adapted": f"Experiment '{self.experiment}' of the author's code, with parts that his code does not have",
            "package": f"Experiment '{self.experiment}' of this package, beside those of the author's code",
            "user": f"Experiment '{self.experiment}' of your own",
        }
        return what[self.origin]

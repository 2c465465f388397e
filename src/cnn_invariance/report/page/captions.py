"""Captions taken apart, so that what all figures of an experiment share is said once.

`cnn_invariance.paper.captions` puts a caption together: title, question, setting, sizes, departures
from the paper. What has another form (the overview's, a user's own experiment) stays whole: nothing of a caption is
lost but the question, which the page shows anyway, and the sentence that names the experiment.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SENTENCE = re.compile(r"(?<=[.?:]) (?=[A-Z])")
SIZES = re.compile(r"Sizes: (.+?)\.(?: |$)")
DEPARTURES = re.compile(r"Departures from the paper on (\S+): (.+?)\.(?= Departures from the paper on | Replicates |$)")
NAMED = re.compile(r"Replicates the paper's experiment '\S+' \(preset \S+\)\.$")


@dataclass(frozen=True)
class Caption:
    """The parts of a caption.

    sentences:  what is neither of the others, in order
    departures: of each dataset, the phrases
    """

    title: str
    sentences: tuple[str, ...]
    sizes: tuple[str, ...] = ()
    departures: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def read(cls, text: str, question: str = "") -> "Caption":
        """The parts of a text; without the question in it, the title is the first sentence.

        >>> found = Caption.read("A line. Why? It is flat. Sizes: big. Departures from the paper on a: b; c.", "Why?")
        >>> found.title, found.sentences, found.sizes, found.departures
        ('A line', ('It is flat.',), ('big',), (('a', ('b', 'c')),))
        """
        text = " ".join(text.split())
        title, found, rest = text.partition(f" {question} ") if question else (text, "", "")
        if not found:
            title, *others = SENTENCE.split(text, maxsplit=1)
            rest = " ".join(others)
        departures = tuple((name, tuple(phrases.split("; "))) for name, phrases in DEPARTURES.findall(rest))
        sizes = tuple(SIZES.findall(rest))
        for pattern in (DEPARTURES, SIZES, NAMED):
            rest = pattern.sub("", rest)
        sentences = (sentence.strip() for sentence in SENTENCE.split(rest))
        return cls(title.removesuffix("."), tuple(filter(None, sentences)), sizes, departures)


@dataclass(frozen=True)
class Shared:
    """What several captions say: the sentences all have, and each size and each departure once."""

    sentences: tuple[str, ...]
    sizes: tuple[str, ...]
    departures: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, captions: Sequence[Caption]) -> "Shared":
        """From the captions of one experiment."""
        first = captions[0].sentences if captions else ()
        common = (one for one in first if all(one in caption.sentences for caption in captions))
        sizes = dict.fromkeys(size for caption in captions for size in caption.sizes)
        departures: dict[str, tuple[str, ...]] = {}
        for caption in captions:
            for name, phrases in caption.departures:
                departures[name] = tuple(dict.fromkeys((*departures.get(name, ()), *phrases)))
        return cls(tuple(common), tuple(sizes), departures)

    def rest(self, caption: Caption) -> str:
        """What a caption says beyond its title and what all say."""
        return " ".join(sentence for sentence in caption.sentences if sentence not in self.sentences)


def counted(shared: Iterable[Shared]) -> dict[str, dict[str, int]]:
    """Of each dataset, in how many experiments a departure is named; the most frequent first."""
    found: dict[str, dict[str, int]] = {}
    for one in shared:
        for name, phrases in one.departures.items():
            counts = found.setdefault(name, {})
            for phrase in phrases:
                counts[phrase] = counts.get(phrase, 0) + 1
    return {name: dict(sorted(counts.items(), key=lambda item: -item[1])) for name, counts in found.items()}

"""What the captions of one experiment have in common, so that the page says it once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnn_invariance.plotting.caption import Caption


@dataclass(frozen=True)
class SharedCaption:
    """What is said once for several captions.

    sentences:  those that all captions have
    measures:   the sentences on measures of all captions
    sizes:      of each dataset, each size that a caption names
    departures: of each dataset, each phrase that a caption names
    """

    sentences: tuple[str, ...]
    measures: tuple[str, ...]
    sizes: dict[str, tuple[str, ...]]
    departures: dict[str, tuple[str, ...]]

    @classmethod
    def from_captions(cls, captions: Sequence["Caption"]) -> "SharedCaption":
        """What these captions share."""
        first = sentences(captions[0]) if captions else ()
        common = tuple(one for one in first if all(one in sentences(caption) for caption in captions))
        sizes = ((dataset, [size]) for caption in captions for dataset, size in caption.sizes.items())
        departures = (item for caption in captions for item in caption.departures.items())
        measures = dict.fromkeys(one for caption in captions for one in caption.measures)
        return cls(common, tuple(measures), _united(sizes), _united(departures))

    def rest(self, caption: "Caption") -> str:
        """What a caption says beyond its title and what is said once."""
        return " ".join(sentence for sentence in sentences(caption) if sentence not in self.sentences)


def sentences(caption: "Caption") -> tuple[str, ...]:
    """The sentences of a caption without what the page shows apart: title, question, measures, sizes and departures."""
    return tuple(filter(None, [*caption.setting, caption.counts]))


def count_departures(shared: Iterable[SharedCaption]) -> dict[str, dict[str, int]]:
    """Of each dataset, in how many experiments a departure is named; the most frequent first."""
    found: dict[str, dict[str, int]] = {}
    for one in shared:
        for dataset, phrases in one.departures.items():
            counts = found.setdefault(dataset, {})
            for phrase in phrases:
                counts[phrase] = counts.get(phrase, 0) + 1
    return {dataset: dict(sorted(counts.items(), key=lambda item: -item[1])) for dataset, counts in found.items()}


def _united(items: Iterable[tuple[str, Iterable[str]]]) -> dict[str, tuple[str, ...]]:
    """Of each dataset all its phrases, each once."""
    found: dict[str, tuple[str, ...]] = {}
    for dataset, phrases in items:
        found[dataset] = tuple(dict.fromkeys((*found.get(dataset, ()), *phrases)))
    return found

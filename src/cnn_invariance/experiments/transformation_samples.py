"""The same networks measured under coarse and under fine samples of a set of transformations."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import STRIPS, Line, Panel, ProfileExperiment, Source, choices, same_profile
from cnn_invariance.study import SetSpec, Study

Counts = tuple[Annotated[int, Field(ge=1)], ...]
AUTHOR: dict[str, Counts] = {"rotation": (8, 16, 32), "scale": (1, 3, 5), "translation": (1, 2, 3)}

STABLE = same_profile(
    "stable",
    "A coarsely sampled set gives the profile of a finely sampled one.",
    Source.ABSTRACT,
    "under the coarsest and under the finest set",
    0,
    -1,
)


class TransformationSamples(ProfileExperiment):
    """``counts``: by the name of a set, its numbers n, from coarse to fine; as many for each set."""

    question = "How finely must a set of transformations be sampled to measure invariance?"
    group = "stability"
    title = "profiles of {model} by number of transformations"
    setting = (
        "Each network is trained with the preset's own set of the panel's kind as augmentation, and measured under "
        "sets of the same range with other numbers n, from coarse to fine in the order of the panel's title. "
    ) + STRIPS
    drawing = {"ordered": True, "line_column": "sampling"}
    reference = "preset"
    claims = (STABLE,)

    counts: dict[str, Counts] = AUTHOR
    seeds: int = Field(3, ge=1)

    def check(self, study: Study) -> None:
        """Raise InputError for sets of which as many samplings are not given."""
        if len(steps := {len(self._counts(study, label)) for label in self.sets(study)}) > 1:
            raise InputError(f"'counts' must be as many for each set; received {', '.join(map(str, sorted(steps)))}")

    def panels(self, study: Study, dataset: str) -> Mapping[str, Sequence[Line]]:
        """A panel for each set, which names its numbers."""
        counts = ((at, self._counts(study, at.label)) for at in self.at(study, dataset))
        return {f"{at.label}, n = {', '.join(map(str, each))}": _lines(at, each) for at, each in counts}

    def departures(self, study: Study) -> Sequence[str]:
        """Other numbers than the author's."""
        return [
            f"{name}: n {', '.join(map(str, ours))} (paper {', '.join(map(str, AUTHOR[name]))})"
            for name, ours in self.counts.items()
            if ours != AUTHOR.get(name, ours)
        ]

    def _counts(self, study: Study, label: str) -> Counts:
        name = study.set(label).name
        if name not in self.counts:
            raise InputError(f"'counts' has no numbers n for the set {name!r}; it has {', '.join(self.counts)}")
        if len(self.counts[name]) < 2:
            raise InputError(f"'counts' of {name!r} must be two numbers at least, to be compared")
        choices.rising("counts", self.counts[name])
        return self.counts[name]


def _lines(at: Panel, counts: Counts) -> list[Line]:
    own, samples = at.study.set(at.label), at.study.samples(at.label)
    names = ["coarsest", *(f"step {k} of {len(counts)}" for k in range(2, len(counts))), "finest"]
    sampled = [at.study.set(SetSpec(name=own.name, parameters={**own.parameters, "n": n})) for n in counts]
    return [at.line(name, under=under, samples=samples) for name, under in zip(names, sampled, strict=True)]

"""The same networks measured under coarse and under fine samples of a set of transformations."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import STRIPS, Line, Panel, ProfileExperiment, Source, choices, same_profile
from cnn_invariance.experiments.framework.charts import convergence
from cnn_invariance.experiments.framework.panels import MARGIN, MeasuredPanel, differences
from cnn_invariance.experiments.framework.profiles import ProfilePlan
from cnn_invariance.study import SetSpec, Study

Counts = dict[str, tuple[Annotated[int, Field(ge=1)], ...]]

STABLE = "A coarsely sampled set of rotations gives the profile of a finely sampled one."
WHERE = "under the coarsest and under the finest set of rotations"


def of_one_distribution(panel: MeasuredPanel) -> list[float]:
    """The relative difference of the first and the last line, for rotations alone.

    Fewer scale factors and translations are other distributions and not only other densities: with n = 1, all are at
    the ends of the range.
    """
    rotated = all(line.cells[0].transformations.name == "rotation" for line in panel.lines)
    return list(differences(0, -1)(panel)) if rotated else []


class TransformationSamples(ProfileExperiment):
    """``before``, ``after``: numbers n of the author's code before and after publication, rising, by names of sets."""

    question = "How finely must a set of transformations be sampled to measure invariance?"
    group = "stability"
    title = "profiles of {model} by number of transformations, trained with {trained}"
    setting = (
        "As the author's code {when} publication: each network is trained with {trained} of the panel's kind as "
        "augmentation, and measured under sets of the same range with other numbers n, from coarse to fine in the "
        "order of the panel's title. "
    ) + STRIPS
    drawing = {"line_column": "sampling", "chart": convergence("transformations", MARGIN)}
    claims = (replace(same_profile("stable", STABLE, Source.ABSTRACT, WHERE, 0, -1), of=of_one_distribution),)

    before: Counts = {"rotation": (8, 16, 32), "scale": (1, 3, 5), "translation": (1, 2, 3)}
    after: Counts = {"rotation": (5, 15, 25, 35, 45, 55)}
    seeds: int = Field(3, ge=1)

    def plans(self, study: Study) -> Sequence[ProfilePlan]:
        """What the author's code did before and after publication."""
        datasets = self.grid(study).datasets
        if missing := {study.set(label).name for label in self.sets(study)} - {*self.before}:
            raise InputError(f"'before' has no numbers n for the set {min(missing)!r}; it has {', '.join(self.before)}")
        coarsest = {"when": "before", "trained": "the coarsest set"}
        usual = {"when": "after", "trained": "the preset's own set"}
        plans = [self.plan(study, {one: self._panels(study, one, self.before, True) for one in datasets}, coarsest)]
        if {study.set(label).name for label in self.sets(study)} & {*self.after}:
            later = {one: self._panels(study, one, self.after, False) for one in datasets}
            plans.append(self.plan(study, later, usual, part="after"))
        return plans

    def _panels(self, study: Study, dataset: str, counts: Counts, coarsest: bool) -> dict[str, list[Line]]:
        """A panel for each set of which there are numbers, which it names."""
        found = {}
        for at in self.at(study, dataset):
            if numbers := counts.get(study.set(at.label).name):
                choices.rising("n", numbers)
                found[f"{at.label}, n = {', '.join(map(str, numbers))}"] = _lines(at, numbers, coarsest)
        return found


def _lines(at: Panel, counts: Iterable[int], coarsest: bool) -> list[Line]:
    """A line for each number, of networks that are trained with the coarsest set or with the preset's own."""
    own, samples = at.study.set(at.label), at.study.samples(at.label)
    sampled = [at.study.set(SetSpec(name=own.name, parameters={**own.parameters, "n": n})) for n in counts]
    names = ["coarsest", *(f"step {k} of {len(sampled)}" for k in range(2, len(sampled))), "finest"]
    networks = at.networks(augmentation=sampled[0] if coarsest else own)
    both = zip(names, sampled, strict=True)
    return [at.line(name, networks, under=one, samples=samples, at=one.size) for name, one in both]

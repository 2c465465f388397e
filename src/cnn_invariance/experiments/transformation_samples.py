"""The same networks measured under coarse and under fine samples of a set of transformations."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import augmented, choices
from cnn_invariance.experiments.framework.augmented import differences
from cnn_invariance.experiments.framework.claims import POSITIVE, Claim, Finding, over
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, of_plan
from cnn_invariance.study import SetSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.results import Results

QUESTION = "How finely must a set of transformations be sampled to measure invariance?"

SETTING = (
    "Each network is trained with the preset's own set of the panel's kind as augmentation, and measured under sets of "
    "the same range with other numbers n, from coarse to fine in the order of the panel's title. The strips show the "
    "kinds of layers."
)

CLAIMS = (
    Claim(
        name="stable",
        statement="A coarsely sampled set gives the profile of a finely sampled one.",
        statistic="relative difference of the NV profiles under the coarsest and under the finest set",
        side="below",
        threshold=0.1,
    ),
)

Counts = tuple[Annotated[int, Field(ge=1)], ...]
PAPER: dict[str, Counts] = {"rotation": (8, 16, 32), "scale": (1, 3, 5), "translation": (1, 2, 3)}


class Options(augmented.Options):
    """``counts``: by the name of a set, its numbers n, from coarse to fine; as many for each set."""

    counts: dict[str, Counts] = PAPER


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets and seeds."""
    plan = profile_plan(study, options)
    for dataset in plan.lines:
        interval = over(differences(plan, results, dataset, 0, -1), "sets and seeds", POSITIVE)
        yield Finding(CLAIMS[0], dataset, interval, plan.cells(dataset))


def profile_plan(study: Study, options: Options) -> ProfilePlan:
    """The lines of its figures."""
    sets = augmented.simple_sets(study, options)
    counts = {label: _counts(study, options, label) for label in sets}
    if len(steps := {len(each) for each in counts.values()}) > 1:
        raise InputError(f"'counts' must be as many for each set; received {', '.join(map(str, sorted(steps)))}")

    def panel(dataset: str, label: str) -> list[Line]:
        networks = augmented.networks(study, options, dataset, label)
        return [
            Line(
                _name(step, len(counts[label])),
                [study.measurement(one, _sampled(study, label, n), samples=study.samples(label)) for one in networks],
            )
            for step, n in enumerate(counts[label])
        ]

    lines = augmented.lines(study, options, sets, panel)
    titles = {label: f"{label}, n = {', '.join(map(str, each))}" for label, each in counts.items()}
    return ProfilePlan(
        experiment="transformation_samples",
        title=f"profiles of {options.model} by number of transformations",
        question=QUESTION,
        setting=SETTING,
        measures=choices.measures(study, options.measures),
        lines={name: {titles[label]: shown for label, shown in panels.items()} for name, panels in lines.items()},
        ordered=True,
        line_column="sampling",
        departures=[
            f"{name}: n {', '.join(map(str, ours))} (paper {', '.join(map(str, PAPER[name]))})"
            for name, ours in options.counts.items()
            if ours != PAPER.get(name, ours)
        ],
        usual=[
            study.measurement(cell.network, label)
            for panels in lines.values()
            for label, shown in panels.items()
            for cell in shown[0].cells
        ],
    )


def _counts(study: Study, options: Options, label: str) -> Counts:
    name = study.set(label).name
    if name not in options.counts:
        raise InputError(f"'counts' has no numbers n for the set {name!r}; it has {', '.join(options.counts)}")
    counts = options.counts[name]
    if len(counts) < 2:
        raise InputError(f"'counts' of {name!r} must be two numbers at least, to be compared")
    choices.rising("counts", counts)
    return counts


def _sampled(study: Study, label: str, n: int) -> SetSpec:
    own = study.set(label)
    return study.set(SetSpec(name=own.name, parameters={**own.parameters, "n": n}))


def _name(step: int, steps: int) -> str:
    if step == 0:
        return "coarsest"
    return "finest" if step == steps - 1 else f"step {step + 1} of {steps}"


cells, outputs, draw = of_plan(profile_plan)

"""The same networks measured on few and on many samples."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import augmented, choices
from cnn_invariance.experiments.framework.augmented import differences
from cnn_invariance.experiments.framework.claims import POSITIVE, Claim, Finding, over
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, of_plan
from cnn_invariance.study import SampleSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.results import Results

QUESTION = "How many samples are enough to measure invariance?"

SETTING = (
    "Each network is trained with the transformation set of the panel as augmentation, and measured under the same "
    "set on a share of samples: of twice as many as the other experiments measure under the set. Smaller shares are "
    "part of larger ones. The strips show the kinds of layers."
)

USUAL, TENTH, ALL = 0.5, 0.1, 1.0

CLAIMS = (
    Claim(
        name="stable_from_tenth",
        statement="A tenth of the samples gives the profile of all samples.",
        statistic="relative difference of the NV profiles on 10 % and on 100 % of the samples",
        side="below",
        threshold=0.1,
    ),
)


class Options(augmented.Options):
    """``shares`` of twice the samples that the preset measures under a set; half of them are the usual cell."""

    shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.01, 0.05, TENTH, USUAL, ALL)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets and seeds."""
    plan = profile_plan(study, options)
    tenth, whole = (options.shares.index(share) for share in (TENTH, ALL))
    for dataset in plan.lines:
        interval = over(differences(plan, results, dataset, tenth, whole), "sets and seeds", POSITIVE)
        yield Finding(CLAIMS[0], dataset, interval, plan.cells(dataset))


def profile_plan(study: Study, options: Options) -> ProfilePlan:
    """The lines of its figures."""
    choices.rising("shares", options.shares, needed=(TENTH, ALL))

    def panel(dataset: str, label: str) -> list[Line]:
        networks = augmented.networks(study, options, dataset, label)
        return [
            Line(
                f"{100 * share:g} % of the samples",
                [study.measurement(one, label, samples=_samples(study, label, share)) for one in networks],
            )
            for share in options.shares
        ]

    lines = augmented.lines(study, options, augmented.all_sets(study, options), panel)
    return ProfilePlan(
        experiment="dataset_size",
        title=f"profiles of {options.model} by number of samples",
        question=QUESTION,
        setting=SETTING,
        measures=choices.measures(study, options.measures, choices.WITH_DISTANCE),
        lines=lines,
        ordered=True,
        line_column="measured_on",
        usual=[
            study.measurement(cell.network, label)
            for panels in lines.values()
            for label, shown in panels.items()
            for cell in shown[0].cells
        ],
    )


def _samples(study: Study, label: str, share: float) -> SampleSpec:
    usual = study.samples(label)
    if usual.count is None:
        raise InputError("a share of the samples needs their number; give the preset's 'samples' a 'count'")
    count = round(usual.count / USUAL * share)
    if count < 2:
        raise InputError(
            f"{100 * share:g} % of {2 * usual.count} samples under {label!r} is {count}, and a measure needs 2; "
            "leave out the share, or measure more"
        )
    return SampleSpec(split=usual.split, count=count, seed=usual.seed)


cells, outputs, draw = of_plan(profile_plan)

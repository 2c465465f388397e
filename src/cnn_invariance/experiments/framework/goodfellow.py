"""What the experiments on the threshold of Goodfellow's measure share."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.claims import Claim, Finding, over, unknown
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, values
from cnn_invariance.experiments.framework.spread import variation
from cnn_invariance.measures import requests as measure_names
from cnn_invariance.study import Closed, MeasureSpec, Study

if TYPE_CHECKING:
    from cnn_invariance.results import Results

USUAL, EXTREME = 0.9, 0.999
"""The two alphas that the claims compare."""

NETWORKS = (
    "An activation fires above its mean + z(alpha) standard deviations, over untransformed samples. The network is "
    "trained with the transformation set it is measured under."
)


class Options(Closed):
    """``alphas``: those shown, in order; ``seeds``: how many of the preset's seeds."""

    model: str = "SimpleConv"
    datasets: choices.Labels = None
    transformation_sets: choices.Labels = None
    alphas: tuple[float, ...] = Field((0.5, 0.9, 0.95, 0.99, 0.999), min_length=1)
    seeds: int = Field(3, ge=2)


def request(name: str, alpha: float) -> str:
    """A measure at a threshold, as results name it.

    >>> request("Goodfellow", 0.9), request("Goodfellow_G", 0.99)
    ('Goodfellow[alpha=0.9]', 'Goodfellow_G')
    """
    return str(measure_names.check(f"{name}[alpha={alpha}]"))


def lines(study: Study, options: Options, dataset: str, label: str, name: str) -> list[Line]:
    """A line for each alpha, all of the networks trained with and measured under one set."""
    choices.choose("model", (options.model,), study.models)
    if len(set(options.alphas)) < len(options.alphas):
        raise InputError(f"each alpha once; received {', '.join(map(str, options.alphas))}")
    networks = (
        study.network(dataset=dataset, model=options.model, augmentation=label, seed=seed)
        for seed in choices.seeds(study, options.seeds)
    )
    cells = [study.measurement(network, label) for network in networks]
    return [Line(f"alpha = {alpha:g}", cells, choices.measure(study, request(name, alpha))) for alpha in options.alphas]


def unstable(name: str, claim: str, words: str) -> Claim:
    """The claim that a rate varies more from seed to seed at the extreme alpha than at the usual one."""
    return Claim(
        name=claim,
        statement=f"{words} is unstable at extreme alpha.",
        statistic=(
            f"coefficient of variation of {name} over seeds (mean over layers) at alpha = {EXTREME:g}, divided by "
            f"the same at {USUAL:g}"
        ),
        side="above",
        threshold=1.5,
    )


def findings(claim: Claim, name: str, study: Study, plan: ProfilePlan, results: "Results") -> Iterator[Finding]:
    """For each dataset, over the sets."""
    measures = [request(name, alpha) for alpha in (EXTREME, USUAL)]
    missing = [measure for measure in measures if measure not in study.measures]
    for dataset, panels in plan.lines.items():
        if missing:
            reason = f"not measured: {', '.join(missing)}"
            yield Finding(claim, dataset, unknown("no pair of alphas"), plan.cells(dataset), reason=reason)
            continue
        networks = dict.fromkeys(tuple(line.cells) for panel in panels.values() for line in panel)
        ratios = (_ratio(results, cells, measures) for cells in networks)
        yield Finding(claim, dataset, over(ratios, "sets"), plan.cells(dataset))


def _ratio(results: "Results", cells: Sequence[MeasureSpec], measures: Sequence[str]) -> float:
    extreme, usual = (variation(values(results, cells, measure)) for measure in measures)
    return extreme / usual if usual else float("nan")

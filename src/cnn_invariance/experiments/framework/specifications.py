"""Specification curves: a claim tested again with each other choice that its author could have made.

A claim on profiles is made with one measure, on all layers, with dead units counted as 1. Each `Specification` is
another choice of the form of the measure, of what to do with dead units, and of which layers to look at. The findings
of the experiment are computed again on a view of the results, in which the profile of the claim's measure is that of
the specification; so an experiment needs no code of its own. See U. Simonsohn, J. Simmons and L. Nelson,
"Specification curve analysis", Nature Human Behaviour 4 (2020).

The form is a choice where the claim is made with one of the study's headline measures, and with no other form of it:
where forms are compared, or a form is named, it is what the claim is about, and stays. A specification exists as far as
the cells hold its measures.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnn_invariance.experiments.framework.choices import HEADLINES
from cnn_invariance.experiments.framework.claims import Finding
from cnn_invariance.experiments.framework.experiment import Experiment
from cnn_invariance.measures.requests import check
from cnn_invariance.results import Results
from cnn_invariance.study import MeasureSpec, Study

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.results.measures import MeasureTable
    from cnn_invariance.results.responses import Responses
    from cnn_invariance.statistics.layouts import Layout
    from cnn_invariance.study import ResponseSpec, TrainSpec

NV, NVSE = HEADLINES
TVSE = "TVSE[aggregate=mean]"
QUOTIENTS = ("NV", "NVSE", "ND", "NDSE", "Goodfellow")
"""The measures that are quotients: a dead unit, whose activation never changes, has 0 / 0, which counts as 1."""
DEAD = ("counted as 1", "left out")
CHOICES = ("measure", "of", "statistic", "dead", "layers")
"""What is chosen, as `Specification.columns` names it."""
LAYERS = ("all", "activations", "convolutions")
"""All, or those of a kind as figures name it."""


class Form(NamedTuple):
    """A form of a measure: its name, what has one value of it, the statistic, and the requests ``instead`` of others.

    A form without ``instead`` is that of the claim.
    """

    measure: str = ""
    of: str = ""
    statistic: str = ""
    instead: Mapping[str, str] = MappingProxyType({})


UNITS, BEFORE, MAP = "units", "mean before", "map"
VARIANCES = tuple(
    Form("NV", of, statistic, {NV: str(check(f"NV[statistic={statistic}{options}]"))})
    for statistic in ("std", "var")
    for of, options in {UNITS: "", BEFORE: ",aggregate=mean", MAP: ",aggregate=mean,order=after"}.items()
)
DISTANCES = tuple(
    Form("ND", of, "distance", {NV: request})
    for of, request in {UNITS: "ND[per=unit]", BEFORE: "ND[per=unit,aggregate=mean]", MAP: "ND"}.items()
)
SAME_EQUIVARIANCE = (
    Form("NVSE", UNITS, "std", {TVSE: "TVSE", NVSE: "NVSE"}),
    Form("NVSE", BEFORE, "std", {TVSE: TVSE, NVSE: NVSE}),
    Form("NDSE", MAP, "distance", {TVSE: "TDSE", NVSE: "NDSE"}),
)
FORMS = {NV: (*VARIANCES, *DISTANCES), NVSE: SAME_EQUIVARIANCE}
"""The forms in which a claim on a headline measure can be made."""
HELD = tuple(dict.fromkeys(one for forms in FORMS.values() for form in forms for one in form.instead.values()))


class Specification(NamedTuple):
    """One way to test a claim: the form of its measure, whether dead units count, and the kind of layers."""

    form: Form
    dead: str
    layers: str

    @property
    def own(self) -> bool:
        """Whether it is the claim as it is stated."""
        return self.claimed_form and self.dead == DEAD[0] and self.layers == LAYERS[0]

    @property
    def own_but_dead(self) -> bool:
        """Whether it is the claim as it is stated, but without dead units."""
        return self.claimed_form and self.dead == DEAD[1] and self.layers == LAYERS[0]

    @property
    def claimed_form(self) -> bool:
        """Whether the measures are those of the claim."""
        return all(request == other for request, other in self.form.instead.items())

    def columns(self) -> dict[str, str]:
        """The choices in words; those of a form that is not to be chosen are "as claimed"."""
        form = self.form[:3] if self.form.instead else ("as claimed",) * 3
        return dict(zip(CHOICES, (*form, self.dead, self.layers), strict=True))


class Tested(NamedTuple):
    """A finding on a claim, and the specification by which it was found."""

    specification: Specification
    finding: Finding


class Layers(NamedTuple):
    """A stored profile in numbers: the names and kinds of its layers, and of each layer its value and counts, (L,).

    depth:  of the layers among all that were observed, in per cent
    finite: how many values are in its mean; ``dead``: how many of them are dead
    """

    names: tuple[tuple[str, str], ...]
    depth: np.ndarray
    value: np.ndarray
    finite: np.ndarray
    dead: np.ndarray

    @classmethod
    def of(cls, profile: "Mapping[str, np.ndarray] | pd.DataFrame") -> "Layers":
        """Those of a profile as results give it."""
        depth, value, units, infinite, nan, dead = (
            np.asarray(profile[name], dtype=float) for name in ("depth", "value", "units", "infinite", "nan", "dead")
        )
        names = tuple(zip(profile["layer"].tolist(), profile["kind"].tolist(), strict=True))
        return cls(names, depth, value, units - infinite - nan, dead)

    def without_dead(self) -> np.ndarray:
        """The values without the dead, of which each is in the mean as 1; NaN where all are dead, (L,)."""
        live = np.where(self.finite > self.dead, self.finite - self.dead, np.nan)
        return np.where(self.dead > 0, np.maximum(self.value * self.finite - self.dead, 0) / live, self.value)


class Remembered:
    """The profiles of results: of each cell all that specifications may ask for are read at once, and kept."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self._profiles: dict[tuple[MeasureSpec, str], Layers] = {}

    def profile(self, cell: MeasureSpec, measure: str) -> Layers:
        """The profile of a measure that a cell holds."""
        if (cell, measure) not in self._profiles:
            wanted = dict.fromkeys([measure, *(one for one in HELD if one in cell.measures)])
            self._profiles |= {(cell, one): Layers.of(self.results.numbers(cell, one)) for one in wanted}
        return self._profiles[cell, measure]


@dataclass(frozen=True, eq=False)
class Specified(Results):
    """Results as a specification sees them: other profiles, and all else as it is.

    asked: the profiles that were asked for, by the measure of the claim, in their order
    """

    profiles: Remembered
    specification: Specification
    asked: dict[tuple[MeasureSpec, str], None]

    @classmethod
    def of(cls, profiles: Remembered, specification: Specification) -> "Specified":
        """The view of some results."""
        return cls(profiles.results.root, profiles, specification, {})

    def profile(self, cell: MeasureSpec, measure: str, *, layers: "Layout | None" = None) -> "pd.DataFrame":
        """The profile that takes the place of a measure's, without its counts; layers are laid out as observed."""
        kept, table, found, value = self._taken(cell, measure)
        return table.assign(depth=found.depth[kept], value=value[kept])

    def values(self, cell: MeasureSpec, measure: str) -> np.ndarray:
        """The values of the same profile, (L,), without its table, which takes most of the time."""
        kept, _, _, value = self._taken(cell, measure)
        return value[kept]

    def numbers(self, cell: MeasureSpec, measure: str) -> Mapping[str, np.ndarray]:
        """The columns of the same profile."""
        kept, table, found, value = self._taken(cell, measure)
        columns = {name: table[name].to_numpy() for name in ("layer_index", "layer", "kind")}
        return columns | {"depth": found.depth[kept], "value": value[kept]}

    def _taken(self, cell: MeasureSpec, measure: str) -> tuple[np.ndarray, "pd.DataFrame", Layers, np.ndarray]:
        """Which layers are kept, (L,), their table, and of all layers what is stored and the values, (L,)."""
        self.asked[cell, measure] = None
        request = self.specification.form.instead.get(measure, measure)
        found = self.profiles.profile(cell, request)
        left_out = self.specification.dead == DEAD[1] and counts_dead(request)
        kept, table = _of_kind(found.names, self.specification.layers)
        return kept, table, found, found.without_dead() if left_out else found.value

    def measure(self, cell: MeasureSpec) -> "MeasureTable":
        """A measure cell as it is."""
        return self.profiles.results.measure(cell)

    def training(self, cell: "TrainSpec") -> dict[str, Any]:
        """The record of a training as it is."""
        return self.profiles.results.training(cell)

    def responses(self, cell: "ResponseSpec") -> "Responses":
        """A response cell as it is."""
        return self.profiles.results.responses(cell)


@cache
def counts_dead(request: str) -> bool:
    """Whether the dead among the values of a measure are known: a stored profile then gives that without them.

    Not of a mean over classes, and not of a mean over maps after the quotient, whose dead are counted in units.

    >>> [counts_dead(one) for one in ("NV", "NV[aggregate=mean]", "NV[aggregate=mean,order=after]", "TV")]
    [True, True, False, False]
    """
    measure = check(request)
    options = dict(measure.options)
    before = options.get("aggregated", options.get("order")) == "before"
    return measure.name in QUOTIENTS and not options["stratified"] and (options["aggregate"] == "none" or before)


@cache
def _of_kind(names: tuple[tuple[str, str], ...], layers: str) -> tuple[np.ndarray, "pd.DataFrame"]:
    """Which layers are of a kind, (L,), and a table of these, numbered anew."""
    import pandas as pd

    from cnn_invariance.plotting.layer_kinds import kind_of

    kept = np.array([layers in (LAYERS[0], f"{kind_of(kind).name}s") for _, kind in names])
    found = [both for both, keep in zip(names, kept, strict=True) if keep]
    columns = {"layer": [name for name, _ in found], "kind": [kind for _, kind in found]}
    numbers = {"depth": 0.0, "value": 0.0}  # to be replaced: a new column would take five times as long
    return kept, pd.DataFrame({"layer_index": range(1, len(found) + 1), **columns, **numbers})


def curve(experiment: Experiment, study: Study, results: Remembered) -> list[list[Tested]]:
    """For each dataset that the primary claim of an experiment is about, its finding by every specification.

    The first of each is the claim as it is stated, the only one if that cannot be tested; a specification that gives no
    estimate is left out. Nothing for an experiment whose primary claim is not of profiles.
    """
    own = Specified.of(results, Specification(Form(), *(choices[0] for choices in (DEAD, LAYERS))))
    datasets = {cell.network.dataset.name for cell in experiment.cells(study)}
    first = list(_primary(experiment, study, own, datasets))
    if not own.asked:
        return [[Tested(own.specification, finding)] for finding in first if finding.reason]
    curves: dict[tuple[str, ...], list[Tested]] = {}
    for specification in _existing(results, own.asked):
        found = (
            first if specification.own else _primary(experiment, study, Specified.of(results, specification), datasets)
        )
        for finding in found:
            curves.setdefault(finding.datasets, []).append(Tested(specification, finding))
    return [_with_numbers(tested) for tested in curves.values()]


def _with_numbers(tested: Iterable[Tested]) -> list[Tested]:
    """The claim as it is stated, then what has an estimate, each estimate of a choice of layers once, to four digits.

    Choices coincide where little is dead, or where the mean over maps is that over units: copies would count as votes.
    """
    found: dict[tuple[str, ...], Tested] = {}
    for one in sorted(tested, key=lambda one: (not one.specification.own, not one.specification.own_but_dead)):
        pooled = one.finding.evidence.pooled
        numbers = (f"{value:.4g}" for value in (pooled.estimate, pooled.low, pooled.high))
        if one.specification.own or _known(one.finding):
            found.setdefault((one.specification.layers, *numbers), one)
    return list(found.values())


def _known(finding: Finding) -> bool:
    estimate = finding.evidence.pooled.estimate
    return not finding.reason and estimate == estimate


def _primary(experiment: Experiment, study: Study, results: Results, datasets: Iterable[str]) -> Iterator[Finding]:
    """The findings on the primary claim; what would be computed for other claims behind the last is not."""
    left = set(datasets)
    for finding in experiment.findings(study, results):
        if finding.claim.primary:
            yield finding
            left -= set(finding.datasets)
            if not left:
                return


def _existing(results: Remembered, asked: Iterable[tuple[MeasureSpec, str]]) -> Iterator[Specification]:
    """The specifications for which the cells that are asked hold the measures, the claim as it is stated among them."""
    asked = list(asked)
    kinds = _comparable_kinds({results.profile(*one).names for one in asked})
    requests = dict.fromkeys(request for _, request in asked)
    for form in _forms(list(requests)):
        if all(form.instead.get(request, request) in cell.measures for cell, request in asked):
            subject = [form.instead.get(one, one) for one in requests if not form.instead or one in form.instead]
            dead = DEAD if _are_quotients(subject, all_of_them=bool(form.instead)) else DEAD[:1]
            yield from (Specification(form, *both) for both in product(dead, kinds))


def _comparable_kinds(designs: Iterable[tuple[tuple[str, str], ...]]) -> list[str]:
    """The kinds of layers that are in the same places in all designs of as many layers, so that they can be compared.

    A convolution with strides in the place of a pooling has no counterpart among the convolutions of the other design.
    """
    found: dict[int, list[tuple[tuple[str, str], ...]]] = {}
    for names in designs:
        found.setdefault(len(names), []).append(names)

    def comparable(kind: str) -> bool:
        return all(len({tuple(_of_kind(names, kind)[0]) for names in alike}) == 1 for alike in found.values())

    return list(filter(comparable, LAYERS))


def _are_quotients(requests: Sequence[str], *, all_of_them: bool) -> bool:
    """Whether of these measures, or of those that are quotients, all count their dead values."""
    quotients = [one for one in requests if all_of_them or check(one).name in QUOTIENTS]
    return bool(quotients) and all(map(counts_dead, quotients))


def _forms(requests: Sequence[str]) -> Sequence[Form]:
    """The forms that a claim on these measures can be made with: its own alone, where the form is what it is about."""
    for headline, forms in FORMS.items():
        replaced = forms[0].instead
        names = {check(one).name for one in replaced}
        others = [one for one in requests if check(one).name in names and one not in replaced]
        if headline in requests and not others:
            return forms
    return [Form()]

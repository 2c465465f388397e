"""The specification curves of a preset: how the primary claims come out with each other choice. No torch."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.claims import headline
from cnn_invariance.experiments.framework.specifications import Remembered, Tested, curve
from cnn_invariance.paper import captions
from cnn_invariance.paper.words import enumerated
from cnn_invariance.statistics.evidence import LOG
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products

if TYPE_CHECKING:
    from cnn_invariance.plotting import Canvas, Caption
    from cnn_invariance.plotting.curves import Point

NAME = "specifications"
SETTING = (
    "Each point is the estimate of the claim's statistic by one specification, in rising order, with its 95 % interval "
    "over independently trained networks; its colour is the verdict. The marks below say what was chosen: the measure; "
    "what has one value of it (units; feature maps, by the mean before the quotient; feature maps by themselves); "
    "standard deviation, variance or mean distance; whether dead units, whose activation never changes, are counted as "
    "1 or left out; and which layers are looked at. The shaded side is the claimed one. What the cells do not hold, "
    "and what gives no estimate, is not shown; choices that give the same numbers to four digits are one point."
)
COUNTED = (
    "agree: how many of the specifications that give an estimate have the verdict of the claim as it is stated, which "
    "is one of them. without dead: the verdict if dead units are left out, and all else is as stated."
)
QUESTION = "Does the verdict depend on choices that could have been made otherwise?"


class Curve(NamedTuple):
    """What an experiment's primary claim comes out as on some datasets; the first is the claim as it is stated."""

    experiment: str
    tested: Sequence[Tested]

    @property
    def about(self) -> str:
        """The datasets in words."""
        return self.tested[0].finding.about

    @property
    def known(self) -> list[Tested]:
        """The specifications that give an estimate."""
        return [one for one in self.tested if not one.finding.reason]

    @property
    def in_order(self) -> list[Tested]:
        """The same, the claim as it is stated behind the others, among which choices are in their order."""
        return sorted(self.known, key=lambda one: one.specification.own)

    def summary(self) -> dict[str, Any]:
        """The verdict, by how many of how many specifications it is the same, and what it is without dead units."""
        own = self.tested[0].finding.verdict
        verdicts = [one.finding.verdict for one in self.known]
        return {
            "experiment": self.experiment,
            "claim": self.tested[0].finding.claim.name,
            "about": self.about,
            "verdict": own,
            "specifications": len(verdicts),
            "agree": verdicts.count(own),
            "without_dead": next((one.finding.verdict for one in self.known if one.specification.own_but_dead), ""),
        }

    @property
    def in_words(self) -> str:
        """How many agree."""
        found = self.summary()
        return f"{found['verdict']} in {found['agree']} of {found['specifications']}"


def curves(plan: Plan) -> Iterator[Curve]:
    """The curves of all experiments whose primary claim is of profiles, on the datasets whose cells are all computed.

    Errors: InputError for an experiment that says its claim is of profiles, and asks for none.
    """
    results = Remembered(plan.results)
    for name in Products(plan).specified:
        if name not in plan.computed:
            continue
        view = plan.study.on(name, plan.computed[name])
        found = curve(view.experiment(name), view, results)
        if not found:
            raise InputError(f"{name}: its primary claim asks for no profile; set of_profiles = False in its class")
        yield from (Curve(name, tested) for tested in found)


def in_a_sentence(found: Sequence[Curve]) -> str:
    """The claim of an experiment as it is stated, its verdict, and how many specifications agree on each dataset."""
    stated = headline(one.tested[0].finding for one in found)
    summaries = [one.summary() for one in found if one.known]
    agree = [f"{one['agree']} of {one['specifications']} specifications on {one['about']}" for one in summaries]
    return f"{stated} The verdict is the same in {enumerated(agree)}." if agree else stated


def write(plan: Plan) -> None:
    """Write ``tables/specifications.*`` and a figure for each experiment in ``figures/<preset>/specifications``."""
    import pandas as pd

    from cnn_invariance.plotting import Canvas

    folders, preset = plan.folders, plan.study.name
    canvas = Canvas(folders.figure_folder(preset, NAME), folders.table_folder(preset))
    found = list(curves(plan))
    for name in dict.fromkeys(one.experiment for one in found):
        here = [one for one in found if one.experiment == name]
        _draw(plan, replace(canvas, finding=in_a_sentence(here)), name, here)
    frame = pd.DataFrame([row for one in found for row in _rows(one)], columns=COLUMNS)
    printed = pd.DataFrame([one.summary() for one in found], columns=SUMMARY)
    canvas.table(NAME, frame, _caption_of_all(plan), printed=printed)


def read(plan: Plan) -> dict[tuple[str, str, str], dict[str, Any]]:
    """What was written last, by experiment, claim and what it is about: the columns `ADDED`; nothing if not written."""
    table = plan.folders.table_folder(plan.study.name) / f"{NAME}.json"
    if not table.is_file():
        return {}
    rows = (dict(zip(SUMMARY, row, strict=True)) for row in json.loads(table.read_text(encoding="utf-8"))["rows"])
    return {
        (row["experiment"], row["claim"], row["about"]): {
            "specifications": int(row["specifications"]),
            "agree": int(row["agree"]),
            "without_dead": row["without_dead"],
        }
        for row in rows
    }


COLUMNS = (
    "experiment", "claim", "about", "measure", "of", "statistic", "dead", "layers", "as_stated", "verdict", "estimate",
    "low", "high", "n", "p", "agrees",
)  # fmt: skip
"""Of ``specifications.csv``: a row for each specification of each claim; ``agrees``: with the claim as it is stated."""
ADDED = ("specifications", "agree", "without_dead")
"""How many specifications give an estimate; how many have the verdict of the claim as it is stated, which is one of
them; and the verdict without dead units, where it exists."""
SUMMARY = ("experiment", "claim", "about", "verdict", *ADDED)


def _rows(one: Curve) -> Iterator[dict[str, Any]]:
    own = one.tested[0].finding
    for specification, finding in one.known:
        pooled = finding.evidence.pooled
        numbers = {name: getattr(pooled, name) for name in ("estimate", "low", "high", "n")}
        about = {"experiment": one.experiment, "claim": finding.claim.name, "about": finding.about}
        judged = {"verdict": finding.verdict, "p": finding.p, "agrees": finding.verdict == own.verdict}
        yield about | specification.columns() | {"as_stated": specification.own} | judged | numbers


def _draw(plan: Plan, canvas: "Canvas", name: str, found: Sequence[Curve]) -> None:
    """The figure of one experiment, with a panel for each of what its claim is about."""
    from cnn_invariance.plotting.curves import curve_figure

    claim = found[0].tested[0].finding.claim
    panels = {f"{one.about}: {one.in_words}": [*map(_point, one.in_order)] for one in found}
    figure = curve_figure(panels, ylabel="estimate", claimed=claim.rule.bounds, log_y=claim.rule.scale is LOG)
    cells = list(dict.fromkeys(cell for one in found for cell in one.tested[0].finding.cells))
    caption = captions.caption(
        plan.study,
        name,
        cells,
        title=f"The primary claim of {name.replace('_', ' ')} by every specification",
        question=QUESTION,
        setting=[SETTING, f"The statistic: {claim.statistic}; {claim.rule.in_words}."],
    )
    canvas.figure(Products.curve(name), figure, caption)


def _point(tested: Tested) -> "Point":
    from cnn_invariance.plotting.curves import Point

    (specification, finding), pooled = tested, tested.finding.evidence.pooled
    numbers = (pooled.estimate, pooled.low, pooled.high)
    return Point(*numbers, finding.verdict, specification.columns(), specification.own)


def _caption_of_all(plan: Plan) -> "Caption":
    from cnn_invariance.plotting import Caption

    title = f"The primary claims by every specification: preset {plan.study.name}"
    return Caption(title, QUESTION, (SETTING, COUNTED), preset=plan.study.name)

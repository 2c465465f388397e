"""The whole study on three pictures: the first figure, profiles of all kinds, and the claims. No torch."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cnn_invariance.experiments.framework.experiment import Experiment, Overview, Row
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.measures.requests import better_in_words, check, label
from cnn_invariance.report import claims
from cnn_invariance.statistics.evidence import SCALES, Rule
from cnn_invariance.statistics.lines import counted
from cnn_invariance.workflow.plan import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

    from cnn_invariance.plotting import Caption, Look, Series
    from cnn_invariance.plotting.forest import Place

NAME = "overview"
CLAIMS = "claims"
SUMMARY = "summary"
ALL = "all datasets together"


def draw(plan: Plan, found: Iterable[Mapping[str, Any]]) -> None:
    """Draw ``summary``, ``overview`` and ``claims`` in ``figures/<preset>/overview/`` from the results of a preset.

    found: the records of its claims, see `claims.records`, or as they were written, see `claims.read`
    """
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.plotting.style import DOUBLE, is_one_column, new_figure, style

    shown = [one.overview(study, plan.results) for one, study in _computed(plan)]
    rows = sorted((row for one in shown for row in one.rows), key=lambda row: (row.place, row.title))
    heights = list(map(_row_height, rows))
    if rows:
        with style():
            figure = new_figure(DOUBLE, sum(heights) + 0.3)
            parts = figure.subfigures(len(rows) + 1, 1, height_ratios=[*heights, 0.3], squeeze=False)[:, 0]
            for part, row in zip(parts, rows, strict=False):
                _draw_row(part, row)
            _draw_marks(parts[-1], [one for row in rows for one in row.every()])
    else:
        figure = _empty("no profiles to show yet")
    canvas = Canvas(plan.folders.figure_folder(plan.study.name, NAME), plan.folders.table_folder(plan.study.name))
    records = [row for row in found if not row["condition"] and row["datasets"] and row.get("n")]
    canvas.figure(SUMMARY, *_summary(plan, shown, rows, records))
    if not is_one_column():  # too much for a column
        canvas.figure(NAME, figure, _caption(plan, rows))
    canvas.figure(CLAIMS, *_forest(plan, records))


def _computed(plan: Plan) -> list[tuple[Experiment, Programme]]:
    """The experiments that can be drawn, each with its study on the datasets whose cells all have a result."""
    views = [(name, plan.study.on(name, datasets)) for name, datasets in plan.computed.items()]
    return [(view.experiments[name], view) for name, view in views]


def _empty(text: str) -> "Figure":
    from cnn_invariance.plotting.style import new_figure, page_width, style

    with style():
        figure = new_figure(page_width(1), 0.5)
        figure.subplots().set_axis_off()
        figure.text(0.5, 0.5, text, ha="center", va="center")
    return figure


def _summary(
    plan: Plan, shown: Sequence[Overview], rows: Sequence[Row], records: Sequence[Mapping[str, Any]]
) -> tuple["Figure", "Caption"]:
    """The first figure: the measure explained, one profile, the headline, and the primary claims."""
    from cnn_invariance.plotting import Caption
    from cnn_invariance.plotting.summary import Claims, Profile, summary_figure

    explained = next((one.explained for one in shown if one.explained), None)
    shares = next((one.shares for one in shown if one.shares), {})
    row = next((row for row in rows if row.axis == "layer"), next(iter(rows), None))
    profile = None
    if row:
        title, series = next(iter(row.panels.items()))
        profile = Profile(series, label(row.measure), title.rpartition(": ")[2], row.axis)
    primary = _primary(records)
    if not (explained or profile or shares or primary):
        return _empty("nothing to show yet"), Caption("The study in one figure", preset=plan.study.name)
    figure = summary_figure(explained, profile, shares, Claims(primary, _looks(plan)) if primary else None)
    said = {
        "samples under transformations (pictures), and the ST matrices of two units: TV is the mean over samples of "
        "the standard deviation along a row, SV the mean over transformations of that along a column, NV = TV / SV.": (
            explained
        ),
        "one profile, layer by layer; at 1 a unit varies as much under transformations as between samples, and lower "
        "values are more invariant.": profile,
        "the share of the differences between the shapes of all profiles that each factor explains.": shares,
        "the primary claims by experiment: above 1 the whole 95 % interval over networks lies in the region that was "
        "claimed (blue: supported), below -1 outside; a diamond depends on the set, a hollow mark is undecided.": (
            primary
        ),
    }
    there = [text for text, found in said.items() if found]
    return figure, Caption(
        f"The study in one figure: preset {plan.study.name}",
        setting=(
            plan.study.preset.description.strip(),
            *(f"({letter}) {text[0].upper()}{text[1:]}" for letter, text in zip("abcd", there, strict=False)),
        ),
        preset=plan.study.name,
    )


def _primary(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, "Place"]]:
    """The places of the primary claims that have an interval, by experiment, with their name where it has several."""
    of = {row["statement"]: (row["experiment"], row["claim"]) for row in records if row["primary"]}
    several = Counter(experiment for experiment, _ in of.values())
    found = _places([row for row in records if row["primary"]])
    known = {name for name, at in found.items() if not all(math.isnan(one.distance) for one in at.values())}
    return {
        (experiment if several[experiment] == 1 else f"{experiment}: {claim}").replace("_", " "): found[statement]
        for statement, (experiment, claim) in of.items()
        if statement in known
    }


def _looks(plan: Plan) -> dict[str, "Look"]:
    """Of what claims are about: the datasets, and all of them together."""
    from cnn_invariance.plotting import Look, family_looks
    from cnn_invariance.plotting.style import BLACK

    return {**family_looks("dataset", plan.study.datasets), ALL: Look(BLACK, "-", "P")}


def _places(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, "Place"]]:
    """Where the tested claims lie on the axis, by their statement and by what they are about."""
    from cnn_invariance.plotting.forest import Place

    rows: dict[str, dict[str, Place]] = {}
    for row in records:
        about = row["datasets"][0] if len(row["datasets"]) == 1 else ALL
        rule = Rule(row["side"], row["threshold"], SCALES[row["scale"]])
        distance = rule.distance(*(float(row[name]) for name in ("estimate", "low", "high")))
        rows.setdefault(row["statement"], {})[about] = Place(distance, row["verdict"])
    return rows


def _forest(plan: Plan, records: Sequence[Mapping[str, Any]]) -> tuple["Figure", "Caption"]:
    """The claims that were tested, each with a mark for each dataset, or one for all that it is about."""
    from cnn_invariance.plotting import Caption
    from cnn_invariance.plotting.forest import forest_figure

    if rows := _places(records):
        figure = forest_figure(rows, _looks(plan), {row["statement"] for row in records if row["primary"]})
    else:
        claimed = any(one.claims for one in plan.study.experiments.values())
        figure = _empty("no claim was tested yet" if claimed else "no experiment of this preset claims anything")
    counts = Counter(row["verdict"] for row in records)
    found = ", ".join(_counted(counts[name], name) for name in claims.VERDICTS)
    return figure, Caption(
        f"The claims of preset {plan.study.name} on one axis",
        setting=(
            "The distance of each estimate from its threshold, in half-widths of its 95 % interval over independently "
            "trained networks: above 1 the whole interval lies in the region that was claimed, below -1 outside. "
            "Primary claims in bold. Numbers and rules are in claims.csv.",
            _absent(plan),
        ),
        preset=plan.study.name,
        finding=f"Of {len(records)} tests: {found}." if records else "",
    )


def _counted(number: int, verdict: str) -> str:
    return f"{number} {verdict if number == 1 else verdict.replace('depends', 'depend')}"


def _draw_row(part: "SubFigure", row: Row) -> None:
    from cnn_invariance.plotting.profiles import AXIS_LABELS, draw_profiles, line_handles
    from cnn_invariance.plotting.style import add_legend

    grid = part.subplots(1, len(row.panels), sharey=True, squeeze=False)[0]
    for axes, (title, series) in zip(grid, row.panels.items(), strict=True):
        draw_profiles(axes, series, axis=row.axis, title=title)
        axes.set_xlabel(AXIS_LABELS[row.axis])
    grid[0].set_ylim(bottom=0)
    grid[0].set_ylabel(label(row.measure))
    handles = line_handles(row.every())
    if len(handles) > 1:
        add_legend(part, handles, "outside upper center")


def _draw_marks(part: "SubFigure", series: Sequence["Series"]) -> None:
    """One legend of layer kinds and marks below all rows of profiles."""
    from cnn_invariance.plotting.profiles import mark_handles
    from cnn_invariance.plotting.style import add_legend

    add_legend(part, mark_handles(series), "outside lower center", handlelength=1.0, columnspacing=1.0)


def _row_height(row: Row) -> float:
    """Inches: more for a legend, and for a strip of each further design below the axis."""
    designs = {tuple(one.profiles[0]["kind"]) for one in row.every()} if row.axis == "depth" else {()}
    several = len({one.label for one in row.every()}) > 1
    return 1.55 + 0.2 * several + 0.11 * (len(designs) - 1)


def _profiles_in_words(measures: Iterable[str]) -> str:
    """Which measures are shown, and which of their values say what; empty for none."""
    said = (
        f"{label(one)} ({better_in_words(check(one)) or 'neither low nor high is more invariant'})" for one in measures
    )
    shown = ", ".join(dict.fromkeys(said))
    return f"Profiles of {shown}." if shown else ""


def _caption(plan: Plan, rows: Sequence[Row]) -> "Caption":
    from cnn_invariance.plotting import Caption

    study = plan.study
    sources = ", ".join(
        name if entry.source == name else f"{name} ({entry.source})" for name, entry in study.preset.datasets.items()
    )
    setting = [
        study.preset.description.strip(),
        _profiles_in_words(row.measure for row in rows),
        _absent(plan),
        "Sizes and departures from the author's settings are in the caption of each experiment's own figures.",
        "cifar10_jpeg is CIFAR-10 after JPEG compression, not the original pixels."
        if "cifar10_jpeg" in [entry.source for entry in study.preset.datasets.values()]
        else "",
    ]
    profiles = [table for row in rows for line in row.every() for table in line.profiles]
    return Caption(
        f"The study on one page: preset {study.name}, {sources}",
        setting=tuple(filter(None, setting)),
        counts=counted(profiles) if profiles else "",
        preset=study.name,
    )


def _absent(plan: Plan) -> str:
    """Which experiments are not there yet."""
    absent = plan.absent(plan.computed)
    return f"Not yet computed: {', '.join(absent)}." if absent else ""

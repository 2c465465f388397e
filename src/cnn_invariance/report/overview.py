"""The whole study on two pictures: profiles and what makes them differ; and what became of the claims. No torch."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from cnn_invariance.experiments.framework.experiment import Experiment, Row
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.measures.requests import better_in_words, check, label
from cnn_invariance.report import claims
from cnn_invariance.statistics.evidence import SCALES, Rule
from cnn_invariance.statistics.lines import counted
from cnn_invariance.workflow.plan import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

    from cnn_invariance.plotting import Caption, Series

NAME = "overview"
CLAIMS = "claims"
ALL = "all datasets together"


def draw(plan: Plan) -> None:
    """Draw ``overview`` and ``claims`` in ``figures/<preset>/overview/`` from the results of a preset."""
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.plotting.style import DOUBLE, new_figure, style

    shown = [one.overview(study, plan.results) for one, study in _computed(plan)]
    rows = sorted((row for one in shown for row in one.rows), key=lambda row: (row.place, row.title))
    differences = {dataset: groups for one in shown for dataset, groups in one.spreads.items()}
    heights = [
        *map(_row_height, rows),
        *([0.3] if rows else []),
        *([1.6] if differences else []),
    ]
    with style():
        figure = new_figure(DOUBLE, sum(heights) or 0.5)
        if not heights:
            figure.subplots().set_axis_off()
            figure.text(0.5, 0.5, "nothing to show yet", ha="center", va="center")
            heights = [1.0]
        parts = iter(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
        for row in rows:
            _draw_row(next(parts), row)
        if rows:
            _draw_marks(next(parts), [one for row in rows for one in row.every()])
        if differences:
            _draw_differences(next(parts), differences)
    canvas = Canvas(plan.folders.figure_folder(plan.study.name, NAME), plan.folders.table_folder(plan.study.name))
    canvas.figure(NAME, figure, _caption(plan, rows, bool(differences)))
    canvas.figure(CLAIMS, *_forest(plan))


def _computed(plan: Plan) -> list[tuple[Experiment, Programme]]:
    """The experiments that can be drawn, each with its study on the datasets whose cells all have a result."""
    views = [(name, plan.study.on(name, datasets)) for name, datasets in plan.computed.items()]
    return [(view.experiments[name], view) for name, view in views]


def _forest(plan: Plan) -> tuple["Figure", "Caption"]:
    """The claims that were tested, each with a mark for each dataset, or one for all that it is about."""
    from cnn_invariance.plotting import Caption, Look, family_looks
    from cnn_invariance.plotting.forest import Place, forest_figure
    from cnn_invariance.plotting.style import BLACK, new_figure, style

    records = [row for row in claims.records(plan) if not row["condition"] and row["datasets"] and row.get("n")]
    rows: dict[str, dict[str, Place]] = {}
    for row in records:
        about = row["datasets"][0] if len(row["datasets"]) == 1 else ALL
        rule = Rule(row["side"], row["threshold"], SCALES[row["scale"]])
        distance = rule.distance(row["estimate"], row["low"], row["high"])
        rows.setdefault(row["statement"], {})[about] = Place(distance, row["verdict"])
    if rows:
        looks = {**family_looks("dataset", plan.study.datasets), ALL: Look(BLACK, "-", "P")}
        figure = forest_figure(rows, looks, {row["statement"] for row in records if row["primary"]})
    else:
        with style():
            figure = new_figure(3.4, 0.5)
            figure.subplots().set_axis_off()
            figure.text(0.5, 0.5, "no claim was tested yet", ha="center", va="center")
    counts = Counter(row["verdict"] for row in records)
    found = ", ".join(f"{counts[name]} {name}" for name in claims.VERDICTS)
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


def _draw_differences(part: "SubFigure", found: Mapping[str, Mapping[str, list[float]]]) -> None:
    from cnn_invariance.plotting.spreads import draw_spread

    grid = part.subplots(1, len(found), sharex=True, sharey=True, squeeze=False)[0]
    kinds = list(dict.fromkeys(kind for groups in found.values() for kind in groups))
    for axes, (dataset, groups) in zip(grid, found.items(), strict=True):
        draw_spread(axes, groups, kinds)
        axes.set_title(f"Two networks that differ in one thing: {dataset}")
        axes.set_xlabel("difference between their profiles")
    grid[0].set_xlim(left=0)


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


def _caption(plan: Plan, rows: Sequence[Row], with_differences: bool) -> "Caption":
    from cnn_invariance.plotting import Caption

    study = plan.study
    sources = ", ".join(
        name if entry.source == name else f"{name} ({entry.source})" for name, entry in study.preset.datasets.items()
    )
    setting = [
        study.preset.description.strip(),
        _profiles_in_words(row.measure for row in rows),
        "Differences: mean |P - Q| / mean (P + Q) / 2 of two profiles." if with_differences else "",
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

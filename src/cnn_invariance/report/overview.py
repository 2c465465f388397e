"""The whole study on one page: profiles, what makes them differ, and what became of the claims. No torch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cnn_invariance.experiments.framework.experiment import Experiment, Row
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.measures.requests import better_in_words, check, label
from cnn_invariance.report import claims
from cnn_invariance.statistics.lines import counted
from cnn_invariance.workflow.plan import Plan

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

    from cnn_invariance.plotting import Caption, Series

NAME = "overview"


def draw(plan: Plan) -> None:
    """Draw ``figures/<preset>/overview/overview.{svg,png,md,json}`` from the results of a preset."""
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.plotting.style import DOUBLE, new_figure, style

    shown = [one.overview(study, plan.results) for one, study in _computed(plan)]
    rows = sorted((row for one in shown for row in one.rows), key=lambda row: (row.place, row.title))
    differences = {dataset: groups for one in shown for dataset, groups in one.spreads.items()}
    verdicts = _verdicts(claims.records(plan))
    heights = [
        *map(_row_height, rows),
        *([0.3] if rows else []),
        *([1.6] if differences else []),
        *([_height(verdicts)] if verdicts else []),
    ]
    with style():
        figure = new_figure(DOUBLE, sum(heights) or 0.5)
        if not heights:
            figure.text(0.5, 0.5, "nothing to show yet", ha="center", va="center")
            heights = [1.0]
        parts = iter(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
        for row in rows:
            _draw_row(next(parts), row)
        if rows:
            _draw_marks(next(parts), [one for row in rows for one in row.every()])
        if differences:
            _draw_differences(next(parts), differences)
        if verdicts:
            _draw_claims(next(parts), verdicts)
    canvas = Canvas(plan.folders.figure_folder(plan.study.name, NAME), plan.folders.table_folder(plan.study.name))
    canvas.figure(NAME, figure, _caption(plan, rows, bool(differences)))


def _computed(plan: Plan) -> list[tuple[Experiment, Programme]]:
    """The experiments that can be drawn, each with its study on the datasets whose cells all have a result."""
    views = [(name, plan.study.on(name, datasets)) for name, datasets in plan.computed.items()]
    return [(view.experiments[name], view) for name, view in views]


def _verdicts(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """The verdict of each claim by the dataset that it is about; of several or all of them, under "all"."""
    found: dict[str, dict[str, str]] = {}
    for row in records:
        if row["condition"]:
            continue
        name = f"{row['experiment']}: {row['claim']}".replace("_", " ")
        about = row["datasets"][0] if len(row["datasets"]) == 1 else "all"
        found.setdefault(name, {})[about] = row["verdict"]
    return found


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


def _draw_claims(part: "SubFigure", verdicts: Mapping[str, Mapping[str, str]]) -> None:
    from cnn_invariance.plotting.style import add_legend
    from cnn_invariance.plotting.verdicts import draw_verdicts, verdict_handles

    columns = sorted({name for row in verdicts.values() for name in row}, key=lambda name: (name == "all", name))
    names = list(verdicts)
    half = -(-len(names) // 2)
    grid = part.subplots(1, 2, squeeze=False)[0]
    for axes, shown in zip(grid, (names[:half], names[half:]), strict=True):
        draw_verdicts(axes, {name: verdicts[name] for name in shown}, columns)
    add_legend(part, verdict_handles(), "outside upper center")


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


def _height(verdicts: Mapping[str, object]) -> float:
    return 0.55 + 0.125 * (-(-len(verdicts) // 2))


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
        "Claims, and what the results say of each; the rule and the numbers are in claims.csv.",
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

"""Figures of profiles that are no lines over layers: how they converge, rise with a range, and form in a training."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnn_invariance.experiments.framework.choices import label
from cnn_invariance.experiments.framework.profiles import Chart, Drawn, ProfilePlan
from cnn_invariance.statistics.intervals import mean
from cnn_invariance.statistics.profiles import difference
from cnn_invariance.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cnn_invariance.plotting import Look
    from cnn_invariance.results import Results

LAST = 4
"""So many layers are the last ones, whose mean a figure shows."""


def convergence(xlabel: str, margin: float) -> Chart:
    """How far profiles lie from that of the last line, against the places of the lines; a line for each panel.

    margin: below which two profiles are nearly the same
    """

    def draw(plan: ProfilePlan, study: Study, results: "Results", found: Mapping[str, Drawn]) -> "Figure":
        from cnn_invariance.plotting.lines import Curve, Level, curve_grid

        looks = _set_looks(study)
        rows: dict[str, dict[str, list[Curve]]] = {}
        for measure, drawn in found.items():
            for dataset, panels in drawn.items():
                for panel, series in panels.items():
                    *fewer, most = (one.values() for one in series)
                    values = [[100 * difference(p, q) for p, q in zip(one, most, strict=True)] for one in fewer]
                    places = [line.at or 0.0 for line in plan.shown(measure)[dataset][panel]][:-1]
                    name = panel.partition(",")[0]
                    curve = Curve(name, places, np.transpose(values), looks(name))
                    rows.setdefault(dataset, {}).setdefault(label(measure), []).append(curve)
        level = Level(100 * margin, f"{100 * margin:g} %: nearly the same")
        return curve_grid(rows, xlabel=xlabel, ylabel="difference (%)", log_x=True, level=level)

    return draw


def against(xlabel: str, names: Sequence[str], trained: float) -> Chart:
    """The mean of the last layers against the places of the lines; the lines of one network form one.

    names:   of the networks, in the order of their first lines
    trained: the place that the first network was trained at
    """

    def draw(plan: ProfilePlan, study: Study, results: "Results", found: Mapping[str, Drawn]) -> "Figure":
        from cnn_invariance.plotting import looks
        from cnn_invariance.plotting.lines import Curve, Level, curve_grid

        measure, drawn = next(iter(found.items()))
        rows: dict[str, dict[str, list[Curve]]] = {}
        for dataset, panels in drawn.items():
            for panel, series in panels.items():
                lines = plan.shown(measure)[dataset][panel]
                networks = list(dict.fromkeys(tuple(cell.network for cell in line.cells) for line in lines))
                for name, look, network in zip(names, looks(len(names)), networks, strict=True):
                    own = [
                        (line.at or 0.0, one.values()[:, -LAST:].mean(axis=1))
                        for line, one in zip(lines, series, strict=True)
                        if tuple(cell.network for cell in line.cells) == network
                    ]
                    places, values = zip(*own, strict=True)
                    curve = Curve(name, places, np.transpose(values), look)
                    rows.setdefault(dataset, {}).setdefault(panel, []).append(curve)
        ylabel = f"{label(measure)},\nlast {LAST} layers"
        return curve_grid(rows, xlabel=xlabel, ylabel=ylabel, place=Level(trained, f"the range {names[0]}"))

    return draw


def course(plan: ProfilePlan, study: Study, results: "Results", found: Mapping[str, Drawn]) -> "Figure":
    """The value of each layer at each checkpoint, mean over seeds, with the accuracy below the epoch."""
    from cnn_invariance.plotting.grids import Grid, grid_figure

    measure, drawn = next(iter(found.items()))
    rows: dict[str, dict[str, Grid]] = {}
    for dataset, panels in drawn.items():
        for panel, series in panels.items():
            lines = plan.shown(measure)[dataset][panel]
            shown = {line.at: (one, line) for one, line in zip(series, lines, strict=True)}  # each epoch once
            values = np.stack([one.middle() for one, _ in shown.values()], axis=1)
            columns = [f"{epoch:g}\n{_accuracy(results, line.cells)}" for epoch, (_, line) in shown.items()]
            layers = list(series[0].profiles[0]["layer"])
            rows.setdefault(dataset, {})[panel] = Grid(values, layers, columns)
    return grid_figure(rows, label=label(measure), xlabel="epoch, and accuracy under the set")


def crossed(rows_are: str, columns_are: str) -> Chart:
    """The mean over layers of each line (a row) in each panel (a column)."""

    def draw(plan: ProfilePlan, study: Study, results: "Results", found: Mapping[str, Drawn]) -> "Figure":
        from cnn_invariance.plotting.grids import Grid, grid_figure

        panels_of: dict[str, dict[str, Grid]] = {}
        for measure, drawn in found.items():
            for dataset, panels in drawn.items():
                names = [one.label for one in next(iter(panels.values()))]
                means = [[series[row].mean() for series in panels.values()] for row in range(len(names))]
                grid = Grid(np.array(means), [name.removeprefix(rows_are) for name in names],
                            [name.removeprefix(columns_are) for name in panels])  # fmt: skip
                panels_of.setdefault(dataset, {})[label(measure)] = grid
        return grid_figure(
            panels_of, label="mean over layers", xlabel=columns_are.strip(), ylabel=rows_are.strip(), written=True
        )

    return draw


def _set_looks(study: Study) -> Callable[[str], "Look"]:
    from cnn_invariance.plotting import family_looks

    return family_looks("set", study.sets).__getitem__


def _accuracy(results: "Results", cells: Sequence[object]) -> str:
    """Under all transformations, mean over them and over seeds."""
    shares = [results.measure(cell).accuracy or [float("nan")] for cell in cells]  # type: ignore[arg-type]
    return f"{mean(map(mean, shares)):.2f}".lstrip("0")

"""Figures for one column of a page: as wide as it, no letter below 7 pt, and no text beyond the edge."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.axis import Tick
from matplotlib.figure import Figure
from matplotlib.text import Text

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.plotting import Canvas, canvas
from cnn_invariance.plotting.curves import Point, curve_figure
from cnn_invariance.plotting.dots import Dot, dot_figure
from cnn_invariance.plotting.forest import Place, forest_figure
from cnn_invariance.plotting.grids import Grid, grid_figure
from cnn_invariance.plotting.heading import add_heading
from cnn_invariance.plotting.lines import Curve, Level, curve_grid
from cnn_invariance.plotting.marks import mark_figure
from cnn_invariance.plotting.matrices import OfSet, matrix_figure
from cnn_invariance.plotting.responses import Rows, response_figure
from cnn_invariance.plotting.scatter import ScatterPanel, scatter_figure
from cnn_invariance.plotting.shares import share_figure
from cnn_invariance.plotting.spreads import spread_figure
from cnn_invariance.plotting.style import CATEGORICAL, COLUMN, SMALL, is_one_column, one_column, style
from cnn_invariance.report import for_one_column
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan

ROOT = Path(__file__).parents[2]
LOOK, OTHER = CATEGORICAL[:2]
RANDOM = np.random.default_rng(0)
FINDING = "Networks trained with the transformations keep their accuracy under them: supported on mnist and cifar10."
SETS = ("rotation", "scale", "translation")

CHARTS = {
    "lines": lambda: curve_grid(
        {data: {name: [Curve("SimpleConv", [8, 16, 500], RANDOM.random((5, 3)), LOOK)] for name in SETS}
         for data in ("mnist", "cifar10")},
        xlabel="samples", ylabel="NV of maps", log_x=True, level=Level(1.0, "as much as samples"),
    ),
    "dots": lambda: dot_figure(
        {data: {name: [Dot(row, "plain", LOOK, (0.5, 0.4, 0.6), (0.9, 0.8, 1.0))
                       for row in ("SimpleConv", "AllConvolutional")] for name in SETS}
         for data in ("mnist", "cifar10")},
        xlabel="test accuracy", before="plain test", after="transformed test",
    ),
    "scatter": lambda: scatter_figure(
        [ScatterPanel(f"mnist: {name}", "NV", {"plain": [(0.1, 0.2)], "augmented": [(0.3, 0.4)]}) for name in SETS],
        ylabel="accuracy lost", columns=3,
    ),
    "shares": lambda: share_figure(
        {name: {"design": (0.5, 0.4, 0.6), "set and training together": (0.2, 0.1, 0.3)} for name in SETS},
        xlabel="eta squared",
    ),
    "marks": lambda: mark_figure(
        {name: {"NV of maps": {"rotation": 3.0, "scale": 20.0}, "NVSE of maps": {"scale": np.nan}} for name in SETS},
        {"rotation": LOOK, "scale": OTHER}, xlabel="separation",
    ),
    "spreads": lambda: spread_figure(
        {name: {"another seed": [0.1, 0.2], "another design of network": [0.3, 0.5]} for name in SETS},
        xlabel="distance of profiles", band="another seed",
    ),
    "curves": lambda: curve_figure(
        {name: [Point(0.5 + k / 40, 0.4, 0.6, "supported", {"measure": "NV" if k % 2 else "ND"}, own=not k)
                for k in range(20)] for name in SETS},
        ylabel="estimate", claimed=(-np.inf, 0.95),
    ),
    "grids": lambda: grid_figure(
        {data: {name: Grid(RANDOM.random((17, 6)), [f"layer{k}" for k in range(17)], ["0", "1", "2", "4", "9", "19"])
                for name in SETS} for data in ("mnist", "cifar10")},
        label="NV of maps", xlabel="epoch", ylabel="layer",
    ),
    "forest": lambda: forest_figure(
        {FINDING: {"mnist": Place(2.0, "supported")},
         "NV falls as the range of the augmentation grows.": {"mnist": Place(np.nan, "undecided")}},
        {"mnist": LOOK},
    ),
    "matrices": lambda: matrix_figure(
        {name: OfSet(
            RANDOM.random((25, 1, 28, 28)),
            {f"pool2, unit of the {which} invariant map, 0.98": RANDOM.random((8, 25)) for which in ("most", "least")},
        ) for name in SETS}
    ),
    "responses": lambda: response_figure(
        {title: [Rows("map 3 of conv2, NV .2", [RANDOM.random((14, 9, 9))] * 2)] for title in SETS}
    ),
}  # fmt: skip


def check(figure: Figure, finding: str = FINDING, shown: str = "mnist: SimpleConv (width 8), 5 seeds") -> None:
    with style():
        add_heading(figure, finding, shown)
        canvas._lay_out(figure)
        figure.draw_without_rendering()  # legends are placed then
    wide, high = figure.bbox.width, figure.bbox.height
    assert wide / figure.dpi == pytest.approx(COLUMN)
    ticks = {  # which may be beyond the limits, and are not drawn then
        label for tick in figure.findobj(Tick) for label in (tick.label1, tick.label2)
    }
    for text in set(figure.findobj(Text)) - ticks:
        if not text.get_text().strip() or not text.get_visible() or (text.axes and not text.axes.get_visible()):
            continue
        assert text.get_fontsize() >= SMALL, text
        box = text.get_window_extent()
        assert box.x0 >= -2, f"{text} begins left of the figure"
        assert box.x1 <= wide + 2, f"{text} ends right of the figure"
        assert box.y0 >= -2, f"{text} ends below the figure"
        assert box.y1 <= high + 2, f"{text} begins above the figure"
    for axes in figure.findobj(Axes):
        named = [one for one in [*axes.get_xticklabels(), *axes.get_yticklabels()] if one.get_text()]
        assert all(one.get_fontsize() >= SMALL for one in named if axes.get_visible())


@pytest.mark.parametrize("chart", CHARTS)
def test_charts(chart):
    with one_column():
        check(CHARTS[chart]())


def test_charts_of_both_columns_are_wider():
    figure = CHARTS["shares"]()
    assert not is_one_column()
    with pytest.raises(AssertionError):
        check(figure)


@pytest.mark.parametrize("preset", ["quick", "pretrained"])
def test_all_that_is_committed(monkeypatch, tmp_path, preset):
    folders = Folders(results=ROOT / "results", figures=tmp_path)
    plan = Plan(Programme.load(ROOT / "config" / f"{preset}.yaml"), folders)
    drawn = []

    def figure(self: Canvas, name: str, figure: Figure, caption: object) -> None:
        opened = self._opened(caption)
        check(figure, opened.finding, opened.shown)
        drawn.append(self.figures.name)
        for kind in ("svg", "png", "md", "json"):  # which an experiment must leave
            (self.figures / f"{name}.{kind}").parent.mkdir(parents=True, exist_ok=True)
            (self.figures / f"{name}.{kind}").touch()

    monkeypatch.setattr(Canvas, "figure", figure)
    before = {path: path.stat().st_mtime_ns for path in (ROOT / "results" / preset / "tables").iterdir()}
    for_one_column.draw(plan)
    assert {*plan.computed, "overview"} <= {*drawn}
    assert before == {path: path.stat().st_mtime_ns for path in before}  # tables are left alone


def test_one_experiment_of_a_name(tmp_path):
    folders = Folders(results=ROOT / "results", figures=tmp_path)
    plan = Plan(Programme.load(ROOT / "config" / "quick.yaml"), folders)
    for_one_column.draw(plan, ["accuracy"])
    assert {path.suffix for path in (tmp_path / "quick" / "accuracy").iterdir()} == {".svg", ".png", ".md", ".json"}
    assert [path.name for path in (tmp_path / "quick").iterdir()] == ["accuracy"]
    with pytest.raises(InputError, match="acuracy"):
        for_one_column.draw(plan, ["acuracy"])

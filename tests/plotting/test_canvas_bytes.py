import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cnn_invariance.plotting import Canvas, Caption, Series, heatmap_figure, looks, profile_figure
from cnn_invariance.plotting.style import DOUBLE, SINGLE, new_figure, style


@pytest.fixture
def canvas(tmp_path: Path) -> Canvas:
    return Canvas(tmp_path / "figures", tmp_path / "tables")


@pytest.fixture
def figure(profile, designs) -> Figure:
    kinds = designs["SimpleConv"]
    lines = [
        Series(name, [profile(kinds, seed=i), profile(kinds, seed=i + 5)], look)
        for i, (name, look) in enumerate(zip("ab", looks(2), strict=True))
    ]
    return profile_figure({"": lines}, ylabel="NV")


def test_a_figure_is_two_pictures_at_print_size_and_its_caption(canvas, figure):
    canvas.figure("nv", figure, "A caption.\n")
    assert sorted(path.name for path in canvas.figures.iterdir()) == ["nv.json", "nv.md", "nv.png", "nv.svg"]
    assert (canvas.figures / "nv.md").read_text() == "A caption.\n"
    record = json.loads((canvas.figures / "nv.json").read_text())
    assert Caption.from_record(record["caption"]) == Caption.from_text("A caption.")
    with Image.open(canvas.figures / "nv.png") as image:
        assert image.width == round(SINGLE * 200)
        assert image.info["dpi"][0] == pytest.approx(200, abs=0.1)
        assert not image.text  # no "Software": a new Matplotlib does not change the file
    svg = (canvas.figures / "nv.svg").read_text()
    assert "<dc:date>" not in svg
    assert "Matplotlib v" not in svg


DRAW = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from helpers_plotting import DESIGNS, map_table, profile_table
from cnn_invariance.plotting import Canvas, Caption, Series, heatmap_figure, looks, profile_figure
canvas = Canvas(Path({out!r}), Path({out!r}))
lines = [Series(n, [profile_table(k)], look) for (n, k), look in zip(DESIGNS.items(), looks(4))]
canvas.figure("profile", profile_figure({{"": lines}}, ylabel="NV", axis="depth"), "x")
canvas.figure("maps", heatmap_figure({{"NV": {{"a": map_table(DESIGNS["SimpleConv"])}}}}), "x")
"""


def test_other_processes_and_settings_give_the_same_bytes(tmp_path: Path):
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nsvg.hashsalt: other\nfigure.dpi: 40\n")
    drawn = []
    for seed, rc in (("1", {}), ("2", {"MATPLOTLIBRC": str(tmp_path)})):
        out = tmp_path / seed
        code = DRAW.format(here=str(Path(__file__).parents[1]), out=str(out))
        environment = {**os.environ, **rc, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        drawn.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert len(drawn[0]) == 8
    assert drawn[0] == drawn[1]


def test_long_labels_stay_within_the_page(canvas):
    with style():
        figure = new_figure(DOUBLE, 3)
        for part in figure.subfigures(2, 1):
            for axes in part.subplots(1, 2):
                axes.set_yticks([0, 1], [f"{name}: a long label at the left of a small part" for name in "ab"])
    canvas.figure("labels", figure, "x")
    labels = [label for axes in figure.get_axes() for label in axes.get_yticklabels()]
    boxes = [label.get_window_extent() for label in labels]
    assert len(boxes) == 8
    assert figure.dpi == 200
    assert all(box.x0 >= 0 and box.x1 <= DOUBLE * 200 for box in boxes)


def test_drawing_again_gives_the_same_bytes(canvas, maps, designs):
    contents = []
    for _ in range(2):
        panels = {"a": maps(designs["SimpleConv"]), "b": maps(designs["SimpleConv"], seed=1)}
        canvas.figure("maps", heatmap_figure({"NV": panels}), "x")
        contents.append([(canvas.figures / f"maps.{kind}").read_bytes() for kind in ("svg", "png")])
    assert contents[0] == contents[1]
    with Image.open(canvas.figures / "maps.png") as image:
        assert image.width == round(DOUBLE * 200)


@pytest.mark.parametrize("drawn_by", ["backend_svg.FigureCanvasSVG.print_svg", "backend_agg.FigureCanvasAgg.print_png"])
def test_a_figure_that_cannot_be_drawn_leaves_the_old_files(canvas, figure, monkeypatch, drawn_by):
    canvas.figure("nv", figure, "old")
    before = {path.name: path.read_bytes() for path in canvas.figures.iterdir()}

    def fail(_: object, target: io.IOBase, **__: object) -> None:
        target.write("half" if isinstance(target, io.TextIOBase) else b"half")
        raise OSError("disk full")

    monkeypatch.setattr(f"matplotlib.backends.{drawn_by}", fail)
    with pytest.raises(OSError, match="disk full"):
        canvas.figure("nv", figure, "new")
    assert {path.name: path.read_bytes() for path in canvas.figures.iterdir()} == before


def test_a_table_is_four_files(canvas):
    frame = pd.DataFrame({"network": ["a_b"], "mean_nv": [1 / 3], "n": [1000]})
    canvas.table("one", frame, "A 50 % caption.", printed=frame.drop(columns="n"))
    files = {path.suffix: path.read_text(encoding="utf-8") for path in canvas.tables.iterdir()}
    assert files[".csv"] == "network,mean_nv,n\na_b,0.3333333333,1000\n"
    assert files[".md"].splitlines() == [
        "A 50 % caption.",
        "",
        "| network | mean nv |",
        "| :--- | ---: |",
        r"| a\_b | 0.333 |",
    ]
    assert r"\caption{A 50 \% caption.}" in files[".tex"]
    assert r"\label{tab:one}" in files[".tex"]
    record = json.loads(files[".json"])
    assert Caption.from_record(record["caption"]) == Caption.from_text("A 50 % caption.")
    assert record["columns"] == [{"name": "network", "number": False}, {"name": "mean nv", "number": True}]
    assert record["rows"] == [["a_b", "0.333"]]
    assert r"a\_b & 0.333 \\" in files[".tex"]

"""What a pass gives, as tables and as a file."""

import base64
import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import cnn_invariance as ci
from cnn_invariance.activations import Layer
from cnn_invariance.errors import InputError
from cnn_invariance.measures import MeasureResult, requests
from cnn_invariance.measures.result import SUMMARY_TYPES
from cnn_invariance.plotting import Series, looks
from cnn_invariance.plotting.style import DOUBLE
from cnn_invariance.transformations import rotation
from helpers_measures import small_network, some_images


@pytest.fixture
def measured():
    labels = torch.arange(13) % 7
    requests = ["NV", "NVSE", "NV[aggregate=mean]", "DSES"]
    return ci.measure(small_network(), some_images(), rotation(n=3, closed=False), requests, labels)


@pytest.fixture
def known():
    """Two layers, a measure with infinities, not-a-number and dead units, one without a value on the second."""
    layers = (Layer(1, "maps", "Conv2d", (2, 1, 2)), Layer(2, "dense", "Linear", (3,)))
    values = {
        "NV": [np.array([[[1.0, np.inf]], [[3.0, np.nan]]]), np.array([np.inf, np.inf, np.inf])],
        "NVSE": [np.array([[[0.5, 1.5]], [[2.0, 4.0]]]), None],
        "DSES": [np.array([7.0, 8.0]), None],
    }
    dead = {"NV": [1, 0], "NVSE": [0, 0], "DSES": [0, 0]}
    return MeasureResult(layers, values, np.array([1.0, 0.25]), 4, ("identity", "turn"), dead, {"tile": 8})


def test_frame_has_a_row_a_unit(known):
    frame = known.to_frame()
    assert list(frame.columns) == ["layer_index", "layer", "unit", "map", "NV", "NVSE", "DSES"]
    assert frame["layer_index"].tolist() == [1] * 4 + [2] * 3
    assert frame["layer"].tolist() == ["maps"] * 4 + ["dense"] * 3
    assert frame["unit"].tolist() == [0, 1, 2, 3, 0, 1, 2]
    assert frame["map"].tolist() == [0, 0, 1, 1, 0, 1, 2]
    np.testing.assert_array_equal(frame["NV"], [1, np.inf, 3, np.nan, np.inf, np.inf, np.inf])
    np.testing.assert_array_equal(frame["DSES"], [7, 7, 8, 8, np.nan, np.nan, np.nan])


def test_profile_is_the_mean_over_finite_units(known):
    profile = known.profile("NV")
    assert list(profile.columns) == [
        "layer_index",
        "layer",
        "kind",
        "value",
        "units",
        "infinite",
        "dead",
        "nan",
        "depth",
    ]
    assert profile["layer"].tolist() == ["maps", "dense"]
    assert profile["kind"].tolist() == ["Conv2d", "Linear"]
    np.testing.assert_array_equal(profile["value"], [2.0, np.nan])
    assert profile[["units", "infinite", "dead", "nan"]].values.tolist() == [[4, 1, 1, 1], [3, 3, 0, 0]]
    assert known.profile("NVSE")["layer"].tolist() == ["maps"]
    assert known.profile("NV[aggregate=none]").equals(profile)


def test_summary(known):
    summary = known.summary(maps=("NV",))
    assert list(summary.columns) == list(SUMMARY_TYPES)
    assert summary.dtypes.astype(str).to_dict() == {
        **SUMMARY_TYPES, **{name: str(summary[name].dtype) for name in ("layer", "kind", "measure")},
    }  # fmt: skip
    assert pd.api.types.is_string_dtype(summary["layer"])
    rows = summary[summary["measure"] == "NV"].set_index(["layer", "map"], drop=False)
    assert rows["map"].isna().sum() == 2
    maps = rows[rows["map"].notna()]
    assert maps["map"].tolist() == [0, 1, 0, 1, 2]
    assert maps["value"].tolist() == [1.0, 3.0, np.inf, np.inf, np.inf]
    assert maps["units"].isna().all()
    whole = summary[(summary["measure"] == "NV") & summary["map"].isna()].iloc[0]
    assert whole["q50"] == 3.0  # of 1, 3, inf
    assert whole["q95"] == 3.0
    assert not (summary["measure"][summary["map"].notna()] == "NVSE").any()


def test_item_is_by_layer(known):
    assert list(known["NVSE"]) == ["maps"]
    assert known["NV"]["dense"].shape == (3,)
    assert known.measures == ["NV", "NVSE", "DSES"]


@pytest.mark.parametrize("ask", [lambda r: r.profile("ND"), lambda r: r["ND"]])
def test_measure_that_was_not_taken(known, ask):
    with pytest.raises(
        InputError, match=r"unknown measure of this result 'ND'; did you mean 'NV'\? allowed: DSES, NV, NV"
    ):
        ask(known)


def test_measure_that_does_not_exist(known):
    with pytest.raises(InputError, match=r"unknown measure 'NW'; did you mean 'NV'\?"):
        known.profile("NW")


def same(one, other):
    assert one.layers == other.layers
    assert one.measures == other.measures
    for measure in one.measures:
        for a, b in zip(one.values[measure], other.values[measure], strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                assert a.shape == b.shape
                assert a.tobytes() == b.tobytes()
    if one.accuracy is None:
        assert other.accuracy is None
    else:
        assert one.accuracy.tobytes() == other.accuracy.tobytes()
    assert (one.samples, one.transformations, dict(one.info)) == (
        other.samples,
        other.transformations,
        dict(other.info),
    )
    assert {k: list(v) for k, v in one.dead.items()} == {k: list(v) for k, v in other.dead.items()}


@pytest.mark.parametrize("which", ["measured", "known"])
def test_round_trip(request, tmp_path, which):
    result = request.getfixturevalue(which)
    path = tmp_path / "deep" / "result.parquet"
    result.save(path)
    loaded = MeasureResult.load(path)
    same(result, loaded)
    pd.testing.assert_frame_equal(result.to_frame(), loaded.to_frame())
    pd.testing.assert_frame_equal(result.summary(), loaded.summary())
    first = path.read_bytes()
    loaded.save(str(path))
    assert path.read_bytes() == first


def test_round_trip_without_accuracy(tmp_path):
    result = ci.measure(small_network(), some_images(), [lambda x: x, torch.neg], ["NV"])
    result.save(tmp_path / "r.parquet")
    same(result, MeasureResult.load(tmp_path / "r.parquet"))


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"no file .*nowhere.parquet; expected one written by MeasureResult.save"):
        MeasureResult.load(tmp_path / "nowhere.parquet")


def test_another_parquet_file(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match=r"was not written by MeasureResult.save"):
        MeasureResult.load(tmp_path / "other.parquet")


@pytest.mark.parametrize("cut", [0, 3, 100, -1, -10])
def test_a_file_cut_short(known, tmp_path, cut):
    path = tmp_path / "r.parquet"
    known.save(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"was not written by MeasureResult.save .*; measure again"):
        MeasureResult.load(path)


@pytest.mark.parametrize("place", [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.9])
def test_a_file_with_a_changed_byte(measured, tmp_path, place):
    path = tmp_path / "r.parquet"
    measured.save(path)
    data = bytearray(path.read_bytes())
    data[4 + int(place * (len(data) - 8))] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(InputError, match="measure again"):
        MeasureResult.load(path)


@pytest.mark.parametrize(("fact", "other"), [(b'"samples": ', b"9"), (b'"kind": "', b"X"), (b'"accuracy": [', b"7")])
def test_a_fact_that_was_changed(measured, tmp_path, fact, other):
    """The numbers have checksums of Parquet's own, and what describes them has not."""
    path = tmp_path / "r.parquet"
    measured.save(path)
    data = path.read_bytes()
    at = data.index(fact) + len(fact)
    assert data[at : at + 1] != other
    path.write_bytes(data[:at] + other + data[at + 1 :])
    with pytest.raises(InputError, match="is damaged: its content does not have its checksum; measure again"):
        MeasureResult.load(path)


def test_saving_is_whole_or_not_at_all(known, tmp_path, monkeypatch):
    path = tmp_path / "r.parquet"
    known.save(path)
    before = path.read_bytes()

    def broken(table, target, **options):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("cnn_invariance.measures.result_file.pq.write_table", broken)
    with pytest.raises(OSError, match="disk full"):
        known.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["r.parquet"]


def test_profiles_of_all_measures_with_the_reasons_of_what_is_absent(known):
    table = known.profiles()
    assert table[["layer", "measure"]].to_numpy().tolist() == [
        [layer, measure] for measure in ("NV", "NVSE", "DSES") for layer in ("maps", "dense")
    ]
    assert table["shape"].tolist() == ["2 x 1 x 2", "3"] * 3
    reason = "units, not feature maps: nothing to undo a transformation on"
    assert table["absent"].tolist() == ["", "", "", reason, "", reason]
    assert table["value"].isna().tolist() == [False, True, False, True, False, True]  # of NV: no finite unit
    for measure in known.measures:
        want = known.profile(measure)
        rows = table[(table["measure"] == measure) & (table["absent"] == "")].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows[want.columns], want, check_dtype=False)
    assert known.absent("NVSE") == {"dense": reason}
    assert known.absent("NV") == {}
    with pytest.raises(InputError, match="unknown measure of this result 'TV'"):
        known.absent("TV")


def test_a_plot_has_a_panel_a_measure(measured):
    figure = measured.plot()
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "NV of units",
        "NVSE of units",
        "NV of maps",
        "DSES of maps",
    ]
    for axes, measure in zip(figure.axes, measured.measures, strict=True):
        drawn = next(line for line in axes.lines if len(line.get_xdata()) > 1)
        np.testing.assert_array_equal(drawn.get_ydata(), measured.profile(measure)["value"])
    (panel,) = measured.plot("NVSE", axis="depth", log_y=True).axes
    assert (panel.get_xlabel(), panel.get_yscale()) == ("relative depth (%)", "log")


def test_a_plot_needs_a_value(known):
    none = MeasureResult(known.layers, {"NVSE": [None, None]}, None, 4, ("identity",), {"NVSE": [0, 0]})
    for measures in (None, "NVSE"):
        with pytest.raises(InputError, match="no layer of this network has NVSE; choose among NVSE"):
            none.plot(measures)
    with pytest.raises(InputError, match="unknown measure of this result 'TV'"):
        known.plot(["NV", "TV"])


def test_a_notebook_shows_results_and_plots(known):
    labels = ["NV of units", "NVSE of units", "DSES of maps"]
    assert repr(known) == f"<MeasureResult of 2 layers, 4 samples x 2 transformations: {', '.join(labels)}>"
    shown = known._repr_html_()
    assert re.findall("<th>(.*?)</th>", shown) == ["layer", "kind", "shape", *labels]
    assert "<td>1 maps</td>" in shown
    assert "<td>–</td>" in shown
    assert known.plot("DSES")._repr_png_().startswith(b"\x89PNG")
    said, picture = re.search(r'<img alt="(.*?)" .*src="data:image/svg\+xml;base64,(.*?)">', shown).groups()
    assert said.startswith(f"Layer profiles: {', '.join(labels)}; NV of units from ")
    assert b"</svg>" in base64.b64decode(picture)
    none = MeasureResult(known.layers, {"NVSE": [None, None]}, None, 4, ("identity",), {"NVSE": [0, 0]})
    assert "<img" not in none._repr_html_()


def texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def references(figure):
    """The heights of the lines through whole panels."""
    return [[line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]] for axes in figure.axes]


def test_a_plot_names_layers_and_samples_and_has_a_line_at_one(known):
    figure = known.plot()
    assert "this network (4 samples)" in texts(figure)
    assert references(figure) == [[1.0], [1.0], []]  # DSES is no quotient
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == [layer.name for layer in known.layers]
    assert figure.axes[0].get_ylim()[1] > 1


def test_two_networks_in_one_plot(known):
    figure = known.plot("NV", compare=known, label="mine")
    assert texts(figure)[:2] == ["mine (4 samples)", "the other (4 samples)"]
    deeper = ci.measure(small_network(), some_images(), rotation(n=3, closed=False), ["NV", "TV"])
    figure = known.plot(compare={"deeper": deeper})
    (panel,) = figure.axes  # the measure that both have
    assert panel.get_xlabel() == "relative depth (%)"
    assert texts(figure)[:2] == [
        "this network (4 samples; 2 transformations, identity to turn)",
        f"deeper ({deeper.samples} samples; 3 transformations, rotation 0 deg to rotation 240 deg)",
    ]
    drawn = [line.get_ydata() for line in panel.lines if len(line.get_ydata()) == len(deeper.layers)]
    np.testing.assert_array_equal(drawn[0], deeper.profile("NV")["value"])
    with pytest.raises(InputError, match="two networks are called 'this network'"):
        known.plot(compare={"this network": deeper})
    other = ci.measure(small_network(), some_images(), rotation(n=4, closed=False), ["NV"])
    found = texts(known.plot("NV", compare={"a\n$b_{x$ $": other}))[:2]
    assert found[1].startswith(r"a \$b_{x\$ \$ (")
    assert all(" transformations, " in text for text in found)
    with pytest.raises(InputError, match="the results have no measure in common; this one has"):
        known.plot(compare=ci.measure(small_network(), some_images(), rotation(n=3, closed=False), ["TV"]))


@pytest.mark.parametrize("compare", ["other", ["other"], {"other": 1}, {1: "other"}, 3])
def test_what_is_no_result_cannot_be_compared(known, compare):
    with pytest.raises(InputError, match=r"'compare' (is another result, or|has) results .*by their names; received"):
        known.plot(compare=compare)


def test_a_layer_has_one_depth_whatever_the_measure():
    """Same-equivariance has no value in dense layers, which count as layers all the same."""
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 4), nn.ReLU()).eval()
    result = ci.measure(network, torch.rand(6, 1, 6, 6), rotation(n=3, closed=False), ["NV", "NVSE"])
    depths = {name: result.profile(name).set_index("layer")["depth"] for name in ("NV", "NVSE")}
    assert depths["NV"].tolist() == [0, 25, 50, 75, 100]
    assert depths["NVSE"].tolist() == [0, 25]
    (line,) = (Series("one", [result.profile("NVSE")], looks(1)[0]),)
    assert line.places("depth").tolist() == [0, 25]


def test_without_a_list_of_measures_nv_is_that_of_maps_which_the_study_uses():
    result = ci.measure(small_network(), some_images(), rotation(n=3, closed=False))
    maps = ci.measure(small_network(), some_images(), rotation(n=3, closed=False), ["NV[aggregate=mean]"])
    assert "NV" not in result.measures
    assert len(result.measures) == len(requests.names())
    pd.testing.assert_frame_equal(result.profile("NV"), maps.profile("NV[aggregate=mean]"))
    pd.testing.assert_frame_equal(result.profile("NV of maps"), result.profile("NV"))
    titles = [axes.get_title(loc="left") for axes in result.plot().axes]
    assert titles == ["NV of maps", "NVSE of maps", "ND of maps", "Goodfellow of units"]


def test_a_name_is_exact_where_it_can_be_and_never_guessed(measured):
    assert measured["NV"]["0"].ndim == 3
    two = ci.measure(
        small_network(), some_images(), rotation(n=3, closed=False), ["NV[aggregate=max]", "NV[statistic=var]"]
    )
    with pytest.raises(InputError, match=r"'NV' is a measure of several forms; choose among NV\[aggregate=max\], NV"):
        two.profile("NV")


def test_a_plot_of_many_layers_has_the_width_of_the_page():
    layers = [layer for _ in range(40) for layer in (nn.Conv2d(1, 1, 3, padding=1), nn.ReLU())]
    network = nn.Sequential(*layers, nn.Flatten()).eval()
    result = ci.measure(network, torch.rand(4, 1, 6, 6), rotation(n=2, closed=False), ["NV", "TV"])
    figure = result.plot()
    figure.canvas.draw()
    assert len({round(axes.get_position().x0, 6) for axes in figure.axes}) == 1  # one below the other
    assert figure.get_figwidth() == DOUBLE == result.plot("NV").get_figwidth()
    marks = [text.get_window_extent() for text in figure.axes[0].get_xticklabels() if text.get_text()]
    assert all(one.x1 < other.x0 for one, other in pairwise(marks))

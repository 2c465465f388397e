import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from cnn_invariance.plotting import Dot, Series, dot_figure, heatmap_figure, looks, profile_figure, sequential_looks
from cnn_invariance.plotting.canvas import _lay_out
from cnn_invariance.plotting.grids import AROUND_ONE, DIVERGING
from cnn_invariance.plotting.layer_kinds import GAP, KINDS, OTHER, STRIP, kind_of
from cnn_invariance.plotting.profiles import DEAD, INFINITE, SPAN, THIN, Values, draw_profiles, facet_figure
from cnn_invariance.plotting.style import VERMILLION, new_figure, style


def one_panel(*series, axis="layer"):
    with style():
        axes = new_figure(3.4, 2.2).subplots()
        draw_profiles(axes, series, axis=axis)
    return axes


def markers(axes, mark):
    return [line for line in axes.lines if line.get_marker() == mark["marker"]]


def four_networks(profile, designs):
    return [
        Series(name, [profile(kinds, seed=i)], look)
        for i, ((name, kinds), look) in enumerate(zip(designs.items(), looks(4), strict=True))
    ]


def broken(profile, designs):
    table = profile(designs["SimpleConv"])
    table.loc[3, "infinite"] = 7
    table.loc[0, "dead"] = 900
    return Series("SimpleConv", [table, profile(designs["SimpleConv"], seed=1)], looks(1)[0])


def partly_infinite(maps, designs):
    table = maps(designs["SimpleConv"])
    table.loc[:3, "value"] = np.inf
    table.loc[30:32, "value"] = np.nan
    return table


def dots(designs):
    return [
        Dot(name, series, look, (0.9, 0.85, 0.95), (0.5, 0.4, 0.6))
        for name in designs
        for series, look in zip(("trained plain", "trained with the transformations"), looks(2), strict=True)
    ]


TESTS = {"xlabel": "test accuracy", "before": "plain test", "after": "transformed test"}
FIGURES = {
    "one profile": lambda p, m, d: profile_figure({"": [broken(p, d)]}, ylabel="NV"),
    "four networks, one panel": lambda p, m, d: profile_figure({"": four_networks(p, d)}, ylabel="NV", axis="depth"),
    "four networks": lambda p, m, d: profile_figure(
        {name: four_networks(p, d) for name in ("rotation", "scale", "translation")}, ylabel="NV", axis="depth"
    ),
    "two rows": lambda p, m, d: profile_figure({name: [broken(p, d)] for name in "abcd"}, ylabel="NV"),
    "one heatmap": lambda p, m, d: heatmap_figure({"NV": {"trained plain": partly_infinite(m, d)}}),
    "two heatmaps": lambda p, m, d: heatmap_figure({"NV": {"a": partly_infinite(m, d), "b": m(d["VGG16D"])}}),
    "heatmaps in order": lambda p, m, d: heatmap_figure(
        {name: {"a": partly_infinite(m, d), "b": m(d["SimpleConv"])} for name in ("NV", "ANOVA of units")},
        quotients=["NV"],
        in_order=True,
    ),
    "one dot plot": lambda p, m, d: dot_figure({"mnist": {"rotation": dots(d)}}, **TESTS),
    "dot plots": lambda p, m, d: dot_figure(
        {data: {name: dots(d) for name in ("rotation", "scale")} for data in ("mnist", "cifar10")}, **TESTS
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_all_text_is_legible_and_nothing_is_cut_off(name, profile, maps, designs):
    figure = FIGURES[name](profile, maps, designs)
    with style():
        figure.draw_without_rendering()
        panels = [axes.get_tightbbox() for axes in figure.axes if axes.get_visible()]
        legends = [legend.get_window_extent() for legend in figure.legends]
        assert len(legends) == (2 if "networks" in name else 1)
        assert all(text.get_fontsize() >= 7 for text in figure.findobj(Text) if text.get_text().strip())
        for box in (*panels, *legends):
            assert box.x0 >= -1
            assert box.y0 >= -1
            assert box.x1 <= figure.bbox.x1 + 1
            assert box.y1 <= figure.bbox.y1 + 1
        boxes = [box.padded(-1) for box in (*panels, *legends)]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_values_lie_at_their_layers(profile, designs):
    table = profile(designs["SimpleConv"])
    line = one_panel(Series("a", [table], looks(1)[0])).lines[0]
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 18))
    np.testing.assert_allclose(line.get_ydata(), table["value"])


def test_few_seeds_are_drawn_as_their_mean_and_a_thin_line_each(profile, designs):
    tables = [profile(designs["SimpleConv"], seed=seed) for seed in range(THIN)]
    mean, *thin = [line for line in one_panel(Series("a", tables, looks(1)[0])).lines if line.get_linestyle() != "None"]
    values = np.stack([table["value"] for table in tables])
    np.testing.assert_allclose(mean.get_ydata(), values.mean(0))
    np.testing.assert_allclose([line.get_ydata() for line in thin], values)
    assert {line.get_linewidth() for line in thin} == {0.4}


def test_many_seeds_are_drawn_as_their_mean_and_range(profile, designs):
    tables = [profile(designs["SimpleConv"], seed=seed) for seed in range(THIN + 1)]
    axes = one_panel(Series("a", tables, looks(1)[0]))
    values = np.stack([table["value"] for table in tables])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), values.mean(0))
    band = axes.collections[0].get_paths()[0].vertices
    at_third = band[band[:, 0] == 3][:, 1]
    assert at_third.min() == pytest.approx(values[:, 2].min())
    assert at_third.max() == pytest.approx(values[:, 2].max())


def test_infinite_units_are_marked_on_the_top_edge(profile, designs):
    table = profile(designs["SimpleConv"])
    table.loc[4, "infinite"] = 2
    table.loc[7, ["nan", "value"]] = [1000, np.nan]
    axes = one_panel(Series("a", [table], looks(1)[0]))
    (edge,) = markers(axes, INFINITE)
    assert edge.get_xdata().tolist() == [5, 8]
    assert edge.get_ydata().tolist() == [1, 1]
    assert not edge.get_clip_on()
    assert np.isnan(axes.lines[0].get_ydata()).tolist() == [i == 7 for i in range(17)]


@pytest.mark.parametrize(
    ("infinite", "signs", "lines"),
    [
        ([0, 1, 2, 9], [1, 10], [[1, 3]]),
        ([14, 15, 16], [15], [[15, 17]]),
        (range(17), [1], [[1, 17]]),
        ([16], [17], []),
    ],
)
def test_layers_in_a_row_with_infinite_units_have_one_sign_and_a_line(profile, designs, infinite, signs, lines):
    table = profile(designs["SimpleConv"])
    table.loc[list(infinite), "infinite"] = 2
    axes = one_panel(Series("a", [table], looks(1)[0]))
    (sign,) = markers(axes, INFINITE)
    assert sign.get_xdata().tolist() == signs
    above = [line for line in axes.lines if not line.get_clip_on() and line is not sign]
    assert [list(line.get_xdata()) for line in above] == lines
    assert all(line.get_transform() == sign.get_transform() for line in above)


def test_names_of_layers_stand_in_the_last_row_alone(profile, designs):
    line = [Series("a", [profile(designs["SimpleConv"])], looks(1)[0])]
    figure = profile_figure(dict.fromkeys("abcde", line), ylabel="NV", columns=3)
    named = [any(label.get_visible() and label.get_text() for label in axes.get_xticklabels()) for axes in figure.axes]
    assert named == [False] * 3 + [True, True, False]
    apart = profile_figure(dict.fromkeys("abcde", line), ylabel="NV", columns=3, axis="depth")
    assert [axes.get_xlabel().strip() for axes in apart.axes] == ["", "", "relative depth (%)"] + [
        "relative depth (%)"
    ] * 2 + [""]


def test_two_series_with_infinite_units_do_not_hide_each_other(profile, designs):
    tables = [profile(designs["SimpleConv"]) for _ in range(2)]
    for table in tables:
        table.loc[4, "infinite"] = 2
    axes = one_panel(*(Series(n, [t], look) for n, t, look in zip("ab", tables, looks(2), strict=True)))
    first, second = markers(axes, INFINITE)
    height = [line.get_transform().transform((5, 1))[1] for line in (first, second)]
    assert height[1] - height[0] >= 0.9 * first.get_markersize()


def test_mostly_dead_layers_are_crosses(profile, designs):
    table = profile(designs["SimpleConv"])
    table.loc[[0, 1], "dead"] = [501, 500]
    axes = one_panel(Series("a", [table], looks(1)[0]))
    (cross,) = markers(axes, DEAD)
    assert cross.get_xdata().tolist() == [1]
    assert cross.get_ydata()[0] == table["value"][0]


def test_the_legend_has_the_marks_that_are_drawn(profile, designs):
    table = profile(designs["SimpleConv"])
    table.loc[0, "dead"], table.loc[4, "infinite"] = 501, 2
    figure = profile_figure({"": [Series("a", [table], looks(1)[0])]}, ylabel="NV")
    shown = {
        text.get_text(): (line.get_marker(), line.get_markersize())
        for line, text in zip(figure.legends[0].get_lines(), figure.legends[0].get_texts()[-2:], strict=False)
    }
    (cross,), (sign,) = markers(figure.axes[0], DEAD), markers(figure.axes[0], INFINITE)
    assert shown == {
        "mostly dead": (cross.get_marker(), cross.get_markersize()),
        "some infinite": (sign.get_marker(), sign.get_markersize()),
    }


def test_layers_have_their_names_where_there_is_room(profile, designs):
    def ticks(kinds):
        figure = profile_figure({"": [Series("a", [profile(kinds)], looks(1)[0])]}, ylabel="NV")
        return [text.get_text() for text in figure.axes[0].get_xticklabels()]

    table = profile(designs["SimpleConv"])
    assert ticks(designs["SimpleConv"]) == list(table["layer"])
    assert not set(ticks(designs["ResNet18"])) & set(profile(designs["ResNet18"])["layer"])


def test_values_beyond_a_fixed_axis_are_arrows_at_its_end(profile, designs):
    table = profile(designs["SimpleConv"]).assign(value=1.0)
    table.loc[3, "value"] = 7.0
    axes = facet_figure([(Values("NV", top=1.6), {"": {"": [Series("a", [table], looks(1)[0])]}})]).axes[0]
    (arrow,) = [line for line in axes.lines if "uparrow" in str(line.get_marker())]
    assert arrow.get_xdata().tolist() == [4]
    assert axes.get_ylim() == (0, 1.6)


def test_the_axis_is_logarithmic_where_few_values_would_hide_the_others(profile, designs):
    table = profile(designs["SimpleConv"]).assign(value=1.0)

    def scale(high, low=1.0):
        changed = table.copy()
        changed.loc[3, "value"], changed.loc[4, "value"] = high, low
        figure = facet_figure([(Values("NVSE", log=None), {"": {"": [Series("a", [changed], looks(1)[0])]}})])
        return figure.axes[0].get_yscale()

    assert [scale(1.1 * SPAN), scale(0.9 * SPAN), scale(1.1 * SPAN, low=0.0)] == ["log", "linear", "linear"]


def test_rows_and_columns_are_named_once(profile, designs):
    line = [Series("a", [profile(designs["SimpleConv"])], looks(1)[0])]
    figure = facet_figure([(Values("NV"), {name: {"rotation": line, "scale": line} for name in ("one", "two")})])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["rotation", "scale", "", ""]
    assert [axes.get_ylabel() for axes in figure.axes] == ["one\nNV", "", "two\nNV", ""]


def test_each_measure_has_an_axis_of_its_own(profile, designs):
    def line(level):
        return [Series("a", [profile(designs["SimpleConv"], level=level)], looks(1)[0])]

    rows = {name: {"rotation": line(0.2), "scale": line(0.9)} for name in ("one", "two")}
    large = {name: {"rotation": line(30.0), "scale": line(60.0)} for name in ("one", "two")}
    referred = Values("NV", reference=1.0)
    figure = facet_figure([(referred, rows), (Values("SV"), large)])
    limits = [axes.get_ylim() for axes in figure.axes]
    assert len(set(limits[:4])) == len(set(limits[4:])) == 1
    assert limits[0][1] < 5
    assert limits[4][1] > 60
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["one\nNV", "two\nNV", "one\nSV", "two\nSV"]
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == ["rotation", "scale", ""]
    numbers = [any(label.get_visible() for label in axes.get_yticklabels()) for axes in figure.axes]
    assert numbers == [True, False] * 4
    level = [any(list(one.get_ydata()) == [1, 1] for one in axes.lines) for axes in figure.axes]
    assert level == [True] * 4 + [False] * 4
    own = facet_figure([(Values("NV", shared=False), rows), (Values("SV"), large)])
    assert own.axes[0].get_ylim() != own.axes[1].get_ylim()


def strips(axes):
    """The bars of each strip under a panel, the highest first: (middle, height, colour) of each layer in order."""
    found = {}
    for patch in axes.patches:
        for bar in patch.get_path().to_polygons():
            row = -int((bar[:, 1].min() + GAP + STRIP / 2) // (GAP + STRIP))
            middle, height = np.mean([bar[:, 0].min(), bar[:, 0].max()]), np.ptp(bar[:, 1])
            found.setdefault(row, []).append((middle, height, to_hex(patch.get_facecolor())))
    return [sorted(found[row]) for row in sorted(found)]


def test_strips_show_the_kinds_in_place(profile, designs):
    axes = one_panel(*four_networks(profile, designs), axis="depth")
    shown = strips(axes)
    assert len(shown) == 4  # one strip for each design
    for strip, kinds in zip(shown, designs.values(), strict=True):
        middles, heights, colours = zip(*strip, strict=True)
        assert list(colours) == [kind_of(kind).colour.lower() for kind in kinds]
        np.testing.assert_allclose(middles, 100 * np.arange(len(kinds)) / (len(kinds) - 1), atol=1e-9)
        np.testing.assert_allclose(heights, [STRIP * kind_of(kind).height for kind in kinds])
    kinds = {kind_of(kind).name for kinds in designs.values() for kind in kinds}
    assert len(axes.patches) <= 4 * len(kinds)  # one path for all layers of a kind


def test_series_of_one_design_share_a_strip(profile, designs):
    lines = [Series(n, [profile(designs["SimpleConv"])], look) for n, look in zip("ab", looks(2), strict=True)]
    assert len(strips(one_panel(*lines))) == 1


def test_panels_share_a_scale_that_begins_at_zero(profile, designs):
    kinds = designs["SimpleConv"]
    panels = {
        name: [Series("a", [profile(kinds, level=level)], looks(1)[0])] for name, level in (("x", 0.4), ("y", 2.0))
    }
    low, high = profile_figure(panels, ylabel="NV").axes
    assert low.get_ylim() == high.get_ylim()
    assert low.get_ylim()[0] == 0
    assert low.get_ylim()[1] > 2


def test_panels_may_have_scales_of_their_own(profile, designs):
    low = Series("a", [profile(designs["SimpleConv"], level=0.5)], looks(1)[0])
    high = Series("a", [profile(designs["SimpleConv"], level=50)], looks(1)[0])
    figure = profile_figure({"low": [low], "high": [high]}, ylabel="NV", share_y=False)
    (_, first), (_, second) = (axes.get_ylim() for axes in figure.axes)
    assert first < 1 < 50 < second
    assert {axes.get_ylim()[0] for axes in figure.axes} == {0}
    figure = profile_figure({"low": [low], "high": [high]}, ylabel="NV", log_y=True)
    assert {axes.get_yscale() for axes in figure.axes} == {"log"}
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert figure.axes[0].get_ylim()[0] > 0


def test_panels_with_fewer_layers_do_not_cut_others_off(profile, designs):
    table = profile(designs["SimpleConv"])
    panels = {"a": table, "b": table, "c": table, "fewer": table[:12]}
    series = {title: [Series("one", [rows], looks(1)[0])] for title, rows in panels.items()}
    figure = profile_figure(series, ylabel="NV")
    assert {axes.get_xlim() for axes in figure.axes} == {(0.4, 17.6)}
    assert len({axes.get_position().x0 for axes in figure.axes}) == 2  # four panels: two by two


def test_summaries_leave_out_what_is_not_finite(profile, designs):
    first, second = (profile(designs["SimpleConv"], seed=seed) for seed in range(2))
    first["value"], second["value"] = 0.5, 0.3
    first.loc[2, "value"], second.loc[2, "value"] = np.nan, 0.1
    first.loc[3, "value"] = second.loc[3, "value"] = np.inf
    line = Series("a", [first, second], looks(1)[0])
    assert line.middle()[:4].tolist() == [0.4, 0.4, 0.1, pytest.approx(np.nan, nan_ok=True)]
    assert line.best("lower") == 2
    assert line.mean() == pytest.approx((15 * 0.4 + 0.1) / 16)


def test_seeds_must_share_their_layers(profile, designs):
    with pytest.raises(ValueError, match="share their layers"):
        Series("a", [profile(designs["SimpleConv"]), profile(designs["VGG16D"])], looks(1)[0])
    with pytest.raises(ValueError, match="no profile"):
        Series("a", [], looks(1)[0])


def test_empty_figures_are_refused(maps, designs):
    with pytest.raises(ValueError, match="at least one series"):
        profile_figure({"a": []}, ylabel="NV")
    with pytest.raises(ValueError, match="at least one map"):
        heatmap_figure({"NV": {"a": maps(designs["SimpleConv"]).iloc[:0]}})
    with pytest.raises(ValueError, match="at least one dot"):
        dot_figure({}, xlabel="", before="", after="")


@pytest.mark.parametrize("choose", [looks, sequential_looks])
def test_looks_differ_in_colour_and_without_it(choose):
    chosen = choose(8)
    assert len({look.colour for look in chosen}) == 8
    assert len({look.marker for look in chosen}) == 8
    with pytest.raises(ValueError, match="told apart"):
        choose(17)


def test_every_module_of_the_networks_has_a_kind(designs):
    expected_other = {"Flatten", "Dropout", "LogSoftmax", "Add"}
    names = {kind for kinds in designs.values() for kind in kinds}
    assert {name for name in names if kind_of(name) is OTHER} == expected_other
    assert {kind_of(name) for name in names} == {*KINDS, OTHER}


def test_cells_are_sorted_and_infinite_ones_hatched_above(maps, designs):
    table = maps(designs["SimpleConv"][:2])
    table["value"] = [3.0, np.inf, 1.0, 2.0, np.nan, 0.0, 4.0, np.inf, *[1.0] * 8]
    axes = heatmap_figure({"NV": {"a": table}}, top=4.0).axes[0]
    first = axes.images[0]
    brightness = first.get_array()[:, 0, :3].sum(axis=1)
    assert first.get_array().shape == (5, 1, 4)
    assert (np.diff(brightness) > 0).all()
    assert first.get_extent()[2:] == [0, 62.5]
    hatched = [
        (to_hex(patch.get_facecolor()), patch.get_y(), patch.get_height())
        for patch in axes.patches
        if patch.get_hatch()
    ]
    assert hatched == [(VERMILLION.lower(), 62.5, 25.0), ("#d9d9d9", 87.5, 12.5)]


def test_cells_in_order_stand_in_the_order_of_the_maps(maps, designs):
    table = maps(designs["SimpleConv"][:1])
    table["value"] = values = [3.0, np.inf, 1.0, 2.0, np.nan, 0.0, 4.0, 0.5]
    panel, _ = heatmap_figure({"NV": {"a": table}}, top=4.0, in_order=True).axes
    shown = panel.images[0].get_array()[:, 0]
    assert [to_hex(shown[k]) for k in (1, 4)] == [VERMILLION.lower(), "#d9d9d9"]
    finite = [k for k, value in enumerate(values) if np.isfinite(value)]
    brightness = shown[finite, :3].sum(axis=1)
    assert list(np.argsort(brightness)) == list(np.argsort(np.array(values)[finite]))


def test_a_name_that_neighbouring_panels_share_is_written_once(maps, designs):
    table = maps(designs["SimpleConv"])
    titles = ["A\nplain", "A\nrotation", "B\nplain", "B\nrotation", "B"]
    figure = heatmap_figure({"NV": dict.fromkeys(titles, table)})
    shown = [axes.get_title(loc="left") for axes in figure.axes[: len(titles)]]
    assert shown == ["A\nplain", "\nrotation", "B\nplain", "\nrotation", "B"]
    assert [axes.get_ylabel() for axes in figure.axes[:2]] == ["maps, units (%)", ""]


def test_panels_too_narrow_for_the_names_of_layers_have_their_numbers(maps, designs):
    table = maps(designs["SimpleConv"])
    named, numbered = (heatmap_figure({"NV": dict.fromkeys("abcdefgh"[:n], table)}).axes[0] for n in (4, 8))
    assert [label.get_text() for label in named.get_xticklabels()] == list(table["layer"].drop_duplicates())
    assert list(numbered.get_xticks()) == [1, 5, 10, 15]


def test_layers_of_a_kind_are_marked(profile):
    kinds = ["Conv2d", "BatchNorm2d", "ELU", "Linear", "BatchNorm1d"]
    axes = profile_figure({"": [Series("a", [profile(kinds)], looks(1)[0])]}, ylabel="NV", marked="BatchNorm").axes[0]
    upright = [line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1]]
    assert sorted(upright) == [2, 5]


def test_panels_of_a_heatmap_share_their_colours(maps, designs):
    kinds = designs["SimpleConv"][:1]
    low, high = maps(kinds), maps(kinds)
    low["value"], high["value"] = 0.5, 1.0
    first, second, bar = heatmap_figure({"NV": {"a": low, "b": high}}).axes
    assert not np.array_equal(first.images[0].get_array()[0], second.images[0].get_array()[0])
    assert bar.get_ylabel() == "NV"


def test_neighbouring_layers_with_as_many_maps_are_one_picture_with_the_same_cells(maps, designs):
    table = maps(designs["SimpleConv"])
    for by_value in (False, True):
        axes = heatmap_figure({"NV": {"a": table}}, quotients=["NV"], in_order=not by_value).axes[0]
        shown = {}
        for image in axes.images:
            left, right, _, _ = image.get_extent()
            columns = np.moveaxis(np.asarray(image.get_array()), 1, 0)
            shown |= dict(zip(np.arange(left + 0.5, right), columns, strict=True))
        assert len(axes.images) < len(shown) == table["layer_index"].nunique()
        for layer, values in table.groupby("layer_index")["value"]:
            expected = mpl.colormaps[DIVERGING](AROUND_ONE(np.sort(values) if by_value else values.to_numpy()))
            np.testing.assert_array_equal(shown[layer], expected)


def test_a_row_without_some_layers_has_them_where_the_others_have_them(maps, designs):
    table = maps(designs["SimpleConv"])
    fewer = table[table["layer_index"] <= 5]
    above, below, *_ = heatmap_figure({"NVSE": {"a": fewer}, "NV": {"a": table}}).axes
    assert above.get_xlim() == below.get_xlim() == (0.4, table["layer_index"].max() + 0.6)
    assert [image.get_extent()[1] for image in above.images][-1] == 5.5


def test_rows_of_other_panels_are_refused(maps, designs):
    table = maps(designs["SimpleConv"])
    with pytest.raises(ValueError, match="the same panels: a"):
        heatmap_figure({"NV": {"a": table}, "ND": {"b": table}})


def test_dots_lie_at_their_values():
    look = looks(1)[0]
    dots = [Dot("a", "s", look, (0.9, 0.8, 0.95), (0.4, 0.3, 0.5)), Dot("b", "s", look, (1, 1, 1), (0, 0, 0))]
    axes = dot_figure({"": {"p": dots}}, xlabel="accuracy", before="x", after="y").axes[0]
    points = {(line.get_xdata()[0], line.get_ydata()[0], line.get_mfc()) for line in axes.lines if line.get_marker()}
    assert {(0.9, 0, "white"), (0.4, 0, look.colour), (1, 1, "white"), (0, 1, look.colour)} <= points
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row is at the top


def test_rows_of_dots_have_axes_of_their_own_that_hold_their_intervals():
    look = looks(1)[0]

    def panels(names, low, high):
        return {title: [Dot(name, "s", look, (low,) * 3, (low, low, high)) for name in names] for title in "pq"}

    rows = {"mnist": panels("ab", 0.94, 0.99), "cifar10": panels("c", 0.2, 0.6)}
    axes = dot_figure(rows, xlabel="accuracy", before="x", after="y").axes
    assert [one.get_ylabel() for one in axes] == ["mnist", "", "cifar10", ""]
    assert [[text.get_text() for text in one.get_yticklabels()] for one in axes[::2]] == [["a", "b"], ["c"]]
    for one, low, high in zip(axes, (0.94, 0.94, 0.2, 0.2), (0.99, 0.99, 0.6, 0.6), strict=True):
        start, end = one.get_xlim()
        assert low - 0.1 * (high - low) < start < low < high < end < high + 0.1 * (high - low)


def test_panels_of_fewer_layers_cut_nothing_off_those_above(profile, designs):
    whole = profile(designs["SimpleConv"])
    tables = {"a": whole, "b": whole, "c": whole.iloc[:3], "d": whole.iloc[:3]}
    panels = {name: [Series(name, [table], looks(1)[0])] for name, table in tables.items()}
    figure = profile_figure(panels, ylabel="NV")
    assert {axes.get_xlim() for axes in figure.axes} == {(0.4, len(whole) + 0.6)}


def test_four_panels_have_two_rows_of_two(profile, designs):
    panels = {name: [Series(name, [profile(designs["SimpleConv"])], looks(1)[0])] for name in "abcd"}
    figure = profile_figure(panels, ylabel="NV")
    assert figure.axes[0].get_gridspec().get_geometry() == (2, 2)


def legend(figure):
    return {text.get_text() for found in figure.legends for text in found.get_texts()}


def seeds(profile, designs, label, count, look):
    return Series(label, [profile(designs["SimpleConv"], seed=seed) for seed in range(count)], look)


def test_legends_say_of_how_many_seeds_bands_are(profile, designs):
    first, second = looks(2)
    one, five, three = (seeds(profile, designs, name, n, first) for name, n in (("a", 1), ("b", 5), ("c", 3)))
    other = seeds(profile, designs, "d", 5, second)
    alike = legend(profile_figure({"": [five, other]}, ylabel="NV"))
    assert {"b", "d", "n = 5 seeds: each, and their mean"} <= alike
    different = legend(profile_figure({"": [one, five, three]}, ylabel="NV"))
    assert {"a (n = 1)", "b (n = 5)", "c (n = 3)", "n seeds: each, and their mean"} <= different
    many = legend(profile_figure({"": [seeds(profile, designs, "e", THIN + 1, first)]}, ylabel="NV"))
    assert f"n = {THIN + 1} seeds: lowest to highest, mean" in many
    assert not [text for text in legend(profile_figure({"": [one]}, ylabel="NV")) if "seed" in text]


@pytest.mark.parametrize(("low", "high"), [(0.53, 1.3), (0.2, 0.9), (0.001, 2.0), (30.0, 31.0)])
def test_a_logarithmic_axis_can_be_read(profile, designs, low, high):
    table = profile(designs["SimpleConv"])
    table["value"] = np.linspace(low, high, len(table))
    (axes, *_) = profile_figure({"": [Series("a", [table], looks(1)[0])]}, ylabel="NV", log_y=True).axes
    bottom, top = axes.get_ylim()
    assert sum(bottom <= tick <= top for tick in axes.get_yticks()) >= 2


@pytest.mark.parametrize("strips", [1, 4])
def test_titles_of_lower_panels_are_clear_of_the_strips_above(profile, designs, strips):
    series = four_networks(profile, designs)[:strips]
    figure = profile_figure(dict.fromkeys("abcd", series), ylabel="NV", axis="depth", columns=2)
    with style():
        _lay_out(figure)
    above, below = figure.axes[0], figure.axes[2]
    lowest = above.get_window_extent().y0 - strips * (GAP + STRIP) * figure.dpi / 72
    assert below.title.get_window_extent().y1 <= lowest

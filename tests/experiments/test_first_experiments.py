import math
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.plotting import Canvas
from cnn_invariance.results import Results
from cnn_invariance.statistics.intervals import rank_correlation, wilson
from cnn_invariance.study import MeasureSpec, SetSpec, Study, TrainSpec
from cnn_invariance.study.intensity import scaled
from helpers_experiments import PRESET, announced, write_results

NAMES = ("accuracy", "augmentation_intensity", "compare_models", "heatmap")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    experiments = {name: {} for name in NAMES} | {
        "compare_models": {"seeds": 3},
        "accuracy": {"batch_norm": False, "seeds": 1},
    }
    path = tmp_path_factory.mktemp("preset") / "preset.yaml"
    path.write_text(yaml.safe_dump({**PRESET, "experiments": experiments}), encoding="utf-8")
    return Programme.load(path)


@pytest.fixture(scope="module")
def results(study, tmp_path_factory) -> Results:
    return write_results(study, tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def drawn(study, results, tmp_path_factory) -> Callable[[str], Path]:
    """Draw an experiment, once for all tests; returns the folder of all its files."""

    @cache
    def draw(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        chosen = study.experiments[name]
        chosen.draw(study, results, Canvas(folder, folder))
        return folder

    return draw


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_is_what_was_announced(name, study, drawn):
    folder = drawn(name)
    assert {path.name for path in folder.iterdir()} == announced(study, name)
    for figure in study.outputs[name].figures:
        caption = (folder / f"{figure}.md").read_text(encoding="utf-8")
        assert study.experiments[name].question in caption
        assert f"'{name}'" in caption
        with Image.open(folder / f"{figure}.png") as image:
            assert image.width == 1400


def test_drawing_again_gives_the_same_bytes(study, results, drawn, tmp_path):
    chosen = study.experiments["compare_models"]
    chosen.draw(study, results, Canvas(tmp_path, tmp_path))
    first = {path.name: path.read_bytes() for path in drawn("compare_models").iterdir()}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def test_planning_loads_neither_torch_nor_plotting():
    names = ", ".join(f"'{name}': {{}}" for name in NAMES)
    code = (
        "import sys; from cnn_invariance.experiments.framework.programme import Programme\n"
        f"study = Programme.load({str(Path(__file__).parents[2] / 'config' / 'quick.yaml')!r})\n"
        "from cnn_invariance.experiments.framework import registry\n"
        f"for name in {{{names}}}:\n"
        "    one = registry.load(name)(**{'seeds': 1} if name == 'accuracy' else {})\n"
        "    assert list(one.cells(study)) and one.outputs(study).figures\n"
        "heavy = {'torch', 'matplotlib', 'pandas', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_accuracy_trains_plain_and_augmented_and_measures_both_under_the_set(study):
    cells = study.cells["accuracy"]
    networks = [cell for cell in cells if isinstance(cell, TrainSpec)]
    measured = [cell for cell in cells if isinstance(cell, MeasureSpec)]
    assert len(networks) == 2 * 4  # two models: plain, and one for each of three sets
    assert len(measured) == 2 * 6
    assert {cell.network for cell in measured} == set(networks)
    assert all(cell.network.augmentation in (None, cell.transformations) for cell in measured)


def test_accuracy_table_has_identity_mean_and_interval(drawn):
    table = pd.read_csv(drawn("accuracy") / "accuracy.csv", keep_default_na=False)
    row = table.query("network == 'SimpleConv' and trained_with == 'none' and tested_under == 'scale'").iloc[0]
    assert row["plain"] == pytest.approx(0.9)
    assert row["transformed"] == pytest.approx((0.9 + 12 * 0.5) / 13)
    assert (row["samples"], row["full_test"], row["epochs"]) == (200, 0.95, 3)
    assert "& 0.900 [0.851, 0.934] & 0.531 [" in (drawn("accuracy") / "accuracy.tex").read_text(encoding="utf-8")
    # Wilson's interval for 180 of 200, from its closed form in another arrangement
    z, n, p = 1.959963984540054, 200, 0.9
    roots = np.roots([1 + z * z / n, -(2 * p + z * z / n), p * p])
    assert sorted(roots) == pytest.approx([row["plain_low"], row["plain_high"]])


def test_accuracy_of_the_whole_split_counts_its_samples(preset, load, computed, tmp_path):
    preset["samples"] = {"split": "test"}
    preset["experiments"] = {"accuracy": {"models": ["SimpleConv"], "transformation_sets": ["scale"]}}
    study = load(preset)
    chosen = study.experiments["accuracy"]
    chosen.draw(study, computed(study), Canvas(tmp_path / "a", tmp_path / "a"))
    assert set(pd.read_csv(tmp_path / "a" / "accuracy.csv")["samples"]) == {1000}


def test_accuracy_finds_the_identity_wherever_it_is(preset, load, computed, tmp_path):
    reference = f"{Path(__file__).parent / 'user_sets.py'}:identity_last"
    preset["transformation_sets"] = {"mine": {"set": reference, "size": 2, "affine": True, "identity": 1}}
    preset["experiments"] = {"accuracy": {"models": ["SimpleConv"]}}
    study = load(preset)
    chosen = study.experiments["accuracy"]
    chosen.draw(study, computed(study), Canvas(tmp_path / "a", tmp_path / "a"))
    table = pd.read_csv(tmp_path / "a" / "accuracy.csv")
    assert table["plain"].tolist() == [0.9, 0.9]
    assert table["transformed"].tolist() == pytest.approx([0.7, 0.85])
    assert "none of the author's transformation sets" in (tmp_path / "a" / "accuracy.md").read_text()


def test_accuracy_needs_the_identity(preset, load):
    preset["transformation_sets"]["mine"] = {
        "set": f"{Path(__file__).parent / 'user_sets.py'}:turned",
        "size": 1,
        "affine": True,
    }
    preset["experiments"] = {"accuracy": {}}
    with pytest.raises(InputError, match=r"experiments\.accuracy.*no identity member"):
        load(preset)
    preset["transformation_sets"]["mine"] = {"set": f"{Path(__file__).parent / 'user_sets.py'}:functions", "size": 1}
    with pytest.raises(InputError, match=r"experiments\.accuracy.*'mine'.*cannot be known"):
        load(preset)
    preset["experiments"] = {"accuracy": {"transformation_sets": ["rotation"]}}
    assert load(preset).cells["accuracy"]


def test_intensity_rises_from_plain_to_the_full_set(study):
    cells = [cell for cell in study.cells["augmentation_intensity"] if cell.transformations.name == "rotation"]
    assert [cell.network.augmentation and cell.network.augmentation.parameters["angle_deg"] for cell in cells] == [
        None,
        120,
        240,
        360,
    ]
    assert {cell.transformations for cell in cells} == {study.set("rotation")}
    shared = {cell.network for cell in study.cells["accuracy"] if isinstance(cell, MeasureSpec)}
    assert cells[-1].network in shared
    assert {cell.network.recipe.epochs for cell in cells} == {cells[-1].network.recipe.epochs} == {10}  # 3 x 1.1 ln 25


def test_intensity_shows_the_authors_measures(preset, load):
    preset["measures"] += ["ANOVA", "Goodfellow"]
    preset["experiments"] = {"augmentation_intensity": {}}
    study = load(preset)
    shown = study.experiments["augmentation_intensity"].requests(study)
    assert shown == ["NV[aggregate=mean]", "Goodfellow", "ANOVA", "SV", "TV"]


def test_intensity_tables_tell_the_trend(drawn):
    folder = drawn("augmentation_intensity")
    means = pd.read_csv(folder / "augmentation_intensity.csv").query(
        "transformations == 'scale' and measure == 'NV of maps'"
    )
    assert means["mean"].is_monotonic_decreasing
    assert means["mean"].diff().dropna().tolist() == pytest.approx([-0.1] * 3)
    assert set(means["infinite"]) == {3}
    trend = pd.read_csv(folder / "augmentation_intensity_trend.csv")
    assert set(trend["rho"]) == {-1}
    assert trend["falls_throughout"].all()
    assert set(trend["layers_falling"]) == set(trend["layers_lower"]) == {17}
    caption = (folder / "augmentation_intensity_trend.md").read_text(encoding="utf-8")
    assert "Of the mean over layers: Spearman's rho with the place of the line" in caption


def test_a_trend_that_does_not_fall_is_not_said_to(study):
    from cnn_invariance.experiments.augmentation_intensity import AugmentationIntensity
    from cnn_invariance.plotting import Series, looks

    def line(*values: float) -> Series:
        table = pd.DataFrame({"layer_index": [1, 2], "value": values})
        return Series("a", [table], looks(1)[0])

    (rows,) = AugmentationIntensity.further
    (trend,) = rows("NV", {"rotation": [line(0.5, 0.5), line(0.6, 0.3), line(0.4, 0.7)]})
    assert (trend["transformations"], trend["measure"]) == ("rotation", "NV")
    assert (trend["last_without"], trend["last_full"], trend["last_rho"]) == (0.5, 0.7, 0.5)
    assert trend["rho"] == 0.5  # the means .5, .45, .55 have the ranks 2, 1, 3
    assert not trend["falls_throughout"]
    assert (trend["layers_falling"], trend["layers_lower"]) == (0, 1)


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("rotation", {"n": 25, "angle_deg": 360}, {"n": 25, "angle_deg": 120.0}),
        ("translation", {"n": 3, "distance": 0.15}, {"n": 3, "distance": 0.05}),
        ("scale", {"n": 4, "low": 0.5, "high": 1.25}, {"n": 4, "low": 0.8333333333, "high": 1.0833333333}),
    ],
)
def test_a_third_of_a_range(name, parameters, expected):
    spec = SetSpec(name=name, parameters=parameters)
    third = scaled(spec, 1 / 3)
    assert third.parameters == expected
    assert third.size == spec.size
    assert scaled(spec, 1) is spec
    assert scaled(spec, 0) is None


def test_bad_shares_and_sets_without_range_are_refused():
    rotation = SetSpec(name="rotation", parameters={"n": 3, "angle_deg": 90})
    with pytest.raises(InputError, match=r"from 0 to 1; received 1\.5"):
        scaled(rotation, 1.5)
    with pytest.raises(InputError, match="'identity' has no range"):
        scaled(SetSpec(name="identity"), 0.5)


def test_compare_models_measures_each_network_under_its_own_augmentation(study, drawn):
    cells = study.cells["compare_models"]
    assert len(cells) == 2 * 3 * 3  # models x sets x seeds
    assert all(cell.network.augmentation == cell.transformations for cell in cells)
    table = pd.read_csv(drawn("compare_models") / "compare_models.csv")
    row = table.query("network == 'SimpleConv' and transformations == 'rotation'").iloc[0]
    depth, noise = np.linspace(0, 1, 17), [np.random.default_rng(s).normal(0, 0.02, 17) for s in range(3)]
    expected = 0.9 - 0.2 * depth - 0.2 * (1 + depth) + np.mean(noise, axis=0)
    assert row["mean"] == pytest.approx(expected.mean())
    assert row["best"] == pytest.approx(expected.min())
    assert (row["best_layer"], row["best_depth"]) == ("logsoftmax17", 100)
    assert (row["seeds"], row["values"], row["infinite"], row["dead"]) == (3, 5100, 9, 180)


def test_captions_count_what_is_left_out_and_what_is_dead(drawn):
    caption = (drawn("augmentation_intensity") / "augmentation_intensity.md").read_text(encoding="utf-8")
    # 3 measures, 12 lines of 17 layers of 100 units; in each line 3 units of one layer infinite, 60 of another dead
    assert "Left out of the layers' means: 108 infinite (0.176 %) of 61,200 values; " in caption
    assert "2,160 are dead (0/0, counted as 1; 3.53 %)." in caption
    table = pd.read_csv(drawn("augmentation_intensity") / "augmentation_intensity.csv")
    assert set(table["share_left_out"].round(6)) == {0.001765}  # 3 of 1,700
    assert set(table["share_dead"].round(6)) == {0.035294}


def test_heatmap_compares_plain_with_augmented(study, drawn):
    cells = study.cells["heatmap"]
    assert [cell.network.augmentation for cell in cells[:2]] == [None, study.set("rotation")]
    assert cells[0].transformations == cells[1].transformations == study.set("rotation")
    sorted_, in_order = ((drawn("heatmap") / f"heatmap_mnist5k_scale{end}.md").read_text() for end in ("", "_in_order"))
    assert "None of the 576 maps" in sorted_  # of two designs
    assert "cells are sorted" in sorted_
    assert "cells are in the order of the maps" in in_order
    assert {cell.network.model.name for cell in cells} == {"SimpleConv", "AllConvolutional"}
    assert len(study.outputs["heatmap"].figures) == 3 * 2  # sets x orders


def test_heatmap_of_a_measure_without_maps_is_refused_before_any_job(preset, load):
    preset["experiments"] = {"heatmap": {"measures": ["TV"]}}
    with pytest.raises(InputError, match="no values of feature maps for TV; expected one of: NV"):
        load(preset)


@pytest.mark.parametrize(
    ("experiment", "options", "message"),
    [
        ("accuracy", {"models": ["SimpleCon"]}, "'SimpleCon'; did you mean 'SimpleConv'"),
        ("accuracy", {"transformation_sets": []}, "at least one; received none"),
        ("accuracy", {"datasets": ["mnist5k", "mnist5k"]}, "each dataset once"),
        ("accuracy", {"datasets": ["mnist"]}, "did you mean 'mnist5k'"),
        ("accuracy", {"seeds": 6}, "6 seeds asked for; the preset has 5"),
        ("accuracy", {"seeds": 0}, "seeds"),
        ("accuracy", {"model": "SimpleConv"}, "did you mean 'models'"),
        ("compare_models", {"measures": ["NVSE"]}, "'NVSE'; did you mean 'NV'"),
        ("compare_models", {"measures": ["XV"]}, "unknown measure 'XV'"),
        ("compare_models", {"measures": []}, "no measure to show"),
        ("augmentation_intensity", {"model": "ResNet18"}, "unknown model in this preset: 'ResNet18'"),
        ("augmentation_intensity", {"transformation_sets": ["turns"]}, "unknown transformation set"),
        ("augmentation_intensity", {"steps": 0}, "steps"),
        ("heatmap", {"models": ["simpleconv"]}, "did you mean 'SimpleConv'"),
        ("heatmap", {"measures": ["SVV"]}, "did you mean 'SV'"),
    ],
)
def test_bad_options_are_refused_before_any_job(experiment, options, message, preset, load):
    preset["experiments"] = {experiment: options}
    with pytest.raises(InputError) as refused:
        load(preset)
    assert f"experiments.{experiment}" in str(refused.value)
    assert message in str(refused.value)


def test_a_missing_result_is_named(study, tmp_path):
    chosen = study.experiments["compare_models"]
    with pytest.raises(InputError, match=study.cells["compare_models"][0].key):
        chosen.draw(study, Results(tmp_path), Canvas(tmp_path, tmp_path))


def test_statistics_of_degenerate_values():

    assert wilson(1.0, 20) == (pytest.approx(20 / (20 + 1.959963984540054**2)), 1.0)
    assert wilson(0.0, 20)[0] == 0.0
    assert math.isnan(rank_correlation([0, 1], [1, 1]))


def test_networks_of_accuracy_have_batch_normalisation_where_they_can(preset, load):
    preset["experiments"] = {"accuracy": {}}
    networks = {cell.network.model for cell in load(preset).cells["accuracy"] if isinstance(cell, MeasureSpec)}
    normalised = {model.name: model.arguments.get("batch_norm") for model in networks}
    assert normalised == {"SimpleConv": True, "AllConvolutional": None}


def test_the_combined_set_is_left_out_unless_it_is_asked_for(preset, load):
    preset["transformation_sets"]["all"] = {"set": "combined", "parameters": {"rotation_n": 2}}
    names = ("compare_models", "augmentation_intensity", "heatmap")
    preset["experiments"] = {name: {} for name in names}
    for cells in load(preset).cells.values():
        assert {cell.transformations.name for cell in cells} == {"rotation", "scale", "translation"}
    preset["experiments"] = {name: {"transformation_sets": ["all"]} for name in names}
    for cells in load(preset).cells.values():
        assert {cell.transformations.name for cell in cells} == {"combined"}
    preset["transformation_sets"] = {"all": preset["transformation_sets"]["all"]}
    preset["experiments"] = {"heatmap": {}}
    with pytest.raises(InputError, match="at least one; received none"):
        load(preset)

"""The experiments on samples, on transformation sets, and on what training makes of a network."""

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import yaml

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.charts import LAST
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.plotting.grids import AROUND_ONE, DIVERGING
from cnn_invariance.results import Results
from cnn_invariance.statistics.profiles import difference, rate
from cnn_invariance.study import MeasureSpec, Study
from cnn_invariance.study.intensity import scaled
from helpers_experiments import (
    KINDS,
    PRESET,
    Profiles,
    Values,
    announced,
    draw,
    findings,
    kinds,
    layer_values,
    write_results,
)

ONE_DATASET = (
    *("dataset_size", "dataset_subset", "transformation_samples", "transformation_range"),
    *("transformation_diversity", "random_initialization", "random_weights", "during_training", "stratified"),
)
NAMES = (*ONE_DATASET, "dataset_transfer")
SIMPLE = ("rotation", "scale", "translation")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    content = yaml.safe_load(yaml.safe_dump(PRESET))
    content["datasets"]["cifar10"] = {"fingerprint": "1" * 64, "accuracy_floor": 0.5}
    content["models"]["SimpleConv"]["epochs"] = 20
    content["training"] = {"augmentation_epochs": "same"}
    content["transformation_sets"]["combined"] = {"parameters": {"rotation_n": 2}, "count": 100}
    content["seeds"] = list(range(8))
    content["experiments"] = {name: {"datasets": ["mnist5k"], "seeds": 5} for name in ONE_DATASET}
    content["experiments"] |= {"random_initialization": {"datasets": ["mnist5k"]}, "dataset_transfer": {"seeds": 5}}
    path = tmp_path_factory.mktemp("preset") / "preset.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return Programme.load(path)


@pytest.fixture(scope="module")
def results(study, tmp_path_factory) -> Results:
    return write_results(study, tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def drawn(study, results, tmp_path_factory) -> Callable[[str], Path]:
    """Draw an experiment, once for all tests; returns the folder of all its files."""
    return cache(lambda name: draw(study, name, results, tmp_path_factory.mktemp(name)))


def cells(study: Study, name: str, label: str = "") -> list[MeasureSpec]:
    return [cell for cell in study.cells[name] if label in ("", cell.transformations.name)]


def table(folder: Path, name: str, **where: Any) -> pd.DataFrame:
    frame = pd.read_csv(folder / f"{name}.csv")
    for column, value in where.items():
        frame = frame[frame[column] == value]
    return frame


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_is_what_was_announced(name, study, drawn):
    folder = drawn(name)
    assert {path.name for path in folder.iterdir()} == announced(study, name)
    for figure in study.outputs[name].figures:
        caption = (folder / f"{figure}.md").read_text(encoding="utf-8")
        assert study.experiments[name].question in caption
        assert f"'{name}'" in caption


@pytest.mark.parametrize("name", NAMES)
def test_the_combined_set_is_there_where_the_author_has_it(name, study):
    sets = {cell.network.augmentation.name for cell in cells(study, name) if cell.network.augmentation}
    with_combined = name.startswith("dataset") or name == "during_training"
    assert sets == {*SIMPLE, "combined"} if with_combined else set(SIMPLE)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"stratified", "transformation_samples", "transformation_range"}))
def test_the_usual_cell_is_shared(name, study):
    for label in SIMPLE:
        network = study.network(dataset="mnist5k", model="SimpleConv", augmentation=label)
        assert study.measurement(network, label) in cells(study, name)


def test_sizes_are_shares_of_twice_the_usual_samples(study):
    assert len(cells(study, "dataset_size")) == 4 * 5 * 5  # sets x seeds x shares
    counts = [cell.samples.count for cell in cells(study, "dataset_size", "scale") if cell.network.seed == 0]
    assert counts == [4, 20, 40, 200, 400]
    assert {cell.samples.count for cell in cells(study, "dataset_size", "combined")} == {2, 10, 20, 100, 200}


def test_the_caption_of_sizes_compares_the_usual_size_with_the_author_s(drawn):
    caption = (drawn("dataset_size") / "dataset_size.md").read_text()
    ours = "measured on 4 to 400 samples of the test split (combined: 2 to 200 samples of the test split)"
    assert ours in caption
    assert f"{ours} (author: 100 to 10,000 of the test set)" in caption


def test_subsets_are_of_equal_size(study):
    found = cells(study, "dataset_subset", "scale")
    assert {(cell.samples.split, cell.samples.count) for cell in found} == {("train", 200), ("test", 200)}
    assert len(found) == 2 * 5


def test_transfer_measures_each_network_on_every_dataset(study, drawn):
    pairs = {(cell.network.dataset.name, cell.dataset.name) for cell in cells(study, "dataset_transfer")}
    assert pairs == {(a, b) for a in study.datasets for b in study.datasets}
    assert len(cells(study, "dataset_transfer")) == 4 * 4 * 5  # pairs x sets x seeds
    rows = table(drawn("dataset_transfer"), "dataset_transfer", dataset="cifar10", measure="ND of maps")
    assert set(rows["measured_on"]) == {"cifar10 (own)", "mnist5k (other)"}


def test_samplings_have_the_range_of_the_set_and_its_network(study):
    found = cells(study, "transformation_samples", "scale")
    assert len(found) == 3 * 5
    assert [cell.transformations.parameters["n"] for cell in found[::5]] == [1, 3, 5]
    own = study.set("scale")
    assert {cell.network.augmentation for cell in found} == {found[0].transformations}  # the coarsest
    assert all({**cell.transformations.parameters, "n": 2} == own.parameters for cell in found)


def test_after_publication_networks_are_trained_with_the_usual_set(study):
    _, after = study.experiments["transformation_samples"].plans(study)
    (lines,) = after.lines["mnist5k"].values()
    assert [line.cells[0].transformations.parameters["n"] for line in lines] == [5, 15, 25, 35, 45, 55]
    assert {cell.network.augmentation for cell in after.cells()} == {study.set("rotation")}
    assert study.measurement(lines[0].cells[0].network, "rotation") in after.cells()  # n = 25 is the preset's own


def test_the_caption_of_samplings_has_no_departure_in_n(drawn):
    caption = (drawn("transformation_samples") / "transformation_samples.md").read_text()
    assert "rotation: n 8" not in caption
    assert "before publication: each network is trained with the coarsest set" in caption
    titles = table(drawn("transformation_samples"), "transformation_samples")["transformations"].unique()
    assert list(titles) == ["rotation, n = 8, 16, 32", "scale, n = 1, 3, 5", "translation, n = 1, 2, 3"]


def test_ranges_are_measured_below_and_beyond_the_trained_one(study, drawn):
    author, ours = study.experiments["transformation_range"].plans(study)

    def measured(plan, name: str) -> list[dict[str, Any]]:
        panels = plan.lines["mnist5k"].values()
        sets = [[line.cells[0].transformations for line in lines] for lines in panels]
        (found,) = ([one.parameters for one in each] for each in sets if each[0].name == name)
        return found

    assert [one["angle_deg"] for one in measured(author, "rotation")] == [90, 180, 270, 360]
    assert [one["low"] for one in measured(author, "scale")] == [0.875, 0.75, 0.625, 0.5]
    assert [one["high"] for one in measured(author, "scale")] == [1.0625, 1.125, 1.1875, 1.25]
    assert [one["distance"] for one in measured(author, "translation")] == [0.05, 0.1, 0.15, 0.2]
    assert {cell.network.augmentation for cell in author.cells()} == set(map(study.set, SIMPLE))
    halves = {scaled(study.set(one), 0.5) for one in SIMPLE}
    assert {cell.network.augmentation for cell in ours.cells()} == halves | set(map(study.set, SIMPLE))  # the control
    assert [one["distance"] for one in measured(ours, "translation")] == [0.0375, 0.075, 0.1125, 0.15, 0.075, 0.15]
    folder = drawn("transformation_range")
    caption = (folder / "transformation_range.md").read_text()
    assert (
        "As the author's code does: each network is trained with the transformation set of the panel over its full"
        in (caption)
    )
    assert "angle_deg" not in caption
    assert "Our question: each network" in (folder / "transformation_range_half.md").read_text()


def test_the_matrix_of_diversity_has_rows_of_networks_and_columns_of_measured_sets(study, drawn):
    found = cells(study, "transformation_diversity")
    pairs = [(cell.network.augmentation.name, cell.transformations.name) for cell in found]
    assert sorted(pairs) == sorted((a, b) for a in SIMPLE for b in SIMPLE for _ in range(5))
    frame = table(drawn("transformation_diversity"), "transformation_diversity_matrix", measure="NV of maps")
    assert list(frame["network"]) == [f"trained with {label}" for label in SIMPLE]
    noise = np.mean([np.random.default_rng(seed).normal(0, 0.02, 17) for seed in range(5)])
    matrix = frame[[f"under {label}" for label in SIMPLE]].to_numpy()
    assert matrix == pytest.approx(0.8 + noise - 0.3 * np.eye(3))  # 0.4 (1 + depth) / 2 is 0.3 in the mean


def test_differences_between_seeds_are_tabulated(study, drawn):
    assert len(cells(study, "random_initialization")) == 3 * 8
    frame = table(drawn("random_initialization"), "random_initialization_differences", measure="NV of maps")
    assert set(frame["pairs"]) == {28}
    profiles = [layer_values(cell, "NV") for cell in cells(study, "random_initialization", "scale")]
    apart = [np.abs(p - q).mean() / ((p + q).mean() / 2) for i, p in enumerate(profiles) for q in profiles[i + 1 :]]
    row = frame[frame["transformations"] == "scale"].iloc[0]
    assert (row["mean"], row["largest"]) == (pytest.approx(np.mean(apart)), pytest.approx(max(apart)))


def test_untrained_networks_have_seeds_of_their_own(study):
    untrained = {cell.network for cell in cells(study, "random_weights") if cell.network.recipe.epochs == 0}
    assert sorted(network.seed for network in untrained) == list(range(10))
    assert {network.augmentation for network in untrained} == {None}
    assert len(cells(study, "random_weights")) == 3 * (10 + 5)


def test_untrained_networks_are_no_departure_from_the_author_s_code(drawn):
    caption = (drawn("random_weights") / "random_weights.md").read_text()
    assert "; 0–20 epochs)" in caption  # a size
    assert "20 epochs of 3,500 images, 70,000 images (author: 17 epochs of 60,000, 1,020,000)" in caption


def test_checkpoints_are_at_shares_of_the_epochs(study):
    epochs = [cell.epoch for cell in cells(study, "during_training", "rotation") if cell.network.seed == 0]
    assert epochs == [0, 1, 2, 6, 10, 20]  # 1 % and 3 % are no epoch, 5 % is the first
    networks = {cell.network for cell in cells(study, "during_training")}
    assert networks == {
        study.network(dataset="mnist5k", model="SimpleConv", augmentation=label, seed=seed)
        for label in study.sets
        for seed in range(5)
    }


def test_a_share_is_left_out_only_if_no_set_has_an_epoch_for_it(preset, load):
    preset["training"] = {"augmentation_epochs": "author"}
    preset["models"]["SimpleConv"]["epochs"] = 8
    preset["experiments"] = {"during_training": {"transformation_sets": ["rotation", "translation"]}}
    study = load(preset)
    found = {label: [cell.epoch for cell in cells(study, "during_training", label)] for label in study.sets}
    assert found["rotation"] == [0, 1, 2, 8, 14, 28]
    assert found["translation"] == [0, 1, 5, 9, 19]


def test_early_shares_of_a_short_training_cannot_be_told(preset, load):
    preset["training"] = {"augmentation_epochs": "same"}
    preset["experiments"] = {"during_training": {}}
    study = load(preset)
    later, early = findings(study, "during_training", Profiles(layer_values))
    assert (later.reason, early.reason) == ("30 % of 3 epochs is no epoch", "10 % of 3 epochs is no epoch")
    assert early.verdict == later.verdict == "undecided"


def test_checkpoints_are_columns_with_their_accuracy_and_layers_rows(study, results):
    figure, found = charted(study, results, "during_training")
    for axes, label in zip(figure.axes, study.sets, strict=False):
        size = study.set(label).size
        accuracy = f"{(0.9 + (size - 1) * 0.8) / size:.2f}"[1:]
        texts = [text.get_text() for text in axes.get_xticklabels()]
        epochs = [int(text.split("\n")[0]) for text in texts]
        assert {text.split("\n")[1] for text in texts} == {accuracy}
        assert epochs == sorted(set(epochs))
        assert axes.get_title(loc="left") == f"mnist5k, {label}"
    first, series = figure.axes[0], found["mnist5k"]["rotation"]
    assert [text.get_text() for text in first.get_yticklabels()] == list(series[0].profiles[0]["layer"])
    colours = first.images[0].get_array()
    assert colours.shape[:2] == (len(series[0].middle()), len(first.get_xticks()))
    expected = mpl.colormaps[DIVERGING](AROUND_ONE(series[-1].middle()))
    np.testing.assert_allclose(colours[:, -1], expected)


def test_profiles_of_few_samples_converge_to_that_of_all(study, load, preset):
    preset["experiments"] = {"dataset_size": {"seeds": 2}}
    study = load(preset)

    def values(cell, measure):
        return np.full(len(kinds(cell.network.model)), 1 + 4 / cell.samples.count)

    figure, _ = charted(study, Profiles(values), "dataset_size")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["NV of maps", "NVSE of maps", "ND of maps"]
    mean = next(line for line in figure.axes[0].lines if line.get_marker() == "o")
    counts = mean.get_xdata()
    assert counts.tolist() == [4, 20, 40, 200]  # of 400; all of them are what the others are compared with
    expected = [100 * difference([1 + 4 / count], [1.01]) for count in counts]
    np.testing.assert_allclose(mean.get_ydata(), expected)


def test_the_rate_of_convergence_is_in_a_table_with_its_interval_over_seeds(load, preset, tmp_path):
    preset["experiments"] = {"dataset_size": {"seeds": 3, "transformation_sets": ["scale"]}}
    study = load(preset)
    rates = [0.5, 0.6, 0.7]

    def values(cell, measure):
        """Profiles whose relative difference from that of all 400 samples is .1 (1/N - 1/400)^r."""
        d = 0.1 * (1 / cell.samples.count - 1 / 400) ** rates[cell.network.seed - study.seeds[0]]
        return np.full(len(kinds(cell.network.model)), (1 + d / 2) / (1 - d / 2))

    folder = draw(study, "dataset_size", Profiles(values), tmp_path)
    row = table(folder, "dataset_size_rate", measure="NV of maps").iloc[0]
    assert (row["transformations"], row["seeds"], row["samples"]) == ("scale", 3, "4 to 400")
    half = 4.302652729911275 * 0.1 / np.sqrt(3)  # Student's t with 2 degrees of freedom
    assert [row["rate"], row["low"], row["high"]] == pytest.approx([0.6, 0.6 - half, 0.6 + half])


def test_the_rate_of_a_mean_over_samples_is_one_half():
    draws = np.random.default_rng(3).normal(size=(400, 1000))
    counts = [10, 50, 100, 500, 1000]
    means = np.abs([draws[:, :count].mean(axis=1) - draws.mean(axis=1) for count in counts[:-1]]).mean(axis=1)
    assert rate(counts, means) == pytest.approx(0.5, abs=0.03)
    assert rate(counts, [0.4, 0.0, np.nan, 0.1]) == pytest.approx(np.log(4) / np.log(0.099 / 0.001))
    assert np.isnan(rate(counts, [0.4, 0, 0, 0]))


def test_ranges_have_a_line_for_each_network_and_the_trained_one_is_marked(study, results):
    plans = study.experiments["transformation_range"].plans(study)
    half = next(plan for plan in plans if plan.part == "half")
    found = half.series(study, results, half.measures[0])
    axes = half.chart(half, study, results, {half.measures[0]: found}).axes[0]
    inside, outside = (line for line in axes.lines if line.get_marker() in ("o", "s"))
    assert (inside.get_xdata().tolist(), outside.get_xdata().tolist()) == ([0.25, 0.5, 0.75, 1.0], [0.5, 1.0])
    lines = found["mnist5k"]["rotation"]
    np.testing.assert_allclose(inside.get_ydata(), [one.middle()[-LAST:].mean() for one in lines[:4]])
    assert [
        line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "--" and len(set(line.get_xdata())) == 1
    ] == [0.5]


def test_networks_are_crossed_with_what_they_are_measured_under(study, results):
    figure, found = charted(study, results, "transformation_diversity")
    axes = figure.axes[0]
    means = [[lines[row].mean() for lines in found["mnist5k"].values()] for row in range(3)]
    assert [text.get_text() for text in axes.texts] == [f"{value:.2f}" for row in means for value in row]
    names = [label for label in study.sets if label != "combined"]
    assert [text.get_text() for text in axes.get_xticklabels()] == names
    assert [text.get_text() for text in axes.get_yticklabels()] == names


def charted(study, results, experiment):
    """The figure of the first plan of an experiment, and its lines of the first measure."""
    plan = study.experiments[experiment].plans(study)[0]
    found = {measure: plan.series(study, results, measure) for measure in plan.measures}
    return plan.chart(plan, study, results, found), found[plan.measures[0]]


def test_classes_are_measured_on_all_training_samples_and_pooled_on_fewer(study, drawn):
    found = cells(study, "stratified")
    assert len(found) == 2 * 3 * 5
    by_count = {cell.samples.count: cell for cell in found}
    assert {cell.samples.split for cell in found} == {"train"}
    assert set(by_count[200].measures) == {"NV[aggregate=mean]", "NVSE[aggregate=mean]"}
    expected = {f"{name}[aggregate=mean,stratified=true]" for name in ("NV", "NVSE")}
    assert set(by_count[None].measures) == expected
    frame = table(drawn("stratified"), "stratified")
    assert list(frame["panel"].unique()) == [f"{m} of maps, {label}" for m in ("NV", "NVSE") for label in SIMPLE]
    assert set(frame["measure"]) == {f"{m} of maps{way}" for m in ("NV", "NVSE") for way in ("", " (stratified=true)")}


def where(chosen: Callable[[MeasureSpec], bool]) -> Values:
    """Profiles that fall with depth, of some cells a fifth higher, each with a little noise."""

    def values(cell: MeasureSpec, measure: str) -> np.ndarray:
        profile = np.linspace(0.9, 0.5, len(KINDS[cell.network.model.name]))
        noise = np.random.default_rng(crc32((cell.key + measure).encode())).normal(0, 1e-4, profile.size)
        return (profile + noise) * (1.2 if chosen(cell) else 1)

    return values


def untrained(cell: MeasureSpec) -> bool:
    return cell.network.recipe.epochs == 0


def widest(cell: MeasureSpec) -> bool:
    """Whether the cell is measured at the full range, by a network trained at half of it."""
    own = PRESET["transformation_sets"][cell.transformations.name]["parameters"]
    return cell.transformations != cell.network.augmentation and cell.transformations.parameters == own


A_FIFTH = 0.2 / 1.1  # the relative difference of profiles of which one is a fifth higher


@pytest.mark.parametrize(
    ("experiment", "claim", "chosen", "estimate", "networks"),
    [
        ("dataset_size", "stable_from_tenth", lambda cell: cell.samples.count in (40, 20), A_FIFTH, 4 * 5),
        ("dataset_subset", "same_profile", lambda cell: cell.samples.split == "train", A_FIFTH, 4 * 5),
        ("dataset_transfer", "profile_changes", lambda cell: cell.dataset != cell.network.dataset, A_FIFTH, 4 * 5),
        (  # of rotations alone, before and after publication
            "transformation_samples",
            "stable",
            lambda cell: cell.transformations.parameters["n"] in (8, 5),
            A_FIFTH,
            2 * 5,
        ),
        ("transformation_range", "rises_beyond", widest, np.log(1.2), 3 * 5),
        (
            "transformation_diversity",
            "specific",
            lambda cell: cell.transformations == cell.network.augmentation,
            1.2,
            3 * 5,
        ),
        # 4 odd seeds, 4 even: 16 of 28 pairs differ
        (
            "random_initialization",
            "nearly_coincide",
            lambda cell: cell.network.seed % 2 == 1,
            A_FIFTH * 16 / 28,
            3 * 8,
        ),
        ("random_weights", "stable", lambda cell: untrained(cell) and cell.network.seed % 2, A_FIFTH * 25 / 45, 3 * 10),
        ("random_weights", "as_trained", untrained, A_FIFTH, 3 * 5),
        ("random_weights", "own_structure", untrained, A_FIFTH, 3 * 5),
        ("during_training", "then_stable", lambda cell: cell.epoch == 6, A_FIFTH, 4 * 5),
        ("during_training", "early", lambda cell: cell.epoch == 0, 0.0, 4 * 5),
    ],
)
def test_the_statistic_of_a_known_effect(experiment, claim, chosen, estimate, networks, study):
    for one in findings(study, experiment, Profiles(where(chosen))):
        if one.claim.name == claim:
            assert one.evidence.pooled.estimate == pytest.approx(estimate, rel=0.05, abs=2e-3)
            assert one.evidence.pooled.n == networks


@pytest.mark.parametrize(
    ("experiment", "options", "message"),
    [
        *((name, {"model": "SimpleCon"}, "did you mean 'SimpleConv'") for name in ONE_DATASET),
        *((name, {"transformation_sets": ["turns"]}, "unknown transformation set") for name in ONE_DATASET),
        *((name, {"measures": ["NVV"]}, "unknown measure 'NVV'") for name in ONE_DATASET),
        *((name, {"datasets": ["mnist"]}, "did you mean 'mnist5k'") for name in NAMES),
        *((name, {"seeds": 9}, "9 seeds asked for; the preset has 5") for name in ONE_DATASET),
        ("dataset_size", {"shares": [0.1, 1.5]}, "shares"),
        ("dataset_size", {"shares": [0.0, 0.1, 1.0]}, "shares"),
        ("dataset_size", {"shares": [1.0, 0.1]}, "'shares' must be two numbers or more that rise"),
        ("dataset_size", {"shares": [0.5, 1.0]}, "'shares' must hold 0.1"),
        ("dataset_size", {"shares": [0.001, 0.1, 1.0]}, "0.1 % of 400 samples under 'rotation' is 0"),
        ("dataset_transfer", {}, "two are needed; received mnist5k"),
        (
            "transformation_samples",
            {"before": {"rotation": [2, 3]}},
            "no numbers n for the set 'scale'; it has rotation",
        ),
        (
            "transformation_samples",
            {"before": {name: [2] for name in SIMPLE}},
            "'n' must be two numbers or more that rise; received 2",
        ),
        (
            "transformation_samples",
            {"before": {name: [3, 2] for name in SIMPLE}},
            "'n' must be two numbers or more that rise; received 3, 2",
        ),
        ("transformation_range", {"shares": [1.0]}, "'shares' must be two numbers or more that rise; received 1"),
        ("transformation_range", {"shares": [1.0, 0.5]}, "'shares' must be two numbers or more that rise"),
        ("transformation_range", {"shares": [0.25, 0.75]}, "'shares' must hold 0.5"),
        ("transformation_diversity", {"transformation_sets": ["scale"]}, "two are needed; received scale"),
        ("random_initialization", {}, "8 seeds asked for; the preset has 5"),
        ("random_initialization", {"seeds": 1}, "seeds"),
        ("random_weights", {"networks": 1}, "networks"),
        ("during_training", {"shares": [0.0, 0.5, 1.0]}, "'shares' must hold 0.1 and 0.3"),
        ("during_training", {"shares": [-0.1, 1.0]}, "shares"),
        ("stratified", {"per_class": 0}, "per_class"),
    ],
)
def test_bad_options_are_refused_before_any_job(experiment, options, message, preset, load):
    preset["experiments"] = {experiment: options}
    with pytest.raises(InputError) as refused:
        load(preset)
    assert f"experiments.{experiment}" in str(refused.value)
    assert message in str(refused.value)


def test_a_share_of_a_whole_split_is_refused(preset, load):
    preset["samples"] = {"split": "test"}
    preset["experiments"] = {"dataset_size": {}}
    with pytest.raises(InputError, match="give the preset's 'samples' a 'count'"):
        load(preset)


def test_a_network_without_epochs_has_no_checkpoints(preset, load):
    preset["models"]["SimpleConv"]["epochs"] = 0
    preset["experiments"] = {"during_training": {}}
    with pytest.raises(InputError, match="SimpleConv is not trained on mnist5k: it has 0 epochs"):
        load(preset)


def test_profiles_of_zeros_have_no_quotient_and_leave_claims_undecided(study):
    nothing = Profiles(lambda cell, _: np.zeros(len(KINDS[cell.network.model.name])))
    first = {"transformation_range": "half, rotation", "transformation_diversity": "under rotation"}
    for experiment, name in first.items():
        (found,) = findings(study, experiment, nothing)
        assert found.verdict == "undecided"
        assert found.why == f"{name}: no seed has a value (5 without); two are needed"
    assert findings(study, "during_training", nothing)[1].verdict == "undecided"


def test_planning_loads_neither_torch_nor_plotting(study):
    code = (
        "import sys; from cnn_invariance.experiments.framework.programme import Programme\n"
        f"study = Programme.load({str(study.path)!r})\n"
        "assert all(study.cells.values()) and study.outputs\n"
        "heavy = {'torch', 'matplotlib', 'pandas', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

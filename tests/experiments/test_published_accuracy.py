"""Published against replicated accuracies: which networks are compared, by what, and every verdict."""

import math

import numpy as np
import pandas as pd
import pytest

from cnn_invariance.errors import InputError
from cnn_invariance.experiments import published_accuracy
from cnn_invariance.experiments.published_accuracy import MARGINS, in_margins
from cnn_invariance.paper import published
from cnn_invariance.paper.published import Key, candidates
from cnn_invariance.plotting import Canvas
from cnn_invariance.statistics.equivalence import Difference

FULL = {
    "rotation": {"parameters": {"n": 25, "angle_deg": 360}},
    "scale": {"parameters": {"n": 4, "low": 0.5, "high": 1.25}},
}


class Records:
    """Results whose test accuracies are given by seed, and by nothing else."""

    def __init__(self, *accuracies):
        self.accuracies = accuracies

    def training(self, network):
        accuracy = self.accuracies[network.seed % len(self.accuracies)]
        return {"accuracies": {"test": {"augmented": accuracy}}, "samples": {"test": 10_000}}


@pytest.fixture
def shared(preset, load):
    """A study whose experiments train base networks, networks with batch normalisation, and variants."""
    preset["transformation_sets"] = FULL
    preset["experiments"] = {
        "published_accuracy": {"models": ["SimpleConv"], "seeds": 1},
        "random_initialization": {"seeds": 3},
        "kernel_size": {"seeds": 1},
    }
    return load(preset)


def table(study, results, folder):
    study.experiments["published_accuracy"].draw(study, results, Canvas(folder, folder))
    frame = pd.read_csv(folder / "published_accuracy.csv")
    return frame.set_index(["variant", "augmentation"])


def finding(study, results):
    (found,) = study.experiments["published_accuracy"].findings(study, results)
    return found


def nine(dataset, label):
    return [row.accuracy for row in published.of(Key(dataset, "SimpleConv", "base", label))]


def test_the_log_of_the_author_is_whole():
    rows = published.rows()
    assert len(rows) == 170
    assert sum(len(candidates(row.key.variant)) == 1 for row in rows) == 155
    assert all(row.accuracy == pytest.approx(row.logged / 0.9984) for row in rows)
    (all_convolutional,) = published.of(Key("cifar10", "AllConvolutional", "base", "rotation"))
    assert (all_convolutional.epochs, all_convolutional.logged) == (141, 0.787)
    several = {key for key, group in published.settings().items() if len(group) > 1}
    assert several == {
        Key(dataset, "SimpleConv", "base", label)
        for dataset in MARGINS
        for label in ("rotation", "scale", "translation")
    }
    assert len(nine("mnist", "rotation")) == 9


def test_a_margin_is_wider_than_the_author_s_own_networks_lie_and_no_wider_than_is_said():
    spans = {
        dataset: [np.ptp(nine(dataset, label)) for label in ("rotation", "scale", "translation")] for dataset in MARGINS
    }
    assert max(spans["mnist"]) <= 0.0041 < MARGINS["mnist"]
    assert max(spans["cifar10"]) <= 0.0141 < MARGINS["cifar10"]


def test_where_the_log_does_not_tell_all_rows_that_it_may_be_are_given():
    rows = published.of(Key("cifar10", "SimpleConv", "activation=ReLU", "rotation"))
    assert [row.logged for row in rows] == [0.793, 0.769]
    assert len(published.of(Key("mnist", "SimpleConv", "activation=ReLU", "rotation"))) == 1
    assert published.of(Key("cifar10", "SimpleConv", "pooling=stride", "rotation")) == ()


def test_a_network_is_found_in_the_log_by_variant_and_by_the_range_of_its_augmentation(preset, load):
    preset["transformation_sets"] = FULL
    preset["experiments"] = {"published_accuracy": {}}
    study = load(preset)
    full = [study.set(label) for label in study.sets]

    def key(augmentation=None, **arguments):
        network = study.network(dataset="mnist5k", model="SimpleConv", augmentation=augmentation, arguments=arguments)
        return published.key_of(network, "mnist", full)

    def changed(label, **parameters):
        own = study.set(label)
        return own.model_copy(update={"parameters": {**own.parameters, **parameters}})

    assert key() == ("mnist", "SimpleConv", "base", "none")
    longer = study.network(dataset="mnist5k", model="SimpleConv", epochs_for="rotation")
    assert published.key_of(longer, "mnist", full, longer=True) == ("mnist", "SimpleConv", "base", "rotation:0")
    assert key("rotation", batch_norm=True) == ("mnist", "SimpleConv", "batch_norm", "rotation")
    assert key("scale", activation="prelu") == ("mnist", "SimpleConv", "activation=PReLU", "scale")
    assert key(changed("rotation", angle_deg=120)).augmentation == "rotation:120"
    assert key(changed("scale", low=2 / 3, high=7 / 6)).augmentation == "scale:0.6667-1.167"
    assert key(changed("rotation", angle_deg=90)) is None
    assert key(changed("rotation", n=8)) is None
    assert key("rotation", kernel=5, activation="tanh") is None
    assert published.variant_of("SimpleConv", {"width": 3, "dense": 5}) == "base"
    assert published.variant_of("SimpleConv", {"width": 3, "of_another_kind": 5}) is None
    assert published.variant_of("torchvision:resnet18", {}) is None


def test_networks_of_other_experiments_are_compared_with_those_of_their_variant(shared, tmp_path):
    found = table(shared, Records(0.97, 0.98, 0.99), tmp_path)
    networks = found["networks"].to_dict()
    assert networks["base", "rotation"] == networks["base", "scale"] == 3
    assert networks["kernel=5", "rotation"] == networks["kernel=7", "scale"] == 1
    assert networks["batch_norm", "none"] == networks["batch_norm", "rotation"] == 1
    assert ("base", "none") not in networks
    row = found.loc[("base", "rotation")]
    assert row["published_networks"] == 9
    assert row["published"] == pytest.approx(np.mean(nine("mnist", "rotation")))
    assert row["difference"] == pytest.approx(0.98 - row["published"])
    assert row["spread_of"] == "both"
    assert (row["published_epochs"], row["published_images"], row["published_width"]) == (17, 17 * 60_000, 32)
    assert (row["epochs"], row["images"], row["width"]) == (10, 10 * 3500, 8)
    assert found.loc[("kernel=5", "rotation"), "spread_of"] == "the author's nine"


def test_of_networks_in_other_batches_those_of_the_log_s_are_compared(preset, load):
    """AllConvolutional has the batches of the accuracy comparison in the log, though more networks of 256 are there."""
    preset["training"] = {"batch_size": 256}
    preset["experiments"] = {
        "published_accuracy": {"batch_size": 64, "seeds": 1},
        "compare_models": {"seeds": 3},
        "random_initialization": {"seeds": 2},
    }
    study = load(preset)
    chosen = {
        (one.model, one.variant, one.augmentation): (one.cells[0].recipe.batch_size, len(one.cells))
        for one in study.experiments["published_accuracy"].settings(study)
    }
    assert chosen["AllConvolutional", "base", "rotation"] == (64, 1)
    assert chosen["SimpleConv", "batch_norm", "rotation"] == (64, 1)
    assert chosen["SimpleConv", "base", "rotation"] == (256, 3)
    assert published.batch_of(Key("mnist", "SimpleConv", "base", "rotation")) == 256


def test_networks_that_an_experiment_changes_are_not_the_preset_s(preset, load):
    """`departures` trains in the log's batches of 256; they are not how this preset trains, though the log's are."""
    preset["training"] = {"batch_size": 64}
    preset["transformation_sets"] = FULL
    departures = {"models": ["SimpleConv"], "changes": ["batches of 256"], "transformation_sets": ["rotation"]}
    grid = {"batch_norm": False, "models": ["SimpleConv"], "seeds": 2}
    preset["experiments"] = {"published_accuracy": grid, "departures": {**departures, "seeds": 3}}
    preset["seeds"] = [0, 1, 2]
    study = load(preset)
    assert {cell.recipe.batch_size for cell in study.networks_of("departures")} == {64, 256}
    chosen = {one.augmentation: one.cells for one in study.experiments["published_accuracy"].settings(study)}
    assert [cell.recipe.batch_size for cell in chosen["rotation"]] == [64, 64]


def test_plain_networks_that_are_trained_as_long_as_augmented_ones_stand_apart(preset, load, monkeypatch):
    """As those of the author's whose augmentation has a range of nothing; two of his sets are then one setting."""
    preset["transformation_sets"] = FULL
    preset["experiments"] = {
        "published_accuracy": {"batch_norm": False, "models": ["SimpleConv"], "seeds": 1},
        "structure": {"seeds": 2},
    }
    study = load(preset)
    longer = tuple(
        study.network(dataset="mnist5k", model="SimpleConv", seed=seed, epochs_for="rotation") for seed in (0, 1)
    )
    monkeypatch.setattr(type(study), "networks_of", lambda self, name: longer)
    found = {one.augmentation: one.cells for one in study.experiments["published_accuracy"].settings(study)}
    assert {cell.recipe.epochs for cell in found["none"]} == {3}
    assert found["rotation:0"] == list(longer)
    rows = published.of(Key("mnist", "SimpleConv", "base", "rotation:0"))
    assert [(row.key.augmentation, row.epochs) for row in rows] == [("rotation:0", 17), ("translation:0", 17)]
    assert "rotation:0" not in finding(study, Records(0.98, 0.97)).why


def test_only_the_experiments_that_are_named_lend_their_networks(shared, preset, load):
    preset["experiments"]["published_accuracy"]["networks_of"] = ["kernel_size"]
    chosen = load(preset)
    variants = {one.variant: len(one.cells) for one in chosen.experiments["published_accuracy"].settings(chosen)}
    assert variants == {"base": 1, "batch_norm": 1, "kernel=5": 1, "kernel=7": 1}
    preset["experiments"]["published_accuracy"]["networks_of"] = ["kernel_sizes"]
    with pytest.raises(InputError, match="kernel_size"):
        load(preset)


def test_every_verdict_of_two_samples(shared, tmp_path):
    middle = float(np.mean(nine("mnist", "rotation")))
    for number, (shift, spread, verdict) in enumerate(
        [(0.0, 0.001, "equal within 1 point"), (-0.05, 0.001, "apart by more than 1 point"), (0.0, 0.02, "undecided")]
    ):
        records = Records(*(middle + shift + step * spread for step in (-1, 0, 1)))
        found = table(shared, records, tmp_path / str(number))
        assert found.loc[("base", "rotation"), "verdict"] == verdict


def test_a_single_network_lies_within_the_spread_of_the_nine_or_not(shared, tmp_path):
    (logged,) = published.of(Key("mnist", "SimpleConv", "kernel=5", "rotation"))
    deviation = float(np.std(nine("mnist", "rotation"), ddof=1))
    for number, (shift, verdict) in enumerate([(1, "within the spread"), (6, "outside the spread")]):
        found = table(shared, Records(logged.accuracy + shift * deviation), tmp_path / str(number))
        row = found.loc[("kernel=5", "rotation")]
        assert row["verdict"] == verdict
        assert row["difference"] == pytest.approx(shift * deviation)


def test_what_the_log_does_not_tell_has_no_verdict(preset, load, tmp_path):
    preset["datasets"] = {"cifar10": {"fingerprint": "1" * 64, "accuracy_floor": 0.5}}
    preset["transformation_sets"] = FULL
    preset["experiments"] = {"published_accuracy": {"models": ["SimpleConv"], "seeds": 1}, "kernel_size": {"seeds": 1}}
    found = table(load(preset), Records(0.78), tmp_path)
    row = found.loc[("kernel=7", "rotation")]
    assert row["verdict"] == "the log does not tell which network it is"
    assert math.isnan(row["difference_low"])


def test_equality_is_claimed_of_all_settings_or_not_at_all(shared):
    means = {label: float(np.mean(nine("mnist", label))) for label in ("rotation", "scale")}
    near = float(np.mean(list(means.values())))
    assert abs(means["rotation"] - near) < MARGINS["mnist"]
    steps = (-0.0002, 0, 0.0002)
    assert finding(shared, Records(*(near + step for step in steps))).verdict == "supported"
    far = finding(shared, Records(*(means["scale"] + 0.003 + step for step in steps)))
    assert far.verdict == "not supported"  # though it is equal under scale
    assert far.evidence.pooled.estimate == pytest.approx(
        (means["scale"] + 0.003 - means["rotation"]) / MARGINS["mnist"]
    )
    assert finding(shared, Records(near - 0.02, near, near + 0.02)).verdict == "undecided"


def test_one_network_cannot_decide_and_the_claim_says_so(preset, load):
    preset["transformation_sets"] = FULL
    preset["experiments"] = {"published_accuracy": {"models": ["SimpleConv"], "batch_norm": False, "seeds": 1}}
    found = finding(load(preset), Records(0.98))
    assert found.verdict == "undecided"
    assert found.why.startswith("1 network here of SimpleConv with rotation, SimpleConv with scale")
    preset["experiments"] = {"published_accuracy": {"models": ["AllConvolutional"], "seeds": 1}}
    assert "trains none of the settings" in finding(load(preset), Records(0.98)).why


def test_a_dataset_that_is_none_of_the_author_s_is_not_compared(preset, load):
    preset["datasets"] = {"fashion_mnist": {"fingerprint": "1" * 64, "accuracy_floor": 0.5}}
    preset["experiments"] = {"published_accuracy": {}}
    study = load(preset)
    experiment = study.experiments["published_accuracy"]
    assert list(experiment.settings(study)) == experiment.cells(study) == []


def test_the_largest_difference_decides_with_bounds_for_each_side():
    small, large = Difference(0.001, 0.0005, 10), Difference(-0.008, 0.0005, 10)
    both, alone = in_margins([small, large], 0.01, 6), in_margins([large], 0.01, 3)
    assert both.estimate == alone.estimate == 0.8
    assert both.high == alone.high < 1
    assert both.low < alone.low  # one of two findings is looked at
    assert both.low == pytest.approx(-large.interval(0.975)[1] / 0.01)


def test_the_page_names_variants_ranges_and_images(shared, tmp_path):
    table(shared, Records(0.97, 0.98, 0.99), tmp_path)
    page = (tmp_path / "published_accuracy.tex").read_text(encoding="utf-8")
    assert "0.980 [0.970, 0.990]" in page
    assert "1,020,000; 35,000" in page
    assert "without batch normalisation" not in page
    assert published_accuracy._short("activation=tanh") == "tanh"

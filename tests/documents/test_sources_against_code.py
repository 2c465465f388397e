"""What the sources say, as numbers, against the presets and the code: a point that is called the same must be so.

These hold of the package when all that the points say has landed.
"""

from pathlib import Path

import pytest
import torch

from cnn_invariance import models
from cnn_invariance.activations import find_layers
from cnn_invariance.experiments.framework import registry
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.models import simple_conv
from cnn_invariance.paper import departures, points
from cnn_invariance.study.recipes import effective_epochs
from cnn_invariance.transformations import sets

ROOT = Path(__file__).parents[2]
NETWORKS = ("SimpleConv", "AllConvolutional", "VGG16D", "ResNet18", "TIPoolingSimpleConv")
FAMILIES = {"mnist": "mnist", "cifar10": "cifar10_jpeg"}
"""The author's datasets, and their labels in the preset ``paper``."""
INPUTS = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32)}


@pytest.fixture(scope="module")
def study():
    return Programme.load(ROOT / "config" / "paper.yaml")


@pytest.fixture(scope="module")
def networks(study):
    """Every network of the preset ``paper`` that is trained for an experiment of the author's."""
    his = [cells for name, cells in study.cells.items() if points.origin(name) == "author"]
    found = dict.fromkeys(cell.network for cells in his for cell in cells)
    return [network for network in found if network.recipe.epochs]


def entry(study, name):
    (label,) = (label for label, one in study.preset.models.items() if one.model == name)
    return label


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", NETWORKS)
def test_widths_epochs_and_rates_of_the_paper_preset_are_the_author_s(study, name, family):
    label = entry(study, name)
    pooled = "rotation" if name == "TIPoolingSimpleConv" else None  # trained plain, for the epochs of its own set
    network = study.network(dataset=FAMILIES[family], model=label, epochs_for=pooled)
    arguments = {key: network.model.arguments[key] for key in points.value("network", name, "sizes")[family]}
    assert arguments == points.value("network", name, "sizes")[family]
    changes = study.preset.datasets[FAMILIES[family]].models.get(label)
    plain = study.preset.models[label].epochs if changes is None or changes.epochs is None else changes.epochs
    assert plain == points.value("network", name, "epochs")[family]
    assert network.recipe.epochs == departures.author_epochs(network, family)
    assert network.recipe.learning_rate == points.value("network", name, "learning rate")


@pytest.mark.parametrize("family", FAMILIES)
def test_an_augmentation_lengthens_training_as_in_the_author_s_code(study, family):
    members = points.value("training", "epochs", "rule")
    for label in ("rotation", "scale", "translation", "combined"):
        assert study.set(label).size == members[label]
        network = study.network(dataset=FAMILIES[family], model="SimpleConv", augmentation=label)
        plain = points.value("network", "SimpleConv", "epochs")[family]
        assert network.recipe.epochs == effective_epochs(plain, members[label])


def test_strides_are_trained_at_the_rate_of_their_own(networks):
    strided = [one for one in networks if one.model.arguments.get("pooling") == "stride"]
    assert strided
    assert {one.recipe.learning_rate for one in strided} == {points.value("network", "SimpleConv", "strides")}


def test_batches_are_the_author_s(networks):
    others = [one for one in networks if one.recipe.batch_size not in departures.batch_sizes(one.model)]
    assert others == []


def test_accuracies_are_compared_in_batches_of_their_own(study):
    compared = {cell.network.recipe.batch_size for cell in study.cells["accuracy"]}
    assert compared == {points.value("training", "optimiser", "batch")["accuracy"]}


def test_what_pools_over_transformations_has_the_epochs_of_its_own_set(networks):
    pooled = [one for one in networks if one.model.name == "TIPoolingSimpleConv"]
    assert {(one.dataset.name, one.recipe.epochs) for one in pooled} == {("mnist", 17), ("cifar10_jpeg", 70)}


def test_mnist_is_trained_in_his_precision(networks):
    precise = points.value("training", "optimiser", "precision")
    assert {one.recipe.precision for one in networks if one.dataset.name == "mnist"} == {precise}


def test_the_optimiser_is_the_author_s(networks):
    decays = {(one.recipe.optimiser, one.recipe.weight_decay) for one in networks}
    assert decays == {("adamw", points.value("training", "optimiser", "optimiser"))}


@pytest.mark.parametrize("name", ["rotation", "scale", "translation", "combined"])
def test_sets_have_the_author_s_sizes(study, name):
    theirs = points.value("set", name, "members")
    assert len(sets.build(name)) == points.value("training", "epochs", "rule")[name]
    for given in (sets.build(name).parameters, study.set(name).parameters):
        assert {key: given[key] for key in theirs} == theirs


def test_measured_are_as_many_samples_and_seeds_as_by_the_author(study):
    half, seeds = points.value("data", "samples", "measured"), points.value("data", "samples", "seeds")
    assert half["counts"] == {study.preset.samples.split: [study.preset.samples.count]}
    assert len(study.seeds) == study.experiments["random_initialization"].seeds == seeds["seeds"]
    assert study.experiments["random_weights"].networks == seeds["untrained"]


def test_the_floors_are_those_of_the_author(study):
    floors = points.value("training", "failure", "floor")
    assert {family: study.preset.datasets[label].accuracy_floor for family, label in FAMILIES.items()} == floors


def observed(name, family):
    model = models.build(name, INPUTS[family], 10).eval()
    return len(find_layers(model, torch.zeros(2, *INPUTS[family]))[0])


@pytest.mark.parametrize("name", ["SimpleConv", "AllConvolutional", "VGG16D"])
def test_as_many_layers_are_observed_as_by_the_author(name):
    assert observed(name, "mnist") == points.value("network", name, "layers")


@pytest.mark.parametrize("name", ["ResNet18", "TIPoolingSimpleConv"])
def test_where_other_layers_are_observed_the_point_says_how_many(name):
    (point,) = (one for one in points.chosen("network", "departs", name) if one.topic == "layers")
    count = observed(name, "cifar10")
    assert count != point.value
    assert f" {count} layers" in point.how


def test_the_variants_of_simple_conv_are_the_author_s():
    assert set(simple_conv.CHOICES["activation"]) == set(points.value("network", "SimpleConv", "activations"))
    assert list(simple_conv.CHOICES["kernel"]) == points.value("network", "SimpleConv", "kernels")


def test_the_maps_of_all_convolutional_grow_by_the_padding_of_its_1x1_convolution():
    layers, _ = find_layers(models.build("AllConvolutional", INPUTS["mnist"], 10).eval(), torch.zeros(2, 1, 28, 28))
    sides = [layer.shape[-1] for layer in layers if layer.spatial]
    assert 9 in sides[sides.index(7) :]


def test_vgg16d_normalises_after_the_activation():
    kinds = [type(module).__name__ for module in models.build("VGG16D", INPUTS["mnist"], 10, batch_norm=True).modules()]
    first = kinds.index("BatchNorm2d")
    assert kinds[first - 2 : first] == ["Conv2d", "ELU"]


def test_every_experiment_of_the_sources_exists():
    named = {one.about for kind in ("comparison", "expectation") for one in points.chosen(kind)} - {"others"}
    assert named == set(registry.names())


@pytest.mark.parametrize("experiment", registry.names())
def test_claims_have_the_sources_that_their_experiment_is_said_to_have(experiment):
    said = {source for one in points.chosen("expectation", about=experiment) for source in one.sources}
    assert {claim.source for claim in registry.load(experiment).claims} <= said


def test_every_network_is_found_by_its_name():
    assert {name for name in models.names() if departures.known(name)} == set(NETWORKS)
    assert {*models.names()} - set(NETWORKS) == {"C4Conv"}  # ours

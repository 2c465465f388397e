import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cnn_invariance.study import (
    DatasetSpec,
    ModelSpec,
    Recipe,
    SampleSpec,
    SetSpec,
    TrainSpec,
    canonical_json,
)
from helpers_study import cell, network


def test_keys_are_readable_and_end_in_ten_digits_of_the_hash():
    assert network().key == f"mnist5k-SimpleConv-rotation-s0-{network().hash[:10]}"
    assert network(augmentation=None).title == "mnist5k-SimpleConv-plain-s0"
    assert cell().key == f"mnist5k-SimpleConv-rotation-s0-e15-on-scale-{cell().hash[:10]}"


def test_hash_is_pinned():
    """A change of this number recomputes every cached result: only a revision may change it."""
    assert network().hash == "c2058aced6121ac2abb6ed74c51eedcc27cf9b2b3d9487d5ba8a315892b4e430"
    assert cell().hash == "55d211e4fbfc6a2ae561a9c1ebc341d4530513dc2576bfaec39ec42fc483bab5"


def test_key_of_names_that_are_no_file_names():
    model = ModelSpec(name="../my models.py:build")
    assert network(model=model).title == "mnist5k-my_models.py_build-rotation-s0"


def test_whole_numbers_hash_the_same_with_and_without_a_point():
    as_float = SetSpec(name="rotation", parameters={"n": 9, "angle_deg": 360.0})
    as_int = SetSpec(name="rotation", parameters={"angle_deg": 360, "n": 9})
    assert network(augmentation=as_float) == network(augmentation=as_int)
    assert as_float.hash == as_int.hash


def test_truth_values_are_not_numbers():
    assert ModelSpec(name="A", arguments={"x": True}).hash != ModelSpec(name="A", arguments={"x": 1}).hash


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": DatasetSpec(name="mnist5k", fingerprint="1" * 64)},
        {"dataset": DatasetSpec(name="mnist", fingerprint="0" * 64)},
        {"model": ModelSpec(name="SimpleConv", arguments={"width": 9, "batch_norm": False})},
        {"model": ModelSpec(name="SimpleConv", arguments={"width": 8}, code="f" * 64)},
        {"augmentation": None},
        {"augmentation": SetSpec(name="rotation", parameters={"n": 9, "angle_deg": 359.9})},
        {"recipe": Recipe(learning_rate=5.0001e-4, epochs=15)},
        {"recipe": Recipe(learning_rate=5e-4, epochs=16)},
        {"recipe": Recipe(learning_rate=5e-4, epochs=15, images="all")},
        {"recipe": Recipe(learning_rate=5e-4, epochs=15, precision="bf16")},
        {"seed": 1},
        {"revision": 10**6},
    ],
)
def test_every_setting_changes_the_hash_of_network_and_cell(change):
    assert network(**change).hash != network().hash
    assert cell(network=network(**change), epoch=0).hash != cell(epoch=0).hash


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 14},
        {"transformations": SetSpec(name="scale", parameters={"n": 3})},
        {"samples": SampleSpec(count=201)},
        {"samples": SampleSpec(count=None)},
        {"samples": SampleSpec(count=200, seed=1)},
        {"samples": SampleSpec(count=200, split="train")},
        {"measures": ("TV", "SV")},
        {"dataset": DatasetSpec(name="cifar10", fingerprint="2" * 64)},
        {"revision": 10**6},
    ],
)
def test_every_setting_changes_the_hash_of_the_cell_alone(change):
    assert cell(**change).hash != cell().hash
    assert cell(**change).network.hash == cell().network.hash


def test_measures_are_a_set():
    assert cell(measures=("NV", "TV", "SV", "NV")) == cell()
    assert cell().measures == ("NV", "SV", "TV")


def test_dataset_measured_on_is_the_networks_own_unless_said():
    assert cell() == cell(dataset=network().dataset)
    other = cell(dataset=DatasetSpec(name="cifar10", fingerprint="2" * 64))
    assert other.title == "mnist5k-SimpleConv-rotation-s0-e15-on-cifar10-scale"


@pytest.mark.parametrize("spec", [network(), network(augmentation=None), cell()])
def test_a_spec_survives_its_canonical_json(spec):
    again = type(spec).model_validate_json(spec.canonical)
    assert again == spec
    assert again.key == spec.key


def test_specs_are_closed_and_frozen():
    with pytest.raises(ValidationError, match="Extra inputs"):
        network(sead=1)
    with pytest.raises(ValidationError, match="frozen"):
        network().seed = 3
    with pytest.raises(ValidationError, match="expected an epoch from 0 to 15, the last of the network; received 16"):
        cell(epoch=16)
    with pytest.raises(ValidationError):
        network(recipe={"learning_rate": math.inf, "epochs": 1})
    with pytest.raises(ValidationError):
        cell(measures=())


def test_set_builds_its_members():
    assert SetSpec(name="rotation", parameters={"n": 9}).size == 9


leaves = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_canonical_json_does_not_depend_on_order_and_is_its_own_fixed_point(value):
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text
    if isinstance(value, dict):
        assert canonical_json(dict(reversed(value.items()))) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf]])
def test_canonical_json_refuses_what_json_cannot_say(value):
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)


def test_samples_of_an_epoch_enter_the_hash():
    recipe, limited = (Recipe(learning_rate=5e-4, epochs=15, epoch_samples=count) for count in (None, 100))
    assert network(recipe=limited).hash != network(recipe=recipe).hash
    assert TrainSpec.model_validate_json(network(recipe=limited).canonical) == network(recipe=limited)
    assert TrainSpec.model_validate_json(network(recipe=recipe).canonical) == network(recipe=recipe)

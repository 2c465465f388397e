import math

import pytest

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.study import DatasetSpec, SampleSpec, SetSpec
from cnn_invariance.study.recipes import effective_epochs

PIN = "ab" * 32
PRESET = f"""\
name: tiny
description: A study.
datasets:
  mnist: {{fingerprint: {PIN}, accuracy_floor: 0.9, precision: fp32}}
  jpeg:
    source: cifar10_jpeg
    fingerprint: {PIN}
    accuracy_floor: 0.5
    models:
      wide: {{arguments: {{width: 64}}, epochs: 25, learning_rate: 2e-4}}
models:
  wide:
    model: SimpleConv
    arguments: {{width: 32, dense: 16}}
    learning_rate: 5e-4
    epochs: 5
    variants: [{{arguments: {{pooling: stride}}, learning_rate: 1e-4}}]
transformation_sets:
  rotation: {{}}
  third: {{set: rotation, parameters: {{angle_deg: 120}}}}
  pair: {{set: rotation, parameters: {{n: 2}}}}
training: {{batch_size: 32, precision: bf16}}
seeds: [7, 8]
samples: {{split: validation, count: 50, seed: 3}}
measures: ["NV[aggregate=mean, order=before]", TV]
experiments: {{compare_models: {{measures: ["NV[aggregate=mean]"], models: [wide]}}}}
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(PRESET)
    return Programme.load(path)


def test_a_network_has_everything_that_determines_it(study):
    network = study.network(dataset="mnist", model="wide", augmentation="rotation")
    assert network.dataset == DatasetSpec(name="mnist", fingerprint=PIN)
    assert network.model.name == "SimpleConv"
    assert network.model.arguments == {
        "width": 32,
        "dense": 16,
        "batch_norm": False,
        "activation": "elu",
        "kernel": 3,
        "pooling": "max",
    }
    assert network.augmentation == SetSpec(name="rotation", parameters={"n": 25, "angle_deg": 360, "closed": True})
    assert network.seed == 7
    assert network.recipe.batch_size == 32
    assert network.recipe.learning_rate == 5e-4
    assert study.floor(network) == 0.9


def test_defaults_and_values_equal_to_them_are_the_same_cell(study):
    explicit = SetSpec(name="rotation", parameters={"n": 25})
    assert study.network(dataset="mnist", model="wide", augmentation=explicit) == study.network(
        dataset="mnist", model="wide", augmentation="rotation"
    )


def test_a_dataset_changes_a_model(study):
    network = study.network(dataset="jpeg", model="wide", seed=8)
    assert network.model.arguments["width"] == 64
    assert network.model.arguments["dense"] == 16
    assert (network.recipe.epochs, network.recipe.learning_rate) == (25, 2e-4)
    assert (study.floor(network), network.seed) == (0.5, 8)


def test_a_dataset_has_a_precision_of_its_own(study):
    precisions = [study.network(dataset=name, model="wide").recipe.precision for name in study.datasets]
    assert precisions == ["fp32", "bf16"]


def test_a_variant_has_a_learning_rate_of_its_own(study):
    strided = {"pooling": "stride"}
    for dataset, usual in (("mnist", 5e-4), ("jpeg", 2e-4)):
        assert study.network(dataset=dataset, model="wide").recipe.learning_rate == usual
        assert study.network(dataset=dataset, model="wide", arguments=strided).recipe.learning_rate == 1e-4
    with pytest.raises(InputError, match=r"'poolign'.*did you mean 'pooling'"):
        Programme.load(_edited(study.path, "pooling: stride", "poolign: stride"))


def _edited(path, old, new):
    path.write_text(path.read_text().replace(old, new))
    return path


def test_a_set_can_give_the_epochs_of_a_network_that_is_not_trained_with_it(study):
    plain = study.network(dataset="mnist", model="wide", epochs_for="rotation")
    assert (plain.augmentation, plain.recipe.epochs) == (None, 17)
    assert study.network(dataset="mnist", model="wide", augmentation="pair", epochs_for="rotation").recipe.epochs == 17
    assert study.network(dataset="mnist", model="wide", epochs=0, epochs_for="rotation").recipe.epochs == 0


def test_a_recipe_can_differ_from_the_presets(study):
    changed = study.network(dataset="mnist", model="wide", recipe={"batch_size": 64, "images": "all"})
    assert changed.recipe == study.network(dataset="mnist", model="wide").recipe.model_copy(
        update={"batch_size": 64, "images": "all"}
    )
    assert changed != study.network(dataset="mnist", model="wide")


def test_an_augmentation_lengthens_the_training_as_in_the_authors_code(study):
    epochs = {
        label: study.network(dataset="mnist", model="wide", augmentation=label).recipe.epochs
        for label in (None, "pair", "rotation")
    }
    assert epochs == {None: 5, "pair": 5, "rotation": 17}


@pytest.mark.parametrize("epochs", [0, 1, 5, 40])
@pytest.mark.parametrize("members", [1, 2, 3, 8, 25, 504])
def test_effective_epochs(epochs, members):
    found = effective_epochs(epochs, members)
    if members > math.e:
        assert found <= epochs * 1.1 * math.log(members) < found + 1
    else:
        assert found == epochs
    assert effective_epochs(epochs, members, "same") == epochs


def test_a_measurement_takes_what_is_not_said_from_the_preset(study):
    network = study.network(dataset="mnist", model="wide")
    cell = study.measurement(network, "third")
    assert cell.epoch == 5
    assert cell.samples == SampleSpec(split="validation", count=50, seed=3)
    assert cell.measures == ("NV[aggregate=mean]", "TV")
    assert cell.transformations.parameters == {"n": 25, "angle_deg": 120, "closed": True}
    early = study.measurement(network, "third", epoch=0, samples=SampleSpec(count=1))
    assert (early.epoch, early.samples.count) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataset": "mnits", "model": "wide"}, "did you mean 'mnist'"),
        ({"dataset": "mnist", "model": "wise"}, "did you mean 'wide'"),
        ({"dataset": "mnist", "model": "wide", "augmentation": "thirds"}, "did you mean 'third'"),
    ],
)
def test_unknown_labels(study, arguments, message):
    with pytest.raises(InputError, match=message):
        study.network(**arguments)


def test_of_labels_of_one_set_that_is_meant_of_which_so_many_samples_are_measured(tmp_path):
    text = PRESET.replace(
        "  third: {set: rotation, parameters: {angle_deg: 120}}",
        "  third: {set: rotation, parameters: {angle_deg: 120}}\n"
        "  few: {set: rotation, parameters: {angle_deg: 120}, count: 7}",
    )
    (tmp_path / "tiny.yaml").write_text(text)
    study = Programme.load(tmp_path / "tiny.yaml")
    spec, usual = study.set("few"), study.preset.samples.count
    assert spec == study.set("third")
    assert [study.label_of(spec, count) for count in (7, usual, None)] == ["few", "third", "third"]


def test_the_code_of_a_users_own_set_is_part_of_the_spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = "from cnn_invariance.transformations import rotation\ndef mine(): return rotation(n={})\n"
    mine = "  mine: {set: 'sets.py:mine', size: 4, affine: true}"
    text = PRESET.replace("  third: {set: rotation, parameters: {angle_deg: 120}}", mine)
    (tmp_path / "tiny.yaml").write_text(text)
    (tmp_path / "sets.py").write_text(source.format(4))
    before = Programme.load(tmp_path / "tiny.yaml").set("mine")
    assert before.size == 4
    assert len(before.build()) == 4
    (tmp_path / "sets.py").write_text(source.format(5))
    after = Programme.load(tmp_path / "tiny.yaml").set("mine")
    with pytest.raises(InputError, match=r"not as the preset states: 'size: 4'; its function gives 5; correct the pre"):
        after.build()
    assert before != after
    assert before.code != after.code


def test_cells_and_outputs_of_experiments(study):
    (cells,) = study.cells.values()
    assert len(set(cells)) == len(cells) > 0
    assert study.outputs["compare_models"].figures


def test_a_variant_changes_arguments_of_a_model(study):
    variant = study.network(dataset="mnist", model="wide", arguments={"kernel": 5})
    assert variant.model.arguments == study.model("wide", "mnist").arguments | {"kernel": 5}
    assert variant.recipe == study.network(dataset="mnist", model="wide").recipe
    with pytest.raises(InputError, match=r"kernel of SimpleConv: '4'; allowed: 3, 5, 7|unknown kernel"):
        study.network(dataset="mnist", model="wide", arguments={"kernel": 4})
    with pytest.raises(InputError, match=r"did you mean 'kernel'"):
        study.network(dataset="mnist", model="wide", arguments={"kernal": 5})


def test_an_untrained_network_has_no_epochs(study):
    untrained = study.network(dataset="mnist", model="wide", augmentation="rotation", epochs=0)
    assert untrained.recipe.epochs == 0
    assert study.measurement(untrained, "rotation").epoch == 0


def test_a_network_can_be_measured_on_another_dataset(study):
    network = study.network(dataset="mnist", model="wide")
    own, other = study.measurement(network, "rotation"), study.measurement(network, "rotation", dataset="jpeg")
    assert own.dataset.name == "mnist"
    assert other.dataset == study.dataset("jpeg")
    assert other.network == network
    assert "-on-jpeg-rotation-" in other.key
    with pytest.raises(InputError, match=r"did you mean 'jpeg'"):
        study.measurement(network, "rotation", dataset="jepg")


def test_a_set_can_have_its_own_number_of_samples(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(PRESET.replace("rotation: {}", "rotation: {count: 12}"))
    study = Programme.load(path)
    network = study.network(dataset="mnist", model="wide")
    assert study.measurement(network, "rotation").samples == SampleSpec(split="validation", count=12, seed=3)
    assert study.measurement(network, "pair").samples == SampleSpec(split="validation", count=50, seed=3)
    assert study.measurement(network, study.set("rotation")).samples.count == 50  # a set, not its label


def test_samples_of_an_epoch_are_those_of_the_preset(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(PRESET.replace("batch_size: 32", "batch_size: 32, epoch_samples: 640"))
    assert Programme.load(path).network(dataset="mnist", model="wide").recipe.epoch_samples == 640


def test_a_cell_can_hold_measures_of_its_own(study):
    network = study.network(dataset="mnist", model="wide")
    own = study.measurement(network, "rotation", measures=["SV", "NV[stratified=true]"])
    assert own.measures == ("NV[stratified=true]", "SV")
    assert own.key != study.measurement(network, "rotation").key

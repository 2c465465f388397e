"""Every mistake in a preset: the exact message, its path and its line, before anything runs."""

import json
from pathlib import Path

import pytest

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.study.preset import json_schema

ROOT = Path(__file__).parents[2]
PIN = "431ccb07ecd1af0274b77e08cda92d8c7c33d4feec3c76007dfacee4ea4406aa"

GOOD = f"""\
name: tiny
description: A study.
datasets:
  mnist5k:
    fingerprint: {PIN}
    accuracy_floor: 0.5
models:
  SimpleConv:
    arguments: {{width: 4}}
    learning_rate: 1e-3
    epochs: 5
transformation_sets:
  rotation:
    parameters: {{n: 3}}
seeds: [0, 1]
samples: {{count: 50}}
measures: [TV, SV, NV, "NV[aggregate=mean]"]
experiments:
  compare_models: {{}}
"""

SETS = "allowed: combined, identity, rotation, rotation_reference, scale, translation"
MODELS = "allowed: AllConvolutional, C4Conv, ResNet18, SimpleConv, TIPoolingSimpleConv, VGG16D"


def load(tmp_path, text):
    path = tmp_path / "preset.yaml"
    path.write_text(text, encoding="utf-8")
    return Programme.load(path)


def problems(tmp_path, text):
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    return str(caught.value).replace(str(tmp_path / "preset.yaml"), "preset.yaml").splitlines()


@pytest.mark.parametrize(
    "path", sorted({*ROOT.glob("config/*.yaml")} - {ROOT / "config/claims.yaml"}), ids=lambda path: path.stem
)
def test_every_shipped_preset_is_valid(path):
    study = Programme.load(path)
    assert study.name == path.stem
    assert all(study.cells.values())
    assert study.outputs.keys() == study.experiments.keys()


def test_the_preset_the_other_tests_break_is_good(tmp_path):
    study = load(tmp_path, GOOD)
    assert (study.datasets, study.models, study.sets) == (
        ("mnist5k",),
        ("SimpleConv",),
        ("rotation",),
    )
    assert study.seeds == (0, 1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "description: A study.",
            "descripton: A study.",
            "line 2: descripton: unknown key 'descripton'; did you mean 'description'? allowed: "
            "cells_per_gpu, compute, datasets, description, experiments, measures, models, name, samples, seeds, "
            "training, transformation_sets",
        ),
        (
            "name: tiny",
            "name: ../tiny",
            "line 1: name: expected letters, digits, '_' and '-'; received '../tiny'",
        ),
        (
            "    accuracy_floor: 0.5",
            "    accuracy_flour: 0.5",
            "line 6: datasets.mnist5k.accuracy_flour: unknown key 'accuracy_flour'; did you mean "
            "'accuracy_floor'? allowed: accuracy_floor, fingerprint, models, precision, source",
        ),
        (
            "accuracy_floor: 0.5",
            "accuracy_floor: 90",
            "line 6: datasets.mnist5k.accuracy_floor: expected less than or equal to 1; received 90",
        ),
        (
            PIN,
            PIN[:-1],
            f"line 5: datasets.mnist5k.fingerprint: expected 64 hexadecimal digits, as "
            f"'cnn-invariance dataset' prints them; received '{PIN[:-1]}'",
        ),
        (
            "  mnist5k:",
            "  mnist6k:",
            "line 4: datasets.mnist6k.source: unknown dataset 'mnist6k'; did you mean 'mnist5k'? "
            "allowed: cifar10, cifar10_jpeg, fashion_mnist, folder:PATH, mnist, mnist5k, photographs",
        ),
        (
            "    accuracy_floor: 0.5",
            "    accuracy_floor: 0.5\n    models: {SimpelConv: {epochs: 3}}",
            "line 7: datasets.mnist5k.models.SimpelConv: unknown model in this preset: "
            "'SimpelConv'; did you mean 'SimpleConv'? allowed: SimpleConv",
        ),
        (
            "    accuracy_floor: 0.5",
            "    accuracy_floor: 0.5\n    models: {SimpleConv: {arguments: {widht: 3}}}",
            "line 7: datasets.mnist5k.models.SimpleConv: unknown argument of SimpleConv 'widht'; "
            "did you mean 'width'? allowed: activation, batch_norm, dense, kernel, pooling, width",
        ),
        (
            "  SimpleConv:",
            "  SimpelConv:",
            f"line 8: models.SimpelConv.model: unknown model 'SimpelConv'; did you mean 'SimpleConv'? {MODELS}",
        ),
        (
            "width: 4",
            "widht: 4",
            "line 9: models.SimpleConv.arguments: unknown argument of SimpleConv 'widht'; did you "
            "mean 'width'? allowed: activation, batch_norm, dense, kernel, pooling, width",
        ),
        (
            "width: 4",
            "width: 0",
            "line 9: models.SimpleConv.arguments: width of SimpleConv: expected 1 or more, received 0",
        ),
        (
            "width: 4",
            "activation: rleu",
            "line 9: models.SimpleConv.arguments: unknown activation of SimpleConv 'rleu'; did you "
            "mean 'relu'? allowed: elu, prelu, relu, sigmoid, tanh",
        ),
        (
            "width: 4",
            "width: [4]",
            "line 9: models.SimpleConv.arguments.width: expected a number, a text, true or false; received [4]",
        ),
        (
            "learning_rate: 1e-3",
            "learning_rate: 0",
            "line 10: models.SimpleConv.learning_rate: expected greater than 0; received 0",
        ),
        (
            "learning_rate: 1e-3",
            "learning_rate: .inf",
            "line 10: models.SimpleConv.learning_rate: expected a finite number; received inf",
        ),
        (
            "learning_rate: 1e-3",
            "learning_rate: fast",
            "line 10: models.SimpleConv.learning_rate: expected a number; received 'fast'",
        ),
        (
            "learning_rate: 1e-3",
            "learning_rate: true",
            "line 10: models.SimpleConv.learning_rate: expected a number; received True",
        ),
        (
            "epochs: 5",
            "epochs: -1",
            "line 11: models.SimpleConv.epochs: expected greater than or equal to 0; received -1",
        ),
        (
            "epochs: 5",
            "epochs: 2.5",
            "line 11: models.SimpleConv.epochs: expected a whole number; received 2.5",
        ),
        (
            "    epochs: 5\n",
            "",
            "line 8: models.SimpleConv.epochs: the key 'epochs' is missing",
        ),
        (
            "  rotation:",
            "  rotaton:",
            f"line 13: transformation_sets.rotaton.set: unknown transformation set 'rotaton'; did "
            f"you mean 'rotation'? {SETS}",
        ),
        (
            "n: 3",
            "m: 3",
            "line 14: transformation_sets.rotation.parameters: unknown parameter of 'rotation' 'm'; "
            "allowed: angle_deg, closed, n",
        ),
        (
            "n: 3",
            "n: 0",
            "line 14: transformation_sets.rotation.parameters: n must be a whole number, at least 1; received 0",
        ),
        (
            "n: 3",
            "angle_deg: 361",
            "line 14: transformation_sets.rotation.parameters: angle_deg must be a number with "
            "0 <= angle_deg <= 360; received 361",
        ),
        ("seeds: [0, 1]", "seeds: []", "line 15: seeds: expected at least one entry; received []"),
        (
            "seeds: [0, 1]",
            "seeds: [3, 0, 3]",
            "line 15: seeds: each at most once; repeated: 3",
        ),
        (
            "seeds: [0, 1]",
            "seeds: [0, -1]",
            "line 15: seeds.1: expected greater than or equal to 0; received -1",
        ),
        ("seeds: [0, 1]", "seeds: 5", "line 15: seeds: expected a list; received 5"),
        (
            "count: 50",
            "count: 0",
            "line 16: samples.count: expected greater than or equal to 1; received 0",
        ),
        (
            "count: 50",
            "split: tset",
            "line 16: samples.split: expected 'train', 'validation' or 'test'; received 'tset'",
        ),
        (
            "count: 50",
            "cuont: 50",
            "line 16: samples.cuont: unknown key 'cuont'; did you mean 'count'? allowed: count, seed, split",
        ),
        (
            "samples:",
            "training: {augmentation_epochs: authors}\nsamples:",
            "line 16: training.augmentation_epochs: expected 'author' or 'same'; received 'authors'",
        ),
        (
            'measures: [TV, SV, NV, "NV[aggregate=mean]"]',
            "measures: []",
            "line 17: measures: expected at least one entry; received []",
        ),
        (
            '[TV, SV, NV, "NV[aggregate=mean]"]',
            "[NV, 'NV']",
            "line 17: measures: each at most once; repeated: NV",
        ),
        (
            '[TV, SV, NV, "NV[aggregate=mean]"]',
            "['NV[agregate=mean]']",
            "line 17: measures: unknown option of NV 'agregate'; did you mean 'aggregate'? allowed: "
            "aggregate, order, statistic, stratified",
        ),
        (
            "  compare_models: {}",
            "  compare_model: {}",
            "line 19: experiments.compare_model: unknown experiment 'compare_model'; did you mean "
            "'compare_models'? allowed: EXPERIMENTS",
        ),
        (
            "compare_models: {}",
            "compare_models: {mesure: NV}",
            "line 19: experiments.compare_models.mesure: unknown key 'mesure'; did you mean "
            "'measures'? allowed: datasets, measures, models, seeds, transformation_sets",
        ),
        (
            "compare_models: {}",
            "compare_models: {models: [SimpelConv]}",
            "line 19: experiments.compare_models: unknown model in this preset: 'SimpelConv'; did "
            "you mean 'SimpleConv'? allowed: SimpleConv",
        ),
        (
            "compare_models: {}",
            "compare_models: [a]",
            "line 19: experiments.compare_models: expected a mapping of keys to values; received ['a']",
        ),
        (
            "experiments:\n  compare_models: {}",
            "experiments: {}",
            "line 18: experiments: expected at least one entry; received {}",
        ),
        (
            "models:\n  SimpleConv:",
            "models:\n  SimpleConv: 8\n  Other:",
            "line 8: models.SimpleConv: expected a mapping of keys to values; received 8",
        ),
        (
            "name: tiny",
            "name: tiny\nname: tiny2",
            "line 2: name: the key is given twice",
        ),
        (
            "  SimpleConv:",
            "  mine:\n    model: no_such_file.py:build\n    learning_rate: 1\n    epochs: 1\n  SimpleConv:",
            "line 23: experiments.compare_models: no file no_such_file.py (for "
            "'no_such_file.py:build'); a relative path starts where you run",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, old, new, message):
    from cnn_invariance.experiments.framework.registry import names

    assert GOOD.count(old) == 1, "the test must change one place"
    expected = "  " + message.replace("EXPERIMENTS", ", ".join(names()))
    assert expected in problems(tmp_path, GOOD.replace(old, new))


def test_a_single_mistake_is_a_single_line(tmp_path):
    lines = problems(tmp_path, GOOD.replace("width: 4", "widht: 4"))
    assert lines[0] == "preset.yaml: 1 problem"
    assert len(lines) == 2


def test_all_mistakes_are_named_at_once_in_the_order_of_the_file(tmp_path):
    text = (
        GOOD.replace("accuracy_floor: 0.5", "accuracy_floor: 2")
        .replace("width: 4", "widht: 4")
        .replace("n: 3", "n: 0")
        .replace("[TV, SV, NV,", "[NW, SW,")
        .replace("compare_models: {}", "compare_models: {seeds: 0}\n  heat: {}")
    )
    lines = problems(tmp_path, text)
    assert lines[0] == "preset.yaml: 7 problems"
    places = [line.split(": ")[1] for line in lines[1:]]
    assert places == [
        "datasets.mnist5k.accuracy_floor",
        "models.SimpleConv.arguments",
        "transformation_sets.rotation.parameters",
        "measures",
        "measures",
        "experiments.compare_models.seeds",
        "experiments.heat",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [tiny", "preset.yaml: line 1: not YAML: "),
        ("name: a\n\tdescription: b", "preset.yaml: line 2: not YAML: "),
        ("- name", "preset.yaml: expected a mapping of keys to values, received a list"),
        ("", "preset.yaml: expected a mapping of keys to values, received nothing"),
        ("!!python/object/apply:os.getcwd []", "preset.yaml: line 1: not YAML: the tag tag:yaml.org,2002:python"),
    ],
)
def test_what_is_no_mapping_in_yaml(tmp_path, text, message):
    assert problems(tmp_path, text)[0].startswith(message)


def test_a_missing_file():
    with pytest.raises(InputError, match=r"^config/none\.yaml: no such file; .* config/$"):
        Programme.load("config/none.yaml")


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "preset.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        Programme.load(path)


@pytest.mark.parametrize("rate", ["1e-3", "0.001", "1.0e-3", "'1e-3'", "1E-3"])
def test_numbers_that_yaml_1_1_reads_as_text(tmp_path, rate):
    """YAML 1.1 reads 1e-3 as a string."""
    study = load(tmp_path, GOOD.replace("learning_rate: 1e-3", f"learning_rate: {rate}"))
    assert study.preset.models["SimpleConv"].learning_rate == 0.001


def test_exponents_are_numbers_also_in_parameters(tmp_path):
    sets = "  shift: {set: translation, parameters: {distance: 1e-1}}\n  rotation:"
    study = load(tmp_path, GOOD.replace("  rotation:", sets))
    assert study.set("shift").parameters["distance"] == 0.1


def test_the_schema_for_editors_is_current_and_describes_every_key():
    """To write it anew: cnn-invariance schema > config/preset.schema.json."""
    text = (ROOT / "config" / "preset.schema.json").read_text(encoding="utf-8")
    assert text == json_schema()
    schema = json.loads(text)
    parts = {**schema["$defs"], "Preset": schema}
    undescribed = [
        (name, key)
        for name, part in parts.items()
        for key, one in part["properties"].items()
        if "description" not in (parts[one["$ref"].rpartition("/")[2]] if "$ref" in one else one)
    ]
    assert undescribed == []


@pytest.mark.parametrize("name", ["quick", "laptop", "paper"])
def test_presets_name_their_schema(name):
    first = (ROOT / "config" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=preset.schema.json"

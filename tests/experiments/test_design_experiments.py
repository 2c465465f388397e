"""Experiments on the design of a network: variants of SimpleConv, and TI-pooling."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import helpers_experiments
from cnn_invariance.errors import InputError
from cnn_invariance.transformations import sets
from helpers_experiments import kinds

VARIANTS = {
    "batch_normalization": ("batch_norm", [False, True]),
    "activation_function": ("activation", ["elu", "relu", "prelu", "tanh", "sigmoid"]),
    "kernel_size": ("kernel", [3, 5, 7]),
    "max_pooling": ("pooling", ["max", "stride"]),
}
NAMES = [*VARIANTS, "ti_pooling"]


@pytest.fixture
def planned(preset, load):
    """The study of one experiment."""
    preset["models"]["TIPooling"] = {"model": "TIPoolingSimpleConv", "learning_rate": 1e-3, "epochs": 3}

    def plan(name, options=None):
        preset["experiments"] = {name: options or {}}
        return load(preset)

    return plan


def findings(study, results):
    (name,) = study.experiments
    return {one.claim.name: one for one in helpers_experiments.findings(study, name, results)}


def drawn(study, results, folder):
    (name,) = study.experiments
    return helpers_experiments.draw(study, name, results, folder)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_is_what_was_announced(name, planned, computed, tmp_path):
    study = planned(name)
    announced = study.outputs[name]
    parts = ["", "_alone"] if name == "batch_normalization" else [""]
    assert announced.figures == [f"{name}{part}" for part in parts]
    expected = helpers_experiments.announced(study, name)
    folder = drawn(study, computed(study), tmp_path / "drawn")
    assert {path.name for path in folder.iterdir()} == expected
    caption = (folder / f"{name}.md").read_text(encoding="utf-8")
    assert study.experiments[name].question in caption
    with Image.open(folder / f"{name}.png") as image:
        assert image.width == 1400


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_differ_in_one_argument_and_the_base_has_all_seeds(name, planned):
    argument, given = VARIANTS[name]
    study = planned(name)
    cells = study.cells[name]
    assert len(cells) == 3 * 5 * len(given)  # sets x seeds x variants
    assert {cell.network.model.arguments[argument] for cell in cells} == set(given)
    base = {cell.network for cell in cells if cell.network.model.arguments[argument] == given[0]}
    usual = {
        study.network(dataset="mnist5k", model="SimpleConv", augmentation=label, seed=seed)
        for label in study.sets
        for seed in study.seeds
    }
    assert base == usual  # so they are trained once for all experiments
    others = {
        tuple(sorted((key, value) for key, value in cell.network.model.arguments.items() if key != argument))
        for cell in cells
    }
    assert len(others) == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_combined_set_is_left_out_unless_asked_for(name, planned, preset):
    preset["transformation_sets"]["combined"] = {}
    assert {cell.transformations.name for cell in planned(name).cells[name]} == {"rotation", "scale", "translation"}
    asked = planned(name, {"transformation_sets": ["combined"]}).cells[name]
    assert {cell.transformations.name for cell in asked} == {"combined"}


def higher(share):
    """Profiles of which two seeds differ by 2 % on average; those of networks with normalisation are higher."""

    def values(cell, measure):
        profile = np.ones(len(kinds(cell.network.model))) + 0.01 * (cell.network.seed - 2)
        return profile + share * cell.network.model.arguments["batch_norm"]

    return values


def test_how_far_a_part_changes_the_structure(planned, computed):
    study = planned("batch_normalization")
    found = findings(study, computed(study, higher(0.1)))["changes_structure"]
    assert found.evidence.pooled.estimate == pytest.approx(np.log2(0.1 / 0.02), rel=0.1)
    assert list(found.evidence.conditions) == [f"{label}, with" for label in study.sets]
    assert len(found.cells) == len(study.cells["batch_normalization"])


def test_the_table_of_variants(planned, computed, tmp_path):
    study = planned("batch_normalization")
    folder = drawn(study, computed(study, higher(0.07)), tmp_path / "drawn")
    table = pd.read_csv(folder / "batch_normalization.csv").query(
        "transformations == 'scale' and measure == 'NV of maps'"
    )
    assert table["design"].tolist() == ["without", "with"]
    assert table["layers"].tolist() == [17, 17]  # the six of batch normalisation are left out
    assert table["seeds"].tolist() == [5, 5]
    assert table["mean"].tolist() == pytest.approx([1, 1.07])
    alone = pd.read_csv(folder / "batch_normalization_alone.csv").query("measure == 'NV of maps'")
    assert set(alone["design"]) == {"with"}
    assert set(alone["layers"]) == {23}


def test_layers_that_are_left_out_are_those_of_batch_normalisation_and_the_others_keep_their_order(planned, computed):
    study = planned("batch_normalization")
    results = computed(study)
    both, alone = study.experiments["batch_normalization"].plans(study)
    (kept, *_), (whole, *_) = (
        plan.lines["mnist5k"]["scale"][-1].tables(results, plan.measures[0]) for plan in (both, alone)
    )
    assert list(kept["layer_index"]) == list(range(1, 18))
    assert list(kept["layer"]) == [name for name in whole["layer"] if "batchnorm" not in name]
    assert list(kept["kind"]) == helpers_experiments.SIMPLE_CONV


def test_ti_pooling_is_trained_plain_over_the_set_it_is_measured_under(planned):
    study = planned("ti_pooling")
    cells = study.cells["ti_pooling"]
    assert len(cells) == 6
    for cell in cells:
        if cell.network.model.name == "TIPoolingSimpleConv":
            assert cell.network.augmentation is None
            read = sets.parse(cell.network.model.arguments["transformations"])
            assert np.array_equal(read.matrices, cell.transformations.build().matrices)
        else:
            assert cell.network.augmentation == cell.transformations


def pooled(before, after, data):
    """TI-pooling's NV before and from its pooling over transformations on; the other's after its flattening."""

    def values(cell, measure):
        more = 1 + 0.01 * cell.network.seed
        layers = kinds(cell.network.model)
        if "PathMaxPool" not in layers:
            place = min([*layers, "Flatten"].index("Flatten") + 1, len(layers))
            return np.array([9.0] * place + [data] * (len(layers) - place))
        place = layers.index("PathMaxPool")
        return np.array([before] * place + [after * more] * (len(layers) - place))

    return values


def test_how_invariant_ti_pooling_is_under_sets_that_are_closed_under_composition(planned, computed):
    study = planned("ti_pooling", {"seeds": 3})
    found = findings(study, computed(study, pooled(1.0, 0.2, 0.5)))
    assert found["invariant_after"].evidence.pooled.estimate == pytest.approx(0.2 * 1.01, rel=1e-3)
    assert found["more_than_data"].evidence.pooled.estimate == pytest.approx(0.2 * 1.01 / 0.5, rel=1e-3)
    assert list(found["invariant_after"].evidence.conditions) == ["rotation"]


def test_ti_pooling_against_a_network_without_dense_layers_is_undecided(planned, computed):
    study = planned("ti_pooling", {"model": "AllConvolutional", "seeds": 3})
    found = findings(study, computed(study, pooled(1.0, 0.2, 0.5)))
    assert found["more_than_data"].why == "rotation: no seed has a value (3 without); two are needed"


def test_ti_pooling_has_sizes_of_its_own_of_the_author(planned, computed, tmp_path):
    study = planned("ti_pooling", {"transformation_sets": ["rotation"]})
    caption = (drawn(study, computed(study), tmp_path / "drawn") / "ti_pooling.md").read_text(encoding="utf-8")
    assert "TIPooling (TIPoolingSimpleConv; width 16; dense 64; transformations rotation" in caption
    assert "none of the author's networks" not in caption


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("batch_normalization", {"model": "AllConvolutional"}, "batch_norm"),
        ("activation_function", {"model": "SimpleCon"}, "did you mean 'SimpleConv'"),
        ("kernel_size", {"seeds": 6}, "6 seeds asked for; the preset has 5"),
        ("kernel_size", {"seeds": 0}, "seeds"),
        ("max_pooling", {"measures": []}, "no measure to show"),
        ("max_pooling", {"transformation_sets": ["turns"]}, "unknown transformation set"),
        ("ti_pooling", {"ti_model": "TIPool"}, "did you mean 'TIPooling'"),
        ("ti_pooling", {"ti_model": "SimpleConv", "model": "TIPooling"}, "transformations"),
        ("ti_pooling", {"ti_model": "SimpleConv"}, "each model once"),
        ("ti_pooling", {"seeds": 6}, "6 seeds asked for"),
    ],
)
def test_bad_options_are_refused_before_any_job(name, options, message, planned):
    with pytest.raises(InputError) as refused:
        planned(name, options)
    assert f"experiments.{name}" in str(refused.value)
    assert message in str(refused.value)


def test_variants_that_do_not_learn_on_a_dataset_are_left_out_there_and_named(preset, planned, computed, tmp_path):
    preset["datasets"]["again"] = {**preset["datasets"]["mnist5k"], "source": "mnist5k"}
    study = planned("activation_function", {"leave_out": {"again": ["sigmoid", "tanh"]}})
    used = {
        (cell.network.dataset.name, cell.network.model.arguments["activation"]) for cell in study.cells_of(NAMES[1])
    }
    activations = VARIANTS["activation_function"][1]
    assert used == {("mnist5k", one) for one in activations} | {("again", one) for one in activations[:3]}
    caption = (drawn(study, computed(study), tmp_path / "drawn") / "activation_function.md").read_text(encoding="utf-8")
    assert "Left out, because these networks do not learn: on again sigmoid and tanh." in caption
    alone = study.on("activation_function", ("mnist5k",))
    assert not alone.experiments["activation_function"].leave_out
    assert len(alone.cells_of("activation_function")) == 3 * 5 * 5


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        ({"mnist": ["tanh"]}, "did you mean 'mnist5k'"),
        ({"mnist5k": ["sigmiod"]}, "did you mean 'sigmoid'"),
        ({"mnist5k": ["ELU"]}, "where ELU must stay"),
        ({"mnist5k": ["ReLU", "PReLU", "tanh", "sigmoid"]}, "leaves no variant of ELU on mnist5k"),
    ],
)
def test_what_is_left_out_is_there(left_out, message, planned):
    with pytest.raises(InputError, match=message):
        planned("activation_function", {"leave_out": left_out})


def test_ti_pooling_needs_affine_sets(planned, preset, request):
    preset["transformation_sets"] = {"mine": {"set": f"{request.path.parent / 'user_sets.py'}:functions", "size": 1}}
    with pytest.raises(InputError, match="TI-pooling needs an affine transformation set; 'mine'"):
        planned("ti_pooling")


def test_planning_loads_neither_torch_nor_plotting(preset, load, tmp_path):
    rates = [f"{name}[alpha={a}]" for name in ("Goodfellow", "Goodfellow_L", "Goodfellow_G") for a in (0.9, 0.999)]
    preset["models"]["TIPooling"] = {"model": "TIPoolingSimpleConv", "learning_rate": 1e-3, "epochs": 3}
    preset["measures"] += [*rates, "NVSE", "TVSE[aggregate=mean]", "SVSE[aggregate=mean]"]
    alphas = {"alphas": [0.9, 0.999]}
    preset["experiments"] = {name: {} for name in (*NAMES, "measure_comparison", "same_equivariance", "aggregation")}
    preset["experiments"] |= {"goodfellow_alpha": alphas, "goodfellow_parts": alphas}
    load(preset)
    code = (
        "import sys; from cnn_invariance.experiments.framework.programme import Programme\n"
        f"study = Programme.load({str(tmp_path / 'preset.yaml')!r})\n"
        "assert all(study.cells.values()) and all(one.figures for one in study.outputs.values())\n"
        "heavy = {'torch', 'matplotlib', 'pandas', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""Networks, measures and transformations of the user's own in a preset: specs, what is left out, what is refused."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from cnn_invariance.cli import app
from cnn_invariance.datasets import Dataset, save
from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.paper import captions
from cnn_invariance.report import claims
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products
from helpers_extend import BRIGHTNESS, NETWORK, SHARE

PRESET = """\
name: mine
description: All of my own.
datasets:
  toy: {{source: folder:toy, fingerprint: {fingerprint}, accuracy_floor: 0}}
models:
  Mine: {{model: "nets.py:build", learning_rate: 1e-3, epochs: 1}}
transformation_sets:
  rotation: {{parameters: {{n: 2, closed: false}}}}
  brightness: {{set: "sets.py:brightness", size: 2}}
training: {{augmentation_epochs: same}}
seeds: [0]
samples: {{count: 6}}
measures: [NV, "NV[aggregate=mean]", "NVSE[aggregate=mean]", "mine.py:ShareT"]
experiments:
  compare_models: {{measures: ["NV[aggregate=mean]", "NVSE[aggregate=mean]", "mine.py:ShareT"]}}
"""


def toy():
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (24, 1, 6, 6), dtype=np.uint8), np.arange(24) % 2
    splits = {"train": np.arange(12), "validation": np.arange(12, 18), "test": np.arange(18, 24)}
    return Dataset.create("toy", images, labels, splits, ["a", "b"])


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the preset, its files, and its dataset prepared."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("nets.py", NETWORK), ("sets.py", BRIGHTNESS), ("mine.py", SHARE)):
        Path(name).write_text(text)
    data = toy()
    save(data, Path("data/toy.npz"))
    Path("mine.yaml").write_text(PRESET.format(fingerprint=data.fingerprint))
    return tmp_path


def edit(name, old, new):
    text = Path(name).read_text()
    assert text.count(old) == 1
    Path(name).write_text(text.replace(old, new))


def plan():
    return Plan(Programme.load("mine.yaml"))


def cli(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments), "--preset", "mine.yaml"])


def test_every_stage_by_hand_and_what_they_leave(here):
    whole = plan()
    assert cli("plan").exit_code == 0
    for stage, cells in (("train", whole.networks), ("measure", whole.measurements)):
        for cell in cells:
            done = cli(stage, cell.key)
            assert done.exit_code == 0, done.output
    assert cli("draw", "compare_models").exit_code == 0
    rows = [line.split(",") for line in Path("results/mine/tables/compare_models.csv").read_text().splitlines()]
    column = {name: index for index, name in enumerate(rows[0])}
    shown = {(row[column["transformations"]], row[column["measure"]]) for row in rows[1:]}
    both = {(label, measure) for label in ("rotation", "brightness") for measure in ("NV of maps", "ShareT of units")}
    assert shown == both | {("rotation", "NVSE of maps")}
    assert {row[column["best_layer"]] for row in rows[1:]} <= {"0", "1", "2", "3"}
    text = Path("figures/mine/compare_models/compare_models.md").read_text()
    assert "NVSE of maps is not shown for brightness: these transformations cannot be undone." in text


def test_same_equivariance_is_left_out_of_cells_that_cannot_have_it(here):
    rotation, brightness = plan().measurements
    assert "NVSE[aggregate=mean]" in rotation.measures
    assert set(rotation.measures) - set(brightness.measures) == {"NVSE[aggregate=mean]"}


def test_a_file_of_measures_is_part_of_the_cell_and_of_nothing_else(here):
    before = plan().measurements[0]
    assert json.loads(before.canonical)["code"].keys() == {"mine.py"}
    edit("mine.py", '"""The share', '"""My share')
    after = plan().measurements[0]
    assert after.hash != before.hash
    assert after.network.hash == before.network.hash
    edit("mine.yaml", ', "mine.py:ShareT"]\n', "]\n")
    edit("mine.yaml", ', "mine.py:ShareT"]}', "]}")
    assert "code" not in json.loads(plan().measurements[0].canonical)


def test_experiments_that_need_same_equivariance_say_which_set_has_none(here):
    edit("mine.yaml", 'compare_models: {measures: ["NV[aggregate=mean]", ', "compare_models: {measures: [")
    message = r"NVSE\[aggregate=mean\] cannot be measured under brightness: .*name another measure first, or leave"
    with pytest.raises(InputError, match=message):
        plan()
    edit(
        "mine.yaml",
        "compare_models: {",
        "heatmap: {models: [Mine], measures: ['NVSE[aggregate=mean]']}\n  compare_models: {models: [Mine], ",
    )
    with pytest.raises(InputError, match=r"heatmap: NVSE.* cannot be measured under 'sets\.py:brightness'"):
        plan()


def test_a_set_without_any_measure_left(here):
    edit(
        "mine.yaml",
        'measures: [NV, "NV[aggregate=mean]", "NVSE[aggregate=mean]", "mine.py:ShareT"]',
        "measures: [NVSE]",
    )
    edit("mine.yaml", 'measures: ["NV[aggregate=mean]", "NVSE[aggregate=mean]", "mine.py:ShareT"]', "measures: [NVSE]")
    with pytest.raises(
        InputError, match=r"brightness' cannot be undone on feature maps, and NVSE need that; add a meas"
    ):
        plan()


# ---- weights ----


@pytest.fixture
def pretrained(here):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 5))
    save_file(model.state_dict(), "w.safetensors")
    edit("mine.yaml", 'model: "nets.py:build", learning_rate: 1e-3, epochs: 1', WITH_WEIGHTS)
    return model


WITH_WEIGHTS = 'model: "nets.py:build", weights: w.safetensors, learning_rate: 1e-3, epochs: 0'


def test_training_starts_from_pretrained_weights_which_are_part_of_the_spec(pretrained):
    from cnn_invariance.training import load_network

    network = plan().networks[0]
    assert len(network.model.weights) == 64
    done = cli("train", network.key)
    assert done.exit_code == 0, done.output
    assert "weights of w.safetensors; new: 3.bias, 3.weight" in done.stderr
    trained = load_network(plan().folders.checkpoint(network), network, epoch=0)
    assert torch.equal(trained[0].weight, pretrained[0].weight)
    save_file({**pretrained.state_dict(), "0.bias": torch.zeros(2)}, "w.safetensors")
    assert plan().networks[0].hash != network.hash
    Path("w.safetensors").unlink()
    with pytest.raises(InputError, match=r"no file w\.safetensors of weights; a relative path starts where you run"):
        plan()


def test_pinned_weights_are_planned_without_their_file_and_computed_only_with_it(pretrained):
    pin = hashlib.sha256(Path("w.safetensors").read_bytes()).hexdigest()
    key = plan().networks[0].key
    edit("mine.yaml", "weights: w.safetensors,", f"weights: w.safetensors, weights_sha256: {pin},")
    assert plan().networks[0].key == key
    Path("w.safetensors").rename("elsewhere")
    assert plan().networks[0].key == key
    done = cli("train", key)
    assert done.exit_code == 2
    assert f"no file w.safetensors of weights (SHA-256 {pin})" in done.stderr
    save_file({**pretrained.state_dict(), "0.bias": torch.zeros(2)}, "w.safetensors")
    with pytest.raises(InputError, match=rf"the file w\.safetensors has the SHA-256 .*, and the preset pins {pin}"):
        plan()
    edit("mine.yaml", "weights: w.safetensors, ", "")
    with pytest.raises(InputError, match="'weights_sha256' is of a file; name the file as 'weights'"):
        plan()


def test_weights_that_do_not_fit_start_no_job(pretrained):
    save_file({"0.weight": torch.zeros(2, 1, 3, 3)}, "w.safetensors")
    done = cli("plan", "--try")
    assert done.exit_code == 2
    assert "w.safetensors does not fit the network: it lacks 3 tensors" in done.stderr


# ---- what fails, before the first job ----


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("nets.py", "from torch import nn", "import no_such_x", r"nets\.py cannot be imported: .*no_such_x"),
        ("nets.py", "def build", "def bild", r"unknown name in 'nets\.py' 'build'; did you mean 'bild'"),
        ("nets.py", "classes, *", "classes, depth, *", r"cannot be called with .*'depth'"),
        ("nets.py", "nn.LazyLinear(classes)", "nn.LazyLinear(7)", r"to \(2, 7\); expected a tensor of shape \(2, 2\)"),
        ("nets.py", ", nn.LazyLinear(classes)", "", r"to \(2, 32\); expected a tensor"),
        ("nets.py", "nn.Conv2d(input_shape[0]", "nn.Conv2d(3", r"does not take samples of shape \(1, 6, 6\)"),
        ("nets.py", "    return nn.Sequential", "    1 / 0\n    return nn.Sequential", "fails to build .*ZeroDivision"),
        ("sets.py", "    return", "    1 / 0\n    return", r"'sets\.py:brightness' fails with \{\}: ZeroDivisionError"),
        ("sets.py", "    return", "    import no_such_x\n    return", r"brightness' fails .*no_such_x"),
        ("sets.py", "def brightness", "def brightnes", r"unknown name in 'sets\.py' 'brightness'; did you mean"),
        ("sets.py", "images * (1 + k / 4)", "images[..., :3]", r"transformation 1 of 2 .* into \(4, 1, 6, 3\)"),
        ("sets.py", "images * (1 + k / 4)", "images / 0 * 0", r"transformation 1 of 2 .* not finite"),
        (
            "sets.py",
            "images * (1 + k / 4)",
            "images.double()",
            r"'sets\.py:brightness': transformation 1 of 2 .*sets\.py:\d+\)"
            " turns images of float32 into float64; expected the same",
        ),
        ("sets.py", "images * (1 + k / 4)", "images.no_such()", r"transformation 1 of 2 .* fails: AttributeError"),
        ("mine.py", "quotient(t, t + s)", "t[:1]", r"mine\.py:ShareT turns a layer of shape"),
        ("mine.py", "def statistics", "import no_such_x\ndef statistics", r"mine\.py cannot be imported: .*no_such_x"),
    ],
)
def test_what_fails_is_named_before_the_first_job(here, file, old, new, message):
    edit(file, old, new)
    done = cli("plan", "--try")
    assert done.exit_code == 2
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.output
    assert not Path("results").exists()


def test_all_that_fails_is_in_one_message(here):
    edit("nets.py", "nn.LazyLinear(classes)", "nn.LazyLinear(7)")
    edit("sets.py", "images * (1 + k / 4)", "images[..., :3]")
    edit("mine.py", "quotient(t, t + s)", "t[:1]")
    said = cli("plan", "--try").stderr
    assert all(part in said for part in ("mine.py:ShareT turns", "maps 2 samples", "transformation 1 of 2"))


def test_without_the_dataset_what_can_be_known_is_named(here):
    Path("data/toy.npz").unlink()
    edit("nets.py", "nn.LazyLinear(classes)", "nn.LazyLinear(7)")
    assert cli("plan", "--try").exit_code == 0  # it depends on the images
    edit("nets.py", "from torch import nn", "import no_such_x")
    assert "cannot be imported" in cli("plan", "--try").stderr


def test_what_is_computed_already_is_not_tried(here):
    edit(
        "mine.yaml",
        "transformation_sets:\n  rotation: {parameters: {n: 2, closed: false}}\n",
        "compute: cached\ntransformation_sets:\n",
    )
    edit("nets.py", "nn.LazyLinear(classes)", "nn.LazyLinear(7)")
    assert cli("plan", "--try").exit_code == 0


FICKLE = """
from torch import nn


class Fickle(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.dense, self.other, self.runs = nn.Linear(36, classes), nn.Identity(), 0

    def forward(self, x):
        self.runs += 1
        x = self.dense(x.flatten(1))
        return self.other(x) if self.runs > 1 else x


def build(input_shape, classes):
    return Fickle(classes)
"""


def test_a_network_that_changes_its_layers_starts_no_training(here):
    Path("nets.py").write_text(FICKLE)
    said = cli("plan", "--try").stderr
    assert "changes its layers between two calls: 1 at first, then 2, and they differ at 'other' (2,)" in said
    done = cli("train", plan().networks[0].key)
    assert done.exit_code == 2
    assert "changes its layers between two calls" in done.stderr


NO_PARAMETERS = """
from torch import nn


def build(input_shape, classes):
    return nn.Sequential(nn.AvgPool2d((6, 3)), nn.Flatten())
"""


def test_a_network_without_parameters_is_measured_and_not_trained(here):
    Path("nets.py").write_text(NO_PARAMETERS)
    said = "'nets.py:build' has no parameters to train; give it 'epochs: 0' in the preset"
    assert said in cli("plan", "--try").stderr
    done = cli("train", plan().networks[0].key)
    assert (done.exit_code, said in done.stderr) == (2, True)
    edit("mine.yaml", "epochs: 1", "epochs: 0")
    whole = plan()
    assert cli("plan", "--try").exit_code == 0
    for stage, cell in (("train", whole.networks[0]), ("measure", whole.measurements[0])):
        done = cli(stage, cell.key)
        assert done.exit_code == 0, done.output
    assert whole.results.training(whole.networks[0])["parameters"] == 0


def test_an_augmentation_that_changes_the_shape_starts_no_training(here):
    edit("sets.py", "images * (1 + k / 4)", "images[:1]")
    augmented = plan().networks[1]
    done = cli("train", augmented.key)
    assert done.exit_code == 2
    assert "transformation 1 of 2" in done.stderr
    assert not Path("models").exists()


def test_fingerprints_are_no_numbers(here):
    edit("mine.yaml", toy().fingerprint, "09e669c7ba6420650392e8bb52982fa81aad67fc0fc051e3fd3d7a93554d877a")
    assert Programme.load("mine.yaml").dataset("toy").fingerprint.startswith("09e669c7")


# ---- networks of the package are tried, too ----


def test_a_network_of_the_package_that_does_not_fit_the_images_starts_no_job(here):
    """VGG16D needs 16 x 16 pixels; the images have 6 x 6. One message, before anything is trained."""
    edit("mine.yaml", "  Mine: {", "  VGG16D: {learning_rate: 1e-3, epochs: 1}\n  Mine: {")
    done = cli("plan")
    assert done.exit_code == 2
    assert done.stderr.count("VGG16D needs images of at least 16 x 16 pixels, received 6 x 6") == 1
    assert not Path("results").exists()


# ---- what is named once, whatever happens to it ----


def computed():
    """The results of all cells of the preset, as a run leaves them."""
    whole = plan()
    for cell in whole.cells:
        done = cli(cell.stage, cell.key)
        assert done.exit_code == 0, done.output
    return plan()


def test_a_network_file_that_is_gone_is_named_once(here):
    computed()
    Path("nets.py").unlink()
    for command in (("plan",), ("draw", "compare_models"), ("results", "check")):
        done = cli(*command)
        assert done.exit_code == 2
        assert done.stderr.count("no file nets.py (for 'nets.py:build')") == 1, done.stderr
        assert "'nets.py:build' is part of the preset" not in done.stderr


def test_a_preset_in_another_folder_works_from_the_folder_of_its_files(here):
    computed()
    Path("elsewhere").mkdir()
    Path("mine.yaml").rename("elsewhere/mine.yaml")
    assert "nothing to compute" in CliRunner().invoke(app, ["plan", "--preset", "elsewhere/mine.yaml"]).output


def test_a_preset_that_runs_in_another_folder_names_the_file_that_is_missing(here, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    Path("mine.yaml").rename(other / "mine.yaml")
    monkeypatch.chdir(other)
    said = cli("plan").stderr
    assert f"no file mine.py of measures (from the folder {other})" in said


def test_the_results_of_a_renamed_preset_are_found(here):
    computed()
    edit("mine.yaml", "name: mine", "name: renamed")
    said = cli("plan").output
    assert "results/mine holds 4 of the missing results of results/renamed" in said
    assert "if the preset was renamed: mv results/mine results/renamed" in said
    Path("results/mine").rename("results/renamed")
    assert "nothing to compute" in cli("plan").output


def test_two_files_with_a_build_each_are_told_apart(here):
    Path("more.py").write_text(NETWORK.replace("nn.ReLU()", "nn.ELU()"))
    edit("mine.yaml", "  Mine: {", '  Other: {model: "more.py:build", learning_rate: 1e-3, epochs: 1}\n  Mine: {')
    keys = {cell.key for cell in plan().cells}
    assert {key.split("-")[1] for key in keys} == {"nets.py_build", "more.py_build"}
    said = cli("plan").output
    assert re.search(r"^train toy-more\.py_build-rotation-s0-\w+ \(Other\)", said, re.M)
    assert re.search(r"^train toy-nets\.py_build-rotation-s0-\w+ \(Mine\)", said, re.M)
    caption = captions.caption(plan().study, "compare_models", plan().cells, title="", question="", setting="")
    assert "Other (more.py:build; 1 epoch)" in str(caption)
    assert "Mine (nets.py:build; 1 epoch)" in str(caption)
    assert "Mine is none of the author's networks" in str(caption)
    assert "Experiment 'compare_models' of the author's code, with parts that his code does not have" in str(caption)


def test_a_measure_with_the_name_of_a_shipped_one_is_refused(here):
    for name in ("mine.py", "mine.yaml"):
        Path(name).write_text(Path(name).read_text().replace("ShareT", "TV"))
    said = cli("plan").stderr
    assert "mine.py: TV is a measure of this package; choose another name" in said


def test_epochs_that_a_rule_changes_are_printed_with_the_rule(here):
    assert "augmentation_epochs" not in cli("plan").output  # same
    edit("mine.yaml", "training: {augmentation_epochs: same}\n", "")
    edit("mine.yaml", "{n: 2, closed: false}", "{n: 8, closed: false}")
    said = cli("plan").output
    assert "note: epochs by training.augmentation_epochs: author, which multiplies them by 1.1 ln M" in said
    assert "('same' keeps them): Mine on toy 1, 2 with rotation" in said


# ---- an experiment of one's own ----

WIDTH = """
from cnn_invariance.experiments.framework import VariantExperiment, changes


class Width(VariantExperiment):
    question = "Does the width change the structure?"
    part, argument = "the width", "width"
    claims = changes(part)

    width: tuple[int, ...] = (2, 3)
"""


@pytest.fixture
def with_experiment(here):
    Path("ex.py").write_text(WIDTH)
    options = '{experiment: "ex.py:Width", model: Mine, width: [2, 3], seeds: 1, measures: ["NV[aggregate=mean]"]}'
    edit("mine.yaml", "experiments:\n", f"experiments:\n  my_width: {options}\n")


def test_an_experiment_of_one_s_own_is_called_so_everywhere(with_experiment):
    whole = computed()
    for command in (("draw", "my_width"), ("claims",)):
        done = cli(*command)
        assert done.exit_code == 0, done.output
    caption = Path("figures/mine/my_width/my_width.md").read_text()
    assert "Experiment 'my_width' of your own (preset mine)." in caption
    assert "width 2: the base design" in caption
    claim = next(row for row in claims.records(whole) if row["experiment"] == "my_width")
    assert claim["source"] == "expected"
    assert claim["reading"] == "exploratory"
    assert "an expectation of your own" in Path("results/mine/claims.md").read_text()
    assert Path("ex.py").absolute() in [path.absolute() for path in Products(whole).code_of("my_width")]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("mine.yaml", "ex.py:Width", "ex.py:Wide", r"unknown name in 'ex\.py' 'Wide'; did you mean 'Width'"),
        ("mine.yaml", "ex.py:Width", "ex.py:changes", r"'ex\.py:changes' is no experiment; expected a class that"),
        ("mine.yaml", "ex.py:Width", "other.py:Width", r"no file other\.py"),
        ("mine.yaml", "ex.py:Width", "accuracy", r"'experiment' names a class in a file of yours"),
        (
            "mine.yaml",
            "  my_width:",
            "  accuracy:",
            r"'accuracy' is an experiment of this package; give .* another label",
        ),
        ("mine.yaml", "  my_width:", "  my/width:", r"the label of an experiment of your own has letters"),
        (
            "mine.yaml",
            "width: [2, 3]",
            "width: [2]",
            r"expected two or more values of 'width' to compare; received width 2",
        ),
        ("mine.yaml", "width: [2, 3]", "widths: [2, 3]", r"widths: unknown key|unknown.*'?widths"),
        ("ex.py", '    question = "Does the width change the structure?"\n', "", r"Width does not define question"),
        (
            "ex.py",
            "    part, argument",
            "    1 / 0\n    part, argument",
            r"ex\.py cannot be imported: ZeroDivisionError",
        ),
    ],
)
def test_what_is_no_experiment_is_named_with_its_line(with_experiment, file, old, new, message):
    edit(file, old, new)
    done = cli("plan", "--try")
    assert done.exit_code == 2
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.output

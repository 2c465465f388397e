"""Networks measured on the samples of another dataset, by hand: other sizes, other channels, other classes."""

import math

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cnn_invariance import datasets
from cnn_invariance.cli import app
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.report import claims
from cnn_invariance.workflow.plan import Plan

PIN = "431ccb07ecd1af0274b77e08cda92d8c7c33d4feec3c76007dfacee4ea4406aa"
PRESET = """\
name: tiny
description: Two datasets, untrained networks.
datasets:
  mnist5k: {{fingerprint: {digits}, accuracy_floor: 0}}
  leaves: {{source: "folder:{folder}", fingerprint: {leaves}, accuracy_floor: 0}}
models:
  SimpleConv: {{arguments: {{width: 1, dense: 2}}, learning_rate: 1e-3, epochs: 0}}
transformation_sets:
  rotation: {{parameters: {{n: 2, angle_deg: 90}}}}
seeds: [0]
samples: {{count: 6}}
measures: [NV, "NV[aggregate=mean]"]
experiments:
  dataset_transfer: {{seeds: 1}}
"""


def run(*arguments):
    done = CliRunner().invoke(app, [str(argument) for argument in (*arguments, "--preset", "tiny.yaml")])
    assert done.exit_code == 0, f"{arguments}: {done.output}"


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """The plan of a study in the current folder, whose commands were all given."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("transfer")
        patch.chdir(root)
        colours = np.random.default_rng(0).integers(0, 256, (3, 10, 12, 20, 3), dtype=np.uint8)
        for label, images in zip(("ash", "elm", "oak"), colours, strict=True):
            (root / "leaves" / label).mkdir(parents=True)
            for index, pixels in enumerate(images):
                Image.fromarray(pixels).save(root / "leaves" / label / f"{index}.png")
        leaves = datasets.prepare(f"folder:{root / 'leaves'}", root / "leaves.npz")
        assert leaves.input_shape == (3, 12, 20)
        text = PRESET.format(digits=PIN, leaves=leaves.fingerprint, folder=root / "leaves")
        (root / "tiny.yaml").write_text(text)
        plan = Plan(Programme.load("tiny.yaml"))
        for label in plan.study.datasets:
            run("dataset", label)
        for network in plan.networks:
            run("train", network.key)
        for cell in plan.measurements:
            run("measure", cell.key)
        run("draw", "dataset_transfer")
        yield Plan(Programme.load("tiny.yaml"))


def test_every_network_is_measured_on_both_datasets(plan):
    pairs = {(cell.network.dataset.name, cell.dataset.name) for cell in plan.measurements}
    assert pairs == {(a, b) for a in ("mnist5k", "leaves") for b in ("mnist5k", "leaves")}
    assert not plan.todo("measure")
    profiles = {cell: plan.results.profile(cell, "NV[aggregate=mean]")["value"] for cell in plan.measurements}
    assert {len(profile) for profile in profiles.values()} == {17}
    for network in plan.networks:
        own, other = (profiles[cell] for cell in plan.measurements if cell.network == network)
        assert np.isfinite(own).any()
        assert np.isfinite(other).any()
        assert not own.equals(other)


def test_the_accuracy_on_another_dataset_is_absent(plan):
    for cell in plan.measurements:
        accuracy = plan.results.measure(cell).accuracy
        if cell.dataset == cell.network.dataset:
            assert len(accuracy) == 2
        else:
            assert accuracy is None


def test_the_samples_are_those_of_the_other_dataset_in_the_networks_shape(plan):
    import torch

    import cnn_invariance as ci
    from cnn_invariance.training import load_network

    (cell,) = (
        one for one in plan.measurements if (one.network.dataset.name, one.dataset.name) == ("leaves", "mnist5k")
    )
    digits = datasets.load(plan.folders.dataset("mnist5k"))
    images = datasets.adapt(torch.from_numpy(digits.images), (3, 12, 20)).float() / 255
    train = images[torch.from_numpy(digits.splits["train"])]
    mean, std = train.mean((0, 2, 3), keepdim=True), train.std((0, 2, 3), correction=0, keepdim=True)
    chosen = torch.from_numpy(digits.subset("test", 6, 0))
    network = load_network(plan.folders.checkpoint(cell.network), cell.network, epoch=0)
    result = ci.measure(network, (images[chosen] - mean) / std, cell.transformations.build(), ["NV"])
    expected = result.summary().query("measure == 'NV' and map.isna()")["value"].to_numpy(dtype=float)
    assert plan.results.profile(cell, "NV")["value"].to_numpy(dtype=float) == pytest.approx(expected, rel=1e-3)


def test_one_set_and_one_seed_leave_the_claim_undecided(plan):
    table = claims.table(claims.records(plan))
    assert list(table["about"]) == ["mnist5k", "leaves"]
    assert set(table["verdict"]) == {"undecided"}
    assert all(math.isfinite(estimate) for estimate in table["estimate"])


def test_captions_name_both_datasets(plan):
    caption = plan.folders.figure_folder("tiny", "dataset_transfer") / "dataset_transfer.md"
    assert "measured on 6 samples of the test split of leaves and of mnist5k" in caption.read_text(encoding="utf-8")

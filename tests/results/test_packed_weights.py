"""Checkpoints that travel beside results: whoever measures a network again need not train it again."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.training import checkpoint, tensorfile
from cnn_invariance.workflow import archives, preparation, stages
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan

PRESET = {
    "name": "tiny",
    "description": "A network of which early epochs are measured.",
    "datasets": {
        "mnist5k": {
            "fingerprint": "431ccb07ecd1af0274b77e08cda92d8c7c33d4feec3c76007dfacee4ea4406aa",
            "accuracy_floor": 0,
        }
    },
    "models": {"SimpleConv": {"arguments": {"width": 1, "dense": 600}, "learning_rate": 1e-3, "epochs": 2}},
    "transformation_sets": {"rotation": {"parameters": {"n": 2, "closed": False}}},
    "training": {"epoch_samples": 64, "augmentation_epochs": "same"},
    "seeds": [0],
    "samples": {"count": 10},
    "measures": ["NV[aggregate=mean]"],
    "experiments": {"random_weights": {"networks": 2, "seeds": 1}, "compare_models": {"seeds": 1}},
}


@pytest.fixture(scope="module")
def computed(tmp_path_factory) -> Plan:
    """A clone that has trained and measured everything."""
    root = tmp_path_factory.mktemp("there")
    (root / "tiny.yaml").write_text(yaml.safe_dump(PRESET), encoding="utf-8")
    plan = Plan(Programme.load(root / "tiny.yaml"), Folders(root / "data", root / "models", root / "results"))
    preparation.prepare(plan.study, plan.folders, "mnist5k")
    for cell in plan.to_compute:
        stages.compute(plan.job(cell), plan.folders, threads=1)
    return plan.anew()


@pytest.fixture
def there(computed, tmp_path) -> Plan:
    """A copy of it, to be changed."""
    for name in ("models", "results"):
        shutil.copytree(getattr(computed.folders, name), tmp_path / "there" / name)
    folders = Folders(computed.folders.data, tmp_path / "there" / "models", tmp_path / "there" / "results")
    return Plan(computed.study, folders)


@pytest.fixture
def here(computed, tmp_path) -> Plan:
    """A clone without anything but the data."""
    return Plan(computed.study, Folders(computed.folders.data, tmp_path / "models", tmp_path / "results"))


def packed(plan: Plan, folder: Path, **options) -> list[Path]:
    return archives.pack(plan.results, plan.cells, folder, weights=plan.folders, **options)


def weights_of(plan: Plan) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in plan.folders.models.glob("*")}


def test_a_network_is_measured_again_without_being_trained_again(there, here, tmp_path):
    done = archives.load(here, packed(there, tmp_path / "out"))
    assert done == archives.Imported(new=len(there.cells), known=0, weights=len(there.networks))
    assert weights_of(here) == weights_of(there) != {}
    for cell in here.measurements:
        here.results.path(cell).unlink()
    again = here.anew()
    assert again.to_compute == again.measurements
    stages.compute(again.job(again.measurements[0]), again.folders, threads=1)
    shutil.rmtree(here.results.root)
    again = archives.load(here.anew(), packed(there, tmp_path / "again"))
    assert again == archives.Imported(new=len(there.cells), known=0)  # the checkpoints were there


def test_weights_that_are_larger_than_an_archive_have_one_of_their_own(there, here, tmp_path):
    files = packed(there, tmp_path / "out", limit=120_000)
    assert len(files) > 1
    assert archives.load(here, files).weights == len(there.networks)
    assert weights_of(here) == weights_of(there)


def other_weights(plan: Plan) -> Path:
    """Of the first network, a whole checkpoint with other weights than those of its record."""
    network, path = plan.networks[0], plan.folders.checkpoint(plan.networks[0])
    tensors, document = tensorfile.read(path)
    tensorfile.write(path, {name: tensor + 1 for name, tensor in tensors.items()}, document)
    assert checkpoint.is_checkpoint(path, network, network.recipe.epochs)
    return path


def test_weights_that_no_result_was_made_from_are_not_packed(there, here, tmp_path):
    path = other_weights(there)
    archives.load(here, packed(there, tmp_path / "out"))
    assert set(weights_of(here)) == set(weights_of(there)) - {path.name}


def renamed(there: Plan, folder: Path, monkeypatch) -> list[Path]:
    """Archives of everything that is there, whether results were made from it or not."""
    everything = {f"weights/{path.name}": path for path in there.folders.models.glob("*.safetensors")}
    monkeypatch.setattr(archives, "_checkpoints", lambda *_: everything)
    return packed(there, folder)


def test_other_weights_are_refused_by_name(there, here, tmp_path, monkeypatch):
    path = other_weights(there)
    network = there.networks[0].key
    with pytest.raises(
        InputError, match=rf"weights/{path.name}: other weights than those that the results of {network}"
    ):
        archives.load(here, renamed(there, tmp_path / "out", monkeypatch))
    assert weights_of(here) == {}


@pytest.mark.parametrize("what", ["pickle", "cut", "of another network", "a bit"])
def test_what_is_no_checkpoint_is_refused_by_name(there, here, tmp_path, monkeypatch, what):
    path, other = (there.folders.checkpoint(network) for network in there.networks[:2])
    content = path.read_bytes()
    if what == "pickle":
        tensors = {name: tensor.clone() for name, tensor in tensorfile.read(path)[0].items()}  # not the file's pages
        torch.save(tensors, path)
    else:
        contents = {
            "cut": content[:-3],
            "of another network": other.read_bytes(),
            "a bit": content[:-1] + bytes([content[-1] ^ 1]),
        }
        path.write_bytes(contents[what])
    with pytest.raises(
        InputError, match=rf"weights/{path.name}: damaged, or not the weights of {there.networks[0].key}"
    ):
        archives.load(here, renamed(there, tmp_path / "out", monkeypatch))
    assert weights_of(here) == {}


def test_weights_whose_results_are_missing_are_refused_and_another_checkpoint_is_a_conflict(there, here, tmp_path):
    files = archives._checkpoints(there.results, there.cells, there.folders)
    alone = tmp_path / "alone.tar.gz"
    alone.write_bytes(archives._archive(files))
    with pytest.raises(InputError, match=r"no result says which weights .* has at epoch .*; import its results too"):
        archives.load(here, [alone])
    archives.load(here, archives.pack(there.results, there.cells, tmp_path / "results_alone"))
    assert archives.load(here.anew(), [alone]) == archives.Imported(0, 0, len(there.networks))
    path = other_weights(here)
    with pytest.raises(InputError, match=rf"weights/{path.name}: conflict, another checkpoint of this network is in"):
        archives.load(here.anew(), [alone])

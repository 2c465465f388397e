"""Weights that packages ship: only tensors are read, and they are named by the network they fit."""

import hashlib
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from cnn_invariance import models
from cnn_invariance.cli import app
from cnn_invariance.errors import InputError
from cnn_invariance.models import published
from helpers_cli import said_by

SHAPE = (1, 28, 28)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A made-up package that ships SimpleConv's tensors by other names; returns the file and the network."""
    torch.manual_seed(0)
    network = models.build("SimpleConv", SHAPE, 10, width=4)
    path = tmp_path / "package" / "weights.pth"
    path.parent.mkdir()
    torch.save({f"_other_{k}": tensor for k, tensor in enumerate(network.state_dict().values())}, path)
    like = models.build
    monkeypatch.setattr(models, "build", lambda name, shape, classes: like("SimpleConv", shape, classes, width=4))
    one = published.Published("some-package", ".pth", "SimpleConv", 10, SHAPE, "MIT")
    monkeypatch.setattr(published, "PUBLISHED", {"some": one})
    file = SimpleNamespace(name=path.name, locate=lambda: path)
    monkeypatch.setattr(published.metadata, "files", lambda package: [file])
    return path, network


def test_they_are_written_as_safetensors_that_a_preset_can_pin(shipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = said_by(CliRunner().invoke(app, ["weights", "some"]))
    written = Path("data/weights/some.safetensors")
    assert hashlib.sha256(written.read_bytes()).hexdigest() in said
    other = models.build("SimpleConv", SHAPE, 10)
    assert models.load_weights(other, written) == []
    for name, tensor in shipped[1].state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


class Run:
    """What would run code when it is unpickled."""

    def __reduce__(self):
        return (Path("ran").touch, ())


def test_no_code_in_the_file_is_run(shipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped[0].write_bytes(pickle.dumps({"weight": Run()}))
    with pytest.raises(InputError, match=r"weights\.pth of some-package holds more than tensors, or is damaged"):
        published.convert("some", tmp_path / "some.safetensors")
    assert not Path("ran").exists()
    assert not (tmp_path / "some.safetensors").exists()


def test_what_cannot_be_converted_says_why(shipped, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="unknown published weights 'sone'; did you mean 'some'"):
        published.convert("sone", tmp_path / "x")
    torch.save({"weight": torch.zeros(3)}, shipped[0])
    with pytest.raises(InputError, match="has 1 tensors that do not fit the"):
        published.convert("some", tmp_path / "x")
    monkeypatch.undo()
    one = published.Published("no-such-package-anywhere", ".pth", "SimpleConv", 10, SHAPE, "MIT")
    monkeypatch.setattr(published, "PUBLISHED", {"some": one})
    with pytest.raises(InputError, match="not installed; pip install no-such-package-anywhere"):
        published.convert("some", tmp_path / "x")

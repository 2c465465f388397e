"""Photographs that packages ship: their windows, their splits, and what is said where a package is absent."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cnn_invariance.datasets import photographs, prepare
from cnn_invariance.errors import InputError


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up package with a wide and a high photograph; returns its folder."""
    root = tmp_path / "package"
    root.mkdir()
    (root / "__init__.py").touch()
    ramp = np.linspace(0, 255, 300).astype(np.uint8)
    Image.fromarray(np.tile(ramp, (200, 1))).save(root / "wide.png")
    Image.new("RGB", (210, 400), (200, 100, 50)).save(root / "high.png")
    monkeypatch.setattr(photographs, "SHIPPED", {"package": ("some-package", ("wide.png", "high.png"))})
    found = SimpleNamespace(origin=str(root / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    return root


def test_nine_windows_of_each(shipped: Path, tmp_path: Path) -> None:
    data = prepare("photographs", tmp_path / "photographs.npz")
    assert data.images.shape == (18, 3, 128, 128)
    assert data.classes == ("wide", "high")
    assert {name: len(part) for name, part in data.splits.items()} == {"train": 2, "validation": 2, "test": 14}
    wide = data.images[:9].astype(float)
    assert (wide[:, 0] == wide[:, 1]).all(), "grey levels are the same in all channels"
    left, middle, right = (wide[k].mean() for k in (0, 1, 2))
    assert left < middle < right
    assert wide[0] == pytest.approx(wide[3])  # rows of the ramp are alike
    assert left == pytest.approx(255 * 60 / 299, abs=1), "a window of three fifths of the shorter side"
    assert (data.images[9:, 0] == 200).all()


def test_absent_packages_and_photographs_are_named(shipped: Path, tmp_path: Path, monkeypatch) -> None:
    (shipped / "high.png").unlink()
    with pytest.raises(InputError, match=r"some-package as installed has no photograph high\.png"):
        prepare("photographs", tmp_path / "photographs.npz")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="not installed: some-package; pip install some-package"):
        prepare("photographs", tmp_path / "photographs.npz")

"""Prepared files: what is written is what is read, and damage is refused by name."""

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnn_invariance.datasets import Dataset, load, save
from cnn_invariance.errors import InputError


@pytest.fixture
def path(tmp_path: Path, toy: Dataset) -> Path:
    save(toy, tmp_path / "data" / "toy.npz")
    return tmp_path / "data" / "toy.npz"


def test_a_round_trip(path: Path, toy: Dataset) -> None:
    read = load(path)
    assert (read.name, read.classes, read.fingerprint) == (toy.name, toy.classes, toy.fingerprint)
    for ours, expected in ((read.images, toy.images), (read.labels, toy.labels)):
        np.testing.assert_array_equal(ours, expected)
        assert ours.dtype == expected.dtype
    assert read.splits.keys() == toy.splits.keys()
    for name, indices in toy.splits.items():
        np.testing.assert_array_equal(read.splits[name], indices)
    assert all(type(name) is str for name in (read.name, *read.classes, read.fingerprint))


def test_the_same_dataset_gives_the_same_bytes(path: Path, toy: Dataset) -> None:
    before = path.read_bytes()
    save(toy, path)
    assert path.read_bytes() == before


def test_nothing_else_is_left_behind(path: Path) -> None:
    assert [file.name for file in path.parent.iterdir()] == ["toy.npz"]


def test_a_failed_write_keeps_the_old_file(path: Path, toy: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def fails(file: Path, **arrays: np.ndarray) -> None:
        Path(file).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fails)
    with pytest.raises(OSError, match="disk full"):
        save(toy, path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["toy.npz"]


def test_only_npz(toy: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is an \.npz file; received .*toy\.bin"):
        save(toy, tmp_path / "toy.bin")


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no prepared dataset .*mnist\.npz.*cnn-invariance dataset mnist"):
        load(tmp_path / "mnist.npz")


def test_a_file_cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match=r"toy\.npz is damaged .*delete it and prepare it again"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 then nonsense"])
def test_something_else_entirely(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"toy\.npz is damaged"):
        load(path)


def test_one_flipped_bit_anywhere_in_the_pixels(path: Path, toy: Dataset) -> None:
    content = bytearray(path.read_bytes())
    place = content.index(toy.images.tobytes()) + 11
    content[place] ^= 4
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"toy\.npz is damaged"):  # the archive's own check finds it
        load(path)


def test_content_that_is_not_what_the_fingerprint_says(path: Path, toy: Dataset) -> None:
    images = toy.images.copy()
    images[3, 0, 0, 0] ^= 1
    save(replace(toy, images=images), path)  # keeps the old fingerprint
    with pytest.raises(InputError, match=rf"toy\.npz does not hold .* expected {toy.fingerprint}.*prepare it again"):
        load(path)


def test_a_part_is_missing(path: Path) -> None:
    with np.load(path) as file:
        parts = {name: file[name] for name in file.files if name != "validation"}
    np.savez(path, **parts)
    with pytest.raises(InputError, match=r"toy\.npz is damaged \(KeyError"):
        load(path)


def test_pickled_objects_are_never_read(path: Path, tmp_path: Path) -> None:
    with np.load(path) as file:
        parts = {name: file[name] for name in file.files}
    parts["classes"] = np.array(["ash", "beech", {"a": 1}], dtype=object)
    np.savez(path, **parts)
    with pytest.raises(InputError, match=r"toy\.npz is damaged .*allow_pickle=False"):
        load(path)


def test_a_single_array_is_no_dataset(path: Path, toy: Dataset) -> None:
    with path.open("wb") as file:
        np.save(file, toy.images)
    with pytest.raises(InputError, match=r"toy\.npz is damaged"):
        load(path)


def test_it_is_a_plain_zip_of_arrays(path: Path) -> None:
    with zipfile.ZipFile(path) as file:
        assert sorted(file.namelist()) == [
            f"{name}.npy"
            for name in ("classes", "fingerprint", "images", "labels", "name", "test", "train", "validation")
        ]

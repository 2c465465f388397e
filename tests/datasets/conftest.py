"""Small datasets and folders of images for the tests of this folder."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnn_invariance.datasets import Dataset

Writer = Callable[..., Path]


@pytest.fixture
def toy() -> Dataset:
    """60 images of 2 channels, 3 classes of unequal size: 30, 20 and 10."""
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [30, 20, 10])
    random.shuffle(labels)
    order = np.arange(60)
    splits = {"train": order[:36], "validation": order[36:42], "test": order[42:]}
    images = random.integers(0, 256, (60, 2, 4, 5), dtype=np.uint8)
    return Dataset.create("toy", images, labels, splits, ["ash", "beech", "cedar"])


@pytest.fixture
def raw_data() -> Path:
    """The folder of real raw files; skips where there is none."""
    folder = os.environ.get("CNN_INVARIANCE_DATA")
    if not folder:
        pytest.skip("CNN_INVARIANCE_DATA is not set: no raw files to test on")
    return Path(folder)


@pytest.fixture
def no_raw_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No raw files anywhere: the variable unset, the user's cache folder empty (and returned)."""
    monkeypatch.delenv("CNN_INVARIANCE_DATA", raising=False)
    cache = tmp_path / "cache"
    monkeypatch.setattr("cnn_invariance.datasets.raw_files.user_cache_path", lambda name: cache / name)
    return cache / "cnn-invariance"


@pytest.fixture
def write_images(tmp_path: Path) -> Writer:
    """Write one small image of its own value under each path; give the folder they are in."""

    def write(paths: list[str], folder: str = "leaves", mode: str = "L", size: tuple[int, int] = (4, 3)) -> Path:
        root = tmp_path / folder
        for value, path in enumerate(paths):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            colour = value if mode == "L" else (value, 2 * value % 256, 255 - value)
            Image.new(mode, size, colour).save(root / path)
        return root

    return write


def pack(root: Path, archive: Path, mode: str = "w:xz", prefix: str = "", reverse: bool = True) -> Path:
    """A tar archive of a folder, its members in another order than the folder's."""
    with tarfile.open(archive, mode) as tar:  # type: ignore[call-overload]
        for path in sorted(root.rglob("*"), reverse=reverse):
            tar.add(path, prefix + path.relative_to(root).as_posix(), recursive=False)
    return archive


@pytest.fixture(name="pack")
def _pack() -> Callable[..., Path]:
    return pack


@pytest.fixture
def add_bytes() -> Callable[[Path, str, bytes], None]:
    """Write an archive with one more member of any name."""

    def add(archive: Path, name: str, content: bytes) -> None:
        with tarfile.open(archive, "a") as tar:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

    return add

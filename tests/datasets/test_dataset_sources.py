"""Named sources: discovery, where raw files are looked for, and what is read from them."""

import gzip
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cnn_invariance import datasets
from cnn_invariance.datasets import Dataset, load, name_of, names, official, prepare
from cnn_invariance.errors import InputError
from helpers_extend import add_to_package

MNIST5K = "431ccb07ecd1af0274b77e08cda92d8c7c33d4feec3c76007dfacee4ea4406aa"
MNIST = "c715ce49684a04dce271e41dc526c0e0bd43a6a8b36d9a5a9f28e5d1077a857a"
CIFAR10_JPEG = "59694b30098ef48ce954dc136f7274297b95d7e522cb5e75c15a7531370ddd20"


def test_names() -> None:
    assert names() == ["cifar10", "cifar10_jpeg", "fashion_mnist", "mnist", "mnist5k", "photographs"]


def test_listing_and_loading_need_no_torch(tmp_path: Path, toy: Dataset) -> None:
    datasets.save(toy, tmp_path / "toy.npz")
    code = (
        "import sys; from pathlib import Path; from cnn_invariance import datasets as d\n"
        f"d.names(); d.name_of('mnist'); d.load(Path({str(tmp_path / 'toy.npz')!r})).subset('test', 3, 0)\n"
        "heavy = {'torch', 'torchvision', 'mlxtend', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("mnist", "mnist"),
        ("folder:leaves", "leaves"),
        ("folder:/some/where/leaves.tar.xz", "leaves"),
        ("folder:~/leaves.v2.tar.gz", "leaves.v2"),
        ("folder:leaves.tgz", "leaves"),
        ("folder:my leaves/", "my-leaves"),
    ],
)
def test_the_name_of_a_source(source: str, name: str) -> None:
    assert name_of(source) == name


def test_unknown_sources(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown dataset 'minst'; did you mean 'mnist'\? allowed: .*folder:PATH"):
        prepare("minst", tmp_path / "x.npz")
    for source in ("folder:", "folder:.", "folder:/"):
        with pytest.raises(InputError, match="has no name"):
            name_of(source)


def test_a_new_source_is_one_file(tmp_path: Path, toy: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "toys.py"
    file.write_text(
        "import numpy as np\n"
        "from cnn_invariance.datasets import Dataset\n"
        "NAMES = ('toy_grey',)\n"
        "def read(name, raw):\n"
        "    splits = {'train': np.array([0]), 'validation': np.array([1]), 'test': np.array([2])}\n"
        "    return Dataset.create(name, np.zeros((3, 1, 2, 2), np.uint8), [0, 1, 0], splits, ['a', 'b'])\n"
    )
    add_to_package(monkeypatch, datasets, file)
    assert "toy_grey" in names()
    prepared = prepare("toy_grey", tmp_path / "toy_grey.npz")
    assert prepared.name == "toy_grey"
    assert load(tmp_path / "toy_grey.npz").fingerprint == prepared.fingerprint


def test_mnist5k(tmp_path: Path, no_raw_data: Path) -> None:
    prepared = prepare("mnist5k", tmp_path / "mnist5k.npz")
    assert prepared.images.shape == (5000, 1, 28, 28)
    assert {name: len(indices) for name, indices in prepared.splits.items()} == {
        "train": 3500,
        "validation": 500,
        "test": 1000,
    }
    for name, share in (("train", 350), ("validation", 50), ("test", 100)):
        assert np.bincount(prepared.split(name)[1]).tolist() == [share] * 10
    assert prepared.classes == tuple("0123456789")
    assert prepared.fingerprint == MNIST5K == load(tmp_path / "mnist5k.npz").fingerprint


def idx(path: Path, array: np.ndarray) -> None:
    """Write an array as MNIST's files have it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with small MNIST and Fashion-MNIST files in torchvision's layout."""
    monkeypatch.setattr(official, "VALIDATION", 10)
    random = np.random.default_rng(3)
    for folder in ("MNIST", "FashionMNIST"):
        for part, count in (("train", 50), ("t10k", 20)):
            raw = tmp_path / "given" / folder / "raw"
            idx(raw / f"{part}-images-idx3-ubyte", random.integers(0, 256, (count, 28, 28)))
            idx(raw / f"{part}-labels-idx1-ubyte", np.arange(count) % 10)
    return tmp_path / "given"


def test_official_digits_are_read_in_order(digits: Path, tmp_path: Path, no_raw_data: Path) -> None:
    prepared = prepare("mnist", tmp_path / "mnist.npz", raw=digits)
    raw = (digits / "MNIST" / "raw" / "t10k-images-idx3-ubyte").read_bytes()[16:]
    assert prepared.images.shape == (70, 1, 28, 28)
    assert prepared.split("test")[0].tobytes() == raw
    assert prepared.splits["test"].tolist() == list(range(50, 70))
    assert len(prepared.splits["train"]) == 40
    assert np.bincount(prepared.split("validation")[1]).tolist() == [1] * 10
    assert prepared.classes == tuple("0123456789")
    assert not no_raw_data.exists()


def test_fashion_has_its_own_files_and_classes(digits: Path, tmp_path: Path) -> None:
    fashion = prepare("fashion_mnist", tmp_path / "fashion_mnist.npz", raw=digits)
    assert fashion.classes[0] == "T-shirt/top"
    assert fashion.fingerprint != prepare("mnist", tmp_path / "mnist.npz", raw=digits).fingerprint


def packed(folder: Path, into: Path) -> Path:
    """The files of a folder, compressed, in another one."""
    into.mkdir(parents=True)
    for file in folder.iterdir():
        (into / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    return into


@pytest.mark.parametrize("place", ["debian", "raw", "."])
def test_fashion_is_found_compressed_as_debian_ships_it(
    place: str, digits: Path, tmp_path: Path, no_raw_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = prepare("fashion_mnist", tmp_path / "a.npz", raw=digits).fingerprint
    files = digits / "FashionMNIST" / "raw"
    given = tmp_path / "compressed"
    if place == "debian":
        monkeypatch.setitem(official.DEBIAN, "fashion_mnist", packed(files, tmp_path / "share"))
    else:
        packed(files, given / "FashionMNIST" / "raw" if place == "raw" else given)
    assert prepare("fashion_mnist", tmp_path / "b.npz", raw=given).fingerprint == plain
    assert not (given / "FashionMNIST" / "raw" / "train-labels-idx1-ubyte").exists(), "nothing is left unpacked"


def test_compressed_files_that_are_damaged_or_too_large(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = packed(digits / "FashionMNIST" / "raw", tmp_path / "compressed")
    file = given / "train-labels-idx1-ubyte.gz"
    whole = file.read_bytes()
    file.write_bytes(whole[:20])
    with pytest.raises(InputError, match=r"train-labels-idx1-ubyte\.gz cannot be unpacked"):
        prepare("fashion_mnist", tmp_path / "b.npz", raw=given)
    file.write_bytes(gzip.compress(b"no such file"))
    with pytest.raises(InputError, match="cannot be read"):
        prepare("fashion_mnist", tmp_path / "b.npz", raw=given)
    monkeypatch.setattr(official, "LARGEST", 100)
    with pytest.raises(InputError, match="larger than any such file"):
        prepare("fashion_mnist", tmp_path / "b.npz", raw=given)


def test_raw_files_are_looked_for_in_the_variable_then_in_the_cache(
    digits: Path, tmp_path: Path, no_raw_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNN_INVARIANCE_DATA", str(digits))
    first = prepare("mnist", tmp_path / "a.npz")
    monkeypatch.setenv("CNN_INVARIANCE_DATA", str(tmp_path / "empty"))
    digits.rename(no_raw_data.parent.mkdir(parents=True) or no_raw_data)
    assert prepare("mnist", tmp_path / "b.npz").fingerprint == first.fingerprint


def test_what_is_not_there_is_downloaded_to_the_cache(
    tmp_path: Path, no_raw_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def stub(root: Path, train: bool, download: bool) -> SimpleNamespace:
        calls.append((Path(root), train, download))
        if not download:
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        data = np.arange(20 * 32 * 32 * 3, dtype=np.uint64).astype(np.uint8).reshape(20, 32, 32, 3)
        return Stub(data=data, targets=[i % 2 for i in range(20)], classes=["airplane", "automobile"])

    class Stub(SimpleNamespace):
        def __len__(self) -> int:
            return len(self.data)

    monkeypatch.setattr("torchvision.datasets.CIFAR10", stub)
    monkeypatch.setattr(official, "VALIDATION", 4)
    monkeypatch.setenv("CNN_INVARIANCE_DATA", str(tmp_path / "empty"))
    prepared = prepare("cifar10", tmp_path / "cifar10.npz")
    assert calls[:3] == [(tmp_path / "empty", True, False), (no_raw_data, True, False), (no_raw_data, True, True)]
    assert prepared.images.shape == (40, 3, 32, 32)
    assert prepared.images[0, :, 0, 1].tolist() == [3, 4, 5]  # second pixel of the first row
    assert prepared.classes == ("airplane", "automobile")


def test_a_failed_download_says_where_to_put_the_files(
    tmp_path: Path, no_raw_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(root: Path, train: bool, download: bool) -> None:
        raise RuntimeError("Error downloading x" if download else "Dataset not found.")

    monkeypatch.setattr("torchvision.datasets.MNIST", fails)
    with pytest.raises(InputError, match=r"mnist were not found \(looked in: .*CNN_INVARIANCE_DATA"):
        prepare("mnist", tmp_path / "mnist.npz")
    assert not (tmp_path / "mnist.npz").exists()


def test_damaged_raw_files_are_not_taken_for_absent(digits: Path, tmp_path: Path) -> None:
    file = digits / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"raw files of mnist in .* cannot be read"):
        prepare("mnist", tmp_path / "mnist.npz", raw=digits)


def test_the_archive_of_cifar10_jpeg_cannot_be_downloaded(tmp_path: Path, no_raw_data: Path) -> None:
    with pytest.raises(
        InputError, match=r"not downloadable \(looked for: .*cifar10_jpeg\.tar\.xz.*CNN_INVARIANCE_DATA"
    ):
        prepare("cifar10_jpeg", tmp_path / "cifar10_jpeg.npz")


def test_real_mnist(raw_data: Path, tmp_path: Path) -> None:
    if not (raw_data / "MNIST" / "raw").is_dir():
        pytest.skip("no MNIST among the raw files")
    prepared = prepare("mnist", tmp_path / "mnist.npz")
    assert prepared.fingerprint == MNIST
    assert {name: len(indices) for name, indices in prepared.splits.items()} == {
        "train": 55000,
        "validation": 5000,
        "test": 10000,
    }
    np.testing.assert_allclose(prepared.mean, 0.1307, atol=2e-4)  # the known values of all 60,000
    np.testing.assert_allclose(prepared.std, 0.3081, atol=2e-4)
    assert prepared.split("test")[1][:5].tolist() == [7, 2, 1, 0, 4]


def test_real_cifar10_jpeg(raw_data: Path, tmp_path: Path) -> None:
    if not (raw_data / "cifar10_jpeg.tar.xz").is_file():
        pytest.skip("no cifar10_jpeg.tar.xz among the raw files")
    prepared = prepare("cifar10_jpeg", tmp_path / "cifar10_jpeg.npz")
    assert prepared.fingerprint == CIFAR10_JPEG
    assert prepared.input_shape == (3, 32, 32)
    assert prepared.classes[:2] == ("airplane", "automobile")
    for name, share in (("train", 4500), ("validation", 500), ("test", 1000)):
        assert np.bincount(prepared.split(name)[1]).tolist() == [share] * 10
    np.testing.assert_allclose(prepared.mean, [0.4914, 0.4822, 0.4465], atol=2e-3)  # CIFAR-10's own

"""Folders and archives of images by class."""

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnn_invariance.datasets import Dataset, prepare
from cnn_invariance.errors import InputError

Writer = Callable[..., Path]

BY_CLASS = [f"{name}/{i:02}.png" for name in ("oak", "ash") for i in range(10)]
PARTED = [f"train/{name}/{i}.png" for name in ("oak", "ash") for i in range(10)] + [
    f"test/{name}/{i}.png" for name in ("oak", "ash") for i in range(3)
]

every_compression = pytest.mark.parametrize(
    ("ending", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tar.bz2", "w:bz2"), ("tar.xz", "w:xz")]
)


@pytest.fixture
def read(tmp_path: Path, no_raw_data: Path) -> Callable[[Path], Dataset]:
    return lambda path: prepare(f"folder:{path}", tmp_path / "out.npz")


def values(dataset: Dataset) -> list[int]:
    """The value of each image, which is its place in the list of paths written."""
    assert (dataset.images == dataset.images[:, :, :1, :1]).all()
    return dataset.images[:, 0, 0, 0].tolist()


def test_by_class_alone(write_images: Writer, read: Callable[[Path], Dataset]) -> None:
    dataset = read(write_images(BY_CLASS))
    assert dataset.name == "leaves"
    assert dataset.classes == ("ash", "oak")
    assert dataset.images.shape == (20, 1, 3, 4)
    assert values(dataset) == [*range(10, 20), *range(10)]  # sorted by path: ash first
    assert dataset.labels.tolist() == [0] * 10 + [1] * 10
    for name, share in (("train", 7), ("validation", 1), ("test", 2)):
        assert np.bincount(dataset.split(name)[1]).tolist() == [share] * 2


def test_train_and_test(write_images: Writer, read: Callable[[Path], Dataset]) -> None:
    dataset = read(write_images(PARTED))
    assert values(dataset) == [*range(10, 20), *range(10), *range(23, 26), *range(20, 23)]
    assert dataset.splits["test"].tolist() == list(range(20, 26))
    assert dataset.labels[20:].tolist() == [0, 0, 0, 1, 1, 1]
    for name, share in (("train", 9), ("validation", 1), ("test", 3)):
        assert np.bincount(dataset.split(name)[1]).tolist() == [share] * 2


@every_compression
@pytest.mark.parametrize("prefix", ["", "./", "wrapped/twice/", "/../up/"])
@pytest.mark.parametrize("paths", [BY_CLASS, PARTED])
def test_an_archive_gives_the_dataset_of_the_folder(
    write_images: Writer,
    read: Callable[[Path], Dataset],
    pack: Callable[..., Path],
    tmp_path: Path,
    ending: str,
    mode: str,
    prefix: str,
    paths: list[str],
) -> None:
    root = write_images(paths)
    archive = pack(root, tmp_path / f"packed.{ending}", mode, prefix)
    packed = read(archive)
    assert packed.name == "packed"
    assert packed.fingerprint == read(root).fingerprint


def test_nothing_is_extracted(
    write_images: Writer, read: Callable[[Path], Dataset], pack: Callable[..., Path], tmp_path: Path
) -> None:
    archive = pack(write_images(BY_CLASS), tmp_path / "packed.tar.gz", "w:gz", "../escaped/")
    before = sorted(tmp_path.parent.rglob("*"))
    read(archive)
    assert sorted(tmp_path.parent.rglob("*")) == sorted([*before, tmp_path / "out.npz"])


def test_the_fingerprint_knows_no_times_places_or_names(write_images: Writer, read: Callable[[Path], Dataset]) -> None:
    first = read(write_images(BY_CLASS, folder="one"))
    other = write_images(BY_CLASS, folder="elsewhere/two")
    for path in other.rglob("*.png"):
        os.utime(path, (1e9, 1e9))
    second = read(other)
    assert second.fingerprint == first.fingerprint
    assert (first.name, second.name) == ("one", "two")


def test_the_fingerprint_knows_the_classes(write_images: Writer, read: Callable[[Path], Dataset]) -> None:
    root = write_images(BY_CLASS)
    first = read(root).fingerprint
    (root / "oak").rename(root / "beech")
    assert read(root).fingerprint != first


def test_a_folder_around_the_whole_hidden_files_and_notes_are_passed_over(
    write_images: Writer, read: Callable[[Path], Dataset]
) -> None:
    expected = read(write_images(PARTED)).fingerprint
    root = write_images([f"inner/{path}" for path in PARTED], folder="outer")
    for note in (
        "README.md",
        "inner/LICENSE",
        "inner/train/notes.txt",
        "inner/test/ash/.DS_Store",
        ".git/x",
        "__MACOSX/y",
    ):
        (root / note).parent.mkdir(exist_ok=True)
        (root / note).write_text("not an image")
    assert read(root).fingerprint == expected


def test_images_in_folders_within_a_class_belong_to_it(write_images: Writer, read: Callable[[Path], Dataset]) -> None:
    dataset = read(
        write_images([f"{name}/{part}/{i}.png" for name in ("ash", "oak") for part in "ab" for i in range(3)])
    )
    assert dataset.classes == ("ash", "oak")
    assert dataset.labels.tolist() == [0] * 6 + [1] * 6


def test_colour(write_images: Writer, read: Callable[[Path], Dataset]) -> None:
    dataset = read(write_images(BY_CLASS, mode="RGB"))
    assert dataset.input_shape == (3, 3, 4)
    assert dataset.images[10, :, 0, 0].tolist() == [0, 0, 255]
    assert dataset.images[11, :, 0, 0].tolist() == [1, 2, 254]


def test_grey_among_colours_is_repeated(write_images: Writer, read: Callable[[Path], Dataset]) -> None:
    root = write_images(BY_CLASS, mode="RGB")
    Image.new("L", (4, 3), 99).save(root / "ash/00.png")
    Image.new("RGBA", (4, 3), (1, 2, 3, 0)).save(root / "ash/01.png")
    dataset = read(root)
    assert dataset.images[0, :, 0, 0].tolist() == [99, 99, 99]
    assert dataset.images[1, :, 0, 0].tolist() == [1, 2, 3]


def test_black_and_white_is_grey(write_images: Writer, read: Callable[[Path], Dataset]) -> None:
    root = write_images(BY_CLASS)
    Image.new("1", (4, 3), 1).save(root / "ash/00.png")
    dataset = read(root)
    assert dataset.input_shape == (1, 3, 4)
    assert dataset.images[0, 0, 0, 0] == 255


def test_rows_and_columns_are_not_swapped(write_images: Writer, read: Callable[[Path], Dataset]) -> None:
    root = write_images(BY_CLASS)
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(pixels).save(root / "ash/00.png")
    np.testing.assert_array_equal(read(root).images[0, 0], pixels)


def test_a_relative_path_is_looked_for_in_the_variable_then_here(
    write_images: Writer, tmp_path: Path, no_raw_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(BY_CLASS, folder="data/leaves")
    here = write_images(BY_CLASS[::-1], folder="here/leaves")
    monkeypatch.chdir(here.parent)
    assert values(prepare("folder:leaves", tmp_path / "a.npz")) == values(prepare(f"folder:{here}", tmp_path / "b.npz"))
    monkeypatch.setenv("CNN_INVARIANCE_DATA", str(tmp_path / "data"))
    assert values(prepare("folder:leaves", tmp_path / "c.npz"))[0] == 10
    assert values(prepare("folder:leaves", tmp_path / "d.npz", raw=tmp_path / "here"))[0] == 9
    with pytest.raises(InputError, match=r"no folder or archive absent \(looked for: .*data/absent, .*here/absent"):
        prepare("folder:absent", tmp_path / "e.npz")


def test_different_sizes_name_the_first_two(write_images: Writer, read: Callable[[Path], Dataset]) -> None:
    root = write_images(BY_CLASS)
    Image.new("L", (5, 3)).save(root / "oak/03.png")
    with pytest.raises(InputError, match=r"different sizes: .*ash/00\.png is 4 x 3, .*oak/03\.png is 5 x 3"):
        read(root)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n cut short"])
def test_an_unreadable_image_is_named(write_images: Writer, read: Callable[[Path], Dataset], content: bytes) -> None:
    root = write_images(BY_CLASS)
    (root / "oak/03.png").write_bytes(content)
    with pytest.raises(InputError, match=r"oak/03\.png cannot be read as an image .*remove or replace"):
        read(root)


def test_a_truncated_image_is_named(write_images: Writer, read: Callable[[Path], Dataset]) -> None:
    root = write_images(BY_CLASS, size=(40, 40))
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)).save(root / "oak/03.png")
    content = (root / "oak/03.png").read_bytes()
    (root / "oak/03.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"oak/03\.png cannot be read as an image"):
        read(root)


def test_sixteen_bits_are_refused(write_images: Writer, read: Callable[[Path], Dataset]) -> None:
    root = write_images(BY_CLASS)
    Image.fromarray(np.full((3, 4), 40000, dtype=np.uint16)).save(root / "oak/03.png")
    with pytest.raises(InputError, match=r"oak/03\.png has more than 8 bits a channel"):
        read(root)


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["loose.png"], "holds no images by class"),
        ([f"ash/{i}.png" for i in range(9)], "two classes at least, one folder each; received ash"),
        ([*BY_CLASS, "fir/0.png", "fir/1.png"], "class 'fir' has 2 images; it needs 3 at least"),
        (
            [path for path in PARTED if not path.startswith("test")],
            "test: expected two classes at least.*received none",
        ),
        ([*PARTED, "train/fir/0.png", "train/fir/1.png"], "class 'fir' is not in both train and test"),
        ([*PARTED, "train/fir/0.png", "test/fir/1.png"], "train: the class 'fir' has 1 images; it needs 2"),
        ([*PARTED, "extra/ash/1.png"], "'extra' beside train and test"),
    ],
)
def test_layouts_that_are_none(
    write_images: Writer, read: Callable[[Path], Dataset], paths: list[str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        read(write_images(paths))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("paths", "empty"), [(BY_CLASS, "yew"), (PARTED, "train/yew"), (PARTED, "test/yew")])
def test_an_empty_class_is_named(
    write_images: Writer,
    read: Callable[[Path], Dataset],
    pack: Callable[..., Path],
    tmp_path: Path,
    packed: bool,
    paths: list[str],
    empty: str,
) -> None:
    root = write_images(paths)
    (root / empty).mkdir()
    with pytest.raises(InputError, match="class 'yew' has 0 images"):
        read(pack(root, tmp_path / "packed.tar.xz") if packed else root)


def test_an_empty_folder(tmp_path: Path, read: Callable[[Path], Dataset]) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="holds no images by class"):
        read(tmp_path / "nothing")


def test_not_an_archive(tmp_path: Path, read: Callable[[Path], Dataset]) -> None:
    (tmp_path / "leaves.tar.xz").write_bytes(b"something else")
    with pytest.raises(InputError, match=r"leaves\.tar\.xz cannot be read as a tar archive"):
        read(tmp_path / "leaves.tar.xz")


@every_compression
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_archive_cut_short(
    write_images: Writer,
    read: Callable[[Path], Dataset],
    pack: Callable[..., Path],
    tmp_path: Path,
    ending: str,
    mode: str,
    share: float,
) -> None:
    archive = pack(write_images(BY_CLASS), tmp_path / f"packed.{ending}", mode)
    length = archive.stat().st_size if ending != "tar" else 20 * 1024  # the rest is padding
    os.truncate(archive, int(share * length))
    with pytest.raises(InputError, match=r"cannot be read as a tar archive"):
        read(archive)


def test_an_archive_cut_between_two_images_is_not_taken_for_whole(
    write_images: Writer, read: Callable[[Path], Dataset], pack: Callable[..., Path], tmp_path: Path
) -> None:
    archive = pack(write_images(BY_CLASS), tmp_path / "packed.tar", "w", reverse=False)
    with tarfile.open(archive) as tar:
        last = max(member.offset for member in tar)
    os.truncate(archive, last)
    with tarfile.open(archive) as tar:
        assert len([member for member in tar if member.isfile()]) == 19  # nothing amiss for tarfile
    with pytest.raises(InputError, match=r"packed\.tar cannot be read .*ends early"):
        read(archive)


def test_a_damaged_checksum_at_the_very_end_is_found(
    write_images: Writer, read: Callable[[Path], Dataset], pack: Callable[..., Path], tmp_path: Path
) -> None:
    archive = pack(write_images(BY_CLASS), tmp_path / "packed.tar.gz", "w:gz")
    content = bytearray(archive.read_bytes())
    content[-8] ^= 1
    archive.write_bytes(content)
    with pytest.raises(InputError, match=r"CRC check failed"):
        read(archive)


def test_links_in_an_archive_are_refused(
    write_images: Writer, read: Callable[[Path], Dataset], pack: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_images(BY_CLASS)
    archive = pack(root, tmp_path / "packed.tar", "w")
    with tarfile.open(archive, "a") as tar:
        link = tarfile.TarInfo("ash/linked.png")
        link.type, link.linkname = tarfile.SYMTYPE, "00.png"
        tar.addfile(link)
    with pytest.raises(InputError, match=r"ash/linked\.png is a link"):
        read(archive)

"""Data, pictures and weights from anybody: named where they cannot be used, never a traceback, never a wait."""

import gzip
import io
import json
import lzma
import os
import struct
import tarfile
import time
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from cnn_invariance import datasets, models
from cnn_invariance.datasets import Dataset, images, read_pictures
from cnn_invariance.errors import InputError
from cnn_invariance.measures.result import MeasureResult
from cnn_invariance.training import tensorfile
from helpers_hostile import flipped, fuzzer, limited


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The bytes of a prepared dataset."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 1, 6, 6), dtype=np.uint8)
    splits = {"train": np.arange(12), "validation": np.arange(12, 18), "test": np.arange(18, 24)}
    path = tmp_path_factory.mktemp("data") / "toy.npz"
    datasets.save(Dataset.create("toy", pixels, np.arange(24) % 2, splits, ["a", "b"]), path)
    return path


def arrays_of(path):
    with np.load(path) as file:
        return dict(file)


def refused(call, message):
    with limited(), pytest.raises(InputError, match=message):
        call()


ODD = {
    "labels of floats": {"labels": np.zeros(24)},
    "labels of texts": {"labels": np.array(["a"] * 24)},
    "labels in two dimensions": {"labels": np.zeros((24, 1), dtype=np.int64)},
    "images of floats": {"images": np.zeros((24, 1, 6, 6))},
    "images in three dimensions": {"images": np.zeros((24, 6, 6), dtype=np.uint8)},
    "objects": {"classes": np.array([{}, []], dtype=object)},
    "a split of truth values": {"train": np.ones(24, dtype=bool)},
    "a split that is a number": {"test": np.int64(3)},
    "a list of names": {"name": np.array(["a", "b"])},
    "a number for a fingerprint": {"fingerprint": np.array(3)},
    "an index outside": {"test": np.array([99])},
    "a label outside": {"labels": np.full(24, 7)},
    "records": {"labels": np.zeros(24, dtype=[("a", "i8")])},
}


@pytest.mark.parametrize("what", ODD)
def test_prepared_data_of_other_shapes_and_types(prepared, tmp_path, what):
    path = tmp_path / "toy.npz"
    np.savez(path, **arrays_of(prepared) | ODD[what])
    refused(lambda: datasets.load(path), "toy.npz is damaged|toy: |does not hold what its fingerprint says")
    datasets.stated_fingerprint(path)


def test_prepared_data_that_is_compressed_encrypted_or_says_it_is_large(prepared, tmp_path):
    path = tmp_path / "toy.npz"
    np.savez_compressed(path, **arrays_of(prepared))
    refused(lambda: datasets.load(path), "compressed or encrypted")
    content = bytearray(prepared.read_bytes())
    at = 0
    while (at := content.find(b"PK\x01\x02", at)) >= 0:  # the flag of encryption, in the list of members
        content[at + 8] |= 1
        at += 4
    path.write_bytes(content)
    refused(lambda: datasets.load(path), "compressed or encrypted")
    with zipfile.ZipFile(path, "w") as file:
        for name, array in arrays_of(prepared).items():
            held = io.BytesIO()
            np.save(held, array)
            if name == "images":
                held = io.BytesIO(
                    held.getvalue().replace(b"(24, 1, 6, 6), ", b"(2400000,6666,1,6)")[: len(held.getvalue())]
                )
            file.writestr(f"{name}.npy", held.getvalue())
    tracemalloc.start()
    refused(lambda: datasets.load(path), "is damaged")
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()


def test_no_prepared_data_gets_through(request, prepared, tmp_path):
    """Bits, members and headers of a prepared dataset are changed."""
    fuzz, good, path = fuzzer("prepared data", request, 0.4), prepared.read_bytes(), tmp_path / "toy.npz"
    whole = datasets.load(prepared)
    arrays = arrays_of(prepared)
    for _ in fuzz.trials(4000):
        if fuzz.random.random() < 0.6:
            path.write_bytes(flipped(good, fuzz.random))
        else:
            name = fuzz.random.choice(list(arrays))
            other = fuzz.random.choice(
                [*arrays.values(), np.zeros((2, 3)), np.array([], dtype=np.int64), np.array("x")]
            )
            np.savez(path, **{key: value for key, value in arrays.items() if key != name}, **{name: other})
        found = fuzz.attempt(path.read_bytes()[-600:], lambda: datasets.load(path))
        assert found is None or found.fingerprint == whole.fingerprint
        fuzz.attempt("fingerprint", lambda: (datasets.stated_fingerprint(path), True))
    fuzz.check(least=50, refused=0.3)


def png(width: int, height: int, body: bytes = b"") -> bytes:
    """A PNG that says it has this size, whatever it holds."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body or zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def encoded(kind: str, size=(6, 6)) -> bytes:
    held = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)).save(held, kind)
    return held.getvalue()


@pytest.fixture
def leaves(tmp_path):
    """A folder of images by class."""
    for number in range(10):
        path = tmp_path / "leaves" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded("PNG"))
    return tmp_path / "leaves"


def read(path):
    return images.read_folder("leaves", str(path), None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png(100_000, 100_000), r"8\.png (has 100,000 x 100,000 pixels|cannot be read as an image)"),
        (png(20_000, 9_000), r"8\.png has 20,000 x 9,000 pixels; at most 50,000,000 are read"),
        (png(6, 6), r"8\.png cannot be read as an image"),
        (b"", r"8\.png cannot be read as an image"),
        (b"\x89PNG\r\n\x1a\n", r"8\.png cannot be read as an image"),
        (b"II*\0\xff\xff\xff\xff", r"8\.png cannot be read as an image"),
    ],
)
def test_pictures_that_are_bombs_or_broken(leaves, content, message):
    (leaves / "a" / "8.png").write_bytes(content)
    refused(lambda: read(leaves), message)
    refused(lambda: read_pictures(leaves), message)


def test_pipes_devices_and_links_in_a_folder(leaves):
    odd = leaves / "a" / "x.png"
    os.mkfifo(odd)
    refused(lambda: read(leaves), r"x\.png is no file \(a pipe, a device")
    odd.unlink()
    for target in ("/dev/zero", "/no/such/file", str(odd)):
        odd.symlink_to(target)
        refused(lambda: read(leaves), r"x\.png is no file")
        odd.unlink()


def test_pipes_and_devices_as_sources(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", "/dev/stdin"):
        refused(lambda path=path: read(path), "is neither a folder nor a file|cannot be read as a tar archive")
        refused(lambda path=path: read_pictures(path), "is neither a folder nor a file|cannot be read as a tar archive")
    for path in (tmp_path / "pipe",):
        refused(lambda path=path: models.load_weights(torch.nn.Linear(1, 1), path), "no file")
        refused(lambda path=path: MeasureResult.load(path), "is no file")
        refused(lambda path=path: datasets.load(path), "no prepared dataset")
        with limited(), pytest.raises(tensorfile.DamagedFileError, match="is no file"):
            tensorfile.read(path)


def archive(path, *members, mode="w"):
    with tarfile.open(path, mode) as made:
        for name, content, fields in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for field, value in fields.items():
                setattr(member, field, value)
            made.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("kind", ["gz", "xz", "bz2"])
def test_archives_of_images_that_unpack_to_much(tmp_path, kind):
    """Zeros, as an image and behind the end of the archive: some megabytes that stand for gigabytes."""
    import bz2

    head = tarfile.TarInfo("a/1.png")
    head.size = 2**27
    compress = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress}[kind]
    zeros = compress(bytes(2**24))
    path = tmp_path / f"leaves.tar.{kind}"
    path.write_bytes(compress(head.tobuf()) + zeros * 20)
    for content in (compress(head.tobuf()) + zeros * 20, compress(bytes(2**10)) + zeros * 20):
        path.write_bytes(content)
        started = time.monotonic()
        with (
            limited(15),
            pytest.raises(InputError, match=r"unpacks to more than 100 times its size|cannot be read|holds no"),
        ):
            read(path)
        assert time.monotonic() - started < 30
    huge = tarfile.TarInfo("a/1.png")
    huge.size = 2**40
    path.write_bytes(compress(huge.tobuf()))
    refused(lambda: read(path), "has 1,099,511,627,776 bytes, and an image 268,435,456 at most")


def test_members_that_are_no_plain_files(tmp_path):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE):
        path = archive(tmp_path / "leaves.tar", ("a/1.png", b"", {"type": kind, "linkname": "/etc/passwd"}))
        refused(lambda path=path: read(path), "is a link or a special file|cannot be read as a tar archive")


def test_no_picture_gets_through(request, leaves):
    """Bits of pictures in several formats are changed."""
    fuzz = fuzzer("pictures", request, 0.4)
    formats = {kind: encoded(kind) for kind in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM")}
    for _ in fuzz.trials(4000):
        content = flipped(formats[fuzz.random.choice(list(formats))], fuzz.random)
        (leaves / "a" / "8.png").write_bytes(content)
        fuzz.attempt(content, lambda: read(leaves))
    fuzz.check(least=30, refused=0.3)


def test_no_archive_of_images_gets_through(request, leaves, tmp_path):
    """Bits, headers and lengths of archives of images are changed."""
    fuzz, path = fuzzer("archives of images", request, 0.4), tmp_path / "leaves.tar"
    with tarfile.open(path, "w") as made:
        made.add(leaves, "leaves")
    plain = path.read_bytes()
    for _ in fuzz.trials(4000):
        content = bytearray(plain)
        random_ = fuzz.random
        if random_.random() < 0.5:
            head = 512 * random_.randrange(len(content) // 512)
            for _ in range(random_.randint(1, 4)):
                content[head + random_.randrange(512)] = random_.randrange(256)
            content[head + 148 : head + 156] = b" " * 8
            content[head + 148 : head + 156] = f"{sum(content[head : head + 512]):06o}\0 ".encode()
            if random_.random() < 0.5:
                content[head + 156] = random_.choice(b"0123456789gxLKSXDMNVA\0")
        else:
            content = bytearray(flipped(plain, random_))
        path.write_bytes(gzip.compress(bytes(content), 1) if random_.random() < 0.5 else bytes(content))
        fuzz.attempt("archive", lambda: read(path))
    fuzz.check(least=30, refused=0.2)


def test_no_file_of_tensors_gets_through(request, tmp_path):
    """Bits and headers of checkpoints and weights are changed; the document is nested, of other types, or long."""
    fuzz, path = fuzzer("weights", request, 0.4), tmp_path / "w.safetensors"
    model = torch.nn.Linear(3, 2)
    tensorfile.write(path, model.state_dict(), {"spec_hash": "x", "epoch": 1})
    good = path.read_bytes()
    for _ in fuzz.trials(4000):
        random_ = fuzz.random
        if random_.random() < 0.5:
            path.write_bytes(flipped(good, random_))
        else:
            entry = random_.choice(
                ["[" * 10**5, "{}", "3", "null", json.dumps({"document": 3, "sha256": None}), '{"a":' * 900]
            )
            tensors = {"weight": torch.zeros(random_.choice([(2, 3), (0,), (), (3, 2)]))}
            save_file(tensors, path, metadata=random_.choice([{tensorfile.ENTRY: entry}, {"x": "y"}, None]))
        fuzz.attempt(path.read_bytes()[:300], lambda: tensorfile.read(path), allowed=(tensorfile.DamagedFileError,))
        fuzz.attempt(path.read_bytes()[:300], lambda: (models.load_weights(torch.nn.Linear(3, 2), path), True))
    fuzz.check(least=50, refused=0.3)

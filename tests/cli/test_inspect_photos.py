"""``inspect`` on photos as people have them, on terminals as they are, with weights as they come."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file, save_model
from torch import nn
from typer.testing import CliRunner

from cnn_invariance import models
from cnn_invariance.cli import app
from cnn_invariance.datasets import read_pictures
from cnn_invariance.errors import InputError
from helpers_cli import refused_by, said_by
from helpers_extend import NETWORK

ORIENTATION = 0x0112
TIED = """\
from torch import nn


class Tied(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.encode = nn.Linear(4, 4, bias=False)
        self.decode = nn.Linear(4, 4, bias=False)
        self.decode.weight = self.encode.weight
        self.head = nn.Linear(4, classes)

    def forward(self, x):
        return self.head(self.decode(self.encode(self.stem(x).mean((2, 3))).relu()))


def build(input_shape, classes):
    return Tied(classes)
"""


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for k in range(3):
        Image.fromarray(pixels(8, 8, 3, seed=k)).save(f"photos/{k}.png")
    Path("nets.py").write_text(NETWORK)
    Path("tied.py").write_text(TIED)
    return tmp_path


def look(*arguments, model="nets.py:build"):
    return CliRunner().invoke(
        app, ["inspect", model, "--images", "photos", "--set", "n=2", "--set", "closed=false", *map(str, arguments)]
    )


def said(*arguments, **options):
    return said_by(look(*arguments, **options))


def refused(*arguments, **options):
    return refused_by(look(*arguments, **options))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright(here, orientation):
    """The image as it is shown, stored in each of the eight ways that EXIF knows."""
    shown = pixels(8, 6, 3, seed=9)
    stored = {
        1: shown,
        2: shown[:, ::-1],
        3: shown[::-1, ::-1],
        4: shown[::-1],
        5: shown.transpose(1, 0, 2),
        6: np.rot90(shown, 1),
        7: shown.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(shown, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Path("upright").mkdir()
    Image.fromarray(np.ascontiguousarray(stored)).save("upright/a.png", exif=exif)
    found = read_pictures("upright")
    np.testing.assert_array_equal(found.images[0].transpose(1, 2, 0), shown)
    assert found.notes == (() if orientation == 1 else ("1 turned as the EXIF orientation says",))


def test_a_photo_of_a_phone_is_turned_and_it_is_said(here):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(pixels(6, 8, 3)).save("photos/phone.jpg", exif=exif)
    text = said("--size", 8)
    assert "images    4 in photos, resized to 8 x 8, RGB\n          1 turned as the EXIF orientation says\n" in text


def test_what_happens_to_other_colours_is_said(here):
    Image.fromarray(pixels(8, 8, 4), "RGBA").save("photos/alpha.png")
    Image.fromarray(pixels(8, 8, 2), "LA").save("photos/grey_alpha.png")
    Image.fromarray(pixels(8, 8, 4), "CMYK").save("photos/print.jpg", quality=95)
    Image.fromarray(pixels(8, 8, 3)).convert("LAB").save("photos/lab.tif")
    frames = [Image.fromarray(pixels(8, 8, 3, seed=k)) for k in range(3)]
    frames[0].save("photos/moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save("photos/moving.webp", save_all=True, append_images=frames[1:], lossless=True)
    Image.fromarray(pixels(8, 8).astype(np.uint16) * 257).save("photos/deep.png")
    text = said()
    for line in (
        "2 with transparency, which is dropped: the colours are those stored below it",
        "1 in CMYK, converted to RGB without a colour profile",
        "1 in LAB, converted to RGB without a colour profile",
        "2 of 3 frames, of which the first is taken",
        "1 of 16 bits a channel, of which the upper 8 are kept",
    ):
        assert f"\n          {line}\n" in text
    found = read_pictures("photos")
    names = sorted(path.name for path in Path("photos").iterdir())
    by_name = dict(zip(names, found.images.transpose(0, 2, 3, 1), strict=True))
    np.testing.assert_array_equal(by_name["alpha.png"], pixels(8, 8, 4)[..., :3])
    np.testing.assert_array_equal(by_name["grey_alpha.png"], pixels(8, 8, 2)[..., :1].repeat(3, -1))
    np.testing.assert_array_equal(by_name["deep.png"], pixels(8, 8)[..., None].repeat(3, -1))
    np.testing.assert_array_equal(by_name["moving.webp"], pixels(8, 8, 3))


def test_16_bits_a_channel_in_colour_are_seen_in_the_file(here):
    """Pillow reads them as 8 bits and does not say so; it writes none, so the file is made here."""
    import struct
    import zlib

    levels = pixels(8, 8, 3).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in levels)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    Path("deep").mkdir()
    Path("deep/a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    found = read_pictures("deep")
    assert found.notes == ("1 of 16 bits a channel, of which the upper 8 are kept",)
    np.testing.assert_array_equal(found.images[0].transpose(1, 2, 0), pixels(8, 8, 3))


def test_what_has_no_known_range_is_refused_and_what_is_no_image_is_named(here):
    Path("photos/clip.mov").write_text("")
    Path("photos/raw.HEIC").write_text("")
    Path("photos/notes.txt").write_text("")
    assert "left out  files that cannot be read as images: 1 .heic, 1 .mov\n" in said()
    Path("raws").mkdir()
    Path("raws/a.heic").write_text("")
    with pytest.raises(InputError, match=r"raws holds no images; .*; it holds 1 \.heic"):
        read_pictures("raws")
    Image.fromarray(pixels(8, 8).astype(np.float32)).save("photos/real.tif")
    assert "real.tif has more than 16 bits a channel in a form that is not known" in refused()


def test_images_for_a_study_are_as_strict_as_before(here):
    from cnn_invariance.datasets._decode import decode

    Image.fromarray(pixels(8, 8).astype(np.uint16)).save("deep.png")
    with pytest.raises(InputError, match=r"deep\.png has more than 8 bits a channel; convert it"):
        decode([("deep.png", Path("deep.png"))])


@pytest.mark.parametrize(
    "setting", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONIOENCODING": "ascii:strict"}]
)
def test_a_terminal_that_knows_ascii_alone(here, setting):
    Path("photos").rename("Fotos für später")
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONUTF8", "LANG")}
    command = [sys.executable, "-m", "cnn_invariance", "inspect", "nets.py:build", "--images", "Fotos für später"]
    done = subprocess.run(
        [*command, "--set", "n=2", "--set", "closed=false", "--output", "größe.csv"],
        capture_output=True,
        env=environment | setting,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode("ascii")
    assert "3 in Fotos f\\xfcr sp\\xe4ter, 8 x 8, RGB" in text
    assert "Linear" in text
    assert re.search(r"Linear .*\| +-\|$", text, re.M)  # a table without lines, a dash where there is no value
    assert Path("größe.csv").is_file()


def trained(model="nets.py:build"):
    torch.manual_seed(5)
    return models.build(model, (3, 8, 8), 4)


def loaded(path, model="nets.py:build"):
    torch.manual_seed(6)
    network = models.build(model, (3, 8, 8), 4)
    assert models.load_weights(network, path) == []
    return network.state_dict()


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module."]
)
def test_weights_of_a_wrapped_network(here, prefix):
    state = trained().state_dict()
    save_file({prefix + name: tensor for name, tensor in state.items()}, "w.safetensors")
    for name, tensor in loaded("w.safetensors").items():
        assert torch.equal(tensor, state[name])
    assert "weights   w.safetensors" in said("--weights", "w.safetensors", "--classes", 4)


def test_weights_of_a_network_of_which_one_part_was_compiled(here):
    state = trained("tied.py:build").state_dict()
    state.pop("decode.weight")
    save_file({name.replace("head.", "head._orig_mod."): tensor for name, tensor in state.items()}, "w.safetensors")
    assert torch.equal(loaded("w.safetensors", "tied.py:build")["head.weight"], state["head.weight"])


def test_a_name_with_and_without_a_prefix_is_refused(here):
    state = trained().state_dict()
    save_file(state | {f"module.{name}": tensor.clone() for name, tensor in state.items()}, "w.safetensors")
    with pytest.raises(InputError, match="twice, with a prefix and without"):
        loaded("w.safetensors")


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_that_share_memory(here, prefix):
    network = trained("tied.py:build")
    wrapped = nn.ModuleDict({"module": network}) if prefix else network
    save_model(wrapped, "w.safetensors")
    found = loaded("w.safetensors", "tied.py:build")
    assert torch.equal(found["encode.weight"], network.encode.weight)
    assert torch.equal(found["decode.weight"], network.encode.weight)
    assert "weights   w.safetensors" in said("--weights", "w.safetensors", "--classes", 4, model="tied.py:build")


def test_tied_weights_for_a_network_that_does_not_tie_them(here):
    """The file's own table says under which name the missing tensor is."""
    save_model(trained("tied.py:build"), "w.safetensors")
    Path("untied.py").write_text(TIED.replace("        self.decode.weight = self.encode.weight\n", ""))
    found = loaded("w.safetensors", "untied.py:build")
    assert torch.equal(found["decode.weight"], found["encode.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: (t * 100).to(torch.int8),
            r"'0\.weight' is int8 there and float32 in the network; quantised weights",
        ),
        (lambda t: t.to(torch.float8_e4m3fn), r"'0\.weight' is float8_e4m3fn there and float32 in the network"),
        (
            lambda t: t.index_fill(0, torch.tensor([0]), torch.nan),
            r"'0\.weight' has 27 values of 54 that are not finite",
        ),
        (lambda t: t.half() * 1e9, r"'0\.weight' has 54 values of 54 that are not finite"),
    ],
)
def test_weights_that_mean_nothing_are_refused(here, change, message):
    state = trained().state_dict()
    name = next(name for name in state if name == "0.weight")
    save_file(state | {name: change(state[name])}, "w.safetensors")
    with pytest.raises(InputError, match=message):
        loaded("w.safetensors")
    assert "w.safetensors" in refused("--weights", "w.safetensors", "--classes", 4)


def test_weights_in_half_precision_are_taken(here):
    state = trained().state_dict()
    save_file({name: tensor.bfloat16() for name, tensor in state.items()}, "w.safetensors")
    for name, tensor in loaded("w.safetensors").items():
        assert torch.equal(tensor, state[name].bfloat16().float())


def test_values_that_are_not_finite_in_the_network_itself_are_no_fault(here):
    network = nn.Sequential(nn.Linear(2, 2))
    network.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    save_file(network.state_dict(), "w.safetensors")
    assert models.load_weights(network, "w.safetensors") == []

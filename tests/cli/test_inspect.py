"""``cnn-invariance inspect``: any network on any images, from the shell."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from markupsafe import escape
from PIL import Image
from rich.console import Console
from safetensors.torch import save_file
from typer.testing import CliRunner

import cnn_invariance as ci
from cnn_invariance import inspection, inspection_page, models
from cnn_invariance.cli import app
from cnn_invariance.datasets import read_pictures
from cnn_invariance.measures import requests
from helpers_cli import refused_by, said_by
from helpers_extend import BRIGHTNESS, NETWORK, SHARE


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with 5 images of one class, 3 of another, and the user's files."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name in [*(f"ash/{k}.png" for k in range(5)), *(f"oak/{k}.PNG" for k in range(3))]:
        path = Path("photos") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    Path("photos/notes.txt").write_text("not an image")
    for name, text in (("nets.py", NETWORK), ("sets.py", BRIGHTNESS), ("mine.py", SHARE)):
        Path(name).write_text(text)
    return tmp_path


def look(*arguments, model="nets.py:build", images="photos"):
    return CliRunner().invoke(app, ["inspect", model, "--images", str(images), *map(str, arguments)])


def said(*arguments, **options):
    return said_by(look(*arguments, **options))


def refused(*arguments, **options):
    return refused_by(look(*arguments, **options))


def test_it_says_what_it_did_and_prints_profiles(here):
    text = said("--set", "n=3", "--set", "closed=false", "--argument", "width=3")
    assert text.splitlines()[:5] == [
        "network   nets.py:build, 10 outputs, 1,174 parameters",
        "weights   random (seed 0): --weights FILE takes trained ones",
        "images    8 in photos, 8 x 8, RGB",
        "values    normalised by channel with the mean and standard deviation of these images",
        "under     rotation[n=3,angle_deg=360,closed=false]: 3 transformations",
    ]
    assert re.search(r"^ +1 +0 +Conv2d +3 x 6 x 6 +0\.\d+ +\d\.\d+ *$", text, re.M)
    assert re.search(r"^ +4 +3 +Linear +10 +0\.\d+ +– *$", text, re.M)
    assert "no NVSE of maps in 2 layers (units, not feature maps: nothing to undo a transformation on): 2, 3" in text
    assert re.search(r"NV of maps: of \d+ values, 0 are infinite \(left out of the means\), \d+ dead", text)
    assert "accuracy is not reported" in text


def test_it_measures_what_the_library_measures(here):
    said(
        "--set",
        "n=3",
        "--set",
        "closed=false",
        "--output",
        "out/profiles.parquet",
        "--output",
        "profiles.csv",
        "--output",
        "profiles.svg",
    )
    table = pd.read_parquet("out/profiles.parquet")
    assert pd.read_csv("profiles.csv").columns.tolist() == table.columns.tolist()
    images = torch.from_numpy(read_pictures("photos").images).float() / 255
    images = (images - images.mean((0, 2, 3), keepdim=True)) / images.std((0, 2, 3), correction=0, keepdim=True)
    torch.manual_seed(0)
    network = models.build("nets.py:build", (3, 8, 8), 10).eval()
    result = ci.measure(network, images, ci.transformations.rotation(n=3, closed=False), requests.HEADLINE)
    pd.testing.assert_frame_equal(table, result.profiles(), check_dtype=False)
    assert "<svg" in Path("profiles.svg").read_text()


def test_intervals_over_images(here):
    arguments = ["--set", "n=2", "--set", "closed=false", "--measures", "NV,ANOVA_F", "--uncertainty"]
    text = said(*arguments, "--output", "profiles.csv")
    table = pd.read_csv("profiles.csv").set_index(["measure", "layer"])
    row = table.loc[("NV", 0)]  # the name of the first layer, read as a number
    assert f"{row['value']:.4g} [{row['low']:.4g}, {row['high']:.4g}]" in text
    assert row["low"] < row["value"] < row["high"]
    assert "no interval for ANOVA_F: F grows with the number of samples" in text


def test_nulls_of_shuffled_images(here):
    arguments = ["--set", "n=2", "--set", "closed=false", "--measures", "NV,ANOVA,TopChange", "--null"]
    text = said(*arguments, "--output", "profiles.csv")
    table = pd.read_csv("profiles.csv").set_index(["measure", "layer"])
    row = table.loc[("NV", 0)]
    assert f"{row['value']:.4g} null {row['null']:.4g}" in text
    assert "no null for ANOVA: it compares samples under one transformation at a time" in text
    assert re.search(r"TopChange of the network: [\d.]+ \(null [\d.]+\)", text)


def test_a_set_that_cannot_be_undone_and_a_measure_of_one_s_own(here):
    text = said("--transformations", "sets.py:brightness(n=3)")
    assert "under     sets.py:brightness[n=3]: 3 transformations" in text
    assert "left out  same-equivariance: these transformations cannot be undone on feature maps" in text
    assert "NVSE" not in text
    text = said(
        "--measures", "mine.py:ShareT[aggregate=mean], NV[stratified=true]", "--set", "n=2", "--set", "closed=false"
    )
    assert "ShareT of maps" in text
    assert "NV of units (stratified=true): of " in text


def test_as_many_images_from_each_folder(here):
    text = said("--count", 4, "--set", "n=2", "--set", "closed=false")
    assert "4 of 8, drawn evenly from 2 folders in photos" in text
    assert "one image has no spread over samples" not in text
    assert "one image has no spread over samples" in said("--count", 1, "--set", "n=2", "--set", "closed=false")
    found = read_pictures("photos", count=6)
    assert found.groups.tolist() == [0, 0, 0, 1, 1, 1]
    assert (found.folders, found.total) == (("ash", "oak"), 8)
    assert np.array_equal(read_pictures("photos", count=4).images, read_pictures("photos", count=4).images)
    flat = read_pictures("photos/ash")
    assert (len(flat.images), flat.folders) == (5, ("",))


def test_sizes_channels_and_normalisation(here):
    text = said("--size", "12x10", "--channels", 1, "--normalise", "none", "--set", "n=2", "--set", "closed=false")
    assert "images    8 in photos, resized to 12 x 10, grey" in text
    assert "values    from 0 to 1, not normalised" in text
    assert "2 x 10 x 8" in text
    assert "ImageNet's mean and standard deviation" in said(
        "--normalise", "imagenet", "--set", "n=2", "--set", "closed=false"
    )
    for path in [*Path("photos").rglob("*.png"), *Path("photos").rglob("*.PNG")]:
        Image.open(path).convert("L").save(path)
    assert "8 x 8, grey" in said("--set", "n=2", "--set", "closed=false")
    assert "32 x 32, RGB" in said(
        "--set", "n=2", "--set", "closed=false", "--size", 32, "--layers", "fc", model="torchvision:resnet18"
    )


def test_weights(here):
    torch.manual_seed(5)
    trained = models.build("nets.py:build", (3, 8, 8), 4)
    save_file(trained.state_dict(), "w.safetensors")
    text = said("--weights", "w.safetensors", "--classes", 4, "--set", "n=2", "--set", "closed=false")
    assert "nets.py:build, 4 outputs" in text
    assert "weights   w.safetensors" in text
    assert "'3.bias' is for another number of outputs than 10; give --classes" in refused("--weights", "w.safetensors")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--transformations", "rotaton"], "unknown transformation set 'rotaton'; did you mean 'rotation'"),
        (["--set", "n"], "--set n: expected name=value, such as n=9, each name once"),
        (["--set", "m=3"], "unknown parameter of 'rotation' 'm'"),
        (["--measures", "NW"], "unknown measure 'NW'; did you mean 'NV'"),
        (
            ["--transformations", "sets.py:brightness", "--measures", "NVSE"],
            "NVSE needs transformations that can be und",
        ),
        (["--size", "big"], "--size big: expected a side such as 224, or HEIGHTxWIDTH such as 192x256"),
        (["--normalise", "imagnet"], "unknown normalisation 'imagnet'; did you mean 'imagenet'"),
        (["--normalise", "imagenet", "--channels", 1], "ImageNet's mean is of 3 channels; the images have 1"),
        (["--output", "a.txt"], "output a.txt: its ending says what to write; expected .csv, .parquet, .svg"),
        (["--layers", "conv9"], "unknown layer 'conv9'"),
        (["--device", "nothing"], "device 'nothing' cannot be used"),
        (["--weights", "absent.safetensors"], "no file absent.safetensors of weights"),
    ],
)
def test_what_cannot_be_is_one_plain_line(here, arguments, message):
    assert message in refused(*arguments)


def test_images_that_cannot_be_measured(here):
    assert "no folder or archive absent" in refused(images="absent")
    Path("empty").mkdir()
    assert "empty holds no images; expected files that end in .bmp" in refused(images="empty")
    Image.new("RGB", (9, 8)).save("photos/oak/9.png")
    text = refused()
    assert "images of different sizes: photos: ash/0.png is 8 x 8, photos: oak/9.png is 9 x 8" in text
    assert "here, --size 224 resizes them" in text
    assert "9 in photos, resized to 8 x 8" in said("--size", 8, "--set", "n=2", "--set", "closed=false")
    Path("photos/oak/9.png").write_bytes(Path("photos/oak/0.PNG").read_bytes()[:90])
    assert "photos: oak/9.png cannot be read as an image" in refused()


def test_networks_that_cannot_be_measured(here):
    assert "unknown torchvision model 'resnet81'" in refused(model="torchvision:resnet81")
    assert "unknown model 'SimpelConv'; did you mean 'SimpleConv'" in refused(model="SimpelConv")
    Path("nets.py").write_text("import no_such_x\n")
    assert "nets.py cannot be imported: ModuleNotFoundError" in refused()


def test_infinite_and_dead_units_are_counted(here):
    """A map that is the same for all images but not for all transformations has an infinite NV."""
    Path("nets.py").write_text(
        "import torch\nfrom torch import nn\n\n\nclass Corner(nn.Module):\n"
        "    def forward(self, x):\n"
        "        bright = (x.mean((1, 2, 3)) > 50).float()[:, None].expand(-1, 2)\n"
        "        return torch.cat([bright, torch.zeros(len(x), 3)], 1)\n\n\n"
        "def build(input_shape, classes):\n    return Corner()\n"
    )
    Path("sets.py").write_text("def two():\n    return [lambda x: x, lambda x: x + 100]\n")
    text = said("--transformations", "sets.py:two", "--classes", 5, "--tile", 1)
    assert "1 (2 infinite, 3 dead)" in text
    assert "NV of maps: of 5 values, 2 are infinite (left out of the means), 3 dead (0 / 0, counted as 1)" in text


def test_values_of_parameters_are_read_as_numbers_truth_values_or_text():
    texts = ["a=true", "b=text", "c=1e3", "d=null"]
    assert inspection.pairs("--set", texts) == {"a": True, "b": "text", "c": 1000.0, "d": "null"}


def test_members_that_are_one_map_are_said_and_one_map_alone_is_refused(here):
    text = said("--transformations", "rotation[n=4]", "--measures", "NV")
    assert (
        "under     rotation[n=4,angle_deg=360,closed=true]: 4 transformations (note: 2 of 4 members are the identity: "
        "3 different maps; closed=False leaves out the end of the circle)\n"
    ) in text
    assert "(note: 2 of 25 members are the identity: 24 different maps" in said("--measures", "NV")
    assert "note" not in said("--transformations", "rotation[n=4,closed=false]", "--measures", "NV")
    assert "all of its 2 members are one map" in refused("--set", "n=2")
    assert "its only member is one map" in refused("--transformations", "identity")


@pytest.mark.parametrize("width", [20, 50, 80])
def test_a_narrow_terminal_cuts_no_number(here, width):
    options = {"model": "nets.py:build", "images": Path("photos"), "set": ("n=3", "closed=false")}
    result = inspection.inspect(inspection.InspectionOptions(**options, measures="NV, NVSE, TV, SV")).result
    shown = inspection.table(result)
    console = Console(file=io.StringIO(), width=max(width, inspection.least_width(shown)))
    console.print(shown)
    text = console.file.getvalue()
    for row in result.profiles().to_dict("records"):
        assert inspection_page.in_words(row) in text
    assert "…" not in text


def test_a_page_of_a_network_has_all_in_one_file(here):
    said("--output", "page.html", "--set", "n=3", "--set", "closed=false")
    text = Path("page.html").read_text(encoding="utf-8")
    found = inspection.inspect(
        inspection.InspectionOptions("nets.py:build", Path("photos"), set=("n=3", "closed=false"))
    )
    for what, how in found.facts:
        assert str(escape(how)) in text, what
    for remark in inspection.remarks(found.result):
        assert str(escape(remark)) in text
    lowest = found.result.profile("NV").sort_values("value", kind="stable")
    first, last = (lowest.iloc[place] for place in (0, -1))
    assert f"the most invariant layers are {first['layer']} ({first['value']:.3g})" in text
    assert f"the least invariant are {last['layer']} ({last['value']:.3g})" in text
    assert "the most same-equivariant layers are" in text
    addresses = re.findall(r'(?:src|href)="(.*?)"', text)
    assert len(addresses) == 8 + 2  # the images, the profiles, the icon
    assert all(address.startswith("data:") for address in addresses)
    for name in ("ash/0.png", "oak/2.PNG"):
        assert text.count(name) == 3  # as alternative text, as title, in the list
    pixels = Image.open(io.BytesIO(base64.b64decode(addresses[-8].partition(",")[2])))
    assert np.array_equal(np.asarray(pixels), np.asarray(Image.open("photos/ash/0.png")))


def test_no_layer_is_both_most_and_least_invariant():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten()).eval()
    result = ci.measure(network, torch.rand(4, 1, 6, 6), ci.transformations.rotation(n=3, closed=False), ["NV", "TV"])
    one, _ = inspection_page.extremes(result)
    assert (one.label, one.what, one.better) == ("NV of units", "invariant", "lower is more invariant")
    assert len(one.most) == len(one.least) == 1
    assert one.most[0] != one.least[0]

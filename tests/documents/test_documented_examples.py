"""What README and CONTRIBUTING show works as it stands there."""

import csv
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent

import numpy as np
import pytest
import torch
import torchvision
import typer
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import cnn_invariance as ci
from cnn_invariance.cli import app
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.transformations.warp import transform_all
from cnn_invariance.workflow.plan import Plan

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)\)")
SHELL = re.compile(
    r"^ {4,}((?:\S*/)?(?:make|snakemake|cnn-invariance)(?: .*)?)$|`((?:make|snakemake|cnn-invariance) [^`]+)`", re.M
)
DOCUMENTS = ("README.md", "CONTRIBUTING.md")
SHARE = "ShareT of units"


def blocks(document, language):
    found = BLOCK.findall((ROOT / document).read_text(encoding="utf-8"))
    return [dedent(text) for _, kind, text in found if kind == language]


def files(document):
    """The blocks that are whole files of the package, by their paths."""
    return {path: text for path, text in _headed(document, "python").items() if path.startswith("src/")}


def own_files():
    """The blocks of CONTRIBUTING that are whole files outside of the package, by their names."""
    headed = _headed("CONTRIBUTING.md", "python") | _headed("CONTRIBUTING.md", "yaml")
    return {path: text for path, text in headed.items() if "/" not in path}


def _headed(document, language):
    matches = (re.match(r"# (\S+\.(?:py|yaml))\n(.*)", text, re.DOTALL) for text in blocks(document, language))
    return {match[1]: match[2] for match in matches if match}


def commands(document):
    """Every command of a shell that a document shows, without the folder it is in and without comments."""
    text = (ROOT / document).read_text(encoding="utf-8")
    shown = (match[1] or match[2] for match in SHELL.finditer(text))
    return [shlex.split(command, comments=True) for command in shown]


def run(*arguments, at, source=ROOT / "src"):
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=at, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readme_shows_the_claims_as_they_came_out():
    """The first table of the page of claims stands in README as it is."""
    page = (ROOT / "results/quick/claims.md").read_text(encoding="utf-8").splitlines()
    table = "\n".join(page[2 : page.index("", 2)])
    assert table.startswith("| experiment |")
    assert table in (ROOT / "README.md").read_text(encoding="utf-8"), f"README needs this table:\n{table}"


def test_the_readme_s_use_as_a_library_runs(tmp_path):
    example = "\n".join(blocks("README.md", "python"))  # one after the other, as they are read
    printed = run("-W", "error", "-c", example, at=tmp_path)
    assert "log_softmax" in printed


@pytest.fixture
def extended(tmp_path):
    """A copy of the package with every file that CONTRIBUTING adds."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for path, text in files("CONTRIBUTING.md").items():
        assert not (ROOT / path).exists(), f"{path} is there already: show another example"
        (tmp_path / path).write_text(text, encoding="utf-8")
    own = own_files()["my_measures.py"]
    (tmp_path / "src/cnn_invariance/measures/families/share.py").write_text(own, encoding="utf-8")
    return tmp_path


def test_the_additions_in_contributing_make_a_study(extended):
    assert {Path(path).parent.name for path in files("CONTRIBUTING.md")} == {
        "models", "transformations", "datasets", "experiments",
    }  # fmt: skip
    fingerprint = re.search(r"\b[0-9a-f]{64}\b", command(extended, "dataset", "digits8"))[0]
    preset = {
        "name": "added",
        "description": "What CONTRIBUTING adds.",
        "seeds": [0],
        "measures": ["TV", "SV", "NV", "ShareT"],
        "samples": {"count": 20},
    }
    for text in blocks("CONTRIBUTING.md", "yaml"):
        if not text.startswith("# mine.yaml"):
            preset |= yaml.safe_load(text)
    preset["datasets"]["digits8"]["fingerprint"] = fingerprint
    (extended / "preset.yaml").write_text(yaml.safe_dump(preset), encoding="utf-8")

    planned = command(extended, "plan", "--cells", "--preset", "preset.yaml")
    networks = re.findall(r"^network (\S+)$", planned, re.MULTILINE)
    cells = re.findall(r"^measure cell (\S+)$", planned, re.MULTILINE)
    assert (len(networks), len(cells)) == (2, 2)
    stages = [*(["train", one] for one in networks), *(["measure", one] for one in cells), ["draw", "narrow_and_wide"]]
    for stage in stages:
        command(extended, *stage, "--preset", "preset.yaml")
    table = (extended / "results/added/tables/narrow_and_wide.csv").read_text(encoding="utf-8")
    header, *rows = table.splitlines()
    assert header.startswith("dataset,transformations,measure,width,layers,seeds,mean")
    assert [row.split(",")[:4] for row in rows] == [
        ["digits8", "shear", "NV of units", f"width {width}"] for width in (4, 8)
    ]


def command(at, *arguments):
    call = "from cnn_invariance.cli import app; app()"
    return run("-c", call, *arguments, at=at, source=at / "src")


def test_files_that_contributing_shows_are_well_formed(tmp_path):
    for path, text in {**files("CONTRIBUTING.md"), **own_files()}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    settings = ["--config", ROOT / "pyproject.toml", "--config", "lint.isort.known-first-party = ['cnn_invariance']"]
    run("-m", "ruff", "check", *settings, ".", at=tmp_path)
    run("-m", "ruff", "format", "--check", *settings, ".", at=tmp_path)


@pytest.fixture
def own(tmp_path):
    """A folder with the files that CONTRIBUTING shows beside its preset, and images by class."""
    for name, text in own_files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    pixels = np.random.default_rng(0).integers(0, 100, (20, 12, 12, 3), dtype=np.uint8)
    pixels[1::2, 3:9] += 120  # a bar across, and a square
    pixels[::2, 3:9, 3:9] += 120
    for number, image in enumerate(pixels):
        path = tmp_path / "leaves" / ("ash" if number % 2 else "oak") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return tmp_path


def cli(*arguments):
    done = CliRunner().invoke(app, [*arguments, "--preset", "mine.yaml"])
    assert done.exit_code == 0, done.output
    return done.output


DROPOUT = '  dropout: {experiment: "my_experiments.py:Dropout", model: Mine, dropout: [0, .1, .3], seeds: 2}\n'
SMALLER = "seeds: 1, transformation_sets: [brightness], measures: [my_extremes.py:Largest, my_cosine.py:Cosine]}"


def test_files_of_one_s_own_make_a_study_and_its_page(own, monkeypatch):
    """The preset of CONTRIBUTING with its files and its experiment, in a folder elsewhere: to the page, and again."""
    monkeypatch.chdir(own)
    fingerprint = re.search(r"\b[0-9a-f]{64}\b", CliRunner().invoke(app, ["dataset", "folder:leaves"]).output)[0]
    preset = own / "mine.yaml"
    text = preset.read_text(encoding="utf-8").replace("0" * 64, fingerprint)
    assert indent(DROPOUT, "    ") in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    text = text.replace("experiments:\n", "experiments:\n" + DROPOUT.replace("seeds: 2}", SMALLER))
    text = text.replace('ShareT"] #', 'ShareT", "my_extremes.py:Largest", "my_cosine.py:Cosine"] #')
    preset.write_text(text, encoding="utf-8")
    cli("plan", "--try")
    for cell in Plan(Programme.load("mine.yaml")).cells:
        cli(cell.stage, cell.key)
    assert Plan(Programme.load("mine.yaml")).failed == {}  # every network reaches the floor that stands there
    for experiment in ("dropout", "compare_models"):
        cli("draw", experiment)
    for command in (["claims", "--specifications"], ["claims"], ["overview"], ["costs"], ["report"], ["report"]):
        cli(*command)
    page = (own / "report/mine.html").read_text(encoding="utf-8")
    assert "Experiment &#39;dropout&#39; of your own" in page
    assert "Tests an expectation of your own." in page
    assert "eplicat" not in re.sub(r"(?s)<section id=.departures.*?</section>", "", page)
    assert all(name in page for name in ("ShareT", "Largest", "Cosine"))
    _check_own_table(own)
    caption = (own / "figures/mine/compare_models/compare_models_ShareT_of_units.md").read_text(encoding="utf-8")
    assert "share of the transformations in the spread, TV / (TV + SV)" in caption
    assert "Mine is none of the author's networks" in caption
    assert "Mine" in (own / "results/mine/tables/costs.csv").read_text(encoding="utf-8")
    caption = (own / "figures/mine/dropout/dropout_Cosine_of_layers.md").read_text(encoding="utf-8")
    assert "Cosine of layers" in caption
    assert "dropout 0.1" in caption


def _check_own_table(own):
    rows = (own / "results/mine/tables/compare_models.csv").read_text(encoding="utf-8").splitlines()
    table = list(csv.DictReader(rows))
    of_maps, kinds = ("NV of maps", "NVSE of maps"), {row["measure"] for row in table}
    assert kinds == {*of_maps, SHARE}
    assert {row["network"] for row in table} == {"SimpleConv", "Mine"}
    best = {(row["measure"], row["network"]): row["best_layer"] for row in table}
    assert {best[measure, "Mine"] for measure in kinds} <= {str(layer) for layer in range(9)}  # names of my_nets.py
    assert best["NV of maps", "SimpleConv"] not in {str(layer) for layer in range(9)}


def test_measures_of_one_s_own_are_what_they_say(own, monkeypatch):
    """The running maximum and the cosine of CONTRIBUTING, against the same of all activations at once."""
    monkeypatch.chdir(own)
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(108, 4)
    )
    images, turns = torch.rand(7, 1, 8, 8), ci.transformations.rotation(n=4, closed=False)
    requests = ["my_extremes.py:Largest", "my_cosine.py:Cosine"]
    result = ci.measure(network.eval(), images, turns, requests, tile=2)
    assert list(result.profiles()["label"].unique()) == ["Largest of units", "Cosine of layers"]
    moved = transform_all(images, turns.matrices)  # (M, N, C, H, W)
    with torch.no_grad():
        answers = [network[:2](one) for one in moved]
        plain = network[:2](images)
    largest = torch.stack(answers).amax((0, 1)).double()
    np.testing.assert_allclose(result["my_extremes.py:Largest"]["1"], largest, rtol=1e-6)
    cosines = [torch.cosine_similarity(one.flatten(1), plain.flatten(1)).double() for one in answers]
    np.testing.assert_allclose(result["my_cosine.py:Cosine"]["1"], [torch.stack(cosines).mean()], rtol=1e-5)
    assert result.profile("Cosine")["units"].tolist() == [1, 1, 1, 1]


def test_weights_of_torch_save_are_written_anew_as_contributing_shows(own, monkeypatch):
    monkeypatch.chdir(own)
    model = torch.nn.Linear(2, 3)
    torch.save(model.state_dict(), "resnet18.pth")
    runpy.run_path("convert_weights.py")
    kept = load_file("resnet18.safetensors")
    assert kept.keys() == {"weight", "bias"}
    assert torch.equal(kept["weight"], model.weight)


def test_every_command_that_is_shown_can_be_given():
    """Commands and options that are not there are refused by the parser; targets of make by its file."""
    targets = set(re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)[1].split())
    shown = [command for document in DOCUMENTS for command in commands(document)]
    assert {Path(command[0]).name for command in shown} == {"make", "snakemake", "cnn-invariance"}
    for program, *arguments in shown:
        if program == "make":
            words = [word for word in arguments if "=" not in word]
            assert set(words) <= targets, f"make {' '.join(words)}"
        elif Path(program).name == "cnn-invariance" and arguments != ["--help"]:
            parsed(typer.main.get_command(app), arguments)


def parsed(command, arguments):
    """The command that arguments lead to, which takes them all (click's usage error if not)."""
    while hasattr(command, "commands"):
        name, *arguments = arguments
        assert name in command.commands, f"no command {name}"
        command = command.commands[name]
    return command.make_context(command.name, list(arguments))


def test_looks_at_networks_as_the_readme_shows_them(own, monkeypatch):
    """Each `inspect` of the README, on two small images."""
    monkeypatch.chdir(own)
    (own / "leaves").rename("photos")
    save_file(torchvision.models.resnet18().state_dict(), "resnet18.safetensors")
    looks = [command[1:] for command in commands("README.md") if command[1:2] == ["inspect"]]
    assert len(looks) == 3
    for look in looks:
        done = CliRunner().invoke(app, [*("32" if word == "224" else word for word in look), "--count", "2"])
        assert done.exit_code == 0, done.output
        assert "accuracy is not reported" in done.output
        assert all(Path(word).stat().st_size for word in look if word.endswith((".csv", ".svg")))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    targets = set(LINK.findall((ROOT / document).read_text(encoding="utf-8")))
    assert targets
    assert [target for target in sorted(targets) if not (ROOT / target).exists()] == []

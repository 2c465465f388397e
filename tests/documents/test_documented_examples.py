"""What README, CONTRIBUTING and the documentation show works as it stands there.

A block of code is run, or is a file of a study that is made, or its commands are parsed; `KINDS` says which. Cells of
notebooks (``{code-cell}``) are run when the documentation is built, `make docs`. Commands are parsed and not run: what
they do has tests of its own, and `make`, installations and campaigns take too long to be given here.
"""

import csv
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

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
BLOCK = re.compile(r"^( *)```(\S+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^ {4,}((?:\S*/)?(?:make|snakemake|cnn-invariance|python)(?: .*)?)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]*)(?:#([\w-]+))?\)")
INLINE = re.compile(r"`((?:make|snakemake|cnn-invariance) [^`]+)`")
PAGES = sorted((ROOT / "docs").rglob("*.md"))
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *(str(path.relative_to(ROOT)) for path in PAGES)]
OWN, PACKAGE = "docs/extending.md", "docs/adding.md"
KINDS = {
    "python": "run where it stands, or a whole file of the studies below",
    "yaml": "the presets of the studies below, or parts of them",
    "sh": "parsed",
    "snakemake": "run by the tests of the workflow",
    "text": "no code",
    "{code-cell}": "run by make docs",
    "{toctree}": "read by make docs",
    "{eval-rst}": "read by make docs",
}
SHARE = "ShareT of units"


def text_of(document):
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document, language):
    return [dedent(text) for _, kind, text in BLOCK.findall(text_of(document)) if kind == language]


def files():
    """The blocks that are whole files of the package, by their paths."""
    return {path: text for path, text in _headed(PACKAGE, "python").items() if path.startswith("src/")}


def own_files():
    """The blocks that are whole files outside of the package, by their names."""
    return _headed(OWN, "python") | _headed(OWN, "yaml")


def _headed(document, language):
    matches = (re.match(r"# (\S+\.(?:py|yaml))\n(.*)", text, re.DOTALL) for text in blocks(document, language))
    return {match[1]: match[2] for match in matches if match}


def commands(document):
    """Every command of a shell that a document shows, without the folder it is in and without comments."""
    lines = [line for block in blocks(document, "sh") for line in block.splitlines()]
    rest = BLOCK.sub("", text_of(document))
    shown = [*lines, *INDENTED.findall(rest), *INLINE.findall(rest)]
    words = (shlex.split(part, comments=True) for line in shown for part in line.split(" && "))
    return [command for command in words if command]


def run(*arguments, at, source=ROOT / "src"):
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=at, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_is_of_a_kind_that_is_tested(document):
    assert {kind for _, kind, _ in BLOCK.findall(text_of(document))} <= KINDS.keys()
    if document not in (OWN, PACKAGE):  # their blocks make the studies below
        assert not blocks(document, "yaml")
        assert not _headed(document, "python")


def test_every_file_that_is_shown_is_in_a_study():
    assert len(own_files()) == len(blocks(OWN, "python")) + 1  # and mine.yaml
    assert len(files()) == len(blocks(PACKAGE, "python"))


@pytest.mark.parametrize("document", [one for one in DOCUMENTS if one not in (OWN, PACKAGE) and blocks(one, "python")])
def test_examples_run_one_after_the_other(document, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    exec(compile("\n".join(blocks(document, "python")), document, "exec"), {"__name__": "example"})
    assert "Conv" in capsys.readouterr().out  # a table of layers


def test_the_page_of_the_study_shows_the_claims_as_they_came_out():
    """The first table of the page of claims stands there as it is."""
    page = (ROOT / "results/quick/claims.md").read_text(encoding="utf-8").splitlines()
    table = "\n".join(page[2 : page.index("", 2)])
    assert table.startswith("| experiment |")
    assert table in text_of("docs/study.md"), f"docs/study.md needs this table:\n{table}"


@pytest.fixture
def extended(tmp_path):
    """A copy of the package with every file that the page on adding to it shows."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for path, text in files().items():
        assert not (ROOT / path).exists(), f"{path} is there already: show another example"
        (tmp_path / path).write_text(text, encoding="utf-8")
    own = own_files()["my_measures.py"]
    (tmp_path / "src/cnn_invariance/measures/families/share.py").write_text(own, encoding="utf-8")
    return tmp_path


STUDY = """
import sys
from cnn_invariance.cli import app
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.workflow.plan import Plan

cells = Plan(Programme.load("preset.yaml")).cells
print([cell.stage for cell in cells])
for stage in [*([cell.stage, cell.key] for cell in cells), ["draw", "narrow_and_wide"]]:
    app([*stage, "--preset", "preset.yaml"], standalone_mode=False)
"""


def test_the_additions_to_the_package_make_a_study(extended):
    assert {Path(path).parent.name for path in files()} == {
        "models", "transformations", "datasets", "experiments",
    }  # fmt: skip
    dataset = ["-c", "from cnn_invariance.cli import app; app()", "dataset", "digits8"]
    fingerprint = re.search(r"\b[0-9a-f]{64}\b", run(*dataset, at=extended, source=extended / "src"))[0]
    preset = {
        "name": "added",
        "description": "What the page adds.",
        "seeds": [0],
        "measures": ["TV", "SV", "NV", "ShareT"],
        "samples": {"count": 20},
    }
    for text in blocks(PACKAGE, "yaml"):
        preset |= yaml.safe_load(text)
    preset["datasets"]["digits8"]["fingerprint"] = fingerprint
    (extended / "preset.yaml").write_text(yaml.safe_dump(preset), encoding="utf-8")

    made = run("-c", STUDY, at=extended, source=extended / "src")
    assert made.startswith("['train', 'train', 'measure', 'measure']")
    table = (extended / "results/added/tables/narrow_and_wide.csv").read_text(encoding="utf-8")
    header, *rows = table.splitlines()
    assert header.startswith("dataset,transformations,measure,width,layers,seeds,mean")
    assert [row.split(",")[:4] for row in rows] == [
        ["digits8", "shear", "NV of units", f"width {width}"] for width in (4, 8)
    ]


def test_files_that_are_shown_are_well_formed(tmp_path):
    for path, text in {**files(), **own_files()}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    settings = ["--config", ROOT / "pyproject.toml", "--config", "lint.isort.known-first-party = ['cnn_invariance']"]
    run("-m", "ruff", "check", *settings, ".", at=tmp_path)
    run("-m", "ruff", "format", "--check", *settings, ".", at=tmp_path)


@pytest.fixture
def own(tmp_path):
    """A folder with the files that stand beside the preset, and images by class."""
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
    """The preset with its files and its experiment, in a folder elsewhere: to the page, and again."""
    monkeypatch.chdir(own)
    fingerprint = re.search(r"\b[0-9a-f]{64}\b", CliRunner().invoke(app, ["dataset", "folder:leaves"]).output)[0]
    preset = own / "mine.yaml"
    text = preset.read_text(encoding="utf-8").replace("0" * 64, fingerprint)
    assert f"experiments:\n{DROPOUT}" in blocks(OWN, "yaml")
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
    caption = (own / "figures/mine/compare_models/compare_models.md").read_text(encoding="utf-8")
    assert "share of the transformations in the spread, TV / (TV + SV)" in caption
    assert "Mine is none of the author's networks" in caption
    assert "Mine" in (own / "results/mine/tables/costs.csv").read_text(encoding="utf-8")
    caption = (own / "figures/mine/dropout/dropout.md").read_text(encoding="utf-8")
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
    """The running maximum and the cosine, against the same of all activations at once."""
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


def test_weights_of_torch_save_are_written_anew_as_is_shown(own, monkeypatch):
    monkeypatch.chdir(own)
    model = torch.nn.Linear(2, 3)
    torch.save(model.state_dict(), "resnet18.pth")
    runpy.run_path("convert_weights.py")
    kept = load_file("resnet18.safetensors")
    assert kept.keys() == {"weight", "bias"}
    assert torch.equal(kept["weight"], model.weight)


OTHERS = {"tar", "cd", "./install", "export", "pip", "escnn/bin/pip", ".ci/run"}
"""Programs that are shown and not parsed."""


def test_every_command_that_is_shown_can_be_given():
    """Commands and options that are not there are refused by the parser; targets of make by its file."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split())
    shown = [command for document in DOCUMENTS for command in commands(document)]
    programs = set()
    for words in shown:
        program, *arguments = [word for word in words if not re.match(r"[A-Z_]+=", word)]
        programs.add(Path(program).name)
        if program == "make":
            words = [word for word in arguments if "=" not in word]
            assert set(words) <= targets, f"make {' '.join(words)}"
        elif Path(program).name == "cnn-invariance" and arguments != ["--help"]:
            parsed(typer.main.get_command(app), arguments)
        elif Path(program).name == "python" and arguments[0] != "-m":
            assert (ROOT / arguments[0]).is_file(), arguments[0]
        else:
            assert program in OTHERS or Path(program).name in {"python", "snakemake", "cnn-invariance"}, program
    assert programs >= {"make", "snakemake", "cnn-invariance"}


def parsed(command, arguments):
    """The command that arguments lead to, which takes them all (click's usage error if not)."""
    while hasattr(command, "commands"):
        name, *arguments = [word for word in arguments if word != "--debug"]
        assert name in command.commands, f"no command {name}"
        command = command.commands[name]
    return command.make_context(command.name, list(arguments))


def test_looks_at_networks_as_is_shown(own, monkeypatch):
    """Each `inspect` of the page on the library, on two small images."""
    monkeypatch.chdir(own)
    (own / "leaves").rename("photos")
    save_file(torchvision.models.resnet18().state_dict(), "resnet18.safetensors")
    looks = [command[1:] for command in commands("docs/library.md") if command[1:2] == ["inspect"]]
    assert len(looks) == 3
    for look in looks:
        done = CliRunner().invoke(app, [*("32" if word == "224" else word for word in look), "--count", "2"])
        assert done.exit_code == 0, done.output
        assert "accuracy is not reported" in done.output
        assert all(Path(word).stat().st_size for word in look if word.endswith((".csv", ".svg")))


def anchors(path):
    """What a link to a heading of a page may name: its words in small letters, joined by hyphens."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_page_stands_in_a_list_of_pages_once():
    """In ``docs/index.md``, between ```{toctree} and ```, as NAME or as WORDS <NAME>."""
    lines = [line for block in blocks("docs/index.md", "{toctree}") for line in block.splitlines()]
    listed = [re.sub(r".*<(.+)>", r"\1", line) for line in lines if line and not line.startswith(":")]
    names = [str(path.relative_to(ROOT / "docs").with_suffix("")) for path in PAGES]
    assert sorted(listed) == sorted({*names} - {"index"})


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    for target, heading in LINK.findall(BLOCK.sub("", text_of(document))):
        path = (ROOT / document).parent / target if target else ROOT / document
        assert path.exists(), target
        assert not heading or heading in anchors(path), f"{target}#{heading}"

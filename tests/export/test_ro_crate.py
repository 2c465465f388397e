"""The research object of a preset: from every figure to the code behind it, and checked by the profile's validator."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cnn_invariance.cli import app
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products
from helpers_cli import refused_by, said_by

pytest.importorskip("rocrate")
ROOT = Path(__file__).parents[2]
VALIDATOR = ROOT / ".venv-validators/bin/python"
PLACES = ["--preset", f"{ROOT}/config/quick.yaml", "--results-dir", f"{ROOT}/results", "--figures-dir"]


@pytest.fixture(scope="module")
def plan():
    return Plan(Programme.load(ROOT / "config/quick.yaml"), Folders(results=ROOT / "results", figures=ROOT / "figures"))


@pytest.fixture(scope="module")
def crate(tmp_path_factory):
    """The crate of the committed preset."""
    into = tmp_path_factory.mktemp("export") / "crate"
    said = said_by(CliRunner().invoke(app, ["export", "ro-crate", "--into", str(into), *PLACES, f"{ROOT}/figures"]))
    assert "60 of 60 cells" in said
    return into


@pytest.fixture(scope="module")
def entities(crate):
    graph = json.loads((crate / "ro-crate-metadata.json").read_text(encoding="utf-8"))["@graph"]
    return {one["@id"]: one for one in graph}


def ids(value):
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


def made_by(entities):
    """The action, other than the whole run, that each file is a result of."""
    actions = [one for one in entities.values() if one["@type"] == "CreateAction" and one["@id"] != "#run"]
    return {made: action for action in actions for made in ids(action["result"])}


def test_from_each_figure_to_the_code_of_each_of_its_cells(plan, entities):
    made = made_by(entities)
    products = Products(plan)
    for name in plan.study.experiments:
        for path in products.figures(name):
            drawn = made[path.relative_to(ROOT).as_posix()]
            cells = {plan.results.path(cell).relative_to(ROOT).as_posix(): cell for cell in plan.study.cells[name]}
            assert set(cells) | {"config/quick.yaml"} == set(ids(drawn["object"]))
            for file, cell in cells.items():
                (spec,) = ids(entities[file]["isBasedOn"])
                assert spec == f"specs/{cell.key}.json"
                assert spec in ids(made[file]["object"])
                (tool,) = ids(made[file]["instrument"])
                (code,) = ids(entities[tool]["isBasedOn"])
                facts = plan.results.provenance(cell)
                assert entities[code]["version"] == facts["commit"]
                assert made[file]["startTime"] == facts["started"]


def test_what_is_measured_is_what_a_training_left(plan, entities):
    made = made_by(entities)
    for cell in plan.measurements:
        action = made[plan.results.path(cell).relative_to(ROOT).as_posix()]
        (weights,) = (one for one in ids(action["object"]) if one.startswith("#weights-"))
        assert entities[weights]["value"] == plan.results.read(cell).weights_sha256
        if cell.epoch == cell.network.recipe.epochs:
            assert made[weights]["@id"] == f"#cell-{cell.network.key}"


def test_files_are_those_of_the_checkout(crate, entities):
    files = {id: one for id, one in entities.items() if "sha256" in one}
    assert len(files) > 200
    for id, one in files.items():
        assert hashlib.sha256((crate / id).read_bytes()).hexdigest() == one["sha256"]
        if not id.startswith(("specs/", "README")):
            assert (crate / id).read_bytes() == (ROOT / id).read_bytes()


def test_a_folder_with_something_in_it_is_left_alone(crate):
    done = CliRunner().invoke(app, ["export", "ro-crate", "--into", str(crate), *PLACES, f"{ROOT}/figures"])
    assert "expected a new or an empty folder" in refused_by(done)


@pytest.mark.skipif(not VALIDATOR.exists() and "CI" not in os.environ, reason="no validators: make validators")
def test_it_conforms_to_provenance_run_crate(tmp_path):
    """By roc-validator, offline; a part of the preset will do. Without its code, an action does not conform."""
    text = (ROOT / "config/quick.yaml").read_text(encoding="utf-8")
    preset, crate = tmp_path / "quick.yaml", tmp_path / "crate"
    preset.write_text(text.partition("\nexperiments:\n")[0] + "\nexperiments: {transformation_sets: {}}\n")
    places = ["--preset", str(preset), *PLACES[2:], f"{ROOT}/figures"]
    said_by(CliRunner().invoke(app, ["export", "ro-crate", "--into", str(crate), *places]))
    assert issues(crate) == []
    metadata = crate / "ro-crate-metadata.json"
    metadata.write_text(metadata.read_text(encoding="utf-8").replace('"instrument"', '"tool"', 1), encoding="utf-8")
    assert "instrument" in issues(crate)[0]


def issues(crate):
    command = [VALIDATOR, ROOT / "envs/validate_crate.py", crate]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()

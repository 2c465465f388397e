"""What says whose this is and how to cite it: the same in pyproject.toml, CITATION.cff and codemeta.json."""

import json
import os
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import cnn_invariance

ROOT = Path(__file__).parents[2]
CFFCONVERT = ROOT / ".venv-validators/bin/cffconvert"


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_codemeta_says_what_the_project_says(project):
    found = json.loads((ROOT / "codemeta.json").read_text(encoding="utf-8"))
    assert (found["name"], found["version"], found["description"]) == (
        project["name"],
        cnn_invariance.__version__,
        project["description"],
    )
    assert found["license"].endswith(f"/{project['license']}")
    assert found["programmingLanguage"]["version"] == project["requires-python"]
    assert found["softwareRequirements"] == project["dependencies"]
    assert (ROOT / found["readme"]).is_file()


def test_the_citation_is_of_this_version(project, citation):
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert citation["preferred-citation"]["doi"] == "10.19153/cleiej.24.1.8"


@pytest.mark.skipif(not CFFCONVERT.exists() and "CI" not in os.environ, reason="no validators: make validators")
def test_the_citation_conforms_to_its_schema():
    subprocess.run([CFFCONVERT, "--validate", "-i", ROOT / "CITATION.cff"], capture_output=True, check=True)

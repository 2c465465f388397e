"""What says whose this is and how to cite it: the same in pyproject.toml, CITATION.cff and codemeta.json."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import cnn_invariance
from cnn_invariance.study.preset import Preset

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


def test_the_catalogue_finds_what_it_asks_for():
    """A Snakefile in ``workflow``, a page on the configuration, and a file that says how the workflow is used."""
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))["usage"]
    assert usage["report"] is True
    assert {"mandatory-flags", "software-stack-deployment"} < set(usage)
    assert (ROOT / "workflow/Snakefile").is_file()
    explained = (ROOT / "config/README.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in explained for key in Preset.model_fields)


def test_the_container_is_made_of_files_that_are_there():
    text = (ROOT / "envs/Containerfile").read_text(encoding="utf-8")
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", text, re.M) for name in line.split()]
    assert len(copied) > 9
    assert all((ROOT / name).exists() for name in copied)
    (targets,) = re.findall(r"make ([a-z -]+) VENV", text)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{target}:" in makefile for target in targets.split())

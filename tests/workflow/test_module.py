"""The study as a module of another workflow, from another folder, and in Snakemake's own report."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from docutils.core import publish_doctree
from snakemake.path_modifier import PathModifier
from snakemake.sourcecache import LocalSourceFile

from cnn_invariance.errors import InputError
from cnn_invariance.plotting.caption import Caption
from cnn_invariance.study.study import Study
from cnn_invariance.verification.sampling import SAMPLING_OPTIONS
from cnn_invariance.workflow.annotations import rst
from cnn_invariance.workflow.caller import Caller
from cnn_invariance.workflow.run import Run
from helpers_study import TINY

ROOT = Path(__file__).parents[2]
DOCUMENTED = (ROOT / "docs/workflow.md").read_text(encoding="utf-8").partition("```snakemake\n")[2].partition("```")[0]
CALLING = DOCUMENTED.replace("path/to/cnn_invariance", str(ROOT))


def snakemake(folder, *arguments):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def test_another_workflow_trains_a_network_of_its_own_config(finished, tmp_path):
    """As docs/workflow.md shows it, with the dataset in its own folder; by default it makes all of the study."""
    (tmp_path / "Snakefile").write_text(CALLING)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(finished.preset.read_text().replace("name: tiny", "name: mine"))
    shutil.copytree(finished.root / "data", tmp_path / "data")
    (tmp_path / "data").joinpath("mnist5k.npz").touch()
    plan = finished.plan()
    record = f"results/mine/training/{plan.networks[0].key}.json"
    assert f"0 of {len(plan.cells)} cells of mine are finished in {tmp_path}" in snakemake(
        tmp_path, "--cores", "1", record
    )
    assert json.loads((tmp_path / record).read_text())["spec"] == plan.networks[0].model_dump(mode="json")
    counts = dict(
        re.findall(r"^invariance_(\w+) +(\d+)$", snakemake(tmp_path, "-n", "-q", "host", "reason", "rules"), re.M)
    )
    assert counts["study"] == counts["draw_compare_models"] == "1"
    assert int(counts["measure"]) == len(plan.measurements)


def test_another_workflow_keeps_its_own_first_rule(finished, tmp_path):
    own = 'rule mine:\n    output:\n        "mine.txt",\n    shell:\n        "echo mine > {output}"\n\n\n'
    (tmp_path / "Snakefile").write_text(own + CALLING)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(finished.preset.read_text().replace("name: tiny", "name: mine"))
    snakemake(tmp_path, "--cores", "1")
    assert (tmp_path / "mine.txt").read_text() == "mine\n"
    assert not (tmp_path / "results").exists()


def module(folder, files=(), prefix=None):
    """What Snakemake has in a module whose Snakefile is in this folder."""
    paths = PathModifier(None, prefix, None)
    modifier = SimpleNamespace(is_main_snakefile=lambda: False, modify_path=paths.replace_prefix)
    return SimpleNamespace(modifier=modifier, configfiles=list(files), current_basedir=LocalSourceFile(str(folder)))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_config_that_is_a_file_is_that_file(here):
    """Also as Snakemake reads it, to which 1e-3 is a text, and with options of the run in it."""
    (here / "mine.yaml").write_text(TINY)
    config = yaml.safe_load(TINY) | {"results_dir": "elsewhere"}
    assert config["models"]["SimpleConv"]["learning_rate"] == "1e-3"
    options = Caller.of(module(here, ["mine.yaml"]), config).read()
    assert (options.preset, options.folders.results) == (Path("mine.yaml"), Path("elsewhere"))


def test_a_config_that_a_workflow_makes_is_written(here):
    config = yaml.safe_load(TINY) | {"seeds": [7]}
    written = Study.load(Caller.of(module(here), config).read().preset)
    assert (written.seeds, written.preset.models["SimpleConv"].learning_rate) == ((7,), 1e-3)


@pytest.mark.parametrize(
    ("config", "prefix", "message"),
    [
        ({"preset": "a.yaml", "name": "a"}, None, "either 'preset'.*received name, preset"),
        ({"compute": "cached"}, None, "received neither"),
        ({"preset": "a.yaml"}, "sub", "results_dir: study/results"),
    ],
)
def test_a_module_that_cannot_be_is_refused(here, config, prefix, message):
    with pytest.raises(InputError, match=message):
        Caller.of(module(here, prefix=prefix), config)


def started_elsewhere(checkout, **options):
    settings = SimpleNamespace(configfiles=[], config=options)
    resources = SimpleNamespace(default_resources=None)
    return Run.of(
        SimpleNamespace(
            config_settings=settings,
            is_main_process=True,
            resource_settings=resources,
            current_basedir=LocalSourceFile(str(checkout)),
        ),
        SAMPLING_OPTIONS,
    )


def test_a_run_in_another_folder_says_where_it_looks(here, capsys):
    """It plans nothing anew beside a cache that it was not told of."""
    with pytest.raises(InputError, match=rf"--directory {ROOT}\).*--config results_dir={ROOT}/results"):
        started_elsewhere(ROOT)
    run = started_elsewhere(ROOT, results_dir=str(ROOT / "results"))
    assert not run.plan.to_compute
    assert f"60 of 60 cells of quick are finished in {ROOT}" in capsys.readouterr().err
    assert len(started_elsewhere(ROOT, results_dir="results").plan.to_compute) == 60


def test_snakemake_makes_a_report_of_the_study(tree):
    said = tree.snakemake("--report", "report.html", "--cores", 1).stdout
    assert "Report created" in said, said
    page = (tree.root / "report.html").read_text()
    assert all(one in page for one in ("The study as a whole", "Characterisation of networks", "heatmap_"))
    assert "Departures from the author's code on mnist5k" in page


@pytest.mark.parametrize("path", sorted((ROOT / "figures/quick").rglob("*.json")), ids=lambda path: path.stem)
def test_captions_are_sound_restructuredtext(path):
    """Nothing in them is taken for markup, and no word is lost."""
    caption = Caption.from_record(json.loads(path.read_text(encoding="utf-8"))["caption"])
    text = rst(caption).replace('{{ "{" }}', "{").replace('{{ "}" }}', "}")
    read = publish_doctree(text, settings_overrides={"halt_level": 2, "report_level": 2}).astext()
    assert set(caption.counts.split()) <= set(read.split())
    assert all(phrase in read for phrases in caption.departures.values() for phrase in phrases)

"""The frozen statement of claims: it is the code's, it is checked before the first job, and a change is recorded."""

import hashlib
import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.statement import FrozenClaims, beside
from cnn_invariance.report import claims
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products

ROOT = Path(__file__).parents[2]
FROZEN = ROOT / "config" / "claims.yaml"


@pytest.fixture
def stated(tmp_path):
    """Write a statement beside the preset of a test, with changes to the claim of random_initialization."""

    def write(presets=None, **changes):
        content = yaml.safe_load(FROZEN.read_text(encoding="utf-8"))
        claim = content["claims"]["random_initialization"]["nearly_coincide"]
        content["claims"] = {"random_initialization": {"nearly_coincide": claim | changes}}
        content["presets"] = presets or {}
        path = tmp_path / "claims.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return content, path

    return write


def test_the_committed_statement_is_what_the_experiments_claim():
    assert FROZEN.read_text(encoding="utf-8") == beside(ROOT / "config" / "laptop.yaml")


def test_a_change_of_the_statement_stands_in_the_changelog():
    digest = hashlib.sha256(FROZEN.read_bytes()).hexdigest()
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert digest[:12] in changelog, f"config/claims.yaml has changed: give {digest[:12]} in CHANGELOG.md, and why"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": 0.2}, "threshold: the experiment has 0.1, and this file 0.2"),
        ({"statistic": "another"}, "statistic: the experiment has"),
        ({"scale": "cubic"}, "scale: unknown scale 'cubic'; allowed: identity, log"),
        ({"side": "within", "threshold": -0.1}, "threshold: a margin must be above 0; received -0.1"),
        ({"side": "within", "scale": "log", "threshold": 0.9}, "a margin must be above 1, a factor; received 0.9"),
        ({"side": "beside"}, "side"),
        ({"treshold": 0.1}, "treshold"),
    ],
)
def test_a_wrong_claim_is_named_with_its_line_before_the_first_job(changes, message, stated, preset, load):
    stated(**changes)
    preset["experiments"] = {"random_initialization": {"seeds": 5}}
    with pytest.raises(InputError) as refused:
        load(preset)
    assert message in str(refused.value)
    assert re.search(r"claims\.yaml: \d problems?\n  line \d+: claims\.random_initialization", str(refused.value))


def test_unknown_experiments_and_claims_that_are_missing_are_named_together(stated, preset, load):
    content, path = stated()
    content["claims"]["random_initialisation"] = content["claims"].pop("random_initialization")
    content["claims"]["augmentation_intensity"] = {}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    preset["experiments"] = {"augmentation_intensity": {}}
    with pytest.raises(InputError) as refused:
        load(preset)
    assert "claims.random_initialisation: unknown experiment" in str(refused.value)
    assert "its claim 'lower' is not stated" in str(refused.value)


def test_an_experiment_that_the_statement_does_not_name_is_exploratory_and_no_error(stated, preset, load):
    _, path = stated({"synthetic": {"speaks_of": "made-up values", "confirming_seeds": [0, 1, 2]}})
    preset["experiments"] = {"augmentation_intensity": {}}
    load(preset)
    frozen = FrozenClaims(path)
    assert frozen.reading("synthetic", [0, 1], "random_initialization", "nearly_coincide") == "confirmatory"
    assert frozen.reading("synthetic", [0, 3], "random_initialization", "nearly_coincide") == "exploratory"
    assert frozen.reading("synthetic", [0, 1], "augmentation_intensity", "lower") == "exploratory"
    assert frozen.reading("another", [0, 1], "random_initialization", "nearly_coincide") == "exploratory"


def test_claims_whose_networks_had_been_looked_at_are_exploratory():
    frozen = FrozenClaims(FROZEN)
    assert frozen.reading("laptop", range(5, 10), "random_weights", "as_trained") == "confirmatory"
    assert frozen.reading("laptop", range(5, 10), "random_weights", "stable") == "exploratory"
    assert frozen.reading("laptop", range(5), "random_weights", "as_trained") == "exploratory"


def test_the_table_of_claims_has_the_reading_and_the_sha256(stated, preset, load, computed, tmp_path):
    _, path = stated({"synthetic": {"speaks_of": "made-up values", "confirming_seeds": [0, 1, 2, 3, 4]}})
    preset["experiments"] = {"random_initialization": {"seeds": 5}, "augmentation_intensity": {"seeds": 5}}
    study = load(preset)
    computed(study)
    (tmp_path / "results").rename(tmp_path / study.name)
    plan = Plan(study, Folders(results=tmp_path))
    claims.write(plan)
    assert path in [file.absolute() for file in Products(plan).code_of_claims()]
    table, _, records = Products(plan).claims
    frame = pd.read_csv(table)
    assert set(frame["statement_sha256"]) == {hashlib.sha256(path.read_bytes()).hexdigest()}
    readings = frame.groupby("experiment")["reading"].unique().map(list).to_dict()
    assert readings == {"augmentation_intensity": ["exploratory"], "random_initialization": ["confirmatory"]}
    assert {row["reading"] for row in json.loads(records.read_text(encoding="utf-8"))} == set(frame["reading"])

"""`snakemake verify`: some cells computed again beside the cache, compared, and the status of the run."""

import json

import pandas as pd

from cnn_invariance.storage import checksum

FEW = ("verify", "--config", "verify_cells=2")


def contents(tree):
    """Every cached result, to the byte."""
    root = tree.plan().results.root
    kinds = ("training", "measures", "responses")
    return {path: path.read_bytes() for kind in kinds for path in sorted((root / kind).glob("*"))}


def test_cells_are_computed_again_beside_the_cache_and_one_that_disagrees_ends_with_status_1(tree):
    cache, table = contents(tree), tree.plan().results.root / "verification.csv"
    tree.run(*FEW)
    found = pd.read_csv(table)
    assert set(found["verdict"]) == {"identical"}
    assert set(found["kind"]) == {"network", "measure cell"}
    assert contents(tree) == cache
    assert {path.name for path in (tree.root / "figures" / "tiny" / "verification").iterdir()} == {
        "verification.svg", "verification.png", "verification.md", "verification.json",
    }  # fmt: skip
    assert tree.planned() == [], "the study itself has nothing to do"

    key = found["cell"][found["kind"] == "network"].iloc[0]
    path = tree.plan().results.path(tree.plan().cell(key, "train"))
    document = json.loads(path.read_text(encoding="utf-8"))
    document["record"]["samples"]["test"] += 1
    document[checksum.NAME] = checksum.BLANK
    path.write_bytes(checksum.close(json.dumps(document).encode()))
    cache = contents(tree)
    done = tree.snakemake("--cores", 1, *FEW)
    assert done.returncode == 1
    assert f"{key}: different on any machine: samples" in done.stdout
    verdicts = pd.read_csv(table).set_index("cell")["verdict"]
    assert verdicts.pop(key) == "disagrees"
    assert set(verdicts) == {"identical"}
    assert contents(tree) == cache


def test_in_a_clone_a_verification_starts_from_nothing(clone):
    jobs = clone.planned(*FEW)
    assert "Prepare mnist5k" in jobs
    again = [job for job in jobs if job != "Prepare mnist5k"]
    assert again
    assert all(job.split()[:2] in (["Train", "again"], ["Measure", "again"]) for job in again)


def test_a_verification_that_cannot_be_starts_no_job(empty):
    assert "verify_cells of at least 1" in empty.refused("verify", "--config", "verify_cells=0")
    done = empty.snakemake("--cores", 1, "verify")  # Snakemake says which rule asked, too
    assert done.returncode == 1
    assert "InputError: results/tiny: no results to verify; compute them first" in done.stdout
    assert "Job stats" not in done.stdout

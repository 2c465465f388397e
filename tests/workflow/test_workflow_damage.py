"""What is broken is refused by its name, before any job; what was killed is made again."""

import os
import signal

import pytest

KILL = """
# Put on the path of every Python that a run starts: dies half way through a result.
import os, signal
from cnn_invariance.storage import files

def die_in_the_middle(path, sync=files._sync):
    if path.suffix == ".SUFFIX" and path.parent.name == "FOLDER":
        os.truncate(path, path.stat().st_size // 2)
        os.killpg(0, signal.SIGKILL)
    sync(path)

files._sync = die_in_the_middle
"""


def flipped(content, place):
    changed = bytearray(content)
    changed[place] ^= 0x10
    return bytes(changed)


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("kind", ["measures", "training"])
def test_a_damaged_result_is_refused_by_name(tree, kind, place):
    plan = tree.plan()
    path = plan.results.path(plan.measurements[0] if kind == "measures" else plan.networks[0])
    content = path.read_bytes()
    path.write_bytes(flipped(content, int(place * (len(content) - 1))))
    said = tree.refused()
    name = path.relative_to(tree.root)
    assert f"{name}: damaged: its content does not have its checksum; restore it (git checkout -- {name})" in said


def test_a_result_of_another_cell_is_refused_by_name(tree):
    plan = tree.plan()
    first, second = (plan.results.path(cell) for cell in plan.measurements[:2])
    second.write_bytes(first.read_bytes())
    assert f"{second.relative_to(tree.root)}: holds another spec than {second.stem}" in tree.refused()


@pytest.mark.parametrize(("folder", "suffix"), [("measures", "parquet"), ("training", "json")])
def test_a_kill_in_the_middle_of_writing_leaves_nothing_that_is_trusted(tree, tmp_path, folder, suffix):
    plan = tree.plan()
    spec = plan.measurements[0] if folder == "measures" else plan.networks[0]
    path = plan.results.path(spec)
    path.unlink()
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(KILL.replace("SUFFIX", suffix).replace("FOLDER", folder))
    path_of_python = [str(hook), os.environ.get("PYTHONPATH", "")]
    done = tree.snakemake(
        "--cores", 1, environment={"PYTHONPATH": os.pathsep.join(path_of_python)}, start_new_session=True
    )
    assert done.returncode == -signal.SIGKILL
    assert [file.name for file in path.parent.glob(".*")], "it did not die while writing"
    assert not path.exists()
    word = "Measure" if folder == "measures" else "Train"
    assert f"{word} {spec.key}" in tree.planned()
    if folder == "measures":  # what goes on is the same for each kind
        tree.run()  # which finds the locks of the killed run
        tree.plan().check()
        assert path.is_file()


def test_a_failed_run_is_said_and_nothing_is_measured_of_it(empty):
    empty.edit("accuracy_floor: 0", "accuracy_floor: 1")
    done = empty.snakemake("--cores", 2)
    assert done.returncode != 0
    assert "below the floor of 1; its record and weights are kept" in done.stdout, done.stdout
    plan = empty.plan()
    failed = [network for network in plan.networks if network.recipe.epochs and plan.results.has(network)]
    assert failed
    assert set(failed) == set(plan.failed)
    assert not any(plan.results.has(cell) for cell in plan.measurements if cell.network in plan.failed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--config", "seeds=[1]"),
            "unknown --config option 'seeds'; did you mean 'verify_seed'? allowed: compute, data_dir, figures_dir, "
            "models_dir, report_dir, results_dir, trust, verification_dir, verify_cells, verify_minutes, verify_seed; "
            "to change the study, edit a copy of config/tiny.yaml",
        ),
        (("--config", "result_dir=x"), "did you mean 'results_dir'?"),
        (("--configfile", "config/tiny.yaml", "config/quick.yaml"), "one preset at a time"),
    ],
)
def test_a_wrong_option_starts_no_job(tree, arguments, message):
    assert message in tree.refused(*arguments)


def test_a_wrong_preset_starts_no_job(tree):
    tree.edit("width: 1, dense", "widht: 1, dense")
    tree.edit("seeds: [0]", "seeds: []")
    said = tree.refused()
    assert "config/tiny.yaml: 2 problems" in said
    assert "line 6: models.SimpleConv.arguments: unknown argument of SimpleConv 'widht'" in said
    assert "line 11: seeds: expected at least one entry; received []" in said


def test_prepared_data_of_another_fingerprint_starts_no_job(tree):
    plan = tree.plan()
    plan.results.path(plan.measurements[0]).unlink()
    data = tree.root / "data" / "mnist5k.npz"
    data.write_bytes(b"no data")
    said = tree.refused()
    assert "data/mnist5k.npz holds (unreadable); delete data/mnist5k.npz and run again" in said


def test_a_preset_that_computes_nothing_trains_nothing(empty):
    done = empty.snakemake("-n", preset="config/laptop.yaml")
    assert done.returncode == 0
    assert "Results, figures and tables of laptop" in done.stdout
    assert "Train " not in done.stdout
    assert "Measure " not in done.stdout

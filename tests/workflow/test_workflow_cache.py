"""What Snakemake plans is what the hashes ask for: never more, never less."""

import os
import re
import time

from cnn_invariance.workflow.products import Products

DRAWINGS = ["Draw compare_models", "Draw heatmap", "Draw the overview"]


def train(*networks):
    return [f"Train {network.key}" for network in networks]


def measure(*cells):
    return [f"Measure {cell.key}" for cell in cells]


def test_the_first_run_computes_everything(finished):
    plan = finished.plan()
    assert len(plan.networks) == 3
    assert len(plan.measurements) == 3
    missing = [path for path in Products(plan).every() if not path.is_file()]
    assert missing == []
    plan.check()


def test_the_first_run_is_planned_whole(empty):
    plan = empty.plan()
    jobs = ["Prepare mnist5k", *train(*plan.networks), *measure(*plan.measurements), *DRAWINGS]
    assert empty.planned() == sorted(jobs)


def test_a_second_run_does_nothing(tree):
    before = {path: path.stat().st_mtime_ns for path in Products(tree.plan()).every()}
    assert "Nothing to be done" in tree.run()
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_fresh_clone_plans_figures_and_tables_only(clone):
    assert clone.planned() == DRAWINGS
    clone.run()
    assert not (clone.root / "data").exists()
    assert not (clone.root / "models").exists()
    assert "Nothing to be done" in clone.run()


def test_force_never_retrains(tree, clone):
    assert tree.planned("-F") == DRAWINGS
    assert clone.planned("-F") == DRAWINGS
    assert tree.planned("-R", "all") == []


def test_newer_data_and_checkpoints_retrain_nothing(tree):
    later = time.time() + 1000
    for path in (*tree.root.glob("data/*"), *tree.root.glob("models/*"), tree.root / "Snakefile"):
        os.utime(path, (later, later))
    assert tree.planned() == []
    assert tree.planned("--forcerun", "draw_heatmap") == ["Draw heatmap"]


def test_a_changed_recipe_plans_its_networks_and_their_cells(tree):
    before = tree.plan()
    tree.edit("learning_rate: 1e-3, epochs: 1", "learning_rate: 1e-2, epochs: 1")
    plan = tree.plan()
    networks = set(plan.networks) - set(before.networks)
    cells = set(plan.measurements) - set(before.measurements)
    assert {network.model.name for network in networks} == {"AllConvolutional"}
    assert (len(networks), len(cells)) == (1, 1)
    assert tree.planned() == sorted([*train(*networks), *measure(*cells), *DRAWINGS])


def test_in_a_clone_a_changed_recipe_also_prepares_the_data(clone):
    before = clone.plan()
    clone.edit("learning_rate: 1e-3, epochs: 1", "learning_rate: 1e-2, epochs: 1")
    networks = set(clone.plan().networks) - set(before.networks)
    cells = set(clone.plan().measurements) - set(before.measurements)
    expected = ["Prepare mnist5k", *train(*networks), *measure(*cells), *DRAWINGS]
    assert clone.planned() == sorted(expected)


def test_changed_samples_measure_again_what_is_trained(tree, clone):
    for each in (tree, clone):
        each.edit("count: 10", "count: 11")
    plan = tree.plan()
    assert tree.planned() == sorted([*measure(*plan.measurements), *DRAWINGS])
    again = ["Prepare mnist5k", *train(*plan.networks)]
    assert clone.planned() == sorted([*again, *measure(*plan.measurements), *DRAWINGS])


def test_in_a_clone_a_network_is_trained_again_for_a_cell_and_its_record_stays(clone):
    cell = clone.plan().measurements[0]
    clone.plan().results.path(cell).unlink()
    assert clone.planned() == sorted(["Prepare mnist5k", *train(cell.network), *measure(cell), *DRAWINGS])
    record = clone.plan().results.path(cell.network)
    before = record.read_bytes()
    clone.run()
    assert record.read_bytes() == before
    assert clone.plan().results.has(cell)
    assert clone.planned() == []


def test_a_changed_option_draws_again_and_measures_what_is_new(tree):
    before = tree.plan()
    tree.edit("heatmap: {models: [SimpleConv]}", "heatmap: {models: [AllConvolutional]}")
    cells = set(tree.plan().measurements) - set(before.measurements)
    networks = set(tree.plan().networks) - set(before.networks)
    jobs = tree.planned()
    assert "Draw heatmap" in jobs
    assert [job for job in jobs if not job.startswith("Draw")] == sorted([*train(*networks), *measure(*cells)])


def test_a_removed_experiment_plans_nothing_new(tree):
    tree.edit("  heatmap: {models: [SimpleConv]}\n", "")
    assert not [job for job in tree.planned() if not job.startswith("Draw")]


def test_deleted_results_are_made_again_although_their_figures_are_there(tree):
    plan = tree.plan()
    network, cell = plan.networks[0], plan.measurements[-1]
    before = {one: plan.results.path(one).read_bytes() for one in (network, cell)}
    for one in before:
        plan.results.path(one).unlink()
    jobs = tree.planned()
    assert [job for job in jobs if not job.startswith("Draw")] == sorted([*train(network), *measure(cell)])
    tree.run()
    for one, content in before.items():
        assert plan.results.path(one).read_bytes() != content, "it says when it was made"
    assert tree.planned() == []


def test_another_results_folder_computes_beside_the_cache(tree):
    elsewhere = tree.planned("--config", "results_dir=elsewhere")
    plan = tree.plan()
    jobs = [*train(*plan.networks), *measure(*plan.measurements), *DRAWINGS]
    assert elsewhere == sorted(jobs)


def test_the_log_has_the_exact_command(tree):
    plan = tree.plan()
    plan.results.path(plan.measurements[0]).unlink()
    said = tree.snakemake("-n", "-p", "--config", "figures_dir=my figures").stdout
    key = plan.measurements[0].key
    assert (f"cnn-invariance measure specs/tiny/{key}.json --threads 1  > logs/tiny/measure/{key}.log 2>&1") in said
    drawn = "cnn-invariance draw heatmap --preset config/tiny.yaml --figures-dir 'my figures'"
    assert drawn in said


def test_a_dry_run_imports_no_torch(tree):
    plan = tree.plan()
    plan.results.path(plan.measurements[0]).unlink()
    said = tree.snakemake("-n", environment={"PYTHONPROFILEIMPORTTIME": "1"}).stdout
    imported = set(re.findall(r"^import time:[ \d|]+ (\w+)$", said, re.M))
    assert {"cnn_invariance", "yaml", "pydantic"} <= imported, "the listing was not read"
    assert not {"torch", "torchvision", "matplotlib", "scipy", "mlxtend"} & imported


def test_what_is_cached_is_drawn_without_computing_the_rest(clone):
    plan = clone.plan()
    (plain,) = (cell for cell in plan.measurements if cell.network.augmentation is None)
    plan.results.path(plain).unlink()  # of the heatmap alone
    assert clone.planned("--config", "compute=cached") == ["Draw compare_models", "Draw the overview"]
    said = clone.run("--config", "compute=cached")
    assert "1 of 6 cells are not computed yet; not drawn without them: heatmap" in said
    assert not (clone.root / "models").exists()
    assert not list((clone.root / "figures" / "tiny").glob("heatmap*"))
    assert "Not yet computed: heatmap." in Products(plan).overview[2].read_text(encoding="utf-8")
    assert "Not yet computed:</strong> 1 of its" in Products(plan).page.read_text(encoding="utf-8")
    assert "Nothing to be done" in clone.run("--config", "compute=cached")
    assert measure(plain)[0] in clone.planned()
    clone.edit("name: tiny", "name: tiny\ncompute: cached")  # a newer preset: what is drawn from it is drawn again
    assert clone.planned() == ["Draw compare_models", "Draw the overview"]
    assert measure(plain)[0] in clone.planned("--config", "compute=missing")


def test_a_value_of_compute_that_is_none_is_refused(tree):
    assert "'cache'; did you mean 'cached'?" in tree.refused("--config", "compute=cache")

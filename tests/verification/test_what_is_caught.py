"""Results that were tampered with, or made otherwise than they say, and sealed as if they were right."""

from dataclasses import replace

import numpy as np
import pytest

from cnn_invariance import datasets, training
from cnn_invariance.errors import InputError
from cnn_invariance.results import write_training
from cnn_invariance.study import SetSpec, TrainSpec
from cnn_invariance.verification import verdicts
from cnn_invariance.workflow import stages, status
from helpers_verification import rewrite

EXPECTED = "expected identical on the same kind of machine"


def verdict(done, cell):
    """The verdict on a cell and its reason."""
    row = verdicts.compared(done).table.set_index("cell").loc[cell.key]
    return row["verdict"], row["reason"]


def trained(done, spec, data, name: TrainSpec, tmp_path):
    """Train a network of another spec or on other data, and keep its record under a name."""
    checkpoints = {spec.recipe.epochs: tmp_path / "other.safetensors"}
    record = training.train(spec, data, checkpoints=checkpoints, state=tmp_path / "state", threads=1, device="cpu")
    for fact in stages.HOW_IT_WAS_MADE:
        record.pop(fact)
    record.pop("peak_memory_bytes")
    write_training(done.plan.results.path(name), name, record, done.plan.results.provenance(name))


def swapped(data, splits=("train", "validation", "test")):
    """The dataset with the labels of two classes exchanged in some splits; it says it has the same fingerprint."""
    labels = data.labels.copy()
    chosen = np.concatenate([data.splits[split] for split in splits])
    labels[chosen] = np.array([1, 0, 2])[labels[chosen]]
    return replace(data, labels=labels)


def test_what_was_not_touched_is_identical(done):
    table = verdicts.compared(done).table
    assert set(table["verdict"]) == {"identical"}
    assert set(table["kind"]) == {"network", "measure cell", "response cell"}
    assert len(table) == len(done.plan.cells)


def test_a_changed_byte_is_refused_by_its_seal(done, cell):
    path = done.plan.results.path(cell)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged: its content does not have its checksum"):
        verdicts.compared(done)


def test_a_changed_accuracy_that_was_sealed_again_disagrees(done, network):
    def one_sample_more(record):
        record["accuracies"]["test"]["plain"] -= 1 / 60

    rewrite(done.plan.results, network, record=one_sample_more)
    done.plan.check()
    found, reason = verdict(done, network)
    assert found == "disagrees"
    assert reason.startswith("not identical: accuracies; " + EXPECTED)


def test_a_last_digit_of_a_profile_that_was_sealed_again_disagrees(done, cell):
    def a_little(frame):
        row = frame.index[(frame["measure"] == "NV") & frame["map"].isna()][2]
        frame.loc[row, "value"] = np.nextafter(frame.loc[row, "value"], 1)

    rewrite(done.plan.results, cell, frame=a_little)
    found, reason = verdict(done, cell)
    assert found == "disagrees"
    assert reason.startswith("not identical: NV; " + EXPECTED)


def test_a_changed_response_that_was_sealed_again_disagrees(done):
    (cell,) = done.plan.responses

    def a_little(frame):
        frame.at[frame.index[-1], "response"] = frame["response"].iloc[-1] * 1.01

    rewrite(done.plan.results, cell, frame=a_little)
    assert verdict(done, cell)[0] == "disagrees"


def test_a_result_from_another_seed_under_this_name_disagrees(done, network, cell):
    sibling = next(one for one in done.plan.measurements if one.network.seed == 1 and one != cell)
    assert sibling.network.augmentation == network.augmentation
    rewrite(done.plan.results, cell, source=sibling)
    assert verdict(done, cell)[0] == "disagrees"
    rewrite(done.plan.results, network, source=sibling.network)
    assert verdict(done, network)[0] == "disagrees"
    with pytest.raises(InputError, match=f"has the very weights of {network.key}, another network"):
        status.of_check(done.plan)


def test_a_network_trained_with_another_augmentation_disagrees(done, network, tmp_path):
    data = datasets.load(done.plan.folders.dataset("bars"))
    other = network.model_dump() | {"augmentation": SetSpec(name="rotation", parameters={"n": 3, "angle_deg": 40.0})}
    trained(done, TrainSpec(**other), data, network, tmp_path)
    found, reason = verdict(done, network)
    assert found == "disagrees"
    assert "weights" in reason


@pytest.mark.parametrize("splits", [("train",), ("train", "validation", "test")])
def test_a_network_trained_with_the_labels_of_two_classes_exchanged_disagrees(done, network, tmp_path, splits):
    data = datasets.load(done.plan.folders.dataset("bars"))
    trained(done, network, swapped(data, splits), network, tmp_path)
    assert verdict(done, network)[0] == "disagrees"


def test_exchanged_labels_in_training_alone_are_found_on_any_machine(done, network, tmp_path, elsewhere):
    data = datasets.load(done.plan.folders.dataset("bars"))
    trained(done, network, swapped(data, ("train",)), network, tmp_path)
    elsewhere(done)
    found, reason = verdict(done, network)
    assert found == "disagrees"
    assert reason.startswith("further apart than seeds: accuracy, ")


def test_nothing_is_computed_again_on_data_with_exchanged_labels(done, network):
    path = done.plan.folders.dataset("bars")
    data = datasets.load(path)
    path.unlink()
    datasets.save(swapped(data), path)
    with pytest.raises(InputError, match="does not hold what its fingerprint says"):
        stages.compute(done.beside.job(network), done.beside.folders, threads=1)
    datasets.save(datasets.Dataset.create("bars", data.images, swapped(data).labels, data.splits, data.classes), path)
    with pytest.raises(InputError, match="the preset pins the fingerprint"):
        stages.compute(done.beside.job(network), done.beside.folders, threads=1)


def test_on_another_machine_what_lies_within_the_spread_of_seeds_is_said_to(done, elsewhere):
    cell, sibling = [one for one in done.plan.measurements if one.network.seed in (1, 2)][:2]
    assert (cell.network.seed, sibling.network.seed) == (1, 2)
    rewrite(done.plan.results, cell, source=sibling)
    elsewhere(done)
    found, reason = verdict(done, cell)
    assert found == "within the spread"
    assert reason.endswith("(another CPU: Another, " + done.beside.results.provenance(cell)["cpu"] + ")")


def test_on_another_machine_what_lies_beyond_the_spread_of_seeds_disagrees(done, cell, elsewhere):
    def thousandfold(frame):
        frame.loc[frame["measure"] == "SV", "value"] *= 1000

    rewrite(done.plan.results, cell, frame=thousandfold)
    elsewhere(done)
    found, reason = verdict(done, cell)
    assert found == "disagrees"
    assert reason.startswith("further apart than seeds: profile of SV (another CPU")

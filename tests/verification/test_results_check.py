"""`results check`: what can be told of results without computing them again."""

import json
from pathlib import Path

import pandas as pd
import pytest

from cnn_invariance import __version__
from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.storage import checksum
from cnn_invariance.study import TRAIN_REVISION
from cnn_invariance.workflow import status
from cnn_invariance.workflow.plan import Plan
from helpers_verification import rewrite


def faults(done):
    """What the check refuses."""
    with pytest.raises(InputError) as caught:
        status.of_check(done.plan)
    return str(caught.value)


def test_right_results_are_right(done):
    count = len(done.plan.cells)
    assert status.of_check(done.plan) == [
        f"{done.plan.results.root}: {count} of {count} results are there, all of them whole"
    ]


@pytest.mark.parametrize(
    "preset", sorted({*Path("config").glob("*.yaml")} - {Path("config/claims.yaml")}), ids=lambda path: path.stem
)
def test_the_committed_results_are_right(preset):
    lines = status.of_check(Plan(Programme.load(preset)))
    assert lines[0].endswith("results are there, all of them whole")


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        ({"commit": "main"}, "commit: expected 40 hexadecimal digits, or null; received 'main'"),
        ({"started": "2026-01-01T00:00:00"}, "started: expected a time with its zone; received '2026-01-01T00:00:00'"),
        ({"wall_s": -1}, "wall_s: expected seconds; received -1"),
        ({"threads": 0}, "threads: expected a count; received 0"),
        ({"torch": None}, "torch: expected a text; received None"),
        ({"peak_memory_bytes": True}, "peak_memory_bytes: expected bytes; received True"),
    ],
)
def test_provenance_that_cannot_be(done, cell, network, made, fault):
    for one in (cell, network):
        rewrite(done.plan.results, one, made=made)
    said = faults(done).replace("a version", "a text")
    for one in (cell, network):
        assert f"{done.plan.results.path(one)}: provenance: {fault}" in said


def test_provenance_that_lacks_something(done, network):
    path = done.plan.results.path(network)
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["provenance"]["cpu"]
    document[checksum.NAME] = checksum.BLANK
    path.write_bytes(checksum.close(json.dumps(document).encode()))
    assert faults(done) == f"{path}: provenance lacks cpu"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda record: record["accuracies"]["test"].update(plain=1.5), "accuracy, test: expected a share from 0 to 1"),
        (lambda record: record["accuracies"].pop("test"), "accuracies: expected those of train, validation and test"),
        (lambda record: record["history"].pop(), "expected 5 epochs; received 5, with 4 in history"),
        (lambda record: record["history"][0].pop("loss"), "history: a loss is missing or not finite"),
        (lambda record: record.update(parameters=0), "parameters: expected a count; received 0"),
        (lambda record: record.update(weights_sha256="ab"), "weights_sha256: expected a SHA-256; received 'ab'"),
    ],
)
def test_records_that_cannot_be(done, network, change, fault):
    def changed(record):
        change(record)
        return record

    rewrite(done.plan.results, network, record=changed)
    assert f"{done.plan.results.path(network)}: {fault}" in faults(done)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            lambda frame: frame[frame["measure"] != "TV"],
            "expected the measures NV, NV[aggregate=mean], SV, TV; received",
        ),
        (lambda frame: frame[frame["layer_index"] != 2], "layers: expected a name for each number from 1; received"),
        (
            lambda frame: frame[frame["map"].isna()],
            "expected values of feature maps for NV[aggregate=mean]; received none",
        ),
        (lambda frame: frame.assign(units=frame["units"] * 0), "counts: expected at least one unit a layer"),
        (lambda frame: frame.assign(infinite=frame["units"] + 1), "counts: expected no more infinite units than there"),
        (lambda frame: frame.iloc[[0, *range(len(frame))]], "a layer has a measure twice"),
    ],
)
def test_measure_tables_that_cannot_be(done, cell, change, fault):
    assert_refused(done, cell, change, fault)


def test_values_of_maps_where_none_are_kept(done):
    other = next(one for one in done.plan.measurements if not one.maps)
    assert_refused(
        done, other, lambda frame: pd.concat([frame, frame[:1].assign(map=0)]), "expected no values of feature"
    )


def assert_refused(done, cell, change, fault):
    rewrite(done.plan.results, cell, frame=change)
    assert f"{done.plan.results.path(cell)}: {fault}" in faults(done)


@pytest.mark.parametrize(
    ("shares", "fault"),
    [([0.5, 0.5], "accuracy: expected 3 values; received 2"), ([2.0] * 3, "accuracy: expected a share from 0 to 1")],
)
def test_accuracies_that_cannot_be(done, cell, shares, fault):
    rewrite(done.plan.results, cell, accuracy=lambda _: shares)
    assert f"{done.plan.results.path(cell)}: {fault}" in faults(done)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda frame: frame[frame["member"] == 0], "expected the members [0, "),
        (lambda frame: frame.assign(role="any"), "role: expected input, most or least; received ['any']"),
        (lambda frame: frame.assign(height=1), "a response has not height x width values"),
    ],
)
def test_responses_that_cannot_be(done, change, fault):
    (response,) = done.plan.responses
    rewrite(done.plan.results, response, frame=change)
    assert f"{done.plan.results.path(response)}: {fault}" in faults(done)


def test_cells_made_from_other_weights_than_the_records_are_noted(done, network, cell):
    rewrite(done.plan.results, network, record=lambda record: record | {"weights_sha256": "0" * 64})
    (response,) = done.plan.responses
    assert status.of_check(done.plan)[1:] == [
        f"note: {network.key} was trained again, with other weights than its record's, for {cell.key} and 1 more"
    ]
    assert response.network == network


def test_results_of_a_newer_version_are_one_line(done, network, cell):
    (response,) = done.plan.responses
    for one in (network, cell, response):
        rewrite(done.plan.results, one, made={"package": "0.10.0"})
    said = faults(done)
    assert len(said.splitlines()) == 1
    assert said.endswith(
        f": made by version 0.10.0 of the package, newer than this, {__version__}; update the package "
        "(so are 2 other results)"
    )
    with pytest.raises(InputError, match="made by version"):
        done.plan.results.measure(cell)


def test_results_of_an_older_version_are_read(done, network):
    rewrite(done.plan.results, network, made={"package": "0.0.9"})
    assert len(status.of_check(done.plan)) == 1


def test_results_of_earlier_definitions_and_of_other_settings_are_told_apart_and_left_alone(done, cell, network):
    """A network of an earlier revision, a measure cell of such a network, and a network of another recipe."""
    results = done.plan.results
    old = network.model_copy(update={"revision": 1})
    other = network.model_copy(update={"recipe": network.recipe.model_copy(update={"batch_size": 7})})
    measured = cell.model_copy(update={"network": old})
    strays = {
        results.path(old): "of an earlier definition, never read as a cell of this preset: revision 1 of a network, "
        f"now {TRAIN_REVISION} (random numbers derive from the seed and their purpose, ",
        results.path(other): f"no cell of this preset; the cell that is most alike has recipe.batch_size "
        f"{network.recipe.batch_size}, not 7",
        results.path(
            measured
        ): "of an earlier definition, never read as a cell of this preset: revision 1 of a network, now ",
    }
    for one, source in ((old, network), (other, network), (measured, cell)):
        rewrite(results, one, source=source)
    before = {path: path.read_bytes() for path in strays}
    try:
        lines = dict(line.split(": ", 1) for line in status.of_check(done.plan)[1:])
        assert {path: path.read_bytes() for path in strays} == before
    finally:
        for path in strays:
            path.unlink()
    assert lines.keys() == {str(path) for path in strays}
    for path, reason in strays.items():
        assert lines[str(path)].startswith(reason)

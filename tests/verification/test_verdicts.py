"""What a comparison makes of two results, and the table and figure it leaves."""

import xml.etree.ElementTree as ElementTree

import pandas as pd
import pytest
from PIL import Image

from cnn_invariance.errors import InputError
from cnn_invariance.verification import machines, verdicts
from cnn_invariance.verification.compare import RATE, Comparison, level
from cnn_invariance.verification.spread import Score, Variance
from helpers_verification import rewrite

MADE = {
    "device": "cpu", "platform": "Linux", "cpu": "A", "cpu_id": "A 1-1-1", "torch": "2", "numpy": "2", "threads": 1,
    "commit": "c" * 40,
}  # fmt: skip


def scores(*ps):
    return [Score(f"s{i}", 1.0, p, Variance(1.0, 5)) for i, p in enumerate(ps)]


def test_one_kind_of_machine():
    assert machines.why_different(MADE, dict(MADE)) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cpu": "B"}, "another CPU: A, B"),
        ({"cpu_id": "A 1-2-1"}, "another CPU: A 1-1-1, A 1-2-1"),
        ({"cpu_id": None}, "the generation of the CPU (A) was not recorded"),
        ({"torch": "3"}, "another torch: 2, 3"),
        ({"numpy": "3"}, "another NumPy: 2, 3"),
        ({"device": "cuda"}, "another device: cpu, cuda"),
        ({"threads": 2}, "not one thread: 1, 2"),
        ({"commit": "d" * 40}, "code that may be another: ccccccc, ddddddd"),
        ({"commit": "c" * 40 + "-dirty"}, "code that may be another: ccccccc, ccccccc-dirty"),
        ({"commit": None}, "code that may be another: ccccccc, no commit"),
    ],
)
def test_another_kind_of_machine(change, reason):
    assert machines.why_different(MADE, MADE | change) == reason


def test_a_gpu_need_not_give_the_same_bits():
    gpu = MADE | {"device": "cuda", "gpu": "G"}
    assert machines.why_different(gpu, gpu) == "computed on a GPU"
    assert machines.why_different(MADE | {"commit": "c" * 40 + "-dirty"}, MADE | {"commit": "c" * 40 + "-dirty"})


@pytest.mark.parametrize(
    ("comparison", "verdict", "reason"),
    [
        ({}, "identical", "to the last bit"),
        ({"differs": ["samples"], "changed": ["weights"]}, "disagrees", "different on any machine: samples"),
        ({"changed": list("abcde"), "excuse": None}, "disagrees", "not identical: a, b, c and 2 more; expected identi"),
        ({"changed": ["a"], "excuse": "why"}, "undecided", "not identical: a (why); no seeds of this or another"),
        (
            {"changed": ["a"], "excuse": "why", "scores": scores(0.2, 0.02)},
            "within the spread",
            "not identical: a (why)",
        ),
        (
            {"changed": ["a"], "excuse": "why", "scores": scores(0.2, 0.001)},
            "disagrees",
            "further apart than seeds: s1",
        ),
    ],
)
def test_verdicts(comparison, verdict, reason):
    found = Comparison(None, **comparison).verdict(0.01)
    assert found[0] == verdict
    assert found[1].startswith(reason)


def test_the_level_counts_the_tests_that_decide():
    tested = Comparison(None, changed=["a"], excuse="why", scores=scores(0.5, 0.5))
    assert level([]) == RATE
    assert level([tested, tested, Comparison(None), Comparison(None, ["x"], ["a"], "why", scores(0.1))]) == RATE / 4


def test_what_is_equal_everywhere_must_be_equal_on_another_machine(done, network, cell, elsewhere):
    (response,) = done.plan.responses

    def darker(frame):
        rows = frame["role"] == "input"
        frame.loc[rows, "response"] = frame.loc[rows, "response"].map(lambda row: row - 0.1)

    rewrite(done.plan.results, network, record=lambda record: record | {"parameters": 1})
    rewrite(done.plan.results, cell, frame=lambda frame: frame.assign(units=frame["units"] + 1))
    rewrite(done.plan.results, response, frame=darker)
    elsewhere(done)
    table = verdicts.compared(done).table.set_index("cell")
    for one, what in ((network, "parameters"), (cell, "layers, units and maps"), (response, "image")):
        assert table.loc[one.key, "verdict"] == "disagrees"
        assert table.loc[one.key, "reason"] == f"different on any machine: {what}"


def test_responses_have_no_seeds_to_compare_with(done, elsewhere):
    (response,) = done.plan.responses

    def other_maps(frame):
        rows = frame["role"] != "input"
        frame.loc[rows, "response"] = frame.loc[rows, "response"].map(lambda row: row * 2)

    rewrite(done.plan.results, response, frame=other_maps)
    elsewhere(done)
    table = verdicts.compared(done).table.set_index("cell")
    assert table.loc[response.key, "verdict"] == "undecided"


def test_a_cell_measured_on_weights_of_another_machine_need_not_be_identical(done, network, cell):
    rewrite(done.plan.results, network, made={"cpu": "Another"})
    rewrite(done.plan.results, cell, frame=lambda frame: frame.assign(value=frame["value"] * 1.0001))
    table = verdicts.compared(done).table.set_index("cell")
    assert table.loc[cell.key, "verdict"] == "within the spread"
    rewrite(done.plan.results, cell, made={"weights_sha256": "0" * 64})  # trained anew where it was measured: here
    table = verdicts.compared(done).table.set_index("cell")
    assert table.loc[cell.key, "verdict"] == "disagrees"


def test_the_table_and_the_figure(done, network, cell, elsewhere):
    rewrite(done.plan.results, cell, frame=lambda frame: frame.assign(value=frame["value"] * 1.01))
    rewrite(done.plan.results, network, record=lambda record: record | {"weights_sha256": "0" * 64})
    elsewhere(done)
    found = verdicts.write(done)
    root = done.plan.results.root
    table = pd.read_csv(root / "verification.csv").set_index("cell")
    assert table["verdict"].value_counts().to_dict() == {"identical": len(table) - 2, "within the spread": 2}
    assert table.loc[cell.key, "experiments"] == "random_initialization"
    assert table.loc[network.key, "t"] == 0
    assert 0 < table.loc[cell.key, "t"] < table.loc[cell.key, "bound"]
    assert table.loc[cell.key, "spread_of"] == "4 seeds, 1 other designs"
    assert table.loc[cell.key, "cached_on"].startswith("Another (Other 1-1-1), torch ")
    assert found.disagreeing == []
    page = (root / "verification.md").read_text(encoding="utf-8")
    tests = int(table["tests"].sum())
    assert page.startswith(f"Cached results of preset bars computed again from nothing: {found.summary}.")
    assert f"{tests} tests, each at the level 0.01 / {tests}: a table of honest results has a disagreement with" in page
    figure = done.plan.folders.figures / "bars" / "verification" / "verification"
    ElementTree.parse(figure.with_suffix(".svg"))
    with Image.open(figure.with_suffix(".png")) as picture:
        assert picture.width == 1400
    assert figure.with_suffix(".md").read_text(encoding="utf-8").startswith("Cached results of preset bars")


def test_nothing_is_compared_before_all_is_computed(done, cell):
    done.beside.results.path(cell).unlink()
    with pytest.raises(InputError, match=f"{cell.key} was not computed again, nor were 0 others: snakemake verify"):
        verdicts.compared(done)

"""The tables of measures in README say of each what the package says."""

import re
from pathlib import Path

import pytest
import torch

import cnn_invariance as ci
from cnn_invariance.measures import requests
from cnn_invariance.transformations import rotation
from helpers_measures import small_network, some_images

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (.+) \| (0 to ∞|0 to 1|0 or 1) \| (lower|higher|–) \| (unit|map) \|$", re.M)
ROWS = {match[1]: match for match in ROW.finditer(README)}


def test_every_measure_stands_in_a_table_once() -> None:
    assert sorted(match[1] for match in ROW.finditer(README)) == sorted(requests.names())


@pytest.mark.parametrize("name", ROWS)
def test_what_is_better_and_what_has_a_value_are_those_of_the_package(name: str) -> None:
    request = requests.check(name)
    assert (ROWS[name][4] if ROWS[name][4] != "–" else None) == requests.better(request)
    kind = re.search(r" of (unit|map)s", requests.label(name))
    assert kind is not None
    assert kind[1] == ROWS[name][5]
    second = README.index("| more same-equivariant |")
    assert requests.undoes(request) == (ROWS[name].start() > second)


def test_values_lie_in_the_ranges() -> None:
    names = list(ROWS)
    result = ci.measure(small_network(), some_images(), rotation(n=5, closed=False), names)
    for name in names:
        values = torch.cat([torch.as_tensor(layer).flatten() for layer in result[name].values()])
        known = values[values.isfinite()]
        assert known.numel()
        assert (known >= 0).all()
        if ROWS[name][3] != "0 to ∞":
            assert (known <= 1).all()
        if ROWS[name][3] == "0 or 1":
            assert set(known.tolist()) <= {0.0, 1.0}

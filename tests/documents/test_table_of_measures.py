"""The tables of measures in the documentation say of each what the package says."""

import re
from pathlib import Path

import pytest
import torch

import cnn_invariance as ci
from cnn_invariance.measures import requests
from cnn_invariance.transformations import rotation
from helpers_measures import small_network, some_images

PAGE = (Path(__file__).parents[2] / "docs/measures.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (.+) \| (0 to ∞|0 to 1|0 or 1) \| (lower|higher|–) \| (unit|map) \|$", re.M)
ROWS = {match[1]: match for match in ROW.finditer(PAGE)}
OTHER = re.compile(r"^\| `(\w+)` \| (.+) \| (lower|higher|–) \| (map|layer|network) \|$", re.M)
OTHERS = {match[1]: match for match in OTHER.finditer(PAGE) if match[1] not in ROWS}


def test_every_measure_stands_in_a_table_once() -> None:
    assert sorted(match[1] for match in ROW.finditer(PAGE)) == sorted(requests.names())


@pytest.mark.parametrize("name", ROWS)
def test_what_is_better_and_what_has_a_value_are_those_of_the_package(name: str) -> None:
    request = requests.check(name)
    assert (ROWS[name][4] if ROWS[name][4] != "–" else None) == requests.better(request)
    kind = re.search(r" of (unit|map)s", requests.label(name))
    assert kind is not None
    assert kind[1] == ROWS[name][5]
    second = PAGE.index("| more same-equivariant |")
    assert requests.undoes(request) == (ROWS[name].start() > second)


def test_every_measure_of_others_stands_in_its_table() -> None:
    assert sorted(OTHERS) == sorted(requests.names_of_others())


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_better_of_measures_of_others_is_what_the_package_says(name: str) -> None:
    request = requests.check(name)
    assert (OTHERS[name][3] if OTHERS[name][3] != "–" else None) == requests.better(request)
    level = requests.level(request)
    assert OTHERS[name][4] == ("map" if level == "unit or map" else level)


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

"""Numbers in README, CONTRIBUTING and the documentation are those of the tables that they come from."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NUMBERS = runpy.run_path(str(ROOT / "docs/numbers.py"))


def test_no_number_is_stale():
    assert list(NUMBERS["stale"]()) == [], "python docs/numbers.py --write corrects them"


def test_every_key_and_every_table_is_used():
    text = "".join(path.read_text(encoding="utf-8") for path in NUMBERS["documents"]())
    assert [key for key in NUMBERS["keys"]() if f"<!-- {key} -->" not in text] == []
    tables = (path.relative_to(ROOT) for path in (ROOT / "docs/tables").glob("*.csv"))
    assert [str(path) for path in tables if f"<!-- table: {path} -->" not in text] == []


def test_a_stale_number_and_a_stale_table_are_corrected():
    corrected = NUMBERS["corrected"]
    assert corrected("x 0.4<!-- nv-rotation-full --> y") == "x 0.4<!-- nv-rotation-full --> y"
    assert corrected("0.45<!-- nv-rotation-full -->").startswith("0.36<")
    assert corrected("1,024.500<!-- nv-rotation-full -->").startswith("0.361<")
    assert corrected("25<!-- quick-networks -->").startswith("24<")
    assert corrected("1<!-- accuracy-augmented --> %").startswith("91<")
    comment = "<!-- table: docs/tables/agreement.csv -->\n\n"
    assert corrected(comment + "| a |\n") == corrected(corrected(comment + "| a |\n"))
    assert "| TV | 1.1e-07 | 1.1e-07 | 2.2e-07 |" in corrected(comment + "| a |\n")


def test_an_unknown_key_is_refused():
    with pytest.raises(ValueError, match="unknown key 'nothing'; allowed: nv-rotation-full"):
        NUMBERS["corrected"]("1<!-- nothing -->")


def test_a_key_that_finds_no_row_is_refused(monkeypatch):
    source = {"table": "results/quick/tables/costs.csv", "where": {"stage": "fly"}, "column": "cells"}
    monkeypatch.setitem(NUMBERS["value"].__globals__, "keys", lambda: {"lost": source})
    with pytest.raises(ValueError, match=r"lost: expected one row of .* received 0"):
        NUMBERS["value"]("lost")

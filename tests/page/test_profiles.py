"""The profiles of all cells: what cells are called, the tidy table, and the data of the page's explorer."""

import base64
import json
import zlib

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cnn_invariance.cli import app
from cnn_invariance.report import profiles
from cnn_invariance.study import SetSpec
from helpers_cli import said_by
from helpers_study import cell, network


def test_cells_are_called_by_what_they_do_not_share():
    wide = network(model={"name": "SimpleConv", "arguments": {"width": 16, "batch_norm": False}})
    narrow_set = SetSpec(name="scale", parameters={"n": 5})
    cells = [cell(), cell(network=network(seed=1)), cell(network=wide), cell(transformations=narrow_set), cell(epoch=3)]
    cells += [cell(network=network(augmentation=None))]
    called = [profiles.Words(cells).of(one) for one in cells]
    assert [one["network"] for one in called] == [*["SimpleConv"] * 2, "SimpleConv, width 16", *["SimpleConv"] * 3]
    assert [one["under"] for one in called] == [*["scale"] * 3, "scale, n 5", "scale", "scale"]
    assert [one["seed"] for one in called] == ["0", "1", "0", "0", "0", "0"]
    assert [one["epoch"] for one in called] == ["last", "last", "last", "last", "3", "last"]
    assert [one["trained with"] for one in called] == [*["rotation"] * 5, profiles.PLAIN]
    assert {one["samples"] for one in called} == {"200 test"}
    assert len({tuple(one.values()) for one in called}) == len(cells), "each cell has words of its own"


def test_networks_of_other_recipes_are_called_by_them():
    recipe = network().recipe.model_copy(update={"batch_size": 256})
    cells = [cell(), cell(network=network(seed=1)), cell(network=network(recipe=recipe))]
    called = [profiles.Words(cells).of(one)["network"] for one in cells]
    assert called == ["SimpleConv", "SimpleConv", "SimpleConv, batch_size 256"]


def test_the_tidy_table_has_all_profiles_in_full_precision(quick, tmp_path):
    path = tmp_path / "profiles.csv"
    results = str(quick.plan.folders.results)
    arguments = ["profiles", "compare_models", "--output", str(path), "--preset", str(quick.plan.study.path)]
    said_by(CliRunner().invoke(app, [*arguments, "--results-dir", results]))
    table = pd.read_csv(path)
    assert list(table.columns) == list(profiles.COLUMNS)
    cells = {one.key: one for one in quick.plan.study.cells["compare_models"] if one.measured}
    assert set(table["cell"]) == set(cells)
    for (key, measure), rows in table.groupby(["cell", "measure"]):
        (request,) = (one for one in cells[key].measures if profiles.label(one) == measure)
        want = quick.plan.results.profile(cells[key], request)
        np.testing.assert_allclose(rows["value"], want["value"], rtol=1e-15)
        np.testing.assert_array_equal(rows["units"], want["units"])
        assert set(rows["seed"]) == {cells[key].network.seed}


def test_the_data_of_the_page_lead_from_a_value_to_its_cell(quick):
    text = quick.text
    start = text.index(">", text.index('id="profiles-data"')) + 1
    data = json.loads(zlib.decompress(base64.b64decode(text[start : text.index("</script>", start)])))
    specs = data["specs"]

    def resolved(value):
        if isinstance(value, dict) and set(value) == {"part"}:
            return resolved(specs[value["part"]])
        return {name: resolved(one) for name, one in value.items()} if isinstance(value, dict) else value

    assert len(data["cells"]) == len(quick.plan.measurements)
    for held, one in zip(data["cells"], quick.plan.measurements, strict=True):
        assert held["key"] == one.key
        assert resolved(specs[held["spec"]]) == json.loads(one.canonical)
        assert data["made"][held["made"]]["commit"] == quick.plan.results.provenance(one)["commit"]
        names = {data["measures"][int(place)]["name"] for place in held["values"]}
        assert "NV[aggregate=mean]" in names
        assert names <= set(one.measures)
        for place, values in held["values"].items():
            want = quick.plan.results.profile(one, data["measures"][int(place)]["name"]).set_index("layer_index")[
                "value"
            ]
            got = {layer: value for layer, value in enumerate(values, start=1) if value is not None}
            assert got == pytest.approx(want.to_dict(), rel=5e-4)
    assert {name: len(cells) for name, cells in data["experiments"].items()} == {
        name: len([one for one in quick.plan.measurements if name in quick.plan.users[one]])
        for name in data["experiments"]
    }

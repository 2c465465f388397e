"""A network that is equivariant by design beside one that learns: what is drawn, and on which cells."""

import pandas as pd

from helpers_experiments import Profiles, announced, draw, layer_values

NAME = "invariance_by_design"


def test_a_line_for_each_network_in_a_panel_for_each_measure(preset, load, tmp_path):
    """The designed network is a TI-pooling here, whose layers the helper knows."""
    preset["models"]["TIPooling"] = {"model": "TIPoolingSimpleConv", "learning_rate": 1e-3, "epochs": 3}
    preset["models"]["TIPooling"]["arguments"] = {"transformations": "rotation[n=4]"}
    preset["experiments"] = {NAME: {"seeds": 2, "designed": "TIPooling", "transformation_sets": ["rotation"]}}
    study = load(preset)
    cells = study.cells[NAME]
    assert len(cells) == 3 * 2
    assert all("CKA" in cell.measures and "TV" not in cell.measures for cell in cells), "measures of its own"
    folder = draw(study, NAME, Profiles(lambda cell, measure: layer_values(cell, measure)), tmp_path / "drawn")
    assert {path.name for path in folder.iterdir()} == announced(study, NAME)
    table = pd.read_csv(next(folder.glob("*rotation.csv")))
    assert set(table["network"]) == {
        "TIPooling, trained plain", "SimpleConv, trained plain", "SimpleConv, trained with rotation"
    }  # fmt: skip
    assert table["panel"].nunique() == 6

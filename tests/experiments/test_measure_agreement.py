"""Whether measures agree: known orders come out, whatever the direction of a measure, and no network is trained."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.experiments.measure_agreement import over_layers, over_networks
from cnn_invariance.measures.requests import better, check, level
from helpers_experiments import Profiles, announced, draw, kinds

CONFIG = Path(__file__).parents[2] / "config"
NAME = "measure_agreement"
RANDOM = "Correlation"
SOME = ["NV[aggregate=mean]", "CKA", RANDOM, "GEED[metric=cosine]", "Consistency", "OutputKL"]


class MadeUp(Profiles):
    """All measures but one say the same of networks and of layers, each in its own direction and by its own scale."""

    def __init__(self):
        super().__init__(self.of)

    def of(self, cell, measure):
        depth = np.linspace(1, 2, len(kinds(cell.network.model)))
        draw = np.random.default_rng([int(cell.key[-8:], 16), len(measure) if measure == RANDOM else 0])
        bad = draw.uniform(1, 5) * (draw.permutation(depth) if measure == RANDOM else depth)
        return (1 / bad if better(check(measure)) == "higher" else bad) ** (1 + len(measure) % 3)

    def profile(self, spec, measure):
        table = super().profile(spec, measure)
        return table.iloc[:1] if level(check(measure)) == "network" else table

    def measure(self, cell):
        shares = [0.5] * cell.transformations.size
        shares[cell.transformations.build().identity] = 0.9
        return SimpleNamespace(accuracy=shares)


def test_known_orders_come_out(preset, load, tmp_path):
    options = {"seeds": 4, "transformation_sets": ["rotation"], "measures": SOME}
    preset["experiments"] = {NAME: options}
    study = load(preset)
    folder = draw(study, NAME, MadeUp(), tmp_path / "drawn")
    assert {path.name for path in folder.iterdir()} == announced(study, NAME)
    table = pd.read_csv(folder / f"{NAME}.csv")
    random = table[["first", "second"]].isin(["Correlation of maps"]).any(axis=1)
    alike = table[~random]
    assert len(alike[alike["over"] == "networks"]) == 5 * 4 / 2
    of_layers = alike[alike["over"] == "layers"]
    assert (of_layers["rho"] > 0.99).all()
    assert (of_layers["low"] > 0.9).all(), "an order without an exchange has an interval, and a narrow one"
    assert (alike["rho"] > 0.5).all()  # of four means over seeds, of which each measure has its own
    assert table[random & (table["over"] == "layers")]["rho"].abs().max() < 0.5
    assert (table["networks"] == 2 * 2).all()  # designs and trainings, each the mean of its seeds
    of_random = table[random & (table["over"] == "networks")]
    assert ((of_random["low"] < 0) & (of_random["high"] > 0)).mean() > 0.5
    outputs = pd.read_csv(folder / f"{NAME}_outputs.csv")
    assert outputs["plain"].tolist() == pytest.approx([0.9] * 4)
    assert (outputs["transformed"] < 0.52).all()
    assert outputs[["Consistency", "OutputKL"]].notna().all(axis=None)
    caption = (folder / f"{NAME}_mnist5k_rotation.md").read_text(encoding="utf-8")
    assert "Exploratory: no claim was stated before looking." in caption


def test_intervals_hold_what_is_so_and_are_absent_where_nothing_is_known():
    random = np.random.default_rng(1)
    pairs = [np.array([x, x + random.normal()]) for x in random.normal(size=40)]
    found = over_networks(pairs)
    assert 0 < found["low"] < found["rho"] < found["high"] < 1
    few = over_networks(pairs[:3])
    assert few["networks"] == 3
    assert np.isnan([few["rho"], few["low"], few["high"]]).all()
    layers = [[(x := random.normal(size=6), x + random.normal(size=6))] * 2 for _ in range(10)]
    found = over_layers(layers)
    assert found["low"] < found["rho"] < found["high"]
    one = over_layers(layers[:1])
    assert np.isfinite(one["rho"])
    assert np.isnan([one["low"], one["high"]]).all()
    absent = np.full(6, np.nan)
    assert np.isnan(over_layers([[(absent, absent)]])["rho"])
    flat = [[(np.ones(6), random.normal(size=6))] for _ in range(5)]
    assert np.isnan(over_layers(flat)["rho"])  # a profile that does not vary agrees with nothing
    assert over_layers(flat)["networks"] == 0


def test_a_perfect_order_is_perfect_in_its_direction():
    """However many are left in order when one is taken out: a jackknife on Fisher's scale would turn the sign."""
    for n in (4, 12):
        values = np.arange(n, dtype=float)
        nearly = np.array([*values[1::-1], *values[2:]])
        for other, least in ((values, 1.0), (nearly, 0.79)):
            found = over_networks(list(np.stack([values, other], 1)))
            assert least <= found["rho"] <= 1
            assert found["low"] <= found["rho"] <= found["high"]
            assert over_networks(list(np.stack([values, -other], 1)))["rho"] == pytest.approx(-found["rho"])


def test_one_measure_has_nothing_to_agree_with(preset, load):
    preset["experiments"] = {NAME: {"measures": ["NV"]}}
    with pytest.raises(InputError, match="measures are compared: two are needed; received NV"):
        load(preset)


def test_laptop_trains_nothing_for_it_and_measures_little(tmp_path):
    content = yaml.safe_load((CONFIG / "laptop.yaml").read_text(encoding="utf-8"))
    content["experiments"] = {name: content["experiments"][name] for name in (NAME, "structure")}
    (tmp_path / "part.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    cells = Programme.load(tmp_path / "part.yaml").cells
    others = [cell for name, found in cells.items() if name != NAME for cell in found]
    trained = {cell.network for cell in others}
    own = set(cells[NAME]) - set(others)
    assert {cell.network for cell in own} <= trained
    assert len(own) == 32


def test_accuracies_have_measures_of_the_output_beside_them_where_cells_hold_them(preset, load, tmp_path):
    preset["measures"] += ["Consistency", "OutputKL"]
    preset["experiments"] = {"accuracy": {"seeds": 1, "batch_norm": False, "transformation_sets": ["rotation"]}}
    study = load(preset)

    class WithTrainings(MadeUp):
        def training(self, cell):
            return {"accuracies": {"test": {"plain": 0.9}}, "samples": {"test": 100}, "classes": 10}

    folder = draw(study, "accuracy", WithTrainings(), tmp_path / "drawn")
    table = pd.read_csv(folder / "accuracy.csv")
    assert table[["Consistency", "OutputKL"]].notna().all(axis=None)
    assert "OutputKL" in (folder / "accuracy.tex").read_text(encoding="utf-8")

"""Whether NV predicts accuracy under transformations: known correlations come out, and no cell is added."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.experiments.invariance_and_accuracy import Network, correlation
from helpers_experiments import Profiles, announced, draw, kinds

CONFIG = Path(__file__).parents[2] / "config"
NAME = "invariance_and_accuracy"


def networks(seeds, slope, noise):
    random = np.random.default_rng(0)
    return [
        Network(seed, "trained plain", (x, -x), slope * x + noise * random.normal())
        for seed in range(seeds)
        for x in random.uniform(0, 1, 24)
    ]


def test_a_known_correlation_is_within_its_interval():
    found = correlation(networks(5, -1.0, 0.3), 0)
    assert found["low"] < found["rho"] < found["high"] < 0
    assert (found["networks"], found["seeds"], found["reading"]) == (120, 5, "exploratory")
    turned = correlation(networks(5, -1.0, 0.3), 1)
    assert (turned["rho"], turned["low"]) == pytest.approx((-found["rho"], -found["high"]))


def test_no_correlation_has_an_interval_about_nought():
    found = correlation(networks(5, 0.0, 1.0), 0)
    assert found["low"] < 0 < found["high"]


def test_a_perfect_order_is_finite():
    found = correlation(networks(4, 1.0, 0.0), 0)
    assert found["rho"] == pytest.approx(1)


def test_one_seed_gives_a_number_and_no_interval():
    found = correlation(networks(1, -1.0, 0.3), 0)
    assert found["rho"] < -0.5
    assert np.isnan([found["low"], found["high"]]).all()


@pytest.mark.parametrize("name", ["quick", "laptop", "paper"])
def test_no_preset_computes_a_cell_for_it(name):
    cells = Programme.load(CONFIG / f"{name}.yaml").cells
    others = {cell for other, found in cells.items() if other != NAME for cell in found}
    assert set(cells[NAME]) <= others


class MadeUp(Profiles):
    """Networks whose logits alone tell what accuracy they lose, in every dataset the same way."""

    def __init__(self):
        super().__init__(self.of)

    def of(self, cell, measure):
        layers = np.full(len(kinds(cell.network.model)), 0.5)
        layers[-2] = 0.2 + 0.1 * self.level(cell)
        layers[-3] = 1 - layers[-2]  # so that the mean over layers tells nothing
        return layers

    def level(self, cell):
        return np.random.default_rng(int(cell.key[-8:], 16)).uniform()

    def measure(self, cell):
        shares = [0.85 - 0.4 * self.level(cell)] * cell.transformations.size
        shares[cell.transformations.build().identity] = 0.9
        return SimpleNamespace(accuracy=shares)


@pytest.mark.parametrize(("seeds", "said"), [(5, ""), (1, "No interval: 3 seeds are needed, and there are 1.")])
def test_it_is_drawn_and_says_that_it_is_exploratory(preset, load, tmp_path, seeds, said):
    preset["experiments"] = {NAME: {"seeds": seeds}}
    study = load(preset)
    folder = draw(study, NAME, MadeUp(), tmp_path / "drawn")
    assert {path.name for path in folder.iterdir()} == announced(study, NAME)
    frame = pd.read_csv(folder / f"{NAME}.csv")
    assert set(frame["reading"]) == {"exploratory"}
    logits = frame[(frame["predictor"] == "NV of the logits") & (frame["of"] == "all")].iloc[0]
    assert logits["rho"] < -0.95
    assert logits["networks"] == 2 * 3 * 2 * seeds
    assert logits["low"] < -0.9 if seeds > 1 else np.isnan(logits["low"])
    caption = (folder / f"{NAME}.md").read_text(encoding="utf-8")
    assert "Exploratory: no claim was stated before looking." in caption
    assert said in caption

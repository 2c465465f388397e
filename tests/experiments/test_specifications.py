"""Specification curves: the same claim by every other choice that could have been made."""

import importlib
import json
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import cnn_invariance as ci
import helpers_experiments
from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import registry, specifications
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.experiments.framework.specifications import LAYERS, Layers, Remembered, counts_dead, curve
from cnn_invariance.measures import requests
from cnn_invariance.measures.statistics.base import Context
from cnn_invariance.report import claims
from cnn_invariance.report import specifications as written
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products
from helpers_experiments import Profiles, kinds, layer_values

EVERY = [
    *specifications.HELD,
    "TV",
    "SV",
    "TD[per=unit]",
    "SD[per=unit]",
    "ANOVA",
    "Goodfellow",
    "NV[aggregate=max]",
    "SVSE[aggregate=mean]",
]
LAPTOP = Path(__file__).parents[2] / "config" / "laptop.yaml"
SETS = {"transformation_sets": ["rotation", "scale"], "seeds": 5}


def curves(preset, load, experiment, values=layer_values, options=SETS, measures=EVERY):
    preset["measures"], preset["experiments"] = measures, {experiment: options}
    study = load(preset)
    return curve(study.experiments[experiment], study, Remembered(Profiles(values)))


def noise(cell):
    return np.random.default_rng(int(cell.key[-8:], 16)).normal(size=len(kinds(cell.network.model)))


def varied(cell, measure):
    """Values of their own under each measure; choices that give the same numbers are one specification."""
    draw = np.random.default_rng([int(cell.key[-8:], 16), crc32(measure.encode())])
    return layer_values(cell, measure) * (1 + 0.01 * draw.normal(size=len(kinds(cell.network.model))))


def chosen(one):
    return tuple(one.specification.columns().values())


def test_a_claim_on_the_headline_measure_has_every_form_that_exists(preset, load):
    (tested,) = curves(preset, load, "augmentation_intensity", varied)
    # NV of units, of the mean before and of maps, std and var; ND of the same; nothing is dead
    assert len({chosen(one) for one in tested}) == len(tested) == 3 * (3 * 2 + 3)
    assert chosen(tested[0]) == ("NV", "mean before", "std", "counted as 1", "all")
    assert [one.specification.own for one in tested] == [True] + [False] * (len(tested) - 1)
    assert not [one for one in tested if one.specification.form.of == "map" and one.specification.form.measure == "NV"
                and one.specification.dead == "left out"]  # fmt: skip


def test_what_the_cells_do_not_hold_does_not_exist(preset, load):
    (tested,) = curves(preset, load, "augmentation_intensity", varied, measures=["NV[aggregate=mean]", "ND"])
    assert {chosen(one)[:3] for one in tested} == {("NV", "mean before", "std"), ("ND", "map", "distance")}


def test_choices_that_give_the_same_numbers_are_one(preset, load):
    """All measures have the same values here, and nothing is dead: what is left are the layers."""
    (tested,) = curves(preset, load, "augmentation_intensity")
    assert [chosen(one)[3:] for one in tested] == [("counted as 1", layers) for layers in LAYERS]
    assert [one.specification.own for one in tested] == [True, False, False]


def test_a_form_that_a_claim_is_about_is_no_choice(preset, load):
    for experiment in ("aggregation", "stratified"):
        (tested,) = curves(preset, load, experiment)
        assert {chosen(one)[:3] for one in tested} == {("as claimed",) * 3}
        assert {one.specification.dead for one in tested} == {"counted as 1"}
        # the dead of a mean over classes are not known, and those of a mean after the quotient not by maps


def test_same_equivariance_is_compared_like_with_like(preset, load):
    def values(cell, measure):
        return layer_values(cell, measure) * 10.0 ** (np.arange(len(kinds(cell.network.model))) * (measure[:2] == "TV"))

    (tested,) = curves(preset, load, "same_equivariance", values)
    assert {chosen(one)[:2] for one in tested} == {("NVSE", "units"), ("NVSE", "mean before"), ("NDSE", "map")}
    assert {one.specification.dead for one in tested} == {"counted as 1"}  # TVSE is no quotient
    verdicts = {chosen(one)[0]: one.finding.verdict for one in tested}
    assert verdicts == {"NVSE": "supported", "NDSE": "undecided"}


def test_the_statistic_is_of_the_measure_that_takes_the_place_of_the_claims(preset, load):
    def values(cell, measure):
        lower = 0.5 if "ND" in measure and cell.network.augmentation == cell.transformations else 1
        return lower * (1 + 0.01 * noise(cell))

    (tested,) = curves(preset, load, "augmentation_intensity", values)
    by_measure = {name: {one.finding.verdict for one in tested if chosen(one)[0] == name} for name in ("NV", "ND")}
    assert by_measure == {"NV": {"not supported"}, "ND": {"supported"}}
    assert tested[0].finding.verdict == "not supported"


def test_layers_are_those_of_a_kind(preset, load):
    def values(cell, measure):
        layers = kinds(cell.network.model)
        lower = np.where(np.char.find(layers, "Conv") >= 0, 0.5, 1.2)
        changed = lower if cell.network.augmentation == cell.transformations else np.ones(len(layers))
        return changed * (1 + 0.01 * noise(cell))

    (tested,) = curves(preset, load, "augmentation_intensity", values)
    found = {kind: {one.finding.verdict for one in tested if chosen(one)[4] == kind} for kind in specifications.LAYERS}
    assert found["convolutions"] == {"supported"}
    assert found["activations"] == {"not supported"}


def test_layers_without_a_counterpart_are_not_compared(preset, load):
    (tested,) = curves(preset, load, "max_pooling")  # a convolution with strides stands for a pooling
    assert {chosen(one)[4] for one in tested} == {"all", "activations"}


def test_a_claim_that_is_not_of_profiles_has_no_curve(preset, load, computed):
    preset["experiments"] = {"accuracy": SETS}
    study = load(preset)
    assert curve(study.experiments["accuracy"], study, Remembered(computed(study))) == []


def test_experiments_say_whether_their_primary_claim_is_of_profiles():
    without = {name for name in registry.names() if registry.load(name).claims and not registry.load(name).of_profiles}
    assert without == {"accuracy", "published_accuracy", "feature_maps"}


@pytest.fixture(scope="module")
def result():
    """Measures of a network with a dead map, with units that are dead in part, and with infinite ones."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten()).eval()
    with torch.no_grad():
        network[0].weight[1] = 0
        network[0].bias[1] = -1
        network[0].weight[2] = network[0].weight[2].abs()
        network[0].bias[2] = -0.9
    asked = [one for measure in COUNTING for one in (measure, *parts(measure))]
    return ci.measure(network, torch.rand(12, 1, 8, 8), ci.transformations.rotation(n=4, closed=False), asked)


COUNTING = [one for one in (*specifications.HELD, "Goodfellow") if counts_dead(one)]


def parts(measure: str) -> tuple[str, str]:
    """The numerator and the denominator of a quotient."""
    if measure == "Goodfellow":
        return "Goodfellow_L", "Goodfellow_G"
    return f"T{measure[1:]}", f"S{measure[1:]}"


@pytest.mark.parametrize("measure", COUNTING)
def test_a_profile_without_dead_units_is_exact(result, measure):
    profile = result.profile(measure)
    found = Layers.of(profile).without_dead()
    for k, layer in enumerate(profile["layer"]):
        values = result[measure][layer]
        above, below = (result[part][layer] for part in parts(measure))
        dead = (above == 0) & (below == 0)
        assert dead.sum() == profile["dead"].iloc[k]
        assert found[k] == pytest.approx(values[np.isfinite(values) & ~dead].mean(), rel=1e-9)
    assert profile["dead"].sum() > 0


def specified() -> list[str]:
    """The experiments of `laptop` whose primary claim has a specification curve."""
    study = Programme.load(LAPTOP)
    return [name for name, one in study.experiments.items() if one.of_profiles and any(c.primary for c in one.claims)]


@pytest.mark.parametrize("experiment", specified())
def test_each_experiment_has_its_curve(monkeypatch, load, experiment):
    """Whatever a claim asks of a profile, a specification's profile has it: by made-up values for cells of laptop."""
    for design, layers in (("VGG16D", 12), ("ResNet18", 16)):
        monkeypatch.setitem(helpers_experiments.KINDS, design, ["Conv2d", "ELU"] * layers + ["Linear", "LogSoftmax"])
    content = yaml.safe_load(LAPTOP.read_text(encoding="utf-8"))
    options = content["experiments"][experiment]
    both = {} if experiment in ("structure", "dataset_transfer", "departures") else {"datasets": ["mnist"]}
    content["experiments"] = {experiment: options | both | ({"seeds": 2} if "seeds" in options else {})}
    study = load(content)
    made_up = Remembered(Profiles(lambda cell, measure: layer_values(cell, measure) * np.exp(noise(cell) / 20)))
    found = curve(study.experiments[experiment], study, made_up)
    assert found
    for tested in found:
        assert tested[0].specification.own
        assert not tested[0].finding.reason
        assert not any(one.specification.own for one in tested[1:])


def test_a_layer_of_dead_units_alone_has_no_value():
    profile = pd.DataFrame(
        {"layer": list("abc"), "kind": list("abc"), "depth": [0.0, 50.0, 100.0], "value": [1.0, 0.4, np.nan],
         "units": [5, 5, 5], "infinite": [0, 2, 5], "nan": [0, 0, 0], "dead": [5, 0, 0]}
    )  # fmt: skip
    found = Layers.of(profile).without_dead()
    assert np.isnan(found[[0, 2]]).all()
    assert found[1] == 0.4


def test_quotients_are_the_measures_that_divide(result):
    context = Context(result.layers[0], 3, 2, torch.device("cpu"))
    for name in requests.names():
        family = importlib.import_module(f"cnn_invariance.measures.families.{requests.family(name).name}")
        divides = len(family.statistics(requests.check(name), context)) == 2
        assert divides == (name in specifications.QUOTIENTS), name


def plan_of(preset, load, computed, tmp_path, values=layer_values, **options):
    preset["measures"] = [*specifications.HELD[:6], "ND"]
    preset["experiments"] = {"augmentation_intensity": {"seeds": 5, **options}, "accuracy": {"seeds": 2}}
    study = load(preset)
    computed(study, values)
    plan = Plan(study, Folders(results=tmp_path, figures=tmp_path / "figures"))
    (tmp_path / "results").rename(tmp_path / study.name)
    return plan


def test_curves_are_written_and_claims_tell_how_many_agree(preset, load, computed, tmp_path):
    plan = plan_of(preset, load, computed, tmp_path)
    written.write(plan)
    assert all(path.is_file() for path in Products(plan).specifications)
    assert Products(plan).specified == ["augmentation_intensity"]
    frame = pd.read_csv(Products(plan).specifications[0])
    assert tuple(frame.columns) == written.COLUMNS
    assert frame["as_stated"].tolist() == [True] + [False] * (len(frame) - 1)
    assert (frame["agrees"] == (frame["verdict"] == frame["verdict"][0])).all()
    claims.write(plan)
    records = json.loads(Products(plan).claims[2].read_text(encoding="utf-8"))
    record = next(one for one in records if one["experiment"] == "augmentation_intensity")
    assert all("specifications" not in one for one in records if one["condition"] or not one["primary"])
    assert (record["specifications"], record["agree"]) == (len(frame), frame["agrees"].sum())
    text = f"{frame['agrees'].sum()} of {len(frame)} specifications agree"
    assert text in Products(plan).claims[1].read_text(encoding="utf-8")
    caption = next(path for path in Products(plan).specifications if path.name.endswith("augmentation_intensity.md"))
    stated = f"The verdict is the same in {frame['agrees'].sum()} of {len(frame)} specifications on mnist5k."
    opening = caption.read_text(encoding="utf-8").partition(stated)[0]
    assert "a network is more invariant than trained without augmentation" in opening
    assert f"{frame['verdict'][0]} on mnist5k" in opening[0].lower() + opening[1:]


def test_a_verdict_that_turns_round_without_dead_units_is_told(preset, load, computed, tmp_path):
    def values(cell, measure):  # the first layer, whose units are dead to 60 of 100, makes the difference
        found = layer_values(cell, measure).copy()
        plain = cell.network.augmentation is None
        found[1:] = 0.5 + 0.0001 * noise(cell)[0]
        found[0] = (1.0 if plain else 0.62) + 0.0001 * noise(cell)[1]
        return found

    plan = plan_of(preset, load, computed, tmp_path, values)
    written.write(plan)
    (place, counts), *_ = written.read(plan).items()
    assert place == ("augmentation_intensity", "lower", "mnist5k")
    frame = claims.table(claims.records(plan))
    row = frame[frame["claim"] == "lower"].iloc[0]
    assert (row["verdict"], counts["without_dead"]) == ("not supported", "supported")
    assert claims.robustness(row.to_dict()).endswith("specifications agree; without dead units: supported")


def test_an_experiment_that_asks_for_no_profile_must_say_so(preset, load, computed, tmp_path, monkeypatch):
    plan = plan_of(preset, load, computed, tmp_path)
    monkeypatch.setattr(type(plan.study.experiments["accuracy"]), "of_profiles", True)
    with pytest.raises(InputError, match="accuracy: its primary claim asks for no profile; set of_profiles = False"):
        written.write(plan)


def test_a_claim_that_cannot_be_tested_has_a_curve_without_estimates(preset, load, computed, tmp_path):
    preset["measures"] = ["DSES", "NDSE", "DSES[normalize=true]"]  # and not the variances that are compared
    preset["experiments"] = {"same_equivariance": SETS}
    study = load(preset)
    computed(study)
    plan = Plan(study, Folders(results=tmp_path, figures=tmp_path / "figures"))
    (tmp_path / "results").rename(tmp_path / study.name)
    written.write(plan)
    assert [list(one.values()) for one in written.read(plan).values()] == [[0, 0, ""]]
    assert claims.robustness(claims.records(plan)[0]) == ""

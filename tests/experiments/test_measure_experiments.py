"""Experiments that compare measures: families, Goodfellow's threshold, same-equivariance, aggregation."""

import math

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import helpers_experiments
from cnn_invariance.errors import InputError
from cnn_invariance.experiments import measure_comparison
from cnn_invariance.experiments.aggregation import FORMS
from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.measure_comparison import MeasureComparison, separation
from cnn_invariance.experiments.same_equivariance import COMPARED
from cnn_invariance.measures.requests import check
from cnn_invariance.plotting import Canvas
from cnn_invariance.statistics.evidence import power
from cnn_invariance.statistics.profiles import log_range, variation
from helpers_experiments import kinds

ALPHAS = (0.5, 0.9, 0.95, 0.99, 0.999)
GOODFELLOW = [f"{name}[alpha={a}]" for name in ("Goodfellow", "Goodfellow_L", "Goodfellow_G") for a in ALPHAS]
MEASURES = {
    "measure_comparison": list(MeasureComparison.shown),
    "goodfellow_alpha": GOODFELLOW,
    "goodfellow_parts": GOODFELLOW,
    "same_equivariance": list(dict.fromkeys(form for forms in COMPARED.values() for form in forms.values())),
    "aggregation": [form for forms in FORMS.values() for form in forms],
}
NAMES = list(MEASURES)


@pytest.fixture
def planned(preset, load):
    """The study of one experiment, with the measures that it shows."""

    def plan(name, options=None, measures=None):
        preset["measures"] = measures or MEASURES[name]
        preset["experiments"] = {name: options or {}}
        return load(preset)

    return plan


def findings(study, results):
    (name,) = study.experiments
    return {one.claim.name: one for one in helpers_experiments.findings(study, name, results)}


def drawn(study, results, folder):
    (name,) = study.experiments
    return helpers_experiments.draw(study, name, results, folder)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_is_what_was_announced(name, planned, computed, tmp_path):
    study = planned(name)
    announced = study.outputs[name]
    expected = helpers_experiments.announced(study, name)
    folder = drawn(study, computed(study), tmp_path / "drawn")
    assert {path.name for path in folder.iterdir()} == expected
    for figure in announced.figures:
        caption = (folder / f"{figure}.md").read_text(encoding="utf-8")
        assert study.experiments[name].question in caption
        with Image.open(folder / f"{figure}.png") as image:
            assert image.width == 1400


@pytest.mark.parametrize(
    ("name", "networks", "cells"),
    [
        ("measure_comparison", 5 * 4, 5 * 6),  # a plain network of each seed, measured under three sets
        ("goodfellow_alpha", 15, 15),
        ("goodfellow_parts", 15, 30),  # the author's threshold is measured in cells of its own
        ("same_equivariance", 3, 6),  # one comparison on twice as many samples
        ("aggregation", 9, 9),
    ],
)
def test_each_network_is_measured_under_its_set_once(name, networks, cells, planned):
    asked = planned(name).cells[name]
    assert (len({cell.network for cell in asked}), len(asked)) == (networks, cells)
    assert all(cell.network.augmentation in (None, cell.transformations) for cell in asked)


def test_the_combined_set_is_shown_where_the_author_does(planned, preset):
    preset["transformation_sets"]["combined"] = {}
    for name in NAMES:
        shown = {cell.transformations.name for cell in planned(name).cells[name]}
        assert ("combined" in shown) == (name != "aggregation")


@pytest.mark.parametrize(
    ("name", "options", "measures", "message"),
    [
        (
            "measure_comparison",
            {},
            ["NV", "NV[aggregate=mean]"],
            "measures are compared: two are needed; received NV[aggregate=mean]",
        ),
        ("measure_comparison", {"measures": ["NVS"]}, None, "'NVS'"),
        ("measure_comparison", {"seeds": 6}, None, "6 seeds asked for"),
        ("measure_comparison", {"model": "SimpleCon"}, None, "did you mean 'SimpleConv'"),
        ("goodfellow_alpha", {}, ["Goodfellow"], "Goodfellow[alpha=0.5]"),
        ("goodfellow_alpha", {"alphas": [0.9, 1]}, None, "expected a number between 0 and 1"),
        ("goodfellow_alpha", {"alphas": [0.9, 0.9]}, None, "each alpha once"),
        ("goodfellow_parts", {"seeds": 1}, None, "seeds"),
        ("goodfellow_parts", {"transformation_sets": ["turns"]}, None, "unknown transformation set"),
        ("same_equivariance", {}, ["NV", "TV"], "the preset has none of TVSE"),
        ("same_equivariance", {}, ["NDSE", "SVSE[aggregate=mean]"], "two forms of same-equivariance are compared"),
        ("same_equivariance", {"measures": ["NV"]}, ["NV", "NVSE"], "measures"),
        ("aggregation", {}, ["NV", "ND"], "two or more forms of NV or of ND"),
        ("aggregation", {"measures": ["TV", "NV"]}, ["TV", "NV"], "TV is no form of NV or ND"),
        ("aggregation", {"seeds": 1}, None, "seeds"),
    ],
)
def test_bad_options_are_refused_before_any_job(name, options, measures, message, planned):
    with pytest.raises(InputError) as refused:
        planned(name, options, measures)
    assert f"experiments.{name}" in str(refused.value)
    assert message in str(refused.value)


def test_what_the_preset_does_not_measure_is_left_out(planned, computed, tmp_path):
    study = planned(
        "measure_comparison", {"transformation_sets": ["scale"]}, ["TV", "NV", "NVSE[aggregate=mean]", "ND"]
    )
    table = pd.read_csv(drawn(study, computed(study), tmp_path / "drawn") / "measure_comparison.csv")
    assert table["measure"].tolist() == ["TV of units", "ND of maps", "NVSE of maps"]


def separated(**leads):
    """NV, ND and others whose augmented network lies below the plain one by their lead; seeds differ by a tenth.

    Goodfellow's is negated: there the augmented network lies above.
    """

    def values(cell, measure):
        lead = leads.get(check(measure).name, 0.1) if cell.network.augmentation is not None else 0
        return np.full(len(kinds(cell.network.model)), 2.0 + 0.1 * (cell.network.seed - 2) - lead)

    return values


def test_separation_in_the_table(planned, computed, tmp_path):
    study = planned("measure_comparison")
    folder = drawn(study, computed(study, separated(NV=0.5, Goodfellow=-0.5)), tmp_path / "drawn")
    rows = pd.read_csv(folder / "measure_comparison.csv").query("transformations == 'rotation'").set_index("measure")
    error = np.sqrt(2 * 0.1**2 * 2.5 / 5)  # of the difference of two means of five seeds
    assert rows.loc["NV of maps", "separation"] == pytest.approx(0.5 / error)
    assert rows.loc["TV of units", "separation"] == pytest.approx(0.1 / error)
    assert rows.loc["NV of maps", "plain"] == pytest.approx(2)
    assert rows.loc["NV of maps", "augmented"] == pytest.approx(1.5)
    assert rows.loc["Goodfellow of units", "separation"] == pytest.approx(0.5 / error)
    assert len(rows) == len(MEASURES["measure_comparison"])


@pytest.mark.parametrize("name", ["measure_comparison", "same_equivariance"])
def test_sets_stand_side_by_side_in_one_figure_of_a_dataset(planned, computed, tmp_path, name):
    class Kept(Canvas):
        def figure(self, name, figure, caption):
            shown[name] = figure, caption

    shown = {}
    study = planned(name)
    study.experiments[name].draw(study, computed(study), Kept(tmp_path, tmp_path))
    figure, caption = shown[f"{name}_mnist5k"]
    grid = [axes for axes in figure.axes if axes.get_visible()]
    sets = ["rotation", "scale", "translation"]
    assert [axes.get_title(loc="left") for axes in grid[:3]] == sets
    rows = [axes.get_ylabel().replace("\n", " ") for axes in grid[::3]]
    expected = [choices.label(one).replace("maps (normalize=true)", "unit norm") for one in MEASURES[name]]
    assert rows == (expected if name == "measure_comparison" else list(COMPARED))
    assert all(axes.get_ylim() == grid[3 * (place // 3)].get_ylim() for place, axes in enumerate(grid))
    assert all(one in caption.sizes["mnist5k"] for one in sets)
    assert sum("\n" not in one and one.endswith(".") for one in caption.measures) == len(MEASURES[name])


def test_the_rank_is_one_where_every_other_measure_separates_less(planned, computed):
    study = planned("measure_comparison")
    found = findings(study, computed(study, separated(NV=5, ND=0.01, Goodfellow=-0.1)))
    assert found["NV_separates_best"].evidence.pooled.estimate == 1
    assert found["ND_separates_best"].evidence.pooled.estimate == 7  # the last
    assert found["NV_separates_best"].evidence.pooled.n == 2 * 5 * 3
    assert len(found["NV_separates_best"].cells) == 2 * 5 * 3


def test_goodfellows_measure_is_a_rival_with_its_sign_turned(planned, computed):
    study = planned("measure_comparison")
    for lead, rank in ((-9, 2), (9, 1)):
        found = findings(study, computed(study, separated(NV=5, Goodfellow=lead)))
        assert found["NV_separates_best"].evidence.pooled.estimate == rank


def test_an_undecided_rank_says_how_many_seeds_would_decide_it():
    claim = MeasureComparison.claims[0]  # the first rank, below 1.5
    ranks = np.repeat([1.0, 2.0, 3.0], [60, 30, 10])
    found = [measure_comparison._estimate(claim, rank, ranks, 10, 5) for rank in (1.2, 1.3, 1.5)]
    assert {one.verdict for one in found} == {"undecided"}
    assert found[0].reason == f"the interval holds the threshold; {found[0].seeds} seeds would decide it with power 0.9"
    assert 5 < found[0].seeds < found[1].seeds
    assert (
        power(claim.rule, 1.2, 5 * ranks.var(), found[0].seeds)
        >= 0.9
        > power(claim.rule, 1.2, 5 * ranks.var(), found[0].seeds - 1)
    )
    assert "1,000 seeds would not decide it" in found[2].reason
    tied = measure_comparison._estimate(claim, 1.5, np.full(9, 1.5), 10, 5)  # no draw differs, on the threshold itself
    assert (tied.verdict, tied.reason, tied.seeds) == ("undecided", found[2].reason, None)


def test_a_family_that_is_not_measured_leaves_its_claim_undecided(planned, computed):
    study = planned("measure_comparison", measures=["TV", "NV[aggregate=mean]"])
    found = findings(study, computed(study))
    assert found["ND_separates_best"].why == "ND is not measured"
    study = planned("measure_comparison", measures=["NVSE[aggregate=mean]", "NV[aggregate=mean]"])
    assert "none of TV, SV" in findings(study, computed(study))["NV_separates_best"].why


def rates(cell, measure):
    """Rates that vary over seeds by about a tenth, and at alpha .95 by three times as much."""
    factor = 3 if check(measure)["alpha"] == 0.95 else 1
    return np.full(len(kinds(cell.network.model)), 1 + 0.1 * factor * (cell.network.seed - 2))


@pytest.mark.parametrize("name", ["goodfellow_alpha", "goodfellow_parts"])
def test_instability_at_the_largest_alpha_at_which_enough_samples_fire(name, planned, computed):
    study = planned(name)
    (found,) = findings(study, computed(study, rates)).values()
    assert found.evidence.pooled.estimate == pytest.approx(np.log2(3), rel=0.05)
    assert len(found.evidence.conditions) == 3


def test_alphas_that_are_not_measured_leave_the_claim_undecided(planned, computed, preset):
    study = planned("goodfellow_alpha", {"alphas": [0.5, 0.95]}, ["Goodfellow[alpha=0.5]", "Goodfellow[alpha=0.95]"])
    found = findings(study, computed(study))["unstable_at_extremes"]
    assert found.why == "not measured: Goodfellow[alpha=0.9]"


def test_too_few_samples_above_a_threshold_leave_the_claim_undecided(planned, preset):
    preset["samples"] = {"count": 40}
    study = planned("goodfellow_alpha")
    found = findings(study, helpers_experiments.Profiles(rates))["unstable_at_extremes"]
    assert found.why == "of 40 samples fewer than 5 are expected to fire above alpha 0.9"


def test_goodfellows_table_has_a_row_for_each_alpha_and_part(planned, computed, tmp_path):
    def values(cell, measure):
        read = check(measure)
        rate = 2 * (1 - read["alpha"]) if read.name == "Goodfellow_L" else 1 - read["alpha"]
        rate *= 3 if read["reference"] == "all" else 1
        return np.full(len(kinds(cell.network.model)), rate)

    study = planned("goodfellow_parts", {"transformation_sets": ["rotation", "scale"]})
    table = pd.read_csv(drawn(study, computed(study, values), tmp_path / "drawn") / "goodfellow_parts.csv")
    assert len(table) == 2 * 3 * 5
    local = table.query("panel == 'scale, local'")
    assert local["threshold"].tolist() == [f"alpha = {alpha:g}" for alpha in ALPHAS]
    assert local["mean"].tolist() == pytest.approx([2 * (1 - alpha) for alpha in ALPHAS])
    assert table.query("panel == 'scale, global'")["mean"].tolist() == pytest.approx([1 - alpha for alpha in ALPHAS])
    author = table.query("panel == 'scale, local, author'")["mean"]
    assert author.tolist() == pytest.approx([6 * (1 - alpha) for alpha in ALPHAS])


def ranges(**orders):
    """Profiles that span so many orders of magnitude, and a little more from seed to seed."""

    def values(cell, measure):
        profile = np.ones(len(kinds(cell.network.model)))
        profile[2] = 10.0 ** (orders.get(check(measure).name, 1) + 0.01 * cell.network.seed)
        return profile

    return values


def test_how_many_orders_of_magnitude_normalised_forms_gain(planned, computed):
    study = planned("same_equivariance", {"seeds": 3})
    found = findings(study, computed(study, ranges(TVSE=3, NVSE=1, DSES=2, NDSE=1.5)))
    assert found["comparable"].evidence.pooled.estimate == pytest.approx(2)
    assert found["comparable_distance"].evidence.pooled.estimate == pytest.approx(0.5)


def test_forms_of_same_equivariance_that_are_not_measured(planned, computed):
    forms = ["TVSE[aggregate=mean]", "SVSE[aggregate=mean]", "NVSE[aggregate=mean]", "NDSE"]
    study = planned("same_equivariance", measures=forms)
    found = findings(study, computed(study))
    assert found["comparable_distance"].why == "not measured: DSES of maps"
    assert not found["comparable"].reason


def test_comparisons_of_same_equivariance_and_their_samples(planned, computed, tmp_path):
    study = planned("same_equivariance", {"transformation_sets": ["scale"]})
    table = pd.read_csv(drawn(study, computed(study), tmp_path / "drawn") / "same_equivariance_scale.csv")
    compared = {panel: rows["form"].tolist() for panel, rows in table.groupby("panel", sort=False)}
    assert compared == {panel: list(forms) for panel, forms in COMPARED.items()}
    counts = {cell.samples.count: cell for cell in study.cells["same_equivariance"]}
    assert set(counts) == {200, 400}
    (plan,) = study.experiments["same_equivariance"].plans(study)
    assert {line.cells[0].samples.count for line in plan.lines["mnist5k"]["distance"]} == {400}


def test_how_stable_the_mean_before_is_beside_the_median_of_the_distinct_forms(planned, computed):
    def values(cell, measure):
        factor = {"NV[aggregate=mean]": 0.5, "NV": 20}.get(measure, 1)  # one wild form moves no median
        return np.full(len(kinds(cell.network.model)), 1 + 0.01 * factor * (cell.network.seed - 1))

    study = planned("aggregation")
    (found,) = findings(study, computed(study, values)).values()
    assert found.evidence.pooled.estimate == pytest.approx(-1, rel=1e-3)


def test_aggregation_names_its_forms(planned, computed, tmp_path):
    study = planned(
        "aggregation",
        {"measures": ["NV", "NV[aggregate=mean]", "NV[statistic=var]"]},
        [*MEASURES["aggregation"], "NV[statistic=var]"],
    )
    table = pd.read_csv(drawn(study, computed(study), tmp_path / "drawn") / "aggregation_nv.csv")
    assert table["form"].tolist()[:3] == ["of units", "mean, before", "NV of units (statistic=var)"]
    assert set(table["seeds"]) == {3}


def test_aggregation_without_the_mean_before_is_undecided(planned, computed):
    study = planned("aggregation", measures=["ND", "ND[per=unit,aggregate=mean]"])
    assert study.outputs["aggregation"].figures == ["aggregation_nd"]
    assert "not both shown" in findings(study, computed(study))["mean_before_stable"].why


def test_spreads_of_degenerate_profiles():
    assert math.isnan(variation([[1.0, 2.0]]))
    assert math.isnan(variation([[0.0], [0.0]]))
    assert variation([[0.0, 1.0, math.nan], [0.0, 3.0, 1.0]]) == pytest.approx(math.sqrt(2) / 2)
    assert math.isnan(log_range([0.0, math.nan]))
    assert log_range([0.0, 1.0, 100.0, math.nan]) == 2
    assert math.isnan(separation((np.array([1.0]), np.array([0.0]))))
    assert math.isnan(separation((np.ones(3), np.zeros(3))))

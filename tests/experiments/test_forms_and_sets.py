"""Experiments on the author's forms: departures from them, blocks of distances, pictures of the sets."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.departures import CHANGES
from cnn_invariance.study import MeasureSpec
from helpers_experiments import announced, draw, drawn_untrained, findings, kinds

DEPARTURES = {"transformation_sets": ["rotation"], "seeds": 3}


@pytest.fixture
def planned(preset, load):
    """The study of one experiment."""

    def plan(name, options=None):
        preset["experiments"] = {name: options or {}}
        return load(preset)

    return plan


def changes(study) -> dict[str, list[MeasureSpec]]:
    """The cells of SimpleConv under rotation by the change that they have."""
    found = study.experiments["departures"]._cells(study)
    return {place.change: cells for place, cells in found.items() if place.model == "SimpleConv"}


def test_each_change_changes_one_thing(planned):
    study = planned("departures", DEPARTURES)
    found = changes(study)
    usual = found.pop("")
    assert set(found) == set(CHANGES) - {
        *("batches of 64", "single precision", "8 filters", "all images in each epoch", "original pixels"),
        *("1x1 convolution without padding", "normalisation before the activation"),  # of other designs
    }
    for change, cells in found.items():
        assert [cell.network.seed for cell in cells] == [0, 1, 2]
        one, other = usual[0], cells[0]
        parts = {
            "network": one.network.augmentation == other.network.augmentation,
            "recipe": one.network.recipe == other.network.recipe,
            "model": one.network.model == other.network.model,
            "measures": one.measures == other.measures,
        }
        expected = {
            "rotations in radians": "network",
            "samples sorted by class in SD": "measures",
            "the author's width": "model",
        }
        assert [part for part, same in parts.items() if not same] == [expected.get(change, "recipe")]
    assert found["rotations in radians"][0].transformations.name == "rotation_reference"
    assert found["the held-out images too"][0].network.recipe.images == "all"


def test_a_change_is_made_of_the_designs_that_are_named_alone(planned):
    study = planned(
        "departures", {**DEPARTURES, "changes": ["bf16", "the author's width"], "only": {"bf16": ["AllConvolutional"]}}
    )
    found = study.experiments["departures"]._cells(study)
    assert {(place.change, place.model) for place in found if place.change} == {
        ("bf16", "AllConvolutional"),
        ("the author's width", "SimpleConv"),
    }  # AllConvolutional has it already
    widths = {
        place.model: {cell.network.model.arguments["width"] for cell in cells}
        for place, cells in found.items()
        if place.change == "the author's width"
    }
    assert widths == {"SimpleConv": {32}}


def test_original_pixels_are_those_of_the_other_dataset(planned, preset):
    for place, name in enumerate(("cifar10_jpeg", "cifar10")):
        preset["datasets"][name] = {"fingerprint": str(place) * 64, "accuracy_floor": 0.5}
    study = planned("departures", {**DEPARTURES, "datasets": ["cifar10_jpeg"], "changes": ["original pixels"]})
    names = {cell.network.dataset.name for cells in changes(study).values() for cell in cells}
    assert names == {"cifar10_jpeg", "cifar10"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"changes": ["bf61"]}, "did you mean 'bf16'"),
        (
            {"changes": ["8 filters"], "models": ["SimpleConv"], "seeds": 3},
            "'8 filters' changes no network of this preset; leave it out",
        ),
        (
            {"changes": ["rotations in radians"], "transformation_sets": ["scale"], "seeds": 3},
            "'rotations in radians' changes no network of this preset",
        ),
        (
            {"changes": ["bf16", "8 filters"], "models": ["SimpleConv"], "seeds": 3},
            "departures: '8 filters' changes no",
        ),
        ({"changes": ["bf16"], "only": {"bf61": ["SimpleConv"]}, "seeds": 3}, "did you mean 'bf16'"),
        ({"changes": ["bf16"], "only": {"bf16": ["SimpleCov"]}, "seeds": 3}, "did you mean 'SimpleConv'"),
        ({"seeds": 6}, "6 seeds asked for; the preset has 5"),
        ({"seeds": 1}, "seeds"),
    ],
)
def test_bad_options_are_refused_before_any_job(options, message, planned):
    with pytest.raises(InputError) as refused:
        planned("departures", options)
    assert message in str(refused.value)


def moved(cell, measure):
    """Profiles of which two seeds differ by 4/3 of 1 % on average, and changed ones by five times as much."""
    profile = np.ones(len(kinds(cell.network.model))) + 0.01 * (cell.network.seed - 1)
    return profile + 0.01 * 4 / 3 * 5 * (cell.network.recipe.batch_size == 256)


def test_how_much_larger_a_change_is_than_that_of_another_seed(planned, computed, tmp_path):
    study = planned("departures", {**DEPARTURES, "changes": ["batches of 256"]})
    results = computed(study, moved)
    (found,) = findings(study, "departures", results)
    assert found.evidence.pooled.estimate == pytest.approx(np.log2(5), rel=0.1)
    assert set(found.evidence.conditions) == {
        f"batches of 256, {model}, rotation" for model in ("SimpleConv", "AllConvolutional")
    }
    folder = draw(study, "departures", results, tmp_path / "drawn")
    assert {path.name for path in folder.iterdir()} == announced(study, "departures")
    table = pd.read_csv(folder / "departures.csv")
    assert table["NV"].tolist() == pytest.approx([5, 5], rel=0.1)  # relative to the level, which it raises
    assert table["accuracy_in_sd"].isna().all()  # the seeds of these results have one accuracy


def test_a_change_of_the_measure_alone_decides_nothing(planned, computed):
    study = planned("departures", {**DEPARTURES, "changes": ["samples sorted by class in SD"]})
    (found,) = findings(study, "departures", computed(study, moved))
    assert (found.verdict, found.why) == ("undecided", "no change is one of the training")


def test_a_change_of_the_measure_alone_has_no_accuracy_and_no_nv(planned, computed, tmp_path):
    def values(cell, measure):
        level = 1.2 if "order=class" in measure else 1.0
        return np.full(len(kinds(cell.network.model)), level + 0.01 * (cell.network.seed - 1))

    study = planned("departures", {**DEPARTURES, "changes": ["samples sorted by class in SD"]})
    table = pd.read_csv(draw(study, "departures", computed(study, values), tmp_path / "drawn") / "departures.csv")
    assert table[["NV", "accuracy_in_sd"]].isna().all(axis=None)
    assert table["ND"].tolist() == pytest.approx([0.2 / 1.1 / (0.01 * 4 / 3)] * 2, rel=0.01)


def test_distances_are_measured_in_blocks_and_of_all_pairs(planned, computed, tmp_path):
    study = planned("distance_approximation")
    (cell,) = study.cells["distance_approximation"]
    assert cell.transformations.name == "rotation"
    assert cell.samples.count == 1024  # of the preset's 200: the largest block
    classes = {f"ND[per=unit,order=class,block_size={size}]" for size in (32, 128, 512, 1024)}
    assert set(cell.measures) == {"NV", "ND[per=unit]", *classes}
    folder = draw(study, "distance_approximation", computed(study), tmp_path / "drawn")
    assert {path.name for path in folder.iterdir()} == announced(study, "distance_approximation")
    table = pd.read_csv(folder / "distance_approximation.csv")
    assert table["measured_by"].tolist()[::5] == ["NV", "ND, all pairs"]
    with pytest.raises(InputError, match="block_size"):
        planned("distance_approximation", {"blocks": [32, 100]})
    with pytest.raises(InputError, match="'blocks' must be two numbers or more that rise"):
        planned("distance_approximation", {"blocks": [128, 32]})


def test_sets_and_st_matrices_are_drawn_from_what_a_network_computes(tmp_path):
    sets = {"scale": {"parameters": {"n": 2}}}
    made = drawn_untrained(tmp_path, sets, "transformation_sets", {"samples": 4, "shown": 9})
    study = made.study
    (response,) = made.responses
    assert (len(response.members), response.sample.count, response.maps) == (9, 4, 1)
    found = made.results.responses(response)
    assert set(found.frame["kind"]) == {"Input", "MaxPool2d"}
    (figure,) = study.outputs["transformation_sets"].figures
    folder = made.folders.figure_folder("tiny", "transformation_sets")
    with Image.open(folder / f"{figure}.png") as image:
        assert image.width == 1400
    assert "under some of its transformations (scale: 9)" in (folder / f"{figure}.md").read_text(encoding="utf-8")

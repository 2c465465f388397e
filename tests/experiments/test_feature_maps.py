"""Responses of feature maps, from a real (untrained) network to the figure and the claim."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from cnn_invariance.datasets import load
from cnn_invariance.errors import InputError
from cnn_invariance.experiments import feature_maps
from cnn_invariance.measures import measure
from cnn_invariance.measures.responses import Ranked, ranked, respond
from cnn_invariance.plotting.responses import with_moments
from cnn_invariance.results import DamagedResultError, Responses
from cnn_invariance.statistics.responses import relative_variation
from cnn_invariance.study import ResponseSpec, SampleSpec
from cnn_invariance.training.checkpoint import load_network
from cnn_invariance.transformations import rotation, transform_all
from cnn_invariance.workflow import jobs
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.stages import compute
from helpers_experiments import drawn_untrained
from helpers_study import cell

RESPONSE = ResponseSpec(measured=cell(), by="NV", sample=SampleSpec(count=2), members=(0, 1), kind="ReLU")


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Plan:
    """All cells computed, and the experiment drawn."""
    sets = {"rotation": {"parameters": {"n": 5, "closed": False}}}
    root = tmp_path_factory.mktemp("feature_maps")
    return drawn_untrained(root, sets, "feature_maps", {"shown": 3, "maps": 2, "seeds": 1})


def test_a_study_plans_the_cells_a_response_needs(plan):
    assert len(plan.networks) == len(plan.responses) == 1
    assert not plan.measurements
    assert plan.responses[0].members == (0, 2, 4)
    assert (plan.todo("train"), plan.todo("measure"), plan.todo("respond")) == ((), (), ())
    plan.results.path(plan.responses[0]).rename(plan.folders.results / "away")
    fresh = Plan(plan.study, plan.folders)
    assert fresh.todo("respond") == plan.responses
    assert not fresh.todo("train")
    assert not fresh.todo("measure")
    checkpoint = plan.folders.checkpoint(plan.networks[0])
    checkpoint.rename(plan.folders.models / "away")
    assert Plan(plan.study, plan.folders).todo("train") == plan.networks
    (plan.folders.models / "away").rename(checkpoint)
    (plan.folders.results / "away").rename(plan.results.path(plan.responses[0]))


def test_responses_are_of_the_maps_that_the_measure_ranks_first_and_last(plan):
    cell = plan.responses[0]
    found, maps = plan.results.responses(cell), measured(plan, cell)
    for name, rows in maps.groupby("layer"):
        here = found.frame[found.frame["layer"] == name]
        if here.empty:
            continue
        finite = rows[np.isfinite(rows["value"])].set_index("map")["value"].sort_values(kind="stable")
        shown = min(2, len(finite) // 2)
        assert list(dict.fromkeys(here.loc[here["role"] == "most", "map"])) == list(finite.index[:shown])
        assert list(dict.fromkeys(here.loc[here["role"] == "least", "map"])) == list(finite.index[: -shown - 1 : -1])
        assert set(here["member"]) == {0, 2, 4}
        assert set(here["sample"]) == {0, 1}
        assert set(here["kind"]) == {"ELU"}
    first, second = (found.maps(0, "input", sample=k) for k in (0, 1))
    assert first.shape == second.shape == (3, 1, 28, 28)
    assert not np.array_equal(first, second)
    assert found.maps(2, "most").shape == (3, 28, 28)
    with pytest.raises(InputError, match="has no responses with"):
        found.maps(1, "most")
    assert found.provenance["wall_s"] > 0


def measured(plan: Plan, cell: ResponseSpec) -> pd.DataFrame:
    """The values of the maps that rank them, from the function that users call."""
    data = load(plan.folders.dataset(cell.dataset.name))
    chosen = data.subset(cell.measured.samples.split, cell.measured.samples.count, cell.measured.samples.seed)
    model = load_network(plan.folders.checkpoint(cell.network), cell.network, epoch=cell.epoch, device="cpu")
    images = data.normalise(torch.from_numpy(data.images[chosen]))
    rows = measure(model, images, cell.measured.transformations.build(), [cell.by]).summary()
    return rows[rows["map"].notna()]


def test_without_pictures_a_result_says_the_same_of_how_much_maps_vary(plan, tmp_path):
    cell = plan.responses[0]
    other = cell.model_copy(update={"pictures": False})
    assert other.key != cell.key
    jobs.Job(preset=plan.study.name, cell=other).write(tmp_path / "job.json")
    compute(jobs.Job.read(tmp_path / "job.json"), plan.folders)
    few, all_ = plan.results.responses(other), plan.results.responses(cell)
    assert not list(few.faults())
    for index in sorted(set(few.frame["layer_index"])):
        pd.testing.assert_frame_equal(few.variations(index), all_.variations(index))
        shown = all_.maps(index, "least", sample=1)
        rows = few.variations(index).set_index(["role", "rank", "sample"])["variation"]
        assert rows["least", 0, 1] == pytest.approx(relative_variation(shown.astype(float)), rel=1e-3)  # float16
    assert plan.results.path(other).stat().st_size < 0.5 * plan.results.path(cell).stat().st_size
    plan.results.path(other).unlink()


def test_the_figure_is_drawn(plan):
    (figure,) = plan.study.outputs["feature_maps"].figures
    folder = plan.folders.figure_folder("tiny", "feature_maps")
    with Image.open(folder / f"{figure}.png") as image:
        assert image.width == 1400
    assert plan.study.experiments["feature_maps"].question in (folder / f"{figure}.md").read_text(encoding="utf-8")


def test_every_sample_is_drawn_beside_the_other(plan, monkeypatch):
    """Of two samples three transformations each, with the mean and the deviation of all that are shown."""
    responses = plan.results.responses(plan.responses[0])
    monkeypatch.setattr(feature_maps, "DRAWN", 2)
    first, *layers = feature_maps._block(responses, "most", 1)
    assert first.text == "samples"
    indices = sorted(set(responses.frame["layer_index"]) - {0})
    both = [[with_moments(responses.maps(index, "most", 0, one)) for one in (0, 1)] for index in indices]
    assert len(layers) == len(both) > 0
    for layer, rows in zip(layers, both, strict=True):
        assert len(layer.rows) == 1  # of two
        assert layer.rows[0].shape[0] == 2 * (2 + 2)
        for place, whole in enumerate(rows):  # of the three that are shown, the first and the last
            np.testing.assert_array_equal(layer.rows[0][4 * place :][:4], whole[[0, 2, -2, -1]])


def test_a_changed_byte_is_found(plan, tmp_path):
    content = bytearray(plan.results.path(plan.responses[0]).read_bytes())
    content[len(content) // 2] ^= 1
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(content)
    with pytest.raises(DamagedResultError, match=r"damaged\.parquet: damaged"):
        Responses.read(damaged, plan.responses[0])


def test_responses_are_what_the_network_computes():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU()).eval()
    images, turns = torch.randn(2, 2, 6, 6), rotation(n=4, angle_deg=270)
    ends = {"most": [Ranked(2, 0.5)], "least": [Ranked(0, 1.5), Ranked(1, 1.0)]}
    table = respond(model, images, turns, (1, 3), {"1": ends})
    moved = transform_all(images, turns.matrices)  # (4, 2, 2, 6, 6)
    expected = model(moved.flatten(0, 1)).unflatten(0, (4, 2)).detach()
    rows = table[(table["layer"] == "1") & (table["role"] == "least")]
    assert len(rows) == 2 * 2 * 2  # maps x members x samples
    for _, row in rows.iterrows():
        response = expected[row["member"], row["sample"], row["map"]]
        np.testing.assert_allclose(row["response"].reshape(6, 6), response, rtol=2e-3, atol=1e-4)
    with pytest.raises(InputError, match="there are none to show"):
        respond(model, images, turns, (1, 3), {})


def test_the_channels_of_an_image_stay_with_their_member():
    images, turns = torch.randn(2, 3, 6, 6), rotation(n=4, angle_deg=270)
    model = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.ReLU()).eval()
    spec = RESPONSE.model_copy(update={"members": (1, 3)})
    table = respond(model, images, turns, spec.members, {"1": {"most": [Ranked(1, 0.5)], "least": [Ranked(0, 1.0)]}})
    moved = transform_all(images, turns.matrices)[list(spec.members)]
    activations = model(moved.flatten(0, 1)).detach().unflatten(0, (2, 2))
    for frame in (table, table.sample(frac=1, random_state=0)):  # whatever the order of the rows
        found = Responses(spec, frame, {})
        for sample in range(2):
            shown = found.maps(0, "input", sample=sample)
            assert shown.shape == (2, 3, 6, 6)
            np.testing.assert_allclose(shown, moved[:, sample], rtol=2e-3, atol=1e-3)  # float16
            most = found.maps(int(table["layer_index"].max()), "most", sample=sample)
            np.testing.assert_allclose(most, activations[:, sample, 1], rtol=2e-3, atol=1e-3)


def test_layers_without_an_order_are_left_out():
    maps = pd.DataFrame({"layer": list("aabbcc"), "map": [0, 1] * 3, "value": [1.0, 1.0, np.inf, 2.0, 3.0, 1.0]})
    assert list(ranked(maps)) == ["c"]


def test_the_claim_has_a_value_for_each_network(plan, monkeypatch):
    """The least invariant maps vary four times as much as the most invariant ones."""
    known = pd.DataFrame({"role": ["most", "least"], "rank": 0, "sample": 0, "variation": [0.1, 0.4]})
    monkeypatch.setattr(Responses, "variations", lambda self, layer_index: known)
    chosen = plan.study.experiments["feature_maps"]
    (found,) = chosen.findings(plan.study, plan.results)
    ((name, values),) = found.values.items()
    assert name == "rotation, NV of maps"
    assert values == [pytest.approx(np.log10(4))]
    assert (found.verdict, found.why) == ("undecided", "rotation, NV of maps: one seed has a value; two are needed")


def test_variation_is_relative_to_all_responses():
    pattern = np.arange(9.0).reshape(1, 3, 3)
    assert relative_variation(np.repeat(pattern, 4, axis=0)) == 0
    assert relative_variation(np.stack([np.full((3, 3), -1.0), np.full((3, 3), 1.0)])) == 1
    assert np.isnan(relative_variation(np.ones((2, 3, 3))))


def test_a_set_under_which_no_measure_can_be_taken_has_no_figure(plan, monkeypatch):
    chosen = plan.study.experiments["feature_maps"]
    assert chosen.outputs(plan.study).figures == ["feature_maps_mnist5k"]
    monkeypatch.setattr(type(chosen), "_responses", lambda self, study, dataset, label, seed=None: [])
    assert chosen.outputs(plan.study).figures == []
    assert chosen.cells(plan.study) == []

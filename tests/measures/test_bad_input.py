"""What cannot be measured is refused with what to do, before the pass where it can be known."""

import re

import numpy as np
import pytest
import torch
from torch import nn

import cnn_invariance as ci
from cnn_invariance.errors import InputError
from cnn_invariance.measures import requests
from cnn_invariance.measures.engine import run
from cnn_invariance.measures.engine.inputs import EqualMembersWarning
from cnn_invariance.transformations import AffineSet, combined, identity, rotation, scale, translation

TURNS = rotation(n=3, angle_deg=180)
X = torch.randn(6, 1, 6, 6, generator=torch.Generator().manual_seed(0))


class Counting(nn.Module):
    """How many images, of all runs, the network has seen."""

    def __init__(self, inputs=36):
        super().__init__()
        torch.manual_seed(0)
        self.dense = nn.Linear(inputs, 3)
        self.images = 0

    def forward(self, x):
        self.images += len(x)
        return self.dense(x.flatten(1))


class Nothing(nn.Module):
    def forward(self, x):
        return None


class Forgetful(Counting):
    def forward(self, x):
        super().forward(x)


class Scalar(nn.Module):
    def forward(self, x):
        return x.mean()


class Uneven(torch.utils.data.Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        return torch.zeros(1, 6, 7 if index == 4 else 6)


class Pictures(list):
    """Not tensors."""


def refused(message, *, model=None, images=X, transformations=TURNS, measures=("NV",), labels=None, **options):
    """The request is refused with the message, after at most one look at a few images."""
    model = Counting().eval() if model is None else model
    with pytest.raises(InputError, match=message):
        ci.measure(model, images, transformations, measures, labels, **options)
    assert getattr(model, "images", 0) <= 12  # never the 18 of a pass


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (X[:0], "there are no images; expected at least one"),
        ([], "there are no images"),
        (7, r"images is a int; expected a tensor \(N, C, H, W\) or a dataset with len\(\) and indexing"),
        (iter(X), r"expected a tensor \(N, C, H, W\) or a dataset with len"),
        (X[:, 0], r"an image has shape \(6, 6\); expected \(C, H, W\)"),
        (X[None], r"an image has shape \(6, 1, 6, 6\); expected \(C, H, W\)"),
        ((X * 255).to(torch.uint8), "the images are torch.uint8; expected floating point, scaled and normalised"),
        (X[..., :5], r"the network cannot run on images of shape \(1, 6, 5\): .*give images of the size and channels"),
        (Pictures([np.zeros((1, 6, 6))] * 2), r"the dataset yields ndarray; expected tensors \(C, H, W\)"),
    ],
)
def test_images(images, message):
    refused(message, images=images)


def test_images_of_different_shapes():
    with pytest.raises(InputError, match=r"images have different shapes, \(1, 6, 6\) and \(1, 6, 7\); expected one"):
        ci.measure(Counting().eval(), Uneven(), TURNS, ["NV"], tile=6)
    with pytest.raises(InputError, match=r"an image has shape \(1, 6, 7\), the first one \(1, 6, 6\); expected one"):
        ci.measure(Counting().eval(), Uneven(), TURNS, ["NV"], tile=1)


@pytest.mark.parametrize(
    ("transformations", "message"),
    [
        ([], "there are no transformations; expected at least one"),
        (None, "transformations is a NoneType; expected a set from cnn_invariance.transformations, or a sequence"),
        ((lambda x: x for _ in range(2)), "transformations is a generator; expected a set"),
        ([1, 2], "transformations is a list; expected a set from cnn_invariance.transformations, or a sequence"),
        (
            [lambda x: x[..., :3]] * 2,
            r"1 of 2 \(<lambda>, test_bad_input.py:\d+\) turns a batch of shape \(1, 1, 6, 6\) into \(1, 1, 6, 3\)",
        ),
        ([lambda x: None] * 2, "into NoneType; expected the same"),
    ],
)
def test_transformations(transformations, message):
    refused(message, transformations=transformations)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda x: x, "the model is a function; expected a torch.nn.Module"),
        (Nothing().eval(), "Nothing has no layer that returns a floating-point tensor with one entry per image"),
        (Scalar().eval(), "Scalar has no layer that returns a floating-point tensor with one entry per image"),
        (nn.Sequential(Counting(), nn.Dropout()).train(), r"the model is in training mode \(Sequential and 3 more mod"),
        (nn.Sequential(nn.Flatten(), nn.Dropout()).eval(), None),
    ],
)
def test_model(model, message):
    if message is not None:
        refused(message, model=model)
        return
    model[1].train()  # one module is enough
    refused(r"the model is in training mode \(1 and 0 more modules\); call model.eval\(\)", model=model)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["dens"], "unknown layer 'dens'; did you mean 'dense'\\? allowed: Counting, dense"),
        (["dense", "conv*"], "unknown layer 'conv\\*'"),
        (lambda name, module: False, "the layer filter leaves none of the 1 layers: dense"),
        ([], "the layer filter is empty; expected names, patterns or classes of modules, or None for all"),
    ],
)
def test_layers(layers, message):
    refused(message, layers=layers)


def test_a_layer_that_is_not_called():
    class Unused(Counting):
        def __init__(self):
            super().__init__()
            self.unused = nn.Linear(2, 2)

    refused("Unused has no layer that returns .* check the layer filter", model=Unused().eval(), layers="unused")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.zeros(5), r"labels have shape \(5,\); expected \(6,\), one for each image"),
        (torch.zeros(6, 1), r"labels have shape \(6, 1\); expected \(6,\)"),
        ([], r"labels have shape \(0,\); expected \(6,\)"),
        (list("abcdef"), "labels cannot be read as numbers .*; expected the class index of each image"),
    ],
)
def test_labels(labels, message):
    refused(message, labels=labels)


@pytest.mark.parametrize(
    ("measures", "message"),
    [
        (["NV", "NW"], r"unknown measure 'NW'; did you mean 'NV'\?"),
        ("Goodfelow", r"unknown measure 'Goodfelow'; did you mean 'Goodfellow'\?"),
        (["NV[aggregate=median]"], "unknown value of option aggregate of NV 'median'"),
        ([], "no measure is asked for; allowed: ANOVA_F, "),
        (["NV[stratified=true]"], r"NV\[stratified=true\] is taken per class; give labels"),
    ],
)
def test_measures(measures, message):
    refused(message, measures=measures)


def test_the_order_by_class_needs_labels():
    for measure in ("SD[order=class]", "NDSE[normalize=true,order=class,block_size=64]"):
        refused(r"takes the samples sorted by class; give labels, or leave out order=class", measures=[measure])


@pytest.mark.parametrize("measure", [*(name for name in requests.names() if "SE" in name), "DSES[form=forward]"])
def test_same_equivariance_of_callables(measure):
    refused(
        f"{re.escape(measure)} needs transformations that can be undone on feature maps: a set from .*; callables have "
        "no inverse",
        transformations=[lambda x: x, torch.neg],
        measures=[measure],
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp8"}, "precision 'fp8' is not known; allowed: fp32, tf32, bf16"),
        ({"nan": "ignore"}, "nan 'ignore' is not known; allowed: error, count"),
        ({"tile": 0}, "a tile of 0 samples; expected at least 1"),
        ({"order_seed": -1}, "order_seed is -1; expected a whole number, 0 or greater"),
        ({"order_seed": 0.5}, "order_seed is 0.5; expected a whole number, 0 or greater"),
    ],
)
def test_options(options, message):
    refused(message, **options)


def test_a_network_that_changes_its_layers():
    class Fickle(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Identity(), nn.Identity()
            self.runs = 0

        def forward(self, x):
            self.runs += 1
            return self.a(x) if self.runs == 1 else self.b(x)

    with pytest.raises(InputError, match=r"a: with another number of images, it is not called"):
        ci.measure(Fickle().eval(), X, TURNS, ["NV"])


# ---- activations that are not finite ----


class Spoil(nn.Module):
    """Where the first pixel of an image is large, another one becomes ``value``."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        x = x.clone()
        x[:, 0, 2, 3][x[:, 0, 0, 0] > 0.5] = self.value
        return x


FINITE = [name for name in requests.names() if not name.startswith("Goodfellow_")]
FINITE += ["ND[per=unit]", "SD[per=unit,order=class]", "TD[order=class]", "DSES[form=forward]"]


@pytest.mark.parametrize("measure", FINITE)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.usefixtures("kernels")
def test_not_finite_is_an_error_that_names_the_layer(measure, value):
    network = nn.Sequential(nn.Identity(), Spoil(value)).eval()
    message = r"layer 1 \(number 2, Spoil\) has activations that are not finite: .*nan='count'"
    with pytest.raises(InputError, match=message):
        ci.measure(network, X, TURNS, [measure], [0, 1] * 3, tile=4)


@pytest.mark.parametrize(
    "measure", ["Goodfellow", "Goodfellow[sign=-1,threshold=percentile]", "Goodfellow_L", "Goodfellow[reference=all]"]
)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.usefixtures("kernels")
def test_goodfellow_alone_sees_what_is_not_finite_under_transformation_only(measure, value):
    images = X.clamp(-1, 0.4)
    images[:, 0, -1, -1] = 1  # half a turn brings it to the first pixel, which spoils another
    network = nn.Sequential(Spoil(value)).eval()
    assert network(images).isfinite().all()
    with pytest.raises(InputError, match=r"layer 0 .* has activations that are not finite: 1 of 36 units"):
        ci.measure(network, images, TURNS, [measure], tile=4)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.usefixtures("kernels")
def test_not_finite_is_counted_and_left_out(value):
    network = nn.Sequential(nn.Identity(), Spoil(value)).eval()
    distances = ["TD[per=unit]", "SD[per=unit]", "ND[per=unit]", "SD_error[per=unit,block_size=4]"]
    measures = ["NV", "TV", "SV", *distances, "ANOVA_F", "Goodfellow[alpha=0.7]"]
    result = ci.measure(network, X, TURNS, measures, tile=4, nan="count")
    clean = ci.measure(network[:1].eval(), X, TURNS, measures, tile=4)
    for measure in result.measures:
        values = result[measure]["1"]
        assert np.isnan(values[0, 2, 3]), measure
        assert np.isnan(values).sum() == 1, measure
        np.testing.assert_array_equal(np.delete(values, 15), np.delete(clean[measure]["0"], 15), err_msg=measure)
        row = result.profile(measure).set_index("layer").loc["1"]
        assert row["nan"] == 1
        kept = np.delete(values, 15)
        np.testing.assert_allclose(row["value"], kept[np.isfinite(kept)].mean(), rtol=1e-12)
        assert result.profile(measure)["nan"].tolist() == [0, 1]


# ---- memory ----


def starved(monkeypatch, limit, error):
    """A machine that runs out of memory above ``limit`` samples in a tile; returns the tiles that were tried."""
    tiles = []
    original = run._Engine.run

    def try_run(self):
        tiles.append(self.prepared.tile)
        if self.prepared.tile > limit:
            self.correct += 99  # something that a second attempt must not keep
            raise error
        return original(self)

    monkeypatch.setattr(run._Engine, "run", try_run)
    return tiles


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory"),
    MemoryError("no memory for the distances"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_tile_halves_until_it_fits(monkeypatch, error):
    images, labels = torch.randn(40, 1, 6, 6), torch.zeros(40, dtype=torch.int64)
    want = ci.measure(Counting().eval(), images, TURNS, ["NV"], labels, tile=40)
    tiles = starved(monkeypatch, 10, error)
    result = ci.measure(Counting().eval(), images, TURNS, ["NV"], labels, tile=40)
    assert tiles == [40, 20, 10]
    assert result.info["tile"] == 10
    np.testing.assert_array_equal(result.accuracy, want.accuracy)
    np.testing.assert_allclose(result["NV"]["dense"], want["NV"]["dense"], rtol=1e-5)


def test_sample_distances_keep_whole_blocks(monkeypatch):
    tiles = starved(monkeypatch, 8, ERRORS[0])
    ci.measure(Counting().eval(), torch.randn(40, 1, 6, 6), TURNS, ["SD"], tile=40)
    assert tiles == [40, 16, 8]


@pytest.mark.parametrize(("measure", "last"), [("NV", 1), ("SD", 8), ("SD[block_size=16]", 16)])
def test_memory_too_small_for_one_tile(monkeypatch, measure, last):
    tiles = starved(monkeypatch, 0, ERRORS[0])
    message = f"cpu has too little memory for one tile of {last} samples x 3 transformations; use fewer transformations"
    with pytest.raises(InputError, match=message):
        ci.measure(Counting().eval(), torch.randn(20, 1, 6, 6), TURNS, [measure], tile=20)
    assert tiles[-1] == last


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch):
    tiles = starved(monkeypatch, 0, RuntimeError("something else"))
    with pytest.raises(RuntimeError, match="something else"):
        ci.measure(Counting().eval(), X, TURNS, ["NV"])
    assert len(tiles) == 1


def test_a_model_with_layers_that_returns_nothing_is_refused():
    refused(
        r"Forgetful has layers, but its forward pass returned nothing; a missing 'return'\?", model=Forgetful().eval()
    )


@pytest.mark.parametrize(
    ("transformations", "message"),
    [
        (identity(), r"identity\(\): its only member is one map"),
        (rotation(n=1), r"rotation\(n=1, .* its only member is one map"),
        (rotation(n=2), r"rotation\(n=2, angle_deg=360.0, closed=True\): all of its 2 members are one map"),
        (rotation(n=4, angle_deg=0), "all of its 4 members are one map"),
        (scale(low=1, high=1), "all of its 25 members are one map"),
        (translation(distance=0), "all of its 25 members are one map"),
        (combined(rotation_n=2, low=1, high=1, distance=0), "all of its 126 members are one map"),
        (AffineSet("mine", {}, [[[2, 0, 0], [0, 2, 0]]] * 3), "all of its 3 members are one map"),
        ([torch.clone], "there is one transformation, .* expected at least two"),
    ],
)
def test_a_set_of_one_map_alone_is_refused(transformations, message):
    with pytest.raises(InputError, match=message):
        ci.measure(nn.Sequential(nn.Flatten()).eval(), torch.randn(9, 1, 6, 6), transformations, ["NV"])


@pytest.mark.parametrize(
    ("transformations", "message"),
    [
        (rotation(n=4), r"rotation\(n=4, .*\): 2 of 4 members are the identity: 3 different maps; closed=False"),
        (combined(rotation_n=3), "126 of 189 members are the same map as another member: 126 different maps"),
        (scale(n=1, low=1), "4 of 7 members are the identity: 4 different maps"),
        (AffineSet("mine", {}, [[[2, 0, 0], [0, 2, 0]]] * 2 + [[[1, 0, 0], [0, 1, 0]]]), r"one map \(mine 0\)"),
    ],
)
def test_members_that_are_one_map_are_warned_of(transformations, message):
    network, images = nn.Sequential(nn.Flatten()).eval(), torch.randn(9, 1, 6, 6)
    with pytest.warns(EqualMembersWarning, match=message) as caught:
        ci.measure(network, images, transformations, ["NV"])
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    "transformations", [rotation(), combined(), rotation(n=4, closed=False), [torch.clone, torch.neg]]
)
def test_of_the_authors_sets_of_different_members_and_of_functions_there_is_no_warning(transformations):
    result = ci.measure(nn.Sequential(nn.Flatten()).eval(), torch.randn(9, 1, 6, 6), transformations, ["NV"])
    assert len(result.transformations) == len(transformations)  # warnings are errors here

"""Accuracy is there where the output has scores of classes, and only there."""

import re
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

import cnn_invariance as ci
from cnn_invariance.errors import InputError
from cnn_invariance.transformations import rotation

TURNS = rotation(n=3, angle_deg=180)
X = torch.randn(12, 1, 6, 6, generator=torch.Generator().manual_seed(0))
Named = namedtuple("Named", ["features", "logits"])


@dataclass
class Output:
    features: torch.Tensor
    scores: torch.Tensor


class Wrapped(nn.Module):
    """Two heads; what it returns is made of the scores (B, 4) and of others (B, 7)."""

    def __init__(self, form):
        super().__init__()
        torch.manual_seed(0)
        self.scores, self.others, self.form = nn.Linear(36, 4), nn.Linear(36, 7), form

    def forward(self, x):
        return self.form(self.scores(x.flatten(1)), self.others(x.flatten(1)))


FORMS = {
    "alone": lambda s, o: s,
    "first of a tuple": lambda s, o: (s, o),
    "after feature maps": lambda s, o: [o.view(-1, 7, 1, 1), s, o],
    "named logits": lambda s, o: {"features": o, "logits": s},
    "named out": lambda s, o: {"aux": o, "out": s},
    "inside": lambda s, o: {"losses": None, "head": {"hidden": o, "logits": s}},
    "named tuple": lambda s, o: Named(o, s),
    "data class": lambda s, o: Output(o, s),
}


@pytest.mark.parametrize("form", FORMS)
def test_scores_are_found(form):
    model = Wrapped(FORMS[form]).eval()
    labels = model.scores(X.flatten(1)).argmax(1)
    result = ci.measure(model, X, TURNS, ["NV"], labels, tile=5)
    assert result.accuracy[0] == 1
    assert result.no_accuracy == ""
    np.testing.assert_array_equal(
        result.accuracy, ci.measure(Wrapped(FORMS["alone"]).eval(), X, TURNS, ["NV"], labels, tile=5).accuracy
    )


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (lambda s, o: s[:, :1], "one number an image"),
        (lambda s, o: torch.sigmoid(s[:, :1]), "one number an image"),
        (lambda s, o: s[:, 0], r"no tensor \(B, K\)"),
        (lambda s, o: s.view(-1, 4, 1, 1), r"no tensor \(B, K\)"),
        (lambda s, o: {"classes": s.argmax(1)}, r"no tensor \(B, K\)"),
        (lambda s, o: (o, s), "the first is wider than another"),
    ],
)
def test_the_absence_is_said(form, reason, tmp_path):
    result = ci.measure(Wrapped(form).eval(), X, TURNS, ["NV"], torch.arange(12) % 2, layers="scores")
    result.save(tmp_path / "kept.parquet")
    for one in (result, ci.measures.MeasureResult.load(tmp_path / "kept.parquet")):
        assert one.accuracy is None
        assert re.search(reason, one.no_accuracy)


def test_without_labels():
    result = ci.measure(Wrapped(FORMS["alone"]).eval(), X, TURNS, ["NV"])
    assert result.accuracy is None
    assert "no labels" in result.no_accuracy


@pytest.mark.parametrize("wrong", [-1, 4, 255])
def test_labels_outside_the_outputs(wrong):
    labels = torch.arange(12) % 4
    labels[6:8] = wrong
    model = Wrapped(FORMS["alone"]).eval()
    with pytest.raises(InputError, match=rf"labels hold {wrong}, and the network has 4 outputs; expected .* 0 to 3"):
        ci.measure(model, X, TURNS, ["NV"], labels)
    result = ci.measure(model, X, TURNS, ["NV[stratified=true]"], labels, accuracy=False)
    assert result.accuracy is None


@pytest.mark.parametrize(
    "label", ["cat", "3", b"cat", None, 0.5, float("nan"), float("inf"), 1j, torch.zeros(2), {"class": 1}], ids=repr
)
def test_labels_that_are_no_classes(label):
    model = Wrapped(FORMS["alone"]).eval()
    with pytest.raises(InputError, match=r"labels .*expected"):
        ci.measure(model, [(image, 0 if k else label) for k, image in enumerate(X)], TURNS, ["NV"])
    with pytest.raises(InputError, match=r"labels .*expected"):
        ci.measure(model, X, TURNS, ["NV"], [label] * 12)


@pytest.mark.parametrize(
    "form", [int, float, np.int64, torch.tensor, lambda k: torch.tensor([k]), lambda k: np.array([k])]
)
def test_labels_of_a_dataset_in_any_form(form):
    model = Wrapped(FORMS["alone"]).eval()
    labels = model.scores(X.flatten(1)).argmax(1).tolist()
    data = [(image, form(label), "more") for image, label in zip(X, labels, strict=True)]
    assert ci.measure(model, data, TURNS, ["NV"]).accuracy[0] == 1

"""Equivariant networks of escnn, whose modules return objects with a ``tensor``; run where escnn is installed."""

import pytest
import torch
from torch import nn

import cnn_invariance as ci
from cnn_invariance.transformations import rotation

pytestmark = pytest.mark.filterwarnings("ignore")  # escnn and what it imports are old
gspaces = pytest.importorskip("escnn.gspaces", reason="escnn asks for NumPy 1 and a Fortran compiler")
enn = pytest.importorskip("escnn.nn")

QUARTERS = rotation(n=4, closed=False)


class Steerable(nn.Module):
    """A convolution over quarter turns, pooled over them, and a head."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        space = gspaces.rot2dOnR2(4)
        self.before = enn.FieldType(space, [space.trivial_repr])
        fields = enn.FieldType(space, 3 * [space.regular_repr])
        self.conv = enn.R2Conv(self.before, fields, 3, padding=1, bias=False)
        self.norm = enn.InnerBatchNorm(fields)
        self.act = enn.ReLU(fields, inplace=True)
        self.group = enn.GroupPooling(fields)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))

    def forward(self, x):
        return self.head(self.group(self.act(self.norm(self.conv(enn.GeometricTensor(x, self.before))))).tensor)


def test_what_escnn_returns_are_layers():
    network, images = Steerable().eval(), torch.randn(6, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    result = ci.measure(network, images, QUARTERS, ["NV", "NVSE"])
    assert [layer.name for layer in result.layers if layer.spatial] == ["conv", "norm", "act", "group", "head.0"]
    values = result.profile("NVSE").set_index("layer")["value"]
    assert values["group"] < 1e-5  # maps that are not permuted
    assert values["conv"] > 0.1
    ci.assert_equivariant(network, images, QUARTERS, 1e-5, layers="group")
    ci.assert_invariant(network, images, QUARTERS, 1e-5)

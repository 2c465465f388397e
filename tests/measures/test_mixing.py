"""Where channels mix under the transformations, NVSE is high although a layer is equivariant: the result says so."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import cnn_invariance as ci
from cnn_invariance import machine
from cnn_invariance.measures.engine import run
from cnn_invariance.transformations import rotation

TURNS = rotation(n=4, closed=False)
ASKED = ["NVSE", "FittedResidual[centred=true]", "ChannelMatch"]


class Lifted(nn.Module):
    """A convolution by one filter and its quarter turns: a turn of the image turns the maps and permutes them."""

    def __init__(self, mixed: bool = False):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.randn(2, 1, 3, 3, generator=generator)
        self.mix = torch.linalg.qr(torch.randn(8, 8, generator=generator)).Q if mixed else None

    def forward(self, x):
        filters = torch.cat([self.weight.rot90(k, (2, 3)) for k in range(4)])
        maps = functional.conv2d(x, filters, padding=1)
        return maps if self.mix is None else torch.einsum("oc,nchw->nohw", self.mix, maps)


def images(n=64):
    return torch.randn(n, 1, 9, 9, generator=torch.Generator().manual_seed(1))


def said(network, asked=ASKED):
    return ci.measure(network.eval(), images(), TURNS, asked).mixing()


def test_permuted_channels_are_told_from_mixed_ones():
    (permuted,) = said(nn.Sequential(Lifted())).values()
    assert "channels are permuted" in permuted
    (mixed,) = said(nn.Sequential(Lifted(mixed=True))).values()
    assert "channels mix" in mixed


def test_without_the_match_it_is_said_what_would_tell():
    (text,) = said(nn.Sequential(Lifted()), ASKED[:2]).values()
    assert "ChannelMatch would say whether they are permuted" in text


def test_nothing_is_said_of_channels_that_turn_with_the_image_or_of_no_equivariance():
    pooling = nn.Sequential(nn.AvgPool2d(3, padding=1, stride=1))
    plain = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
    torch.manual_seed(0)
    nn.init.normal_(plain[0].weight)
    assert said(pooling) == {}
    assert said(plain) == {}
    assert said(nn.Sequential(Lifted()), ["NVSE"]) == {}


@pytest.mark.parametrize(
    ("measures", "needed"),
    [  # in float64, of two halves of the samples: (C, C) once, and (M, C, C) once or, for CKA, twice
        (["FittedResidual"], 2 * 8 * (64**2 + 8**2) * 5),
        (["CKA"], 2 * 8 * (64**2 + 8**2) * 9),
        (["SEIS_invariance"], 8 * (36**2 * 9) * 2),  # of 6 x 6 positions
    ],
)
def test_moments_that_do_not_fit_into_memory_are_refused_before_the_pass(monkeypatch, measures, needed):
    network = nn.Sequential(nn.Conv2d(1, 64, 1), nn.Conv2d(64, 8, 1)).eval()
    images, quarters = torch.randn(6, 1, 6, 6), rotation(n=4, closed=False)
    seen = []
    monkeypatch.setattr(run, "NEGLIGIBLE", 0)
    monkeypatch.setattr(machine, "free_memory", lambda: seen.append(1) or needed)
    ci.measure(network, images, quarters, measures)  # just enough
    assert seen
    monkeypatch.setattr(machine, "free_memory", lambda: needed - 1)
    with pytest.raises(ci.InputError, match=r"pairs: .* GB for 2 layers.*measure fewer layers"):
        ci.measure(network, images, quarters, measures)
    monkeypatch.setattr(machine, "free_memory", lambda: None)  # it is not known
    ci.measure(network, images, quarters, measures)


def test_free_memory_is_that_of_the_machine_at_most():
    assert 0 < machine.free_memory() < 1 << 50

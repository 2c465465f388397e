"""Networks that are exactly equivariant or invariant, and the same with one thing wrong. All are small and random."""

import torch
import torch.nn.functional as F
from torch import nn

from cnn_invariance.transformations import rotation

QUARTERS = rotation(n=4, closed=False)


def turned(k):
    def quarter_turns(maps):
        return maps.rot90(k, (2, 3))

    return quarter_turns


def rolled(share, side=-1):
    def roll(maps):
        return maps.roll(int(maps.shape[side] * share), side)

    return roll


TURNS = [turned(k) for k in range(4)]
FLIPS = [lambda maps: maps.flip(-1)]
SHIFTS = [rolled(0.25), rolled(0.5, -2), rolled(0.75)]
ONE_PIXEL = [rolled(0.5), rolled(0.125)]  # of images of 8 x 8


class Fn(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Add(nn.Module):
    """Adds a parameter of any shape."""

    def __init__(self, *shape):
        super().__init__()
        self.bias = nn.Parameter(torch.randn(shape))

    def forward(self, x):
        return x + self.bias


class Residual(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return x + self.body(x)


class Lifting(nn.Module):
    """A convolution of the plane lifted to quarter turns: (B, 1, H, W) -> (B, 4 K, H, W), turns side by side."""

    def __init__(self, maps=3):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(maps, 1, 3, 3))

    def forward(self, x):
        filters = torch.stack([self.weight.rot90(k, (2, 3)) for k in range(4)], 1).flatten(0, 1)
        return F.conv2d(x, filters, padding=1)


class GroupConv(nn.Module):
    """A convolution over the plane and quarter turns: (B, 4 K, H, W) -> (B, 4 K, H, W)."""

    def __init__(self, maps=3, moves=True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(maps, maps, 4, 3, 3) / 5)
        self.moves = moves

    def forward(self, x):
        filters = [
            (self.weight.roll(k, 2) if self.moves else self.weight).rot90(k, (3, 4)).flatten(1, 2) for k in range(4)
        ]
        return F.conv2d(x, torch.stack(filters, 1).flatten(0, 1), padding=1)


class OverGroup(nn.Module):
    """The largest over the turns."""

    def forward(self, x):
        return x.unflatten(1, (-1, 4)).amax(2)


class OverTurns(nn.Module):
    """The largest answer over some turns of the image, of a network without symmetry."""

    def __init__(self, turns=4):
        super().__init__()
        self.network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 5))
        self.turns = turns

    def forward(self, x):
        return torch.stack([self.network(x.rot90(k, (2, 3))) for k in range(self.turns)]).amax(0)


class Attention(nn.Module):
    """Pixels as tokens that attend to all others; ``positions`` are added to them."""

    def __init__(self, positions=None):
        super().__init__()
        self.embed = nn.Conv2d(1, 8, 1)
        self.positions = positions or nn.Identity()
        self.block = Residual(Fn(lambda x: self.attention(x, x, x, need_weights=False)[0]))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.block(self.positions(self.embed(x).flatten(2).transpose(1, 2)))


class Pixels(nn.Module):
    """Features last: the same dense layers at every pixel."""

    def __init__(self, norm):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, 6), norm, nn.GELU(), nn.Linear(6, 4))

    def forward(self, x):
        return self.layers(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Excite(nn.Module):
    """Each map times a weight that is computed of the means of all."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular")
        self.gate = nn.Linear(4, 4)

    def forward(self, x):
        maps = self.stem(x)
        return maps * self.gate(maps.mean((2, 3))).sigmoid()[:, :, None, None]


def circular(of=1, to=4, **options):
    return nn.Conv2d(of, to, 3, padding=1, padding_mode="circular", **options)


def symmetric(*, groups=1, turns=True, **options):
    """A convolution whose filters are the same after quarter turns, or after a flip."""
    layer = nn.Conv2d(groups, 4, 3, groups=groups, **options)
    with torch.no_grad():
        weight = layer.weight.clone()
        alike = [weight.rot90(k, (2, 3)) for k in range(4)] if turns else [weight, weight.flip(-1)]
        layer.weight.copy_(sum(alike) / len(alike))
    return layer


def even(**options):
    """A 2 x 2 filter, the same after quarter turns."""
    layer = nn.Conv2d(1, 4, 2, **options)
    with torch.no_grad():
        layer.weight.copy_(layer.weight.mean((2, 3), keepdim=True).expand_as(layer.weight))
    return layer


def disturbed():
    """Symmetric filters, of which one of map 2 has one weight that is a little larger."""
    layer = symmetric(padding=1)
    with torch.no_grad():
        layer.weight[2, 0, 0, 1] += 0.01
    return layer


def trained(norm, *before):
    """The layers before, and a batch normalisation that has seen some batches."""
    network = nn.Sequential(*before, norm).train()
    for _ in range(5):
        network(torch.randn(16, 1, 8, 8).abs().cumsum(-1))
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(-1, 1)
    return network


def mean_of(*layers, classes=3, maps=4):
    """The layers, the mean over each map, and a classifier."""
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(maps, classes))


def corner(x):
    x = x.clone()
    x[:, :, 0, 0] += 0.5
    return x


def coordinates(x):
    rows = torch.linspace(-1, 1, x.shape[2], dtype=x.dtype)[None, None, :, None]
    return torch.cat([x, rows.expand(len(x), 1, -1, x.shape[3])], 1)


def undefined(x):
    """Not a number where the first pixel is the brightest of the four corners."""
    bright = (x[:, :, 0, 0] > x[:, :, 0, -1]) & (x[:, :, 0, 0] > x[:, :, -1, -1])
    return torch.where(bright[:, :, None, None], x * torch.nan, x)


# What it is: a network, its transformations, and the layers that are looked at.
EQUIVARIANT = {
    "pointwise layers and pooling, turns": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.MaxPool2d(2)),
        QUARTERS,
        None,
    ),
    "pointwise layers, turns as functions": (lambda: nn.Sequential(nn.Conv2d(1, 4, 1), nn.Tanh()), TURNS, None),
    "pointwise layers, flips": (lambda: nn.Sequential(nn.Conv2d(1, 4, 1), nn.AvgPool2d(2)), FLIPS, None),
    "circular padding, shifts": (lambda: nn.Sequential(circular(), nn.ReLU(), circular(4)), SHIFTS, None),
    "circular padding and stride, shifts by whole strides": (
        lambda: nn.Sequential(circular(stride=2), nn.ReLU()),
        SHIFTS,
        None,
    ),
    "dilated filters, shifts": (
        lambda: nn.Conv2d(1, 4, 3, padding=2, dilation=2, padding_mode="circular"),
        SHIFTS,
        None,
    ),
    "symmetric filters, turns": (lambda: nn.Sequential(symmetric(padding=1), nn.ReLU()), QUARTERS, None),
    "symmetric filters of each map alone, turns": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 1), symmetric(groups=4, padding=1)),
        QUARTERS,
        None,
    ),
    "mirrored filters, flips": (lambda: symmetric(turns=False, padding=1), FLIPS, None),
    "a group convolution, pooled over the group": (
        lambda: nn.Sequential(Lifting(), nn.ReLU(), OverGroup()),
        QUARTERS,
        "2",
    ),
    "two group convolutions, pooled over the group": (
        lambda: nn.Sequential(Lifting(), nn.ReLU(), GroupConv(), nn.ReLU(), OverGroup(), nn.Conv2d(3, 2, 1)),
        QUARTERS,
        ["4", "5"],
    ),
    "batch normalisation after training, shifts": (lambda: trained(nn.BatchNorm2d(4), circular()), SHIFTS, None),
    "features last": (lambda: Pixels(nn.LayerNorm(6)), QUARTERS, None),
    "nearest neighbours enlarged, turns": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 1), nn.Upsample(scale_factor=2)),
        TURNS,
        None,
    ),
    "a residual block that works in place": (
        lambda: nn.Sequential(circular(), Residual(nn.Sequential(circular(4), nn.ReLU(inplace=True))), nn.ReLU(True)),
        SHIFTS,
        None,
    ),
    "attention without positions, tokens on a grid": (Attention, QUARTERS, None),
    "squeeze and excitation": (Excite, SHIFTS, "Excite"),
    "a transposed convolution, shifts": (lambda: nn.ConvTranspose2d(1, 3, 2, stride=2), SHIFTS, None),
}
INVARIANT = {
    "a mean over the map, turns": (lambda: mean_of(nn.Conv2d(1, 4, 1), nn.ReLU()), QUARTERS, None),
    "a mean over the map, shifts": (lambda: mean_of(circular(), nn.ReLU(), circular(4), nn.ReLU()), SHIFTS, None),
    "the largest of the map, flips": (
        lambda: nn.Sequential(symmetric(turns=False), nn.AdaptiveMaxPool2d(1)),
        FLIPS,
        "1",
    ),
    "group convolutions, pooled": (
        lambda: mean_of(Lifting(), nn.ReLU(), GroupConv(), nn.ReLU(), OverGroup(), maps=3),
        QUARTERS,
        None,
    ),
    "the largest answer over all turns": (OverTurns, TURNS, None),
    "the magnitude of a Fourier transform, shifts": (
        lambda: Fn(lambda x: torch.fft.fft2(x).abs().flatten(1)),
        SHIFTS,
        None,
    ),
}

# What is wrong: a network, its transformations, the layers that are looked at, and where it must be found first.
NOT_EQUIVARIANT = {
    "odd padding": (lambda: nn.Sequential(nn.ZeroPad2d((1, 0, 1, 0)), even()), QUARTERS, None, "0"),
    "padding of one row": (lambda: symmetric(padding=(1, 0)), TURNS, None, "Conv2d"),
    "zeros in place of circular padding": (
        lambda: nn.Sequential(circular(), nn.Conv2d(4, 4, 3, padding=1)),
        SHIFTS,
        None,
        "1",
    ),
    "repeated borders in place of circular padding": (
        lambda: nn.Conv2d(1, 4, 3, padding=1, padding_mode="replicate"),
        SHIFTS,
        None,
        "Conv2d",
    ),
    "stride against a shift of one pixel": (
        lambda: nn.Sequential(circular(), circular(4, 4, stride=2)),
        ONE_PIXEL,
        None,
        "1",
    ),
    "stride against turns": (lambda: symmetric(padding=1, stride=2), QUARTERS, None, "Conv2d"),
    "pooling that leaves out the last row": (
        lambda: nn.Sequential(symmetric(), nn.ReLU(), nn.MaxPool2d(4)),
        QUARTERS,
        None,
        "2",
    ),
    "overlapping pooling of an even side": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 1), nn.MaxPool2d(3, 2)),
        QUARTERS,
        None,
        "1",
    ),
    "pooling to a side that does not divide": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 1), nn.AdaptiveAvgPool2d(3)),
        [rolled(0.5)],
        None,
        "1",
    ),
    "a bias of each place": (lambda: nn.Sequential(nn.Conv2d(1, 3, 1), Add(1, 3, 8, 8)), QUARTERS, None, "1"),
    "coordinates as a map": (lambda: nn.Sequential(Fn(coordinates), nn.Conv2d(2, 3, 1)), QUARTERS, None, "0"),
    "a corner that is brighter": (lambda: nn.Sequential(nn.Conv2d(1, 3, 1), Fn(corner)), FLIPS, None, "1"),
    "filters without symmetry": (lambda: nn.Sequential(nn.Conv2d(1, 3, 3, padding=1)), QUARTERS, None, "0"),
    "one weight of one map": (lambda: nn.Sequential(disturbed(), nn.ReLU()), QUARTERS, None, "0"),
    "normalisation with weights of each place": (
        lambda: nn.Sequential(circular(), Fn(lambda x: x * torch.linspace(1, 2, 8))),
        SHIFTS,
        None,
        "1",
    ),
    "positions of tokens": (lambda: Attention(Add(1, 64, 8)), QUARTERS, None, "positions"),
    "pixels that become maps": (lambda: nn.Sequential(nn.PixelUnshuffle(2)), QUARTERS, None, "0"),
    "enlarged by a factor that is no whole number": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 1), nn.Upsample(size=(12, 12))),
        FLIPS,
        None,
        "1",
    ),
    "a sum along rows": (lambda: nn.Sequential(Fn(lambda x: x.cumsum(-1))), FLIPS, None, "0"),
    "not a number under one turn": (lambda: nn.Sequential(Fn(undefined)), QUARTERS, None, "0"),
}
NOT_INVARIANT = {
    "batch normalisation of a group convolution after training": (
        lambda: mean_of(trained(nn.BatchNorm2d(12), Lifting()), nn.ReLU(), OverGroup(), maps=3),
        QUARTERS,
        None,
    ),
    "a group convolution that does not move along the group": (
        lambda: mean_of(Lifting(), nn.ReLU(), GroupConv(moves=False), nn.ReLU(), OverGroup(), maps=3),
        QUARTERS,
        None,
    ),
    "three of four turns": (lambda: OverTurns(3), TURNS, None),
    "four means in place of one": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 1), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)),
        QUARTERS,
        None,
    ),
    "a dense layer of pixels": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), SHIFTS, None),
    "zeros at the border before the mean": (
        lambda: mean_of(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU()),
        SHIFTS,
        None,
    ),
}

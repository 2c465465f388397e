"""Small networks and images for the tests of what is found out of a network."""

import torch
from torch import nn


class Of(nn.Module):
    """A function of a tensor, as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def pictures(n=6, channels=3, side=8):
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(1))


def seeded(*modules):
    torch.manual_seed(0)
    return nn.Sequential(*modules).eval()

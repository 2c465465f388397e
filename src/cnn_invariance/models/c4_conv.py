"""C4Conv: SimpleConv's convolutions made equivariant to quarter turns by design, in plain PyTorch.

A feature map is kept in four poses, one for each quarter turn of its filter, and a quarter turn of the image turns the
maps and moves each to the next pose: the channels of a group layer are permuted. The maximum over the poses is
equivariant channel by channel, and its mean over the map is invariant. Exact, but for rounding, on square images whose
side the two poolings halve evenly.

Source: T. Cohen and M. Welling, "Group equivariant convolutional networks", 2016.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_invariance.models.layers import ACTIVATIONS, GlobalMean, check_size

NAME = "C4Conv"
CHOICES = {"activation": ("elu", "relu", "prelu", "tanh", "sigmoid")}

POSES = 4


class LiftingConv(nn.Module):
    """Each filter in four poses: (B, C, H, W) -> (B, 4 K, H, W), channel ``pose K + k``; kernel 3, 'same' padding."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        like = nn.Conv2d(inputs, outputs, 3)
        self.weight, self.bias = like.weight, like.bias

    def forward(self, x: Tensor) -> Tensor:
        """``out[pose] = x * rot^pose(w)``."""
        bank = torch.cat([self.weight.rot90(pose, (2, 3)) for pose in range(POSES)])
        return F.conv2d(x, bank, _for_each_pose(self.bias), padding=1)


class GroupConv(nn.Module):
    """From poses to poses: (B, 4 C, H, W) -> (B, 4 K, H, W); kernel 3, 'same' padding."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        like = nn.Conv2d(POSES * inputs, outputs, 3)
        self.inputs = inputs
        self.weight, self.bias = like.weight, like.bias

    def forward(self, x: Tensor) -> Tensor:
        """``out[pose] = sum_s x[s] * rot^pose(w[s - pose])``."""
        banks = [self.weight.rot90(pose, (2, 3)).roll(pose * self.inputs, 1) for pose in range(POSES)]
        return F.conv2d(x, torch.cat(banks), _for_each_pose(self.bias), padding=1)


class MaxOverPoses(nn.Module):
    """The maximum over the four poses: (B, 4 K, H, W) -> (B, K, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Each of K channels."""
        return x.unflatten(1, (POSES, -1)).amax(1)


def _for_each_pose(bias: Tensor | None) -> Tensor:
    assert bias is not None
    return bias.repeat(POSES)


def build(
    input_shape: tuple[int, int, int], classes: int, *, width: int = 16, activation: str = "elu"
) -> nn.Sequential:
    """(B, C, H, W) -> log-probabilities (B, K); c is ``width``, the filters of the first layers in four poses each.

    lift c, conv c, pool; conv 2c, conv 2c, pool; conv 4c; maximum over poses, mean over the map, dense K, log-softmax.
    """
    check_size(NAME, input_shape, least=4)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = input_shape[0]
    for index, outputs in enumerate((width, width, 2 * width, 2 * width, 4 * width), start=1):
        layers[f"conv{index}"] = LiftingConv(channels, outputs) if index == 1 else GroupConv(channels, outputs)
        layers[f"act{index}"] = ACTIVATIONS[activation]()
        channels = outputs
        if index in (2, 4):
            layers[f"pool{index // 2}"] = nn.MaxPool2d(2)
    layers["poses"] = MaxOverPoses()
    layers["mean"] = GlobalMean()
    layers["dense"] = nn.Linear(channels, classes)
    layers["log_softmax"] = nn.LogSoftmax(dim=1)
    return nn.Sequential(layers)

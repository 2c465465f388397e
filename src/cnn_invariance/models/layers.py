"""Layers and checks that several architectures use."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from cnn_invariance.errors import InputError


class ELU(nn.ELU):
    """max(x, exp(min(x, 0)) - 1), elementwise: torch's ELU, but on a CPU without expm1, which is slow there.

    Where torch's own took three quarters of SimpleConv's forward pass, this takes a tenth of its time. It differs by
    rounding, at most 6e-8 in float32. On other devices it is torch's own.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, dtype and memory format."""
        return _ELUByExp.apply(x) if x.device.type == "cpu" else super().forward(x)


class _ELUByExp(torch.autograd.Function):
    """The activation, and its gradient from its output."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = torch.maximum(x, x.clamp(max=0).exp_().sub_(1))
        ctx.save_for_backward(y)
        ctx.save_for_forward(y)
        return y

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        """In forward mode: the derivative is 1 where the output is positive, else one more than the output."""
        (y,) = ctx.saved_tensors
        return tangent * torch.where(y > 0, torch.ones_like(y), y + 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.elu_backward(gradient, 1.0, 1.0, 1.0, True, y)


ACTIVATIONS = {"elu": ELU, "relu": nn.ReLU, "prelu": nn.PReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def conv(
    inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, bias: bool = True, padding: int | None = None
) -> nn.Conv2d:
    """A convolution with 'same' padding: (B, inputs, H, W) -> (B, outputs, ceil(H/s), ceil(W/s)).

    ``kernel`` is odd. Padding is written as a number because torch knows no 'same' for strides; ``padding`` is another
    one than 'same'.
    """
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2 if padding is None else padding, bias=bias)


class GlobalMean(nn.Module):
    """The mean of every feature map: (B, C, H, W) -> (B, C)."""

    def forward(self, maps: Tensor) -> Tensor:
        """The mean over height and width."""
        return maps.mean(dim=(2, 3))


class Add(nn.Module):
    """The sum of two paths, as a module, so that the sum is a layer that can be observed."""

    def forward(self, main: Tensor, shortcut: Tensor) -> Tensor:
        """The sum; both of the same shape."""
        return main + shortcut


def check_size(name: str, input_shape: tuple[int, int, int], least: int) -> None:
    """Raise InputError if the images are smaller than ``least`` pixels, so that a pooling would leave nothing."""
    _, height, width = input_shape
    if min(height, width) < least:
        raise InputError(
            f"{name} needs images of at least {least} x {least} pixels, received "
            f"{height} x {width}; use larger images or a network with fewer poolings"
        )

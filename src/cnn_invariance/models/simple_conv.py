"""SimpleConv: the author's main network, and the variants of its design experiments."""

from collections import OrderedDict

from torch import nn

from cnn_invariance.models.layers import ACTIVATIONS, check_size, conv

NAME = "SimpleConv"
CHOICES = {
    "activation": ("elu", "relu", "prelu", "tanh"),
    "kernel": (3, 5, 7),
    "pooling": ("max", "stride"),
}


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    width: int = 32,
    dense: int = 64,
    batch_norm: bool = False,
    activation: str = "elu",
    kernel: int = 3,
    pooling: str = "max",
) -> nn.Sequential:
    """Five convolutions and two dense layers: (B, C, H, W) -> log-probabilities (B, K).

    conv c, conv c, pool; conv 2c, conv 2c, pool; conv 4c; flatten, dense f, dense K, log-softmax,
    where c is ``width`` and f is ``dense``: 17 observed layers, activations included.

    batch_norm: after each convolution and after the first dense layer, before the activation
    kernel:     of all convolutions but the last, which stays 3 x 3, and those of the pooling
    pooling:    "max" halves by 2 x 2 maxima (rounded down), "stride" by a 3 x 3 convolution of
                stride 2 in its place (rounded up), without an activation after it
    """
    channels, height, image_width = input_shape
    check_size(NAME, input_shape, least=4 if pooling == "max" else 1)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    filters = (width, width, 2 * width, 2 * width, 4 * width)
    for index, outputs in enumerate(filters, start=1):
        size = 3 if index == len(filters) else kernel
        layers[f"conv{index}"] = conv(channels, outputs, kernel=size)
        if batch_norm:
            layers[f"norm{index}"] = nn.BatchNorm2d(outputs)
        layers[f"act{index}"] = ACTIVATIONS[activation]()
        channels = outputs
        if index in (2, 4):
            layers[f"pool{index // 2}"] = _pool(pooling, channels)
            height, image_width = _halved(height, pooling), _halved(image_width, pooling)

    layers["flatten"] = nn.Flatten()
    layers["dense1"] = nn.Linear(channels * height * image_width, dense)
    if batch_norm:
        layers["norm6"] = nn.BatchNorm1d(dense)
    layers["act6"] = ACTIVATIONS[activation]()
    layers["dense2"] = nn.Linear(dense, classes)
    layers["log_softmax"] = nn.LogSoftmax(dim=1)
    return nn.Sequential(layers)


def _pool(pooling: str, channels: int) -> nn.Module:
    return nn.MaxPool2d(2) if pooling == "max" else conv(channels, channels, stride=2)


def _halved(size: int, pooling: str) -> int:
    return size // 2 if pooling == "max" else (size + 1) // 2

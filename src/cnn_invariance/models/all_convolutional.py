"""AllConvolutional: no pooling and no dense layer."""

from collections import OrderedDict

from torch import nn

from cnn_invariance.models.layers import ELU, GlobalMean, conv

NAME = "AllConvolutional"


def build(input_shape: tuple[int, int, int], classes: int, *, width: int = 16) -> nn.Sequential:
    """Nine convolutions and a mean: (B, C, H, W) -> log-probabilities (B, K).

    conv c, conv c, conv c stride 2; conv 2c, conv 2c, conv 2c stride 2; conv 2c, conv 1x1 2c;
    conv 1x1 K without activation, global mean, log-softmax, where c is ``width``: 19 observed
    layers, the ELU after each but the last convolution included.
    """
    channels = input_shape[0]
    convolutions = [  # filters, kernel, stride
        (width, 3, 1),
        (width, 3, 1),
        (width, 3, 2),
        (2 * width, 3, 1),
        (2 * width, 3, 1),
        (2 * width, 3, 2),
        (2 * width, 3, 1),
        (2 * width, 1, 1),
    ]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for index, (outputs, kernel, stride) in enumerate(convolutions, start=1):
        layers[f"conv{index}"] = conv(channels, outputs, kernel=kernel, stride=stride)
        layers[f"act{index}"] = ELU()
        channels = outputs
    layers["conv9"] = conv(channels, classes, kernel=1)
    layers["mean"] = GlobalMean()
    layers["log_softmax"] = nn.LogSoftmax(dim=1)
    return nn.Sequential(layers)

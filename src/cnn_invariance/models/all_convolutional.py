"""AllConvolutional: no pooling and no dense layer."""

from collections import OrderedDict

from torch import nn

from cnn_invariance.models.layers import ELU, GlobalMean, conv

NAME = "AllConvolutional"
CHOICES = {"padding_1x1": (0, 1)}


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    width: int = 16,
    padding_1x1: int = 1,
) -> nn.Sequential:
    """Nine convolutions and a mean: (B, C, H, W) -> log-probabilities (B, K).

    conv c, conv c, conv c stride 2; conv 2c, conv 2c, conv 2c stride 2; conv 2c, conv 1x1 2c;
    conv 1x1 K without activation, global mean, log-softmax, where c is ``width``: 19 observed
    layers, the ELU after each but the last convolution included.

    The structure is that of the author's code, which gives padding 1 to its eighth convolution too: of 1 x 1 pixels,
    it then sees a border of zeros, and its maps grow by 2 (7 x 7 become 9 x 9). The last convolution has no padding.

    padding_1x1: of the eighth convolution; 0 keeps the size of the maps, as 'same' padding would
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
        padding = padding_1x1 if kernel == 1 else None
        layers[f"conv{index}"] = conv(channels, outputs, kernel=kernel, stride=stride, padding=padding)
        layers[f"act{index}"] = ELU()
        channels = outputs
    layers["conv9"] = conv(channels, classes, kernel=1)
    layers["mean"] = GlobalMean()
    layers["log_softmax"] = nn.LogSoftmax(dim=1)
    return nn.Sequential(layers)

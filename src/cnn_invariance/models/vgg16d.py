"""VGG16D: blocks of convolutions that halve the image, then dense layers with dropout."""

from collections import OrderedDict

from torch import nn

from cnn_invariance.models.layers import ELU, check_size, conv

NAME = "VGG16D"
BLOCKS = (2, 2, 3, 3)  # convolutions per block
DROPOUT = 0.5


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    width: int = 16,
    dense: int = 64,
    batch_norm: bool = False,
    norm_after_activation: bool = True,
) -> nn.Sequential:
    """Ten convolutions and three dense layers: (B, C, H, W) -> log-probabilities (B, K).

    Blocks of 2, 2, 3, 3 convolutions with c, 2c, 4c, 8c filters and ELU, a 2 x 2 max pooling
    (rounded down) after each block; flatten, dropout, dense f, ReLU, dropout, dense f, ReLU,
    dense K, log-softmax, where c is ``width`` and f is ``dense``: 33 observed layers, 43 with batch
    normalisation. Images of at least 16 x 16 pixels. The structure is that of the author's code.

    batch_norm:            of the output of each convolution
    norm_after_activation: conv, ELU, batch normalisation, as in the author's code; False: conv, batch normalisation,
                           ELU, which is the usual order. Of no effect without ``batch_norm``
    """
    check_size(NAME, input_shape, least=2 ** len(BLOCKS))
    channels, height, image_width = input_shape
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for block, count in enumerate(BLOCKS, start=1):
        outputs = width * 2 ** (block - 1)
        for index in range(1, count + 1):
            layers[f"conv{block}_{index}"] = conv(channels, outputs)
            if batch_norm and not norm_after_activation:
                layers[f"norm{block}_{index}"] = nn.BatchNorm2d(outputs)
            layers[f"act{block}_{index}"] = ELU()
            if batch_norm and norm_after_activation:
                layers[f"norm{block}_{index}"] = nn.BatchNorm2d(outputs)
            channels = outputs
        layers[f"pool{block}"] = nn.MaxPool2d(2)
        height, image_width = height // 2, image_width // 2

    layers["flatten"] = nn.Flatten()
    layers["dropout1"] = nn.Dropout(DROPOUT)
    layers["dense1"] = nn.Linear(channels * height * image_width, dense)
    layers["act_dense1"] = nn.ReLU()
    layers["dropout2"] = nn.Dropout(DROPOUT)
    layers["dense2"] = nn.Linear(dense, dense)
    layers["act_dense2"] = nn.ReLU()
    layers["dense3"] = nn.Linear(dense, classes)
    layers["log_softmax"] = nn.LogSoftmax(dim=1)
    return nn.Sequential(layers)

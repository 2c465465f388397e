"""ResNet18 for small images: a 3 x 3 first convolution and no first pooling, ELU throughout."""

from collections import OrderedDict

from torch import Tensor, nn

from cnn_invariance.models.layers import ELU, Add, GlobalMean, conv

NAME = "ResNet18"
STAGES = ((1, 1), (2, 2), (4, 2), (8, 2))  # filters as a multiple of the width, stride
BLOCKS = 2  # per stage

AUTHOR_HANDS_ON = {
    "block1_1.identity": ("block1_1.add", "act1", "Identity"),
    "block1_2.identity": ("block1_2.add", "block1_1.act2", "Identity"),
    "block2_2.identity": ("block2_2.add", "block2_1.act2", "Identity"),
    "block3_2.identity": ("block3_2.add", "block3_1.act2", "Identity"),
    "block4_2.identity": ("block4_2.add", "block4_1.act2", "Identity"),
    "flatten": ("dense", "mean", "Flatten"),
}
"""Layers of the author's code that are none here: before which layer of ours each stands, whose output it hands on,
and its kind. See `models.author_layers`."""


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut around them: (B, inputs, H, W) -> (B, outputs, H / s, W / s).

    The shortcut is the input itself, or a 1 x 1 convolution where the shape changes. The sum and
    the activation after it are separate modules, so that both are observed layers.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, *, batch_norm: bool) -> None:
        """Modules in the order in which they run."""
        super().__init__()
        self.conv1 = conv(inputs, outputs, stride=stride, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs) if batch_norm else None
        self.act1 = ELU()
        self.conv2 = conv(outputs, outputs, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs) if batch_norm else None
        changes = stride != 1 or inputs != outputs
        self.shortcut = conv(inputs, outputs, kernel=1, stride=stride, bias=False) if changes else None
        self.shortcut_norm = nn.BatchNorm2d(outputs) if changes and batch_norm else None
        self.add = Add()
        self.act2 = ELU()

    def forward(self, x: Tensor) -> Tensor:
        """The activation of the sum of both paths."""
        main = _chain(x, self.conv1, self.norm1, self.act1, self.conv2, self.norm2)
        return self.act2(self.add(main, _chain(x, self.shortcut, self.shortcut_norm)))


def _chain(x: Tensor, *modules: nn.Module | None) -> Tensor:
    for module in modules:
        x = x if module is None else module(x)
    return x


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    width: int = 64,
    batch_norm: bool = False,
) -> nn.Sequential:
    """Seventeen convolutions in residual blocks: (B, C, H, W) -> log-probabilities (B, K).

    conv c, ELU; four stages of two basic blocks with c, 2c, 4c, 8c filters and strides 1, 2, 2, 2;
    global mean, dense K, log-softmax, where c is ``width``. Convolutions have no bias. 48 observed layers, 68 with
    batch normalisation. The structure is that of the author's code.

    His library observes 54 (74): it counts as layers the five shortcuts that hand on their input, each after the main
    path of its block, and the flattening after the global mean; `models.author_layers` lays a profile on them. Its
    global mean leaves maps of one pixel, ours units, which have no same-equivariance.

    batch_norm: after each convolution, those of the shortcuts too, before the activation or the sum
    """
    channels = width
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv1"] = conv(input_shape[0], channels, bias=False)
    if batch_norm:
        layers["norm1"] = nn.BatchNorm2d(channels)
    layers["act1"] = ELU()
    for stage, (multiple, first_stride) in enumerate(STAGES, start=1):
        for block in range(1, BLOCKS + 1):
            stride = first_stride if block == 1 else 1
            outputs = multiple * width
            layers[f"block{stage}_{block}"] = BasicBlock(channels, outputs, stride, batch_norm=batch_norm)
            channels = outputs
    layers["mean"] = GlobalMean()
    layers["dense"] = nn.Linear(channels, classes)
    layers["log_softmax"] = nn.LogSoftmax(dim=1)
    return nn.Sequential(layers)

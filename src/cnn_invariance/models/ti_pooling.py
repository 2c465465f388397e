"""TI-pooling SimpleConv: invariance by design, a maximum over all transformations of the input.

D. Laptev, N. Savinov, J. M. Buhmann, M. Pollefeys, "TI-POOLING: transformation-invariant pooling for feature
learning in convolutional neural networks", CVPR 2016; in the author's study as a variant of SimpleConv.
"""

from collections import OrderedDict

from torch import Tensor, nn

from cnn_invariance.errors import InputError
from cnn_invariance.models.layers import ELU, check_size
from cnn_invariance.transformations import AffineSet, sets
from cnn_invariance.transformations.warp import transform_all

NAME = "TIPoolingSimpleConv"


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    width: int = 16,
    dense: int = 64,
    transformations: str = "rotation",
) -> nn.Module:
    """SimpleConv's convolutions on each of M transformations of the input: (B, C, H, W) -> log-probabilities (B, K).

    The M paths share their weights. ``ti_pool`` takes, of each flattened feature, the maximum over the paths; the
    dense part follows. 18 observed layers: those of SimpleConv and ``ti_pool``. A layer of the paths has the feature
    maps of all paths, path by path, (B, M C, H, W), so that its profile is the mean over paths.

    transformations: the set the paths apply, as `sets.parse` reads it: "rotation[n=13,angle_deg=360]"
    """
    return TIPooling(input_shape, classes, width, dense, sets.parse(transformations))


class TIPooling(nn.Module):
    """Paths over the transformations of an affine set, and the dense part after their maximum."""

    def __init__(
        self, input_shape: tuple[int, int, int], classes: int, width: int, dense: int, members: sets.TransformationSet
    ) -> None:
        """``input_shape`` is (C, H, W)."""
        super().__init__()
        check_size(NAME, input_shape, least=4)
        if not isinstance(members, AffineSet):
            raise InputError(f"{NAME} needs an affine transformation set; received callables")
        self.matrices = members.matrices
        paths, channels, (inputs, height, image_width) = len(members), 4 * width, input_shape
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for index, outputs in enumerate((width, width, 2 * width, 2 * width, channels), start=1):
            layers[f"conv{index}"] = PathConv(paths, inputs, outputs)
            layers[f"act{index}"] = ELU()
            inputs = outputs
            if index in (2, 4):
                layers[f"pool{index // 2}"] = nn.MaxPool2d(2)
        layers["flatten"] = nn.Flatten()
        layers["ti_pool"] = PathMaxPool(paths)
        layers["dense1"] = nn.Linear(channels * (height // 4) * (image_width // 4), dense)
        layers["act6"] = ELU()
        layers["dense2"] = nn.Linear(dense, classes)
        layers["log_softmax"] = nn.LogSoftmax(dim=1)
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, K)."""
        x = transform_all(images, self.matrices).transpose(0, 1).flatten(1, 2)  # (B, M C, H, W)
        for layer in self.children():
            x = layer(x)
        return x


class PathConv(nn.Conv2d):
    """One 3 x 3 convolution for M paths: (B, M inputs, H, W) -> (B, M outputs, H, W)."""

    def __init__(self, paths: int, inputs: int, outputs: int) -> None:
        """``inputs`` and ``outputs`` are the channels of one path."""
        super().__init__(inputs, outputs, 3, padding=1)
        self.paths = paths

    def forward(self, maps: Tensor) -> Tensor:
        """The paths are samples for the convolution."""
        B, _, H, W = maps.shape
        each = super().forward(maps.reshape(B * self.paths, self.in_channels, H, W))
        return each.reshape(B, self.paths * self.out_channels, H, W)


class PathMaxPool(nn.Module):
    """The maximum over M paths: (B, M F) -> (B, F)."""

    def __init__(self, paths: int) -> None:
        """``paths`` is M."""
        super().__init__()
        self.paths = paths

    def forward(self, features: Tensor) -> Tensor:
        """Of each feature, the largest value of any path."""
        return features.unflatten(1, (self.paths, -1)).amax(dim=1)

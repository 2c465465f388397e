"""Images of one dataset in the shape of another."""

from typing import TYPE_CHECKING

from cnn_invariance.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


def adapt(images: "Tensor", input_shape: tuple[int, int, int]) -> "Tensor":
    """uint8 images (N, c, h, w) as uint8 (N, C, H, W), to show a network another dataset's samples.

    As in the author's code, RGB becomes grey by the mean of its channels, and sizes change by bilinear resampling
    without antialiasing; grey becomes RGB by repetition. Values are rounded. Images that fit already come back as they
    are.

    Errors: InputError for another dtype, or channels other than 1 and 3 that differ.
    """
    import torch
    import torch.nn.functional as F

    if images.dtype != torch.uint8 or images.ndim != 4:
        raise InputError(f"expected uint8 images (N, C, H, W); received {images.dtype} {tuple(images.shape)}")
    C, H, W = input_shape
    pair = (images.shape[1], C)
    if pair[0] != pair[1] and pair not in ((1, 3), (3, 1)):
        raise InputError(f"cannot turn images of {pair[0]} channels into {pair[1]}; expected 1 and 3")
    if tuple(images.shape[1:]) == (C, H, W):
        return images
    values = images.float()
    if pair == (3, 1):
        values = values.mean(dim=1, keepdim=True)
    if tuple(images.shape[2:]) != (H, W):
        values = F.interpolate(values, (H, W), mode="bilinear", align_corners=False)
    values = values.round_().clamp_(0, 255).byte()
    return values.expand(-1, C, -1, -1).contiguous()

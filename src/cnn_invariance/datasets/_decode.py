"""Decoding of image files into one uint8 array."""

import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnn_invariance.errors import InputError, shortened

GREY = ("1", "L")
WIDE = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")

LARGEST = 5 * 10**7
"""Pixels of an image: 7,000 x 7,000. A small file can say that it has any number of them."""


class DifferentSizesError(InputError):
    """The images do not all have the same size."""


def decode(files: Sequence[tuple[str, Path | bytes]], size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Named image files, all of one size or resized to ``size`` (H, W), as uint8 (N, C, H, W).

    C is 1 if all are grey, else 3: RGB, grey images repeated, transparency dropped.

    Errors: InputError that names the file, if it is not an image or has more than 8 bits per channel;
    DifferentSizesError if its size is not that of the first image.
    """
    images: list[NDArray[np.uint8]] = []  # (H, W) or (H, W, 3) each
    for name, file in files:
        image = _decode_one(name, file, size)
        if images and image.shape[:2] != images[0].shape[:2]:
            raise DifferentSizesError(
                f"images of different sizes: {files[0][0]} is {_size(images[0])}, {name} is "
                f"{_size(image)} (width x height); resize them to one size"
            )
        images.append(image)
    return _stacked(images)


def _decode_one(name: str, file: Path | bytes, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    from PIL import Image

    if not isinstance(file, bytes) and not file.is_file():
        raise InputError(f"{name} is no file (a pipe, a device, or a link to none); remove it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about files that are odd and still readable
            opened = Image.open(BytesIO(file) if isinstance(file, bytes) else file)
        with opened as image:
            if image.width * image.height > LARGEST:
                raise InputError(f"{name} has {image.width:,} x {image.height:,} pixels; at most {LARGEST:,} are read")
            if image.mode in WIDE:
                raise InputError(f"{name} has more than 8 bits a channel; convert it to 8 bits")
            plain = image.convert("L" if image.mode in GREY else "RGB")
            return np.asarray(plain if size is None else plain.resize(size[::-1], Image.Resampling.BILINEAR))
    except InputError:
        raise
    except Exception as error:  # decoders of a dozen formats raise anything
        said = shortened(str(error) or type(error).__name__)
        raise InputError(f"{name} cannot be read as an image ({said}); remove or replace it") from error


def _stacked(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    channels = 1 if all(image.ndim == 2 for image in images) else 3
    height, width = images[0].shape[:2]
    stacked = np.empty((len(images), channels, height, width), dtype=np.uint8)
    for place, image in zip(stacked, images, strict=True):
        place[:] = image if image.ndim == 2 else image.transpose(2, 0, 1)
    return stacked


def _size(image: NDArray[np.uint8]) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"

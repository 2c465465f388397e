"""Decoding of image files into one uint8 array."""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cnn_invariance.errors import InputError, shortened

if TYPE_CHECKING:
    from PIL.Image import Image

GREY = ("1", "L")
GREY_AND_ALPHA = ("LA", "La")
ALPHA = ("RGBA", "RGBa", "PA", *GREY_AND_ALPHA)
PLAIN = (*GREY, *ALPHA, "RGB", "RGBX", "P")
UPRIGHT = 1  # the EXIF orientation of an image that is stored as it is shown
ORIENTATION = 0x0112
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
    return _stacked([_decode_one(name, file, size, None) for name, file in files], files)


def decode_photos(
    files: Sequence[tuple[str, Path | bytes]], size: tuple[int, int] | None = None
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """As `decode`, of files as people have them, and what was done to some of them, with how many these are.

    Images are turned as their EXIF orientation says; of several frames the first is taken; of 16 bits a channel the
    upper 8 are kept; CMYK and other colours become RGB by the usual formula, without a colour profile.

    Errors: as of `decode`; InputError for images of 32 bits a channel, whose range is not known.
    """
    said: Counter[str] = Counter()
    images = [_decode_one(name, file, size, said) for name, file in files]
    return _stacked(images, files), tuple(f"{count:,} {what}" for what, count in said.items())


def _decode_one(
    name: str, file: Path | bytes, size: tuple[int, int] | None, said: Counter[str] | None
) -> NDArray[np.uint8]:
    """One image, (H, W) or (H, W, 3). ``said`` counts what was done to photos; None: it is no photo."""
    from PIL import Image, ImageOps

    if not isinstance(file, bytes) and not file.is_file():
        raise InputError(f"{name} is no file (a pipe, a device, or a link to none); remove it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about files that are odd and still readable
            found = _opened(file)
        with found as opened:
            if opened.width * opened.height > LARGEST:
                raise InputError(
                    f"{name} has {opened.width:,} x {opened.height:,} pixels; at most {LARGEST:,} are read"
                )
            image: Image.Image = opened
            if said is not None:
                said.update(_peculiar(image))
                image = _of_8_bits(ImageOps.exif_transpose(image))
            if image.mode in WIDE:
                bits = "16 bits a channel in a form that is not known" if said is not None else "8 bits a channel"
                raise InputError(f"{name} has more than {bits}; convert it to 8 bits")
            grey = image.mode in (GREY if said is None else GREY + GREY_AND_ALPHA)
            plain = image.convert("L" if grey else "RGB")
            return np.asarray(plain if size is None else plain.resize(size[::-1], Image.Resampling.BILINEAR))
    except InputError:
        raise
    except Exception as error:  # decoders of a dozen formats raise anything
        reason = shortened(str(error) or type(error).__name__)
        raise InputError(f"{name} cannot be read as an image ({reason}); remove or replace it") from error


def _opened(file: Path | bytes) -> "Image":
    """An image that is not loaded yet, of any size: Pillow's own limit is above `LARGEST`, and says no size."""
    from PIL import Image

    usual, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        return Image.open(BytesIO(file) if isinstance(file, bytes) else file)
    finally:
        Image.MAX_IMAGE_PIXELS = usual


def _peculiar(image: "Image") -> Iterator[str]:
    """What is done to an image, which must not be loaded yet, beyond decoding it."""
    if _stored_in_16_bits(image):  # first, because what follows may load the image
        yield "of 16 bits a channel, of which the upper 8 are kept"
    if image.getexif().get(ORIENTATION, UPRIGHT) not in (0, UPRIGHT):
        yield "turned as the EXIF orientation says"
    if (frames := getattr(image, "n_frames", 1)) > 1:
        yield f"of {frames} frames, of which the first is taken"
    if image.mode in ALPHA or "transparency" in image.info:
        yield "with transparency, which is dropped: the colours are those stored below it"
    if image.mode not in (*PLAIN, *WIDE):
        yield f"in {image.mode}, converted to RGB without a colour profile"


def _stored_in_16_bits(image: "Image") -> bool:
    """Whether the file has 16 bits a channel; Pillow makes 8 of them in RGB, and says so in its tiles alone."""
    tiles = getattr(image, "tile", None) or []
    return image.mode in WIDE[2:] or image.mode == "I" or any("16" in str(tile[3]) for tile in tiles)


def _of_8_bits(image: "Image") -> "Image":
    """Grey levels of 16 bits as 8; other images as they are."""
    from PIL import Image

    if image.mode not in WIDE or image.mode == "F":
        return image
    levels = np.asarray(image).astype(np.int64)
    if levels.min() < 0 or levels.max() >= 1 << 16:
        return image
    return Image.fromarray((levels >> 8).astype(np.uint8))


def _stacked(images: Sequence[NDArray[np.uint8]], files: Sequence[tuple[str, Path | bytes]]) -> NDArray[np.uint8]:
    """(N, C, H, W), of images of one size."""
    for image, (name, _) in zip(images, files, strict=True):
        if image.shape[:2] != images[0].shape[:2]:
            raise DifferentSizesError(
                f"images of different sizes: {files[0][0]} is {_size(images[0])}, {name} is "
                f"{_size(image)} (width x height); resize them to one size"
            )
    channels = 1 if all(image.ndim == 2 for image in images) else 3
    height, width = images[0].shape[:2]
    stacked = np.empty((len(images), channels, height, width), dtype=np.uint8)
    for place, image in zip(stacked, images, strict=True):
        place[:] = image if image.ndim == 2 else image.transpose(2, 0, 1)
    return stacked


def _size(image: NDArray[np.uint8]) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"
